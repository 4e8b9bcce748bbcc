"""Per-base and per-flow arrays of called reads: arrays in, arrays out. Twins: ionanalysis/reference/called.py.

Each passes over its input once; NumPy would need tables of reads by flows in between.
"""


def count_bases(
    const int[::1] n_runs,                 # (n,) in: less than 1 for reads without bases
    const signed char[:, ::1] run_length,  # (n, n_flows) in: the first n_runs of each row hold
    long long[::1] n_bases,                # (n,) out
):
    """Fill the number of bases of each read."""
    cdef Py_ssize_t read, run
    cdef long long total
    with nogil:
        for read in range(n_runs.shape[0]):
            total = 0
            for run in range(n_runs[read]):
                total += run_length[read, run]
            n_bases[read] = total


def expand_runs(
    const int[::1] n_runs,                 # (n,) in
    const short[:, ::1] run_flow,          # (n, n_flows) in
    const signed char[:, ::1] run_length,  # (n, n_flows) in
    short[::1] base_flow,                  # (n_bases,) out
):
    """Fill the flow of each base, in the order of reads."""
    cdef Py_ssize_t read, run, base = 0, _base
    with nogil:
        for read in range(n_runs.shape[0]):
            for run in range(n_runs[read]):
                for _base in range(run_length[read, run]):
                    base_flow[base] = run_flow[read, run]
                    base += 1


def undo_droop(
    const float[:, ::1] signal,            # (n, n_flows) in
    const long long[::1] base_start,       # (n + 1,) in: read i has the bases [base_start[i], base_start[i + 1])
    const short[::1] base_flow,            # (n_bases,) in: never falling along a read
    const float[::1] droop,                # (n,) in: fraction of strands that each run costs
    float[:, ::1] out,                     # (n, n_flows) out
):
    """Divide each flow's signal by the strands left after the runs called up to it."""
    cdef Py_ssize_t read, flow, base, last
    cdef double alive, left
    with nogil:
        for read in range(signal.shape[0]):
            alive, left = 1.0, 1.0 - <double>droop[read]
            base, last = base_start[read], base_start[read + 1]
            for flow in range(signal.shape[1]):
                if base < last and base_flow[base] == flow:
                    alive *= left
                    while base < last and base_flow[base] == flow:
                        base += 1
                out[read, flow] = <float>(signal[read, flow] / alive)


def clip_windows(
    const unsigned char[::1] qualities,    # (n_bases,) in
    const long long[::1] base_start,       # (n + 1,) in
    long long size,                        # in: bases of a window, at least 1
    double cutoff,                         # in: least mean of a window
    long long[::1] clip,                   # (n,) out: bases that remain
):
    """Clip reads in the middle of the first window whose mean is below the cutoff (0 if it is the very first).

    A window that reaches the last base ends the search, unless it is the first one.
    """
    cdef Py_ssize_t read, first, start
    cdef long long n_bases, width, total, k
    cdef double least
    with nogil:
        for read in range(clip.shape[0]):
            first = base_start[read]
            n_bases = base_start[read + 1] - first
            clip[read] = n_bases
            width = size if size < n_bases else n_bases
            # Sums are whole numbers: below the bound means below its whole part.
            least = <double><long long>(width * cutoff)
            total = 0
            for k in range(width):
                total += qualities[first + k]
            start = 0
            while n_bases > 0:
                if total < least:
                    clip[read] = start + width // 2 if start > 0 else 0
                    break
                if start + 1 >= n_bases - width:
                    break
                total += <long long>qualities[first + start + width] - <long long>qualities[first + start]
                start += 1
