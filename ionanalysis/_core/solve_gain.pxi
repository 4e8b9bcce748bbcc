# Gain, offset and noise of a read. Part of solve.pyx.

cdef float fit_gain(Read* r, int limit) noexcept nogil:
    # Factor on the prediction that fits `x` best, weighted, outliers cut.
    cdef float top, bottom, gain = 1.0
    cdef int _turn
    for _turn in range(2):
        gain_terms(&r.noise, r.x, r.signal, gain, limit, &top, &bottom)
        gain = (<float>400.0 + top) / (<float>400.0 + bottom)
    return max(<float>0.5, min(gain, <float>2.0))


cdef void fit_noise(Read* r, Settings* set, int limit) noexcept nogil:
    # Noise of the read from its residuals, drawn towards the expected noise by 60 flows' worth.
    cdef float sums[5]
    cdef float expected = set.noise + set.noise_per_base, one, floor_of_ones
    noise_terms(&r.noise, r.x, r.signal, 4 * expected, limit, sums)
    # Mean absolute deviation of a Gauss is 0.798 sd.
    r.noise.scale = (sums[0] / <float>0.798 + 60) / (sums[3] + 60)
    one = (sums[1] / <float>0.798 + 60 * expected) / (sums[4] + 60)
    floor_of_ones = (sums[2] + 60 * set.noise) / (sums[4] + 60)
    r.noise.per_base = max(<float>0.2 * set.noise_per_base, one - r.noise.scale * floor_of_ones)


cdef void fit_locally(Read* r, Settings* set) noexcept nogil:
    fit_drift(&r.noise, r.x, r.signal, r.n_flows, 1 - 1 / set.kernel, 1 / (set.gain_sd * set.gain_sd),
              1 / (set.offset_sd * set.offset_sd), r.sums, r.stride)
