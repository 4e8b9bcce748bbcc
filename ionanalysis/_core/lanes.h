/* Scores of eight flows at a time, for solve.pyx.

   A vector of eight float32 is one register of AVX2, half of one of AVX-512, two of SSE2; lanes add up in the same
   order on all of them, so that every build gives the same bytes. Rows need LANES elements to spare behind their
   end; windows are [begin, end) and may begin at any flow. */
#ifndef IONANALYSIS_LANES_H
#define IONANALYSIS_LANES_H

#include <stdint.h>

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

static inline float total(lanes a) {
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

/* Natural logarithm of normal positive numbers, to 4e-5: the exponent, and log(1 + t) / t as a polynomial (least
   squares on Chebyshev points of sqrt(1/2) <= 1 + t <= sqrt(2)). */
static inline lanes logarithm(lanes a) {
    ilanes exponent = ((ilanes)a - 0x3f3504f3) >> 23;
    lanes t = (lanes)((ilanes)a - (exponent << 23)) - 1.0f;
    lanes series = 0.99997514f + t * (-0.49960363f + t * (0.33602661f + t * (-0.26810861f + t * 0.17517105f)));
    return __builtin_convertvector(exponent, lanes) * 0.69314718f + t * series;
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

static inline float flow_score(const Noise *noise, const float *x, int flow, float signal) {
    return lane_scores(noise, all(noise->floor[flow]), all(x[flow]), all(signal))[0];
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
    lanes sd = noise_sd(noise, load(noise->floor + begin), load(signal + begin));
    lanes e = load(x + begin) - load(signal + begin);
    lanes z = magnitude(e) / sd;
    lanes inner = lesser(z, all(noise->huber));
    lanes weight = 1.0f / (sd * sd);
    store(scores, inner * (z - 0.5f * inner) + logarithm(sd));
    store(slope, weight * e);
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
    int any = 0;
    for (int k = 0; k < LANES; k++) any |= found[k];
    return any != 0;
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

/* Whether all of a block is below a limit. */
static inline int block_below(const float *row, float limit) {
    ilanes high = (ilanes)(load(row) >= limit);
    int any = 0;
    for (int k = 0; k < LANES; k++) any |= high[k];
    return any == 0;
}

/* Terms of the robust weighted fit of one gain: x on signal, residuals beyond 2.5 sd cut. */
static inline void gain_terms(const Noise *noise, const float *x, const float *signal, float gain, int end,
                              float *top, float *bottom) {
    lanes above = all(0.0f), below = all(0.0f);
    for (int j = 0; j < end; j += LANES) {
        lanes p = load(signal + j), value = load(x + j);
        lanes sd = noise_sd(noise, load(noise->floor + j), p);
        lanes z = magnitude(value - gain * p) / sd;
        lanes w = 2.5f / (sd * sd * choose((ilanes)(z > 2.5f), z, all(2.5f)));
        above += first_lanes(w * value * p, end - j);
        below += first_lanes(w * p * p, end - j);
    }
    *top = total(above);
    *bottom = total(below);
}

#endif
