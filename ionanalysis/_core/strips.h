/* Traces of sixteen neighbouring wells at a time, for traces.pyx.

   A vector of sixteen is one register of AVX-512, two of AVX2, four of SSE2; every lane is a well of its own, so that
   all builds give the same bytes. */
#ifndef IONANALYSIS_STRIPS_H
#define IONANALYSIS_STRIPS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WELLS 16
#define VECTORS 6

typedef int16_t counts16 __attribute__((vector_size(2 * WELLS), aligned(2), may_alias));
typedef int32_t ints16 __attribute__((vector_size(4 * WELLS), aligned(4), may_alias));
typedef float floats16 __attribute__((vector_size(4 * WELLS), aligned(4), may_alias));

static inline counts16 least_of(counts16 a, counts16 b) {
    counts16 less = a < b;
    return (less & a) | (~less & b);
}

/* Project the traces of WELLS wells, counted from their first frame, on VECTORS vectors; their least and most counts.

   frames: first frame of the first well; the next frame is `step` elements on. vectors: VECTORS values per frame.
   found: VECTORS rows of WELLS. */
static inline void project_strip(const int16_t *frames, ptrdiff_t step, ptrdiff_t n_frames, const float *vectors,
                                 float found[VECTORS][WELLS], int16_t *least, int16_t *most) {
    counts16 first = *(const counts16 *)frames, low = first, high = first;
    floats16 sum[VECTORS];
    for (int v = 0; v < VECTORS; v++) sum[v] = (floats16){0};
    for (ptrdiff_t frame = 0; frame < n_frames; frame++) {
        counts16 now = *(const counts16 *)(frames + frame * step);
        floats16 value = __builtin_convertvector(now - first, floats16);
        low = least_of(low, now);
        high = -least_of(-high, -now);
#pragma GCC unroll 6
        for (int v = 0; v < VECTORS; v++) sum[v] += value * vectors[frame * VECTORS + v];
    }
    for (int v = 0; v < VECTORS; v++) memcpy(found[v], &sum[v], sizeof sum[v]);
    memcpy(least, &low, sizeof low);
    memcpy(most, &high, sizeof high);
}

/* Add to sums[frame] the traces, counted from their first frame, of the wells whose mask is -1 (others: 0). */
static inline void add_strip(const int16_t *frames, ptrdiff_t step, ptrdiff_t n_frames, const int16_t *mask,
                             int32_t *lanes) {
    counts16 first = *(const counts16 *)frames, kept = *(const counts16 *)mask;
    for (ptrdiff_t frame = 0; frame < n_frames; frame++) {
        counts16 now = *(const counts16 *)(frames + frame * step);
        *(ints16 *)(lanes + frame * WELLS) += __builtin_convertvector((now - first) & kept, ints16);
    }
}

/* Read WELLS values side by side from a table, between its nodes: sixteen of them, weighted by two rows of four. */
static inline void read_table(const float *node, ptrdiff_t n_delays, const float *tau_weight,
                              const float *delay_weight, ptrdiff_t n_wells, float *values) {
    floats16 sum = {0};
    for (int i = 0; i < 4; i++) {
        floats16 across = {0};
        for (int j = 0; j < 4; j++)
            across += *(const floats16 *)(node + (i * n_delays + j) * WELLS) * delay_weight[j * n_wells];
        sum += across * tau_weight[i * n_wells];
    }
    memcpy(values, &sum, sizeof sum);
}

#endif
