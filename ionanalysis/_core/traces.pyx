# cython: embedsignature=True
"""Kernels of traces: taken in while reading, and tables read off per well. Twins: reference/traces.py.

Frames come as stored, one image after the other, so that wells lie side by side: they are the vector
axis, and a strip of wells stays in the first-level cache while all frames pass. A window of an image is taken as it
lies in memory.
"""

DEF STRIP = 128

cdef extern from "strips.h" nogil:
    enum:
        WELLS
        VECTORS
    void project_strip(const short* frames, Py_ssize_t step, Py_ssize_t n_frames, const float* vectors,
                       float (*found)[16], short* least, short* most)
    void read_table(const float* node, Py_ssize_t n_delays, const float* tau_weight, const float* delay_weight,
                    Py_ssize_t n_wells, float* values)
    void add_strip(const short* frames, Py_ssize_t step, Py_ssize_t n_frames, const short* mask, int* lanes)


def interpolate_table(
    const float[:, :, ::1] table,      # (n_taus, n_delays, n_values) in
    const int[::1] tau_node,           # (n_wells,) in: first of four nodes
    const int[::1] delay_node,         # (n_wells,) in
    const float[:, ::1] tau_weight,    # (4, n_wells) in
    const float[:, ::1] delay_weight,  # (4, n_wells) in
    float[:, ::1] values,              # (n_wells, n_values) out
):
    """Read a table between its nodes, sixteen of them for each well."""
    cdef Py_ssize_t n_values = table.shape[2], well, value, i, j
    cdef float weight[4]
    cdef const float* node
    cdef float* found
    with nogil:
        for well in range(tau_node.shape[0]):
            found = &values[well, 0]
            for value in range(n_values):
                found[value] = 0.0
            for i in range(4):
                for j in range(4):
                    weight[j] = tau_weight[i, well] * delay_weight[j, well]
                # The four nodes lie one after the other.
                node = &table[tau_node[well] + i, delay_node[well], 0]
                for value in range(n_values):
                    found[value] += (weight[0] * node[value] + weight[1] * node[n_values + value]
                                     + weight[2] * node[2 * n_values + value] + weight[3] * node[3 * n_values + value])


def merge_frames(
    const short[:, :, :] frames,       # (n_frames, n_rows, n_cols) in: counts; columns side by side
    const int[::1] group,              # (n_frames,) in: merged frame of each, 0, 0, ... 1, ...
    const float[::1] share,            # (n_frames,) in: part that each has in its merged frame
    int low, int high,                 # in: counts; a pinned well has a frame below low or above high
    float[:, ::1] merged,              # (n_merged, n_wells) out: counts above the first frame
    unsigned char[::1] pinned,         # (n_wells,) out: 1 pinned, 0 not
):
    """Average stored frames, counted from the first, and find pinned wells on the way."""
    cdef Py_ssize_t n_rows = frames.shape[1], n_cols = frames.shape[2], row, col, start, width, frame, well
    cdef const short* now
    cdef const short* first
    cdef float* target
    cdef short least[STRIP]
    cdef short most[STRIP]
    cdef float weight
    cdef Py_ssize_t last
    with nogil:
        for row in range(n_rows):
            for start in range(0, n_cols, STRIP):
                width = min(STRIP, n_cols - start)
                well = row * n_cols + start
                first = &frames[0, row, start]
                last = -1
                for col in range(width):
                    least[col] = first[col]
                    most[col] = first[col]
                for frame in range(frames.shape[0]):
                    now = &frames[frame, row, start]
                    target = &merged[group[frame], well]
                    if group[frame] != last:
                        last = group[frame]
                        for col in range(width):
                            target[col] = 0.0
                    weight = share[frame]
                    for col in range(width):
                        target[col] += weight * <float>(now[col] - first[col])
                    for col in range(width):
                        least[col] = now[col] if now[col] < least[col] else least[col]
                    for col in range(width):
                        most[col] = now[col] if now[col] > most[col] else most[col]
                for col in range(width):
                    pinned[well + col] = (least[col] < low) | (most[col] > high)


