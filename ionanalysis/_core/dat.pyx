"""DAT kernels: packed bytes to pixels and back. Twins: ionanalysis/reference/dat.py.

Bytes come from files that nobody vouches for: every read is bounded by `stop`, and what cannot be
decoded ends with a status instead of a fault. 0: done; 1: the bytes end too early; 2: pixels without
a width code before them; 3: a width code that does not exist; 4: a region that starts outside its frame.
"""
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    DONE = 0
    TOO_SHORT = 1
    NO_CODE = 2
    BAD_CODE = 3
    BAD_OFFSET = 4

cdef uint32_t UNCHANGED = ~<uint32_t>0   # region table: as in the frame before
cdef uint32_t MARK = 0xDEADBEEF          # of a coded frame


cdef inline uint32_t big_u32(const uint8_t* at) noexcept nogil:
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | <uint32_t>at[3]


cdef inline void put_u32(uint8_t* at, uint32_t value) noexcept nogil:
    at[0] = <uint8_t>(value >> 24)
    at[1] = <uint8_t>(value >> 16)
    at[2] = <uint8_t>(value >> 8)
    at[3] = <uint8_t>value


def byte_sum(const uint8_t[::1] data):
    """Sum of all bytes; the files keep it modulo 2**32."""
    cdef Py_ssize_t i
    cdef uint64_t total = 0
    with nogil:
        for i in range(data.shape[0]):
            total += data[i]
    return total


def locate_frames(
    const uint8_t[::1] data,     # in: the whole file
    int64_t at,                  # in: byte at which the first frame begins
    int64_t plain_bytes,         # in: bytes of a plain frame
    int64_t[:, ::1] frames,      # (n_frames, 6) out: start, stop, time, mode, transitions, pixel sum
):
    """Follow the chain of frames of types 4 to 6; give how many are sound, one after the other."""
    cdef Py_ssize_t number, done = 0, word
    cdef int64_t size = data.shape[0]
    cdef bint is_marked
    with nogil:
        for number in range(frames.shape[0]):
            if at < 0 or at + 8 > size:
                break
            is_marked = at + 24 <= size and big_u32(&data[at + 20]) == MARK
            frames[number, 2] = big_u32(&data[at])
            frames[number, 3] = big_u32(&data[at + 4])
            if frames[number, 3] == 0:
                # Samples have 14 bits, so the mark can only be that of a coded frame.
                if number and is_marked:
                    break
                frames[number, 0] = at + 8
                frames[number, 1] = at + 8 + plain_bytes
                for word in range(4, 6):
                    frames[number, word] = 0
            else:
                if number == 0 or not is_marked or big_u32(&data[at + 8]) < 16:
                    break
                frames[number, 0] = at + 24
                frames[number, 1] = at + 8 + big_u32(&data[at + 8])
                frames[number, 4] = big_u32(&data[at + 12])
                frames[number, 5] = big_u32(&data[at + 16])
            at = frames[number, 1]
            if at > size:
                break
            done += 1
    return done


