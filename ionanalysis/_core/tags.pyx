"""Molecular tags, read and healed: arrays in, arrays out. Twins: ionanalysis/reference/tags.py.

Bases are read from `begin` in steps of 1 (tag at the start of the insert) or -1 (at its end); texts are
written in the order in which they are read.
"""


cdef bint fits(
    const unsigned char[::1] pattern, Py_ssize_t first, Py_ssize_t n, const unsigned char* seen
) noexcept nogil:
    # Whether the fixed letters of pattern[first : first + n] are in `seen`; N stands for any base.
    cdef Py_ssize_t i
    for i in range(n):
        if pattern[first + i] != c"N" and pattern[first + i] != seen[i]:
            return False
    return True


cdef Py_ssize_t heal_block(
    const unsigned char* read,            # bases in reading order, n of them
    Py_ssize_t n, Py_ssize_t at,          # all bases there are; where the block begins
    const unsigned char[::1] pattern, Py_ssize_t first, Py_ssize_t size,
    unsigned char* text,                  # out: bases of the block as they should be, `size` of them
) noexcept nogil:
    # Bases of the read that the healed block takes, or -1. One run, the longest, may have a wrong length.
    cdef Py_ssize_t there = min(size, n - at), anchor = 0, start, stop, total, own, i, source
    cdef Py_ssize_t best = 0, best_start = 0, best_own = 0, n_best = 0, change
    if there <= 0:
        return -1
    if there == size:
        for i in range(size):
            text[i] = read[at + i]
        if fits(pattern, first, size, text):
            return size
    # Bases before the block count towards a run that touches its start.
    while at - anchor > 0 and read[at - anchor - 1] == read[at]:
        anchor += 1
    start = 0
    while start < there:
        stop = start + 1
        while stop < there and read[at + stop] == read[at + start]:
            stop += 1
        own = stop - start
        total = own + (anchor if start == 0 else 0)
        if total > best:
            best, best_start, best_own, n_best = total, start, own, 1
        elif total == best:
            n_best += 1
        start = stop
    if best < 2 or n_best > 1:
        return -1
    # Two bases missing in the read, one, one too many, two.
    for change in range(2, -3, -1):
        if change == 0 or best + change < 3 or best_own + change < 0:
            continue
        for i in range(size):
            if i < best_start:
                source = at + i
            elif i < best_start + best_own + change:
                source = at + best_start
            else:
                source = at + i - change
            if source >= n:
                break
            text[i] = read[source]
        else:
            if fits(pattern, first, size, text):
                return size - change
    return -1


cdef void read_one(
    const unsigned char* read, Py_ssize_t n,
    const unsigned char[::1] pattern, const int[::1] block_start, bint strict, bint heal,
    unsigned char* text, int* n_cut,
) noexcept nogil:
    cdef Py_ssize_t size = pattern.shape[0], block, first, length, used, at = 0, written = 0, i
    cdef bint whole = True
    n_cut[0] = -1
    if n < size:
        return
    if heal and not fits(pattern, 0, size, read):
        for block in range(block_start.shape[0] - 1):
            first, length = block_start[block], block_start[block + 1] - block_start[block]
            used = heal_block(read, n, at, pattern, first, length, text + first)
            if used < 0:
                whole, used = False, length
                for i in range(min(length, n - at)):
                    text[first + i] = read[at + i]
            at += used
            written += length
            if at > n:
                break
        if size <= at <= n and written == size and (whole or not strict):
            n_cut[0] = <int>at
            return
    if strict and not fits(pattern, 0, size, read):
        return
    for i in range(size):
        text[i] = read[i]
    n_cut[0] = <int>size


def read_tags(
    const unsigned char[::1] bases,       # (n_bases,) in: letters of all reads
    const long long[::1] begin,           # (n,) in: first base to look at
    const long long[::1] n_there,         # (n,) in: bases from there on, in reading order
    int step,                             # in: 1, or -1 to read backwards
    const unsigned char[::1] pattern,     # (n_pattern,) in: A, C, G, T, N in reading order
    const int[::1] block_start,           # (n_blocks + 1,) in: where blocks of N... and fixed letters begin
    bint strict,                          # in: fixed letters must match
    bint heal,                            # in: repair run lengths
    unsigned char[::1] scratch,           # (most bases of a read,) scratch
    unsigned char[:, ::1] text,           # (n, n_pattern) out: tags as they should read
    int[::1] n_cut,                       # (n,) out: bases they take; -1 without a tag
):
    """Fill `text` and `n_cut`."""
    cdef Py_ssize_t read, i
    with nogil:
        for read in range(begin.shape[0]):
            for i in range(n_there[read]):
                scratch[i] = bases[begin[read] + step * i]
            read_one(&scratch[0], n_there[read], pattern, block_start, strict, heal, &text[read, 0], &n_cut[read])
