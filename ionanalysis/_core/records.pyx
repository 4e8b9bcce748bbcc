"""Records put together from columns of cells: arrays in, arrays out. Twins: ionanalysis/reference/records.py.

A record is one cell of each column, end to end. Columns are copied one after the other, so that no record is
touched by Python; copying is bound by memory, not by instructions.
"""

from libc.string cimport memcpy


def append_cells(
    const unsigned char[::1] cells,       # in: bytes of a column's cells
    const long long[::1] first,           # (n,) in: cell i is cells[first[i]:last[i]]
    const long long[::1] last,            # (n,) in
    long long[::1] at,                    # (n,) in, out: where cell i goes; then where the next one goes
    unsigned char[::1] out,               # out: all records
):
    """Copy a cell to each record."""
    cdef Py_ssize_t i, size
    with nogil:
        for i in range(at.shape[0]):
            size = last[i] - first[i]
            if size > 0:
                memcpy(&out[at[i]], &cells[first[i]], size)
                at[i] += size


def append_packed(
    const unsigned char[::1] values,      # in: 0..15
    const long long[::1] first,           # (n,) in: cell i is values[first[i]:last[i]]
    const long long[::1] last,            # (n,) in
    long long[::1] at,                    # (n,) in, out
    unsigned char[::1] out,               # out
):
    """Copy a cell to each record, two values a byte, the first one in the high bits, 0 behind the last."""
    cdef Py_ssize_t i, k, size
    cdef const unsigned char* cell
    cdef unsigned char* to
    with nogil:
        for i in range(at.shape[0]):
            size = last[i] - first[i]
            if size <= 0:
                continue
            cell, to = &values[first[i]], &out[at[i]]
            for k in range(size // 2):
                to[k] = <unsigned char>(cell[2 * k] << 4 | cell[2 * k + 1])
            if size % 2:
                to[size // 2] = <unsigned char>(cell[size - 1] << 4)
            at[i] += (size + 1) // 2


def append_turned(
    const unsigned char[::1] records,     # in: bytes of whole records
    const long long[::1] bases_at,        # (n,) in: first byte of the packed bases of each, qualities behind them
    const long long[::1] n_bases,         # (n,) in
    const unsigned char[::1] reverse,     # (n,) in: 1 for reads to turn around
    const unsigned char[::1] turned,      # (256,) in: two complemented bases for two, the second one first
    long long[::1] at,                    # (n,) in, out: where a record's bases go; then the byte behind its qualities
    unsigned char[::1] out,               # out: all records
):
    """Copy packed bases and qualities to each record, those of the other strand complemented and from the end."""
    cdef Py_ssize_t i, k, n, n_bytes
    cdef const unsigned char* bases
    cdef const unsigned char* qualities
    cdef unsigned char* to
    with nogil:
        for i in range(at.shape[0]):
            n = n_bases[i]
            if n <= 0:
                continue
            n_bytes = (n + 1) // 2
            bases, to = &records[bases_at[i]], &out[at[i]]
            qualities = bases + n_bytes
            at[i] += n_bytes + n
            if not reverse[i]:
                memcpy(to, bases, n_bytes + n)
            else:
                if n % 2 == 0:
                    for k in range(n_bytes):
                        to[k] = turned[bases[n_bytes - 1 - k]]
                else:
                    # Half a byte is empty behind the last base: pairs lie across two bytes.
                    for k in range(n_bytes - 1):
                        to[k] = turned[<unsigned char>(bases[n_bytes - 2 - k] << 4 | bases[n_bytes - 1 - k] >> 4)]
                    to[n_bytes - 1] = turned[bases[0] >> 4]
                for k in range(n):
                    to[n_bytes + k] = qualities[n - 1 - k]
            if n % 2:
                to[n_bytes - 1] &= 0xF0


def unpack_bases(
    const unsigned char[::1] records,     # in: bytes of whole records
    const long long[::1] bases_at,        # (n,) in: first byte of the packed bases of each
    const long long[::1] base_start,      # (n + 1,) in: read i has the letters [base_start[i], base_start[i + 1])
    const unsigned char[::1] of_code,     # (16,) in: letter of each base as packed
    unsigned char[::1] letters,           # out
):
    """Fill the letters of all reads."""
    cdef Py_ssize_t i, k, n
    cdef const unsigned char* packed
    cdef unsigned char* to
    with nogil:
        for i in range(bases_at.shape[0]):
            n = base_start[i + 1] - base_start[i]
            if n <= 0:
                continue
            packed, to = &records[bases_at[i]], &letters[base_start[i]]
            for k in range(n // 2):
                to[2 * k] = of_code[packed[k] >> 4]
                to[2 * k + 1] = of_code[packed[k] & 15]
            if n % 2:
                to[n - 1] = of_code[packed[n // 2] >> 4]


def flow_units(
    const float[::1] signal,              # (n,) in: bases
    short[::1] out,                       # (n,) out: 2 * clamp(trunc(128 * signal), -16383, 16383); 0 for NaN
):
    """Fill flow signals in the units of tag ZM (basecaller.md 8.4)."""
    cdef Py_ssize_t i
    cdef float scaled
    with nogil:
        for i in range(signal.shape[0]):
            scaled = signal[i] * <float>128.0
            # NaN is not equal to itself.
            scaled = scaled if scaled == scaled else <float>0.0
            scaled = scaled if scaled < <float>16383.0 else <float>16383.0
            scaled = scaled if scaled > <float>-16383.0 else <float>-16383.0
            out[i] = <short>(2 * <int>scaled)