def unpack_stored(
    const uint8_t[::1] data,    # in: big-endian 14-bit samples
    int16_t[::1] pixels,        # (n,) out: counts, data.shape[0] // 2 of them
):
    """Unpack a stored frame."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(pixels.shape[0]):
            pixels[i] = <int16_t>(((data[2 * i] << 8) | data[2 * i + 1]) & 0x3FFF)


def decode_delta(
    const uint8_t[::1] data,      # in: payload of one coded frame of type 4
    const int16_t[::1] previous,  # (n,) in: pixels of the frame before, counts
    int16_t[::1] pixels,          # (n,) out: counts
    int64_t[::1] found,           # (2,) out: transitions, sum of the pixels
):
    """Decode a whole-frame delta (sigproc.md 1.5); the status is returned."""
    cdef Py_ssize_t i, at = 0, stop = data.shape[0]
    cdef int width = 0, status = DONE
    cdef int64_t transitions = 0, total = 0
    cdef int16_t value
    with nogil:
        for i in range(pixels.shape[0]):
            if at + 1 < stop and data[at] == 0x44 and (data[at + 1] == 0x99 or data[at + 1] == 0xBB):
                width = 8 if data[at + 1] == 0x99 else 16
                transitions += 1
                at += 2
            if width == 0:
                status = NO_CODE
                break
            if at + width // 8 > stop:
                status = TOO_SHORT
                break
            if width == 8:
                value = <int16_t><signed char>data[at]
                at += 1
            else:
                value = <int16_t>((data[at] << 8) | data[at + 1])
                at += 2
            pixels[i] = <int16_t>(<int>previous[i] + value)
            total += pixels[i]
        found[0] = transitions
        found[1] = total
    return status


def encode_delta(
    const int16_t[::1] previous,  # (n,) in: counts
    const int16_t[::1] pixels,    # (n,) in: counts
    uint8_t[::1] data,            # (4 * n,) out: payload
    int64_t[::1] found,           # (3,) out: transitions, sum of the pixels, bytes written
):
    """Encode a whole-frame delta (sigproc.md 1.5)."""
    cdef Py_ssize_t i, at = 0
    cdef int width = 0, wanted
    cdef int64_t transitions = 0, total = 0
    cdef int16_t delta
    cdef uint8_t first
    with nogil:
        for i in range(pixels.shape[0]):
            delta = <int16_t>(<int>pixels[i] - previous[i])
            wanted = 8 if -128 <= delta <= 127 else 16
            first = <uint8_t>delta if wanted == 8 else <uint8_t>(<uint16_t>delta >> 8)
            if wanted != width or first == 0x44:
                width = wanted
                data[at] = 0x44
                data[at + 1] = 0x99 if width == 8 else 0xBB
                transitions += 1
                at += 2
            data[at] = first
            at += 1
            if width == 16:
                data[at] = <uint8_t>delta
                at += 1
            total += pixels[i]
        found[0] = transitions
        found[1] = total
        found[2] = at
    return DONE


cdef extern from "groups.h" nogil:
    ctypedef struct Packing:
        int width
        int16_t offset
    void set_width(Packing* packing, int width, int shift)
    Py_ssize_t decode_run(const Packing* packing, const uint8_t* data, Py_ssize_t* at, Py_ssize_t stop,
                          const int16_t* previous, int16_t* pixels, Py_ssize_t n_cols, int64_t* total)


cdef int decode_region(
    const uint8_t[::1] data, Py_ssize_t at, int mode,
    const int16_t[:, ::1] previous, int16_t[:, ::1] pixels,
    Py_ssize_t row, Py_ssize_t row_stop, Py_ssize_t col, Py_ssize_t col_stop,
    int64_t[::1] found,
) noexcept nogil:
    """Decode one region whose first byte is data[at]; add to the counts in `found`."""
    cdef Py_ssize_t y, x, stop = data.shape[0]
    cdef Packing packing
    cdef int width
    cdef uint8_t code
    packing.width = 0
    packing.offset = 0
    if mode >= 3:
        if at + 2 > stop:
            return TOO_SHORT
        packing.offset = <int16_t>((data[at] << 8) | data[at + 1])
        at += 2
    for y in range(row, row_stop):
        x = col
        while x < col_stop:
            if at + 1 < stop and data[at] == 0x7F:
                code = data[at + 1]
                width = code & 0x0F
                if width == 0x0B:
                    width = 16
                elif width < 3 or width > 8:
                    return BAD_CODE
                set_width(&packing, width, code >> 4 if mode >= 2 else 0)
                found[0] += 1
                at += 2
            if packing.width == 0:
                return NO_CODE if at < stop else TOO_SHORT
            if at + packing.width > stop:
                return TOO_SHORT
            x += decode_run(&packing, &data[0], &at, stop, &previous[y, x], &pixels[y, x], col_stop - x, &found[1])
    return DONE


def decode_regions(
    const uint8_t[::1] data,        # in: payload of one coded frame of type 5 or 6, region table first
    int mode,                       # in: the frame's `Compressed` word
    const int64_t[::1] grid,        # (5,) in: region rows, region cols, regions per row of them, first region row, col
    const int16_t[:, ::1] previous,  # (rows, cols) in: the frame before, counts; starts at the first region
    int16_t[:, ::1] pixels,         # (rows, cols) out: counts
    uint8_t[:, ::1] coded,          # (region rows, region cols of the window) out: 1 where coded, 0 where unchanged
    int64_t[::1] found,             # (2,) out: transitions, sum of the pixels of coded regions
):
    """Decode a region-wise delta (sigproc.md 1.6) for a window of whole regions; the status is returned."""
    cdef Py_ssize_t height = grid[0], length = grid[1], i, j, y, row, row_stop, col, col_stop
    cdef Py_ssize_t entry, at
    cdef uint32_t offset
    cdef int status = DONE
    with nogil:
        found[0] = 0
        found[1] = 0
        for i in range(coded.shape[0]):
            row = i * height
            row_stop = min(row + height, pixels.shape[0])
            for j in range(coded.shape[1]):
                col = j * length
                col_stop = min(col + length, pixels.shape[1])
                entry = 4 * ((grid[3] + i) * grid[2] + grid[4] + j)
                if entry + 4 > data.shape[0]:
                    status = TOO_SHORT
                    break
                offset = big_u32(&data[entry])
                coded[i, j] = offset != UNCHANGED
                if not coded[i, j]:
                    for y in range(row, row_stop):
                        memcpy(&pixels[y, col], &previous[y, col], 2 * (col_stop - col))
                    continue
                # Offsets count from the `len` word, 16 bytes before the table.
                at = <Py_ssize_t>offset - 16
                if at < 0 or at >= data.shape[0]:
                    status = BAD_OFFSET
                    break
                status = decode_region(data, at, mode, previous, pixels, row, row_stop, col, col_stop, found)
                if status != DONE:
                    break
            if status != DONE:
                break
    return status


cdef inline int group_width(const int16_t* previous, const int16_t* pixels) noexcept nogil:
    """Bits that the widest of eight deltas needs: 3 to 8, or 16."""
    cdef int k, delta, seen = 0, width = 3
    for k in range(8):
        delta = <int16_t>(<int>pixels[k] - previous[k])
        seen |= delta if delta >= 0 else ~delta
    while width <= 8 and seen >> (width - 1):
        width += 1
    return width if width <= 8 else 16


cdef inline void pack_group(uint8_t* target, int width,
                            const int16_t* previous, const int16_t* pixels) noexcept nogil:
    cdef uint64_t word = 0
    cdef int k
    cdef uint16_t delta
    for k in range(8):
        delta = <uint16_t>(<int>pixels[k] - previous[k])
        if width == 16:
            target[2 * k] = <uint8_t>(delta >> 8)
            target[2 * k + 1] = <uint8_t>delta
        else:
            word = (word << width) | (<uint16_t>(delta + (1 << (width - 1))) & ((1 << width) - 1))
    if width < 16:
        for k in range(width):
            target[k] = <uint8_t>(word >> (8 * (width - 1 - k)))


cdef Py_ssize_t encode_region(
    const int16_t[:, ::1] previous, const int16_t[:, ::1] pixels,
    Py_ssize_t row, Py_ssize_t row_stop, Py_ssize_t col, Py_ssize_t col_stop,
    uint8_t[::1] data, Py_ssize_t at, int64_t[::1] found,
) noexcept nogil:
    """Encode one region from data[at] on; give the place after it."""
    cdef Py_ssize_t y, x
    cdef int width = 0, wanted, k
    for y in range(row, row_stop):
        for x in range(col, col_stop, 8):
            wanted = group_width(&previous[y, x], &pixels[y, x])
            # A narrower width pays only if it saves more than its two-byte code.
            if width - 2 <= wanted < width:
                wanted = width
            pack_group(&data[at], wanted, &previous[y, x], &pixels[y, x])
            if wanted != width or data[at] == 0x7F:
                pack_group(&data[at + 2], wanted, &previous[y, x], &pixels[y, x])
                width = wanted
                data[at] = 0x7F
                data[at + 1] = 0xBB if width == 16 else <uint8_t>(width | (width << 4))
                found[0] += 1
                at += 2
            at += width
            for k in range(8):
                found[1] += pixels[y, x + k]
    return at


def encode_regions(
    const int64_t[::1] grid,         # (3,) in: region rows, region cols, 1 to leave out unchanged regions
    const int16_t[:, ::1] previous,  # (rows, cols) in: counts
    const int16_t[:, ::1] pixels,    # (rows, cols) in: counts; cols and region cols are multiples of 8
    uint8_t[::1] data,               # out: payload, region table first; 4 per region + 18 per 8 pixels + 4 bytes
    int64_t[::1] found,              # (3,) out: transitions, sum of the pixels of coded regions, bytes written
):
    """Encode a region-wise delta in mode 1 (sigproc.md 1.6)."""
    cdef Py_ssize_t height = grid[0], length = grid[1], row, row_stop, col, col_stop, y, x
    cdef Py_ssize_t n_rows = pixels.shape[0], n_cols = pixels.shape[1], n_down, n_across, i, at
    cdef bint same
    with nogil:
        found[0] = 0
        found[1] = 0
        n_down = (n_rows + height - 1) // height
        n_across = (n_cols + length - 1) // length
        at = 4 * n_down * n_across
        for i in range(n_down * n_across):
            row = (i // n_across) * height
            col = (i % n_across) * length
            row_stop = min(row + height, n_rows)
            col_stop = min(col + length, n_cols)
            same = grid[2] != 0
            for y in range(row, row_stop):
                for x in range(col, col_stop):
                    same &= pixels[y, x] == previous[y, x]
            put_u32(&data[4 * i], UNCHANGED if same else <uint32_t>(at + 16))
            if not same:
                at = encode_region(previous, pixels, row, row_stop, col, col_stop, data, at, found)
        while at % 4:
            data[at] = 0
            at += 1
        found[2] = at
    return DONE


cdef inline int16_t rounded(float value) noexcept nogil:
    """Nearest integer, ties to even, held within 16 bits; not a number becomes the least."""
    value = value if value > -32768.0 else <float>-32768.0
    value = value if value < 32767.0 else <float>32767.0
    # Adding 1.5 * 2**23 leaves no bits for fractions: rounding without a branch or a library call.
    return <int16_t><int>((value + <float>12582912.0) - <float>12582912.0)


cdef Py_ssize_t unpack_codes(
    const uint64_t[::1] words, Py_ssize_t place, const int32_t[::1] bits, const float[::1] least,
    const float[::1] step, float[:, ::1] coefficients, uint8_t[::1] pinned,
) noexcept nogil:
    """Coefficients of one row of pixels, from bit `place` of the stream on; give the place after them."""
    cdef Py_ssize_t col, vector
    cdef uint64_t code
    cdef int used
    for col in range(pinned.shape[0]):
        pinned[col] = 0
        for vector in range(bits.shape[0]):
            used = place & 63
            code = words[place >> 6] << used
            if used + bits[vector] > 64:
                code |= words[(place >> 6) + 1] >> (64 - used)
            code >>= 64 - bits[vector]
            place += bits[vector]
            pinned[col] |= code == 0
            coefficients[vector, col] = <float>(<int64_t>code - 1) * step[vector] + least[vector]
    return place


def unpack_components(
    const uint64_t[::1] words,    # in: bit stream; holds the codes of all pixels, or more
    const int32_t[::1] bits,      # (n_vectors,) in: bits of a code, 1 to 32
    const float[::1] least,       # (n_vectors,) in: least coefficient
    const float[::1] step,        # (n_vectors,) in: coefficient per code
    const float[::1] mean,        # (n_frames,) in: counts
    const float[:, ::1] basis,    # (n_vectors, n_frames) in
    float[:, ::1] scratch,        # (n_vectors + 1, cols) scratch: coefficients, and a row of pixels
    uint8_t[::1] pinned,          # (cols,) scratch
    int16_t[:, :, ::1] pixels,    # (n_frames, rows, cols) out: counts; 0 where pinned
):
    """Unpack a block of type 7 (sigproc.md 1.8)."""
    cdef Py_ssize_t n_vectors = bits.shape[0], n_cols = pixels.shape[2], row, col, frame, vector, place = 0
    cdef float weight
    cdef float[::1] level = scratch[n_vectors]
    cdef int16_t value
    with nogil:
        for row in range(pixels.shape[1]):
            place = unpack_codes(words, place, bits, least, step, scratch, pinned)
            for frame in range(mean.shape[0]):
                for col in range(n_cols):
                    level[col] = mean[frame]
                for vector in range(n_vectors):
                    weight = basis[vector, frame]
                    for col in range(n_cols):
                        level[col] += weight * scratch[vector, col]
                for col in range(n_cols):
                    value = rounded(level[col])
                    pixels[frame, row, col] = 0 if pinned[col] else value
