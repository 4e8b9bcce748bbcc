/* Scores of eight flows at a time, for solve.pyx.

   A vector of eight float32 is one register of AVX2, half of one of AVX-512, two of SSE2; lanes add up in the same
   order on all of them, so that every build gives the same bytes. Rows need LANES elements to spare behind their
   end; windows are [begin, end) and may begin at any flow. */
#ifndef IONANALYSIS_LANES_H
#define IONANALYSIS_LANES_H

#include <stdint.h>
#include <string.h>

#define LANES 8

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ilanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* Noise of a read: sd = scale * floor[flow] + per_base * min(signal, MOST_NOISY), and Huber's limit in sd. */
typedef struct {
    const float *floor;
    float scale, per_base, huber;
} Noise;

/* Growth of the noise ends at 8 bases: beyond, the prior would outvote any signal. */
#define MOST_NOISY 8.0f

static inline lanes all(float value) { return (lanes){value, value, value, value, value, value, value, value}; }
static inline lanes load(const float *from) { return *(const lanes *)from; }
static inline void store(float *to, lanes value) { *(lanes *)to = value; }

static inline lanes choose(ilanes mask, lanes yes, lanes no) {
    return (lanes)((mask & (ilanes)yes) | (~mask & (ilanes)no));
}
static inline lanes lesser(lanes a, lanes b) {
#ifdef __AVX__
    return (lanes)__builtin_ia32_minps256((lanes)a, (lanes)b); /* a < b ? a : b, what compilers do not see below */
#else
    return choose((ilanes)(a < b), a, b);
#endif
}
static inline lanes magnitude(lanes a) { return (lanes)((ilanes)a & 0x7fffffff); }

/* The first n lanes, 0 in the others. */
static inline lanes first_lanes(lanes a, int n) {
    const ilanes number = {0, 1, 2, 3, 4, 5, 6, 7};
    return (lanes)((ilanes)a & (ilanes)(number < n));
}

/* Whether any lane of a comparison holds. */
static inline int any(ilanes found) {
#ifdef __AVX__
    typedef long long quads __attribute__((vector_size(32)));
    return !__builtin_ia32_ptestz256((quads)found, (quads)found);
#else
    int yes = 0;
    for (int k = 0; k < LANES; k++) yes |= found[k];
    return yes != 0;
#endif
}