def take_in(
    const short[:, :, :] frames,       # (n_frames, n_rows, n_cols) in: counts; columns side by side
    const float[:, ::1] vectors,       # (n_frames, 6) in: one vector in each column
    int low, int high,                 # in: counts; a pinned well has a frame below low or above high
    const unsigned char[::1] chosen,   # (n_wells,) in: 1 for wells that are added up unless pinned
    int[:, ::1] lanes,                 # (n_frames, 16) scratch
    float[:, ::1] projections,         # (6, n_wells) out
    unsigned char[::1] pinned,         # (n_wells,) out: 1 pinned, 0 not
    long long[::1] sums,               # (n_frames + 1,) out: sum over chosen wells; last: how many they are
):
    """Project traces, counted from their first frame, and add up those of chosen wells, in one pass.

    `n_cols` must be at least 16: the last strip of a row begins so that it ends with the row.
    """
    cdef Py_ssize_t n_frames = frames.shape[0], n_rows = frames.shape[1], n_cols = frames.shape[2]
    cdef Py_ssize_t step = frames.strides[0] // 2, row, start, done, frame, well, k, vector
    cdef const short* strip
    cdef float found[VECTORS][WELLS]
    cdef short least[WELLS]
    cdef short most[WELLS]
    cdef short mask[WELLS]
    cdef long long count = 0
    cdef int any_chosen
    with nogil:
        for frame in range(n_frames):
            for k in range(WELLS):
                lanes[frame, k] = 0
        for row in range(n_rows):
            done = 0
            while done < n_cols:
                start = min(done, n_cols - WELLS)
                strip = &frames[0, row, start]
                well = row * n_cols + start
                project_strip(strip, step, n_frames, &vectors[0, 0], found, least, most)
                any_chosen = 0
                for k in range(WELLS):
                    pinned[well + k] = (least[k] < low) | (most[k] > high)
                    # Wells of the strip before are not added twice.
                    mask[k] = -<short>(start + k >= done and chosen[well + k] and not pinned[well + k])
                    any_chosen -= mask[k]
                for vector in range(VECTORS):
                    for k in range(WELLS):
                        projections[vector, well + k] = found[vector][k]
                if any_chosen:
                    count += any_chosen
                    add_strip(strip, step, n_frames, mask, &lanes[0, 0])
                done += WELLS
        for frame in range(n_frames):
            sums[frame] = 0
            for k in range(WELLS):
                sums[frame] += lanes[frame, k]
        sums[n_frames] = count


def combine_projections(
    const float[:, :, ::1] table,      # (n_taus, n_delays, 16) in: 6 coefficients; dark, its slope; delay gain; level
    const int[::1] tau_node,           # (n_wells,) in: first of four nodes
    const int[::1] delay_node,         # (n_wells,) in
    const float[:, ::1] tau_weight,    # (4, n_wells) in
    const float[:, ::1] delay_weight,  # (4, n_wells) in
    const float[:, ::1] projections,   # (6, n_all) in
    const int[::1] wells,              # (n_wells,) in: where the projections of each well are
    const float[::1] gain,             # (n_wells,) in: of the level, which is the background's amplitude
    const float[::1] place,            # (n_wells,) in: of the dark traces' slope
    float delay_s,                     # in: by which the flow is late
    float[::1] amplitudes,             # (n_wells,) out
):
    """Amplitudes from projections, with what a table between its nodes says about each well."""
    cdef Py_ssize_t well, vector
    cdef float values[WELLS]
    cdef float found, scale
    with nogil:
        for well in range(wells.shape[0]):
            read_table(&table[tau_node[well], delay_node[well], 0], table.shape[1], &tau_weight[0, well],
                       &delay_weight[0, well], tau_weight.shape[1], values)
            found = 0.0
            for vector in range(VECTORS):
                found += values[vector] * projections[vector, wells[well]]
            found -= values[VECTORS] + place[well] * values[VECTORS + 1] + gain[well] * values[VECTORS + 3]
            # A flow that comes late shows less of each base to filters that expect it in time.
            scale = 1.0 + delay_s * values[VECTORS + 2]
            scale = scale if scale > 0.5 else <float>0.5
            scale = scale if scale < 2.0 else <float>2.0
            amplitudes[well] = found / scale
