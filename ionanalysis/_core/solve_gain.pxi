# Gain, offset and noise of a read. Part of solve.pyx.

cdef float fit_gain(Read* r, int limit) noexcept nogil:
    # Factor on the prediction that fits `x` best, weighted, outliers cut.
    cdef float top, bottom, gain = 1.0
    cdef int _turn
    for _turn in range(2):
        gain_terms(&r.noise, r.x, r.signal, gain, limit, &top, &bottom)
        gain = (<float>400.0 + top) / (<float>400.0 + bottom)
    return max(<float>0.5, min(gain, <float>2.0))


cdef void scale_raw(Read* r, float gain, int limit) noexcept nogil:
    cdef int j
    for j in range(limit):
        r.x[j] = r.raw[j] / gain


cdef void scale(Read* r, float gain, int limit) noexcept nogil:
    cdef int j
    for j in range(limit):
        r.x[j] = r.x[j] / gain


cdef void fit_noise(Read* r, Settings* set, int limit) noexcept nogil:
    # Noise of the read from its residuals, drawn towards the expected noise by 60 flows' worth.
    cdef int j
    cdef float e, floor_of_ones = 0.0, zero = 0.0, one = 0.0, n_zero = 0.0, n_one = 0.0, expected
    expected = set.noise + set.noise_per_base
    for j in range(limit):
        e = fabsf(r.x[j] - r.signal[j])
        if r.signal[j] < <float>0.3:
            zero += min(e / r.floor[j], <float>4.0)
            n_zero += 1
        elif <float>0.6 < r.signal[j] < <float>1.4:
            one += min(e, 4 * expected)
            floor_of_ones += r.floor[j]
            n_one += 1
    # Mean absolute deviation of a Gauss is 0.798 sd.
    r.noise.scale = (zero / <float>0.798 + 60) / (n_zero + 60)
    one = (one / <float>0.798 + 60 * expected) / (n_one + 60)
    floor_of_ones = (floor_of_ones + 60 * set.noise) / (n_one + 60)
    r.noise.per_base = max(<float>0.2 * set.noise_per_base, one - r.noise.scale * floor_of_ones)


cdef float robust_weight(Read* r, int flow) noexcept nogil:
    cdef float sd = r.noise.scale * r.noise.floor[flow] + r.noise.per_base * min(r.signal[flow], <float>8.0)
    cdef float z = fabsf(r.x[flow] - r.signal[flow]) / sd
    return <float>2.5 / (sd * sd * max(z, <float>2.5))


cdef void fit_locally(Read* r, Settings* set, int limit) noexcept nogil:
    # x with a gain and an offset that drift along the flows: weighted least squares in a two-sided exponential
    # window, drawn towards gain 1 and offset 0.
    cdef int j, k, n = r.n_flows
    cdef float keep = 1 - 1 / set.kernel, w, e, p, gain, offset, a, b, c, d, g, det
    cdef float tight_gain = 1 / (set.gain_sd * set.gain_sd), tight_offset = 1 / (set.offset_sd * set.offset_sd)
    cdef float run[5]
    cdef float here[5]
    # Each flow's own terms are added in the forward pass; the backward pass adds what comes after it.
    for k in range(5):
        run[k] = 0.0
    for j in range(limit):
        terms(r.signal[j], r.x[j] - r.signal[j], robust_weight(r, j), here)
        for k in range(5):
            run[k] = run[k] * keep + here[k]
            r.sums[k * n + j] = run[k]
    for k in range(5):
        run[k] = 0.0
    for j in range(limit - 1, -1, -1):
        p, e, w = r.signal[j], r.x[j] - r.signal[j], robust_weight(r, j)
        terms(p, e, w, here)
        for k in range(5):
            r.sums[k * n + j] += run[k] * keep
            run[k] = run[k] * keep + here[k]
        a, b, c = r.sums[j] + tight_gain, r.sums[n + j], r.sums[2 * n + j] + tight_offset
        d, g = r.sums[3 * n + j], r.sums[4 * n + j]
        det = a * c - b * b
        gain = 1 + (d * c - g * b) / det
        offset = (a * g - b * d) / det
        r.x[j] = (r.x[j] - offset) / max(<float>0.5, min(gain, <float>2.0))


cdef inline void terms(float p, float e, float w, float* here) noexcept nogil:
    here[0] = w * p * p
    here[1] = w * p
    here[2] = w
    here[3] = w * p * e
    here[4] = w * e