static inline float total(lanes a) {
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

/* Natural logarithm of normal positive numbers, to 4e-5: the exponent, and log(1 + t) / t as a polynomial (least
   squares on Chebyshev points of sqrt(1/2) <= 1 + t <= sqrt(2)). */
#define LN_2 0.69314718f
#define LOG_0 0.99997514f
#define LOG_1 -0.49960363f
#define LOG_2 0.33602661f
#define LOG_3 -0.26810861f
#define LOG_4 0.17517105f
static inline lanes logarithm(lanes a) {
    ilanes exponent = ((ilanes)a - 0x3f3504f3) >> 23;
    lanes t = (lanes)((ilanes)a - (exponent << 23)) - 1.0f;
    lanes series = LOG_0 + t * (LOG_1 + t * (LOG_2 + t * (LOG_3 + t * LOG_4)));
    return __builtin_convertvector(exponent, lanes) * LN_2 + t * series;
}

static inline lanes noise_sd(const Noise *noise, lanes floor, lanes signal) {
    return floor * noise->scale + lesser(signal, all(MOST_NOISY)) * noise->per_base;
}

/* Negative log-likelihood: Gauss with Huber's linear flanks. */
static inline lanes lane_scores(const Noise *noise, lanes floor, lanes x, lanes signal) {
    lanes sd = noise_sd(noise, floor, signal);
    lanes z = magnitude(x - signal) / sd;
    lanes inner = lesser(z, all(noise->huber));
    return inner * (z - 0.5f * inner) + logarithm(sd);
}

/* Noise of one flow, and its score: what the vectors above give, without a vector for a single flow. */
static inline float flow_sd(const Noise *noise, int flow, float signal) {
    return noise->floor[flow] * noise->scale + (signal < MOST_NOISY ? signal : MOST_NOISY) * noise->per_base;
}

static inline float flow_score(const Noise *noise, const float *x, int flow, float signal) {
    float sd = flow_sd(noise, flow, signal), gap = x[flow] - signal;
    float z = (gap < 0 ? -gap : gap) / sd, inner = z < noise->huber ? z : noise->huber, t;
    int32_t bits, exponent;
    memcpy(&bits, &sd, sizeof bits);
    exponent = (bits - 0x3f3504f3) >> 23;
    bits -= exponent << 23;
    memcpy(&t, &bits, sizeof t);
    t -= 1.0f;
    float series = LOG_0 + t * (LOG_1 + t * (LOG_2 + t * (LOG_3 + t * LOG_4)));
    return inner * (z - 0.5f * inner) + ((float)exponent * LN_2 + t * series);
}

/* Scores of LANES flows from `begin` on. */
static inline void flow_scores(const Noise *noise, const float *x, const float *signal, int begin, float *scores) {
    store(scores, lane_scores(noise, load(noise->floor + begin), load(x + begin), load(signal + begin)));
}

/* Score of a window whose prediction is signal + amount * state. */
static inline float window_score(const Noise *noise, const float *x, const float *signal, const float *state,
                                 float amount, int begin, int end) {
    lanes sum = all(0.0f);
    for (int j = begin; j < end; j += LANES) {
        lanes p = load(signal + j) + amount * load(state + j);
        sum += first_lanes(lane_scores(noise, load(noise->floor + j), load(x + j), p), end - j);
    }
    return total(sum);
}

/* By how much the score of a window changes if its prediction changes by amount * state; `now` holds its scores. */
static inline float window_change(const Noise *noise, const float *x, const float *signal, const float *state,
                                  float amount, const float *now, int begin, int end) {
    lanes sum = all(0.0f);
    for (int j = begin; j < end; j += LANES) {
        lanes p = load(signal + j) + amount * load(state + j);
        sum += first_lanes(lane_scores(noise, load(noise->floor + j), load(x + j), p) - load(now + j), end - j);
    }
    return total(sum);
}

/* Scores of LANES flows from `begin` on, how they fall with the prediction, and how fast that falls; noise held fixed. */
static inline void flow_curves(const Noise *noise, const float *x, const float *signal, int begin, float *scores,
                               float *slope, float *curve) {
    lanes floor = load(noise->floor + begin), value = load(x + begin), p = load(signal + begin);
    lanes sd = noise_sd(noise, floor, p), weight = 1.0f / (sd * sd);
    store(scores, lane_scores(noise, floor, value, p));
    store(slope, weight * (value - p));
    store(curve, weight);
}

/* Sums of slope * state and of curve * state^2 over a window: the parabola that a change along `state` follows. */
static inline void parabola(const float *slope, const float *curve, const float *state, int begin, int end,
                            float *linear, float *square) {
    lanes sum = all(0.0f), sum2 = all(0.0f);
    for (int j = begin; j < end; j += LANES) {
        lanes s = load(state + j);
        sum += load(slope + j) * s;
        sum2 += load(curve + j) * s * s;
    }
    *linear = total(sum);
    *square = total(sum2);
}

/* to[j] += amount * from[j] for a window; `from` is 0 behind it. */
static inline void add_row(float *to, const float *from, float amount, int begin, int end) {
    for (int j = begin; j < end; j += LANES) store(to + j, load(to + j) + amount * load(from + j));
}

/* to[j] = from[j] + amount * state[j] for a window; both are 0 behind it. */
static inline void sum_rows(float *to, const float *from, const float *state, float amount, int begin, int end) {
    for (int j = begin; j < end; j += LANES) store(to + j, load(from + j) + amount * load(state + j));
}

static inline void copy_row(float *to, const float *from, int begin, int end) {
    for (int j = begin; j < end; j += LANES) store(to + j, load(from + j));
}

static inline void clear_row(float *row, int begin, int end) {
    for (int j = begin; j < end; j += LANES) store(row + j, all(0.0f));
}

/* Whether two rows differ by more than `limit` anywhere in a window. */
static inline int rows_differ(const float *a, const float *b, float limit, int begin, int end) {
    ilanes found = {0, 0, 0, 0, 0, 0, 0, 0};
    for (int j = begin; j < end; j += LANES) {
        lanes gap = first_lanes(magnitude(load(a + j) - load(b + j)), end - j);
        found |= (ilanes)(gap > limit);
    }
    return any(found);
}

/* change[j] += amount * (made[j] - old[j]) for a window. */
static inline void add_gap(float *change, const float *made, const float *old, float amount, int begin, int end) {
    for (int j = begin; j < end; j += LANES)
        store(change + j, load(change + j) + first_lanes(amount * (load(made + j) - load(old + j)), end - j));
}

/* What strands take in a run (basecaller.md 4.2), from block `begin` on: taken = waiting * extend, where
   waiting[j] = state[j] + waiting[j - 1] * stay[j - 1]. Inside a block the recursion is summed up by doubling: `one`,
   `two`, `four` and `since` hold the products of the last 1, 2, 4 stays before each flow and of those since the start
   of its block, `stay` those of whole blocks at their first flow. Ends when all of `state` and `flow` are passed and no more than
   `cutoff` still waits; returns the end. */
typedef struct {
    const float *extend, *one, *two, *four, *since, *block;
} Transitions;

static inline int advance_row(const Transitions *by, const float *state, float cutoff, int flow, int begin, int end,
                              int n_flows, float *taken) {
    const lanes none = all(0.0f);
    float come = 0.0f;
    int j = begin;
    while (j < end || (j < n_flows && (come > cutoff || j <= flow))) {
        lanes w = load(state + j);
        w += __builtin_shufflevector(w, none, 8, 0, 1, 2, 3, 4, 5, 6) * load(by->one + j);
        w += __builtin_shufflevector(w, none, 8, 9, 0, 1, 2, 3, 4, 5) * load(by->two + j);
        w += __builtin_shufflevector(w, none, 8, 9, 10, 11, 0, 1, 2, 3) * load(by->four + j);
        float last = w[LANES - 1] * by->block[j + 1];
        w += come * load(by->since + j);
        store(taken + j, w * load(by->extend + j));
        come = come * by->block[j] + last;
        j += LANES;
    }
    return j;
}

/* The rows of a `Transitions` of one nucleotide from what is available to it in each flow (`extend`, 0 behind the
   flows): a fraction `taken` of that is taken, `lost` of it does not stay. */
static inline void fill_transitions(float *extend, float *one, float *two, float *four, float *since, float *block,
                                    float taken, float lost, int n_flows, int stride) {
    const lanes none = all(0.0f), full = all(1.0f);
    for (int j = 0; j < stride; j += LANES) {
        lanes available = load(extend + j), s = first_lanes(1.0f - available * lost, n_flows - j);
        store(extend + j, available * taken);
        lanes a = __builtin_shufflevector(s, none, 8, 0, 1, 2, 3, 4, 5, 6);
        lanes b = a * __builtin_shufflevector(a, none, 8, 0, 1, 2, 3, 4, 5, 6);
        store(one + j, a);
        store(two + j, b);
        store(four + j, b * __builtin_shufflevector(b, none, 8, 9, 0, 1, 2, 3, 4, 5));
        lanes p = __builtin_shufflevector(s, full, 8, 0, 1, 2, 3, 4, 5, 6);
        p *= __builtin_shufflevector(p, full, 8, 0, 1, 2, 3, 4, 5, 6);
        p *= __builtin_shufflevector(p, full, 8, 9, 0, 1, 2, 3, 4, 5);
        p *= __builtin_shufflevector(p, full, 8, 9, 10, 11, 0, 1, 2, 3);
        store(since + j, p);
        store(block + j, none);
        block[j] = p[LANES - 1] * s[LANES - 1];
        block[j + 1] = s[LANES - 1];
    }
}

/* Whether all of a block is below a limit. */
static inline int block_below(const float *row, float limit) { return !any((ilanes)(load(row) >= limit)); }

/* to[j] = factor * from[j]. */
static inline void scale_row(float *to, const float *from, float factor, int end) {
    for (int j = 0; j < end; j += LANES) store(to + j, load(from + j) * factor);
}

/* Weight of a residual in a robust fit: beyond 2.5 sd it falls with the residual. */
static inline lanes robust_weight(lanes residual, lanes sd) {
    lanes z = magnitude(residual) / sd;
    return 2.5f / (sd * sd * choose((ilanes)(z > 2.5f), z, all(2.5f)));
}

/* Terms of the robust weighted fit of one gain: x on signal. */
static inline void gain_terms(const Noise *noise, const float *x, const float *signal, float gain, int end,
                              float *top, float *bottom) {
    lanes above = all(0.0f), below = all(0.0f);
    for (int j = 0; j < end; j += LANES) {
        lanes p = load(signal + j), value = load(x + j);
        lanes w = robust_weight(value - gain * p, noise_sd(noise, load(noise->floor + j), p));
        above += first_lanes(w * value * p, end - j);
        below += first_lanes(w * p * p, end - j);
    }
    *top = total(above);
    *bottom = total(below);
}

/* Sums for `fit_noise`: of absolute residuals in units of the floor where the signal is near 0 (cut at 4), of residuals
   where it is near 1 (cut at `most`), of the floor there; and the numbers of such flows. */
static inline void noise_terms(const Noise *noise, const float *x, const float *signal, float most, int end,
                               float *sums) {
    lanes zero = all(0.0f), one = zero, floor_of_ones = zero, n_zero = zero, n_one = zero;
    for (int j = 0; j < end; j += LANES) {
        lanes p = load(signal + j), floor = load(noise->floor + j), e = magnitude(load(x + j) - p);
        ilanes here = (ilanes)first_lanes((lanes)(ilanes)(p == p), end - j);
        ilanes low = here & (ilanes)(p < 0.3f), mid = here & (ilanes)(p > 0.6f) & (ilanes)(p < 1.4f);
        zero += (lanes)(low & (ilanes)lesser(e / floor, all(4.0f)));
        one += (lanes)(mid & (ilanes)lesser(e, all(most)));
        floor_of_ones += (lanes)(mid & (ilanes)floor);
        n_zero += (lanes)(low & (ilanes)all(1.0f));
        n_one += (lanes)(mid & (ilanes)all(1.0f));
    }
    sums[0] = total(zero);
    sums[1] = total(one);
    sums[2] = total(floor_of_ones);
    sums[3] = total(n_zero);
    sums[4] = total(n_one);
}

/* Terms of the normal equations of a gain and an offset: x - signal on signal and 1. */
#define N_TERMS 5
static inline void drift_terms(const Noise *noise, const float *x, const float *signal, int flow, int end,
                               lanes *terms) {
    lanes p = load(signal + flow), e = load(x + flow) - p;
    lanes w = first_lanes(robust_weight(e, noise_sd(noise, load(noise->floor + flow), p)), end - flow);
    terms[0] = w * p * p;
    terms[1] = w * p;
    terms[2] = w;
    terms[3] = w * p * e;
    terms[4] = w * e;
}

/* x with a gain and an offset that drift along the flows: weighted least squares in a two-sided exponential window
   (`keep` per flow), drawn towards gain 1 and offset 0 by weights of `tight_gain` and `tight_offset`. Windows are summed
   by doubling, as runs are in `advance_row`; `sums` is scratch of N_TERMS rows. */
static inline void fit_drift(const Noise *noise, float *x, const float *signal, int n_flows, float keep,
                             float tight_gain, float tight_offset, float *sums, int stride) {
    const lanes none = all(0.0f);
    const float keep2 = keep * keep, keep4 = keep2 * keep2, keep8 = keep4 * keep4;
    const lanes rising = {keep,          keep2,         keep2 * keep,         keep4,
                          keep4 * keep,  keep4 * keep2, keep4 * keep2 * keep, keep8};
    const lanes falling = __builtin_shufflevector(rising, rising, 7, 6, 5, 4, 3, 2, 1, 0);
    lanes terms[N_TERMS];
    float come[N_TERMS] = {0};
    for (int j = 0; j < n_flows; j += LANES) {
        drift_terms(noise, x, signal, j, n_flows, terms);
        for (int k = 0; k < N_TERMS; k++) {
            lanes w = terms[k];
            w += __builtin_shufflevector(w, none, 8, 0, 1, 2, 3, 4, 5, 6) * keep;
            w += __builtin_shufflevector(w, none, 8, 9, 0, 1, 2, 3, 4, 5) * keep2;
            w += __builtin_shufflevector(w, none, 8, 9, 10, 11, 0, 1, 2, 3) * keep4;
            w += come[k] * rising;
            come[k] = w[LANES - 1];
            store(sums + k * stride + j, w);
        }
    }
    for (int k = 0; k < N_TERMS; k++) come[k] = 0.0f;
    for (int j = (n_flows - 1) / LANES * LANES; j >= 0; j -= LANES) {
        lanes near[N_TERMS];
        drift_terms(noise, x, signal, j, n_flows, terms);
        for (int k = 0; k < N_TERMS; k++) {
            lanes w = terms[k];
            w += __builtin_shufflevector(w, none, 1, 2, 3, 4, 5, 6, 7, 8) * keep;
            w += __builtin_shufflevector(w, none, 2, 3, 4, 5, 6, 7, 8, 9) * keep2;
            w += __builtin_shufflevector(w, none, 4, 5, 6, 7, 8, 9, 10, 11) * keep4;
            w += come[k] * falling;
            come[k] = w[0];
            near[k] = load(sums + k * stride + j) + (w - terms[k]);
        }
        lanes a = near[0] + tight_gain, b = near[1], c = near[2] + tight_offset;
        lanes det = a * c - b * b;
        lanes gain = 1.0f + (near[3] * c - near[4] * b) / det, offset = (a * near[4] - b * near[3]) / det;
        gain = lesser(choose((ilanes)(gain < 0.5f), all(0.5f), gain), all(2.0f));
        store(x + j, (load(x + j) - offset) / gain);
    }
}

#endif
