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
