/* Groups of eight pixels of a region-wise delta (sigproc.md 1.6), for dat.pyx. */
#ifndef IONANALYSIS_GROUPS_H
#define IONANALYSIS_GROUPS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t words8 __attribute__((vector_size(64)));
typedef int16_t pixels8 __attribute__((vector_size(16), aligned(2), may_alias));
typedef int32_t totals8 __attribute__((vector_size(32)));

/* How the groups after a code are packed. */
typedef struct {
    int width; /* bits of a pixel: 3 to 8, or 16; 0 before the first code */
    int16_t shift, offset;
    words8 down; /* by how much each of eight fields is shifted down from the top of a word */
    uint64_t mask;
    int16_t half;
} Packing;

static inline void set_width(Packing *packing, int width, int shift) {
    packing->width = width;
    packing->shift = (int16_t)shift;
    if (width <= 8) {
        for (int k = 0; k < 8; k++) packing->down[k] = (uint64_t)(64 - width * (k + 1));
        packing->mask = (1u << width) - 1;
        packing->half = (int16_t)(1 << (width - 1));
    }
}

/* Decode a group from `source`, of which `n_left` bytes (as many as the width or more) may be read. */
static inline pixels8 decode_group(const Packing *packing, const uint8_t *source, ptrdiff_t n_left, pixels8 previous) {
    pixels8 value;
    if (packing->width == 16) {
        for (int k = 0; k < 8; k++) value[k] = (int16_t)(((uint16_t)source[2 * k] << 8) | source[2 * k + 1]);
    } else {
        uint64_t word = 0;
        if (n_left >= 8) {
            memcpy(&word, source, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            word = __builtin_bswap64(word);
#endif
        } else {
            for (int k = 0; k < packing->width; k++) word |= (uint64_t)source[k] << (8 * (7 - k));
        }
        words8 fields = {word, word, word, word, word, word, word, word};
        value = __builtin_convertvector((fields >> packing->down) & packing->mask, pixels8) - packing->half;
    }
    /* All arithmetic is that of 16 bits. */
    return previous + (value << packing->shift) + packing->offset;
}

/* Decode the rest of a row, `n_cols` pixels, until a code comes; give how many were decoded. The first group must be
   there; its first byte is no code, whatever it is. */
static inline ptrdiff_t decode_run(const Packing *packing, const uint8_t *data, ptrdiff_t *at, ptrdiff_t stop,
                                   const int16_t *previous, int16_t *pixels, ptrdiff_t n_cols, int64_t *total) {
    totals8 totals = {0};
    ptrdiff_t x = 0;
    do {
        pixels8 found = decode_group(packing, data + *at, stop - *at, *(const pixels8 *)(previous + x));
        *(pixels8 *)(pixels + x) = found;
        totals += __builtin_convertvector(found, totals8);
        *at += packing->width;
        x += 8;
    } while (x < n_cols && *at + packing->width <= stop && data[*at] != 0x7F);
    for (int k = 0; k < 8; k++) *total += totals[k];
    return x;
}

#endif
