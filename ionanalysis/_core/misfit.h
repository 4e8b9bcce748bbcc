/* Squared distance of two rows, eight flows at a time, for adapter.pyx. Rows need LANES - 1 elements to spare. */
#ifndef IONANALYSIS_MISFIT_H
#define IONANALYSIS_MISFIT_H

#include <stddef.h>

#include "lanes.h"

static inline float squared_distance(const float *a, const float *b, ptrdiff_t n) {
    lanes sum = all(0.0f), d;
    for (ptrdiff_t k = 0; k < n; k += LANES) {
        d = load(a + k) - load(b + k);
        if (n - k < LANES)
            d = first_lanes(d, (int)(n - k));
        sum += d * d;
    }
    return total(sum);
}

#endif
