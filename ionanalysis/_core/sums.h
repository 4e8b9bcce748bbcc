/* Sums over the values of a trace, sixteen at a time, for fits.pyx. Lanes are added up in the same order on all builds. */
#ifndef IONANALYSIS_SUMS_H
#define IONANALYSIS_SUMS_H

#include <stddef.h>
#include <string.h>

typedef float floats16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef float floats8 __attribute__((vector_size(32)));
typedef float floats4 __attribute__((vector_size(16)));

static inline float total_of(floats16 lanes) {
    floats8 low, high;
    memcpy(&low, &lanes, sizeof low);
    memcpy(&high, (const char *)&lanes + sizeof low, sizeof high);
    low += high;
    floats4 first, second;
    memcpy(&first, &low, sizeof first);
    memcpy(&second, (const char *)&low + sizeof first, sizeof second);
    first += second;
    return (first[0] + first[2]) + (first[1] + first[3]);
}

/* Read a model and its slopes between the nodes of a table, and add up what a Gauss-Newton step needs: products of
   model, slope by log tau and slope by delay (rows of the lower triangle: 6), theirs with what is left of the trace (3),
   and the square of that.

   node: first of the 4 x 4 nodes; weights and slopes: of four nodes each. */
static inline void add_up(const float *node, ptrdiff_t n_delays, ptrdiff_t n_values, const float *tau_weight,
                          const float *tau_slope, const float *delay_weight, const float *delay_slope,
                          const float *trace, float gain, float *sums) {
    floats16 lanes[10];
    memset(lanes, 0, sizeof lanes);
    for (ptrdiff_t value = 0; value < n_values; value += 16) {
        floats16 model = {0}, by_tau = {0}, by_delay = {0};
        for (int i = 0; i < 4; i++) {
            const float *row = node + i * n_delays * n_values + value;
            floats16 across = {0}, along = {0};
            for (int j = 0; j < 4; j++) {
                floats16 one = *(const floats16 *)(row + j * n_values);
                across += one * delay_weight[j];
                along += one * delay_slope[j];
            }
            model += across * tau_weight[i];
            by_tau += across * tau_slope[i];
            by_delay += along * tau_weight[i];
        }
        floats16 rest = *(const floats16 *)(trace + value) - model * gain;
        by_tau *= gain;
        by_delay *= gain;
        lanes[0] += model * model;
        lanes[1] += model * by_tau;
        lanes[2] += by_tau * by_tau;
        lanes[3] += model * by_delay;
        lanes[4] += by_tau * by_delay;
        lanes[5] += by_delay * by_delay;
        lanes[6] += model * rest;
        lanes[7] += by_tau * rest;
        lanes[8] += by_delay * rest;
        lanes[9] += rest * rest;
    }
    for (int k = 0; k < 10; k++) sums[k] = total_of(lanes[k]);
}

#endif
