/* Exponentials and logarithms of whole rows, for kernels that need more than float32.

   Plain arithmetic in a fixed order, no library and no branch: compilers turn the loops into vector code, and every
   build gives the same bytes on every processor, which the C library's do not promise. */
#ifndef IONANALYSIS_ELEMENTARY_H
#define IONANALYSIS_ELEMENTARY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double of_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* e^x for |x| < 700, to 3e-16: 2^n e^r with |r| <= ln(2) / 2, and Taylor's series of e^r. */
static inline double exponential(double x) {
    /* Adding 1.5 * 2^52 rounds to a whole number and leaves it in the low bits. */
    const double shift = 6755399441055744.0;
    double shifted = x * 1.4426950408889634 + shift;
    double n = shifted - shift;
    double r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
    double s = 1.0 / 479001600.0;
    s = s * r + 1.0 / 39916800.0;
    s = s * r + 1.0 / 3628800.0;
    s = s * r + 1.0 / 362880.0;
    s = s * r + 1.0 / 40320.0;
    s = s * r + 1.0 / 5040.0;
    s = s * r + 1.0 / 720.0;
    s = s * r + 1.0 / 120.0;
    s = s * r + 1.0 / 24.0;
    s = s * r + 1.0 / 6.0;
    s = s * r + 0.5;
    s = s * r + 1.0;
    s = s * r + 1.0;
    return of_bits(bits_of(s) + (bits_of(shifted) << 52));
}

/* log(x) of normal positive numbers, to 3e-16 of the greater of 1 and |log(x)|: n log(2) + log(m) with m in
   [sqrt(1/2), sqrt(2)), and the series of artanh((m - 1) / (m + 1)). */
static inline double logarithm_of(double x) {
    const uint64_t least = 0x3fe6a09e667f3bcd; /* sqrt(1/2) */
    uint64_t biased = (bits_of(x) - least + ((uint64_t)1023 << 52)) >> 52;
    double n = of_bits(biased | 0x4330000000000000) - (4503599627370496.0 + 1023.0);
    double m = of_bits(bits_of(x) - ((biased - 1023) << 52));
    double s = (m - 1.0) / (m + 1.0);
    double z = s * s;
    double t = 1.0 / 21.0;
    t = t * z + 1.0 / 19.0;
    t = t * z + 1.0 / 17.0;
    t = t * z + 1.0 / 15.0;
    t = t * z + 1.0 / 13.0;
    t = t * z + 1.0 / 11.0;
    t = t * z + 1.0 / 9.0;
    t = t * z + 1.0 / 7.0;
    t = t * z + 1.0 / 5.0;
    t = t * z + 1.0 / 3.0;
    t = t * z + 1.0;
    return n * 0.693147180559945309417 + 2.0 * s * t;
}

static inline void exponentials(const double *x, double *out, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = exponential(x[i]);
}

static inline void logarithms(const double *x, double *out, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = logarithm_of(x[i]);
}

#endif
