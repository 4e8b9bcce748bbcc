# cython: embedsignature=True
"""Kernels of traces: projection while reading, and tables read off per well. Twins: reference/traces.py.

Frames come as stored, one image after the other, so that wells lie side by side: they are the vector
axis, and a strip of wells stays in the first-level cache while all frames pass.
"""

DEF STRIP = 128


def project_traces(
    const short[:, ::1] frames,       # (n_frames, n_wells) in: counts
    const float[::1] reference,       # (n_frames,) in: counts, subtracted from every well
    const float[:, ::1] vectors,      # (n_vectors, n_frames) in
    float[:, ::1] projections,        # (n_vectors, n_wells) out
    float[::1] energy,                # (n_wells,) out: sum of squares of what was projected
):
    """Project each trace, counted from its first frame and minus `reference`, on a few vectors."""
    cdef Py_ssize_t n_frames = frames.shape[0], n_wells = frames.shape[1], n_vectors = vectors.shape[0]
    cdef Py_ssize_t start, width, frame, vector, well
    cdef float value[STRIP]
    cdef float level, weight
    with nogil:
        for start in range(0, n_wells, STRIP):
            width = min(STRIP, n_wells - start)
            for well in range(width):
                energy[start + well] = 0.0
            for vector in range(n_vectors):
                for well in range(width):
                    projections[vector, start + well] = 0.0
            for frame in range(n_frames):
                level = reference[frame]
                for well in range(width):
                    value[well] = <float>(frames[frame, start + well] - frames[0, start + well]) - level
                for well in range(width):
                    energy[start + well] += value[well] * value[well]
                for vector in range(n_vectors):
                    weight = vectors[vector, frame]
                    for well in range(width):
                        projections[vector, start + well] += weight * value[well]


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
    cdef float weight
    cdef const float* node
    cdef float* found
    with nogil:
        for well in range(tau_node.shape[0]):
            found = &values[well, 0]
            for value in range(n_values):
                found[value] = 0.0
            for i in range(4):
                for j in range(4):
                    weight = tau_weight[i, well] * delay_weight[j, well]
                    node = &table[tau_node[well] + i, delay_node[well] + j, 0]
                    for value in range(n_values):
                        found[value] += weight * node[value]


def pinned_wells(
    const short[:, ::1] frames,        # (n_frames, n_wells) in: counts
    int low, int high,                 # in: counts; a pinned well has a frame below low or above high
    unsigned char[::1] pinned,         # (n_wells,) out: 1 pinned, 0 not
):
    """Find wells that left the range of the converter in any frame (sigproc.md 2.2)."""
    cdef Py_ssize_t frame, well
    cdef int value
    with nogil:
        for well in range(frames.shape[1]):
            pinned[well] = 0
        for frame in range(frames.shape[0]):
            for well in range(frames.shape[1]):
                value = frames[frame, well]
                pinned[well] |= (value < low) | (value > high)
