# Gain, offset and noise of a read. Part of solve.pyx.

cdef double fit_gain(Read* r, Settings* set, int limit) noexcept nogil:
    # Factor on the prediction that fits `x` best, weighted, outliers cut.
    cdef int j, index, _turn
    cdef double top, bottom, e, z, w, gain = 1.0
    for _turn in range(2):
        top, bottom = 400.0, 400.0
        for j in range(limit):
            index = noise_index(r.signal[j])
            w = r.weight[index]
            e = r.x[j] - gain * r.signal[j]
            z = sqrt(e * e * w)
            if z > 2.5:
                w *= 2.5 / z
            top += w * r.x[j] * r.signal[j]
            bottom += w * r.signal[j] * r.signal[j]
        gain = top / bottom
    return max(0.5, min(gain, 2.0))


cdef void scale(Read* r, double gain, int limit) noexcept nogil:
    cdef int j
    for j in range(limit):
        r.x[j] = r.x[j] / gain


cdef void fit_noise(Read* r, Settings* set, int limit) noexcept nogil:
    # Noise of the read from its residuals, drawn towards the expected noise by 60 flows' worth.
    cdef int j
    cdef double e, zero = 0.0, one = 0.0, n_zero = 0.0, n_one = 0.0, sd0, sd1, expected
    expected = set.noise + set.noise_per_base
    for j in range(limit):
        e = fabs(r.x[j] - r.signal[j])
        if r.signal[j] < 0.3:
            zero += min(e, 4.0 * set.noise)
            n_zero += 1.0
        elif 0.6 < r.signal[j] < 1.4:
            one += min(e, 4.0 * expected)
            n_one += 1.0
    # Mean absolute deviation of a Gauss is 0.798 sd.
    sd0 = (zero / 0.798 + 60.0 * set.noise) / (n_zero + 60.0)
    sd1 = (one / 0.798 + 60.0 * expected) / (n_one + 60.0)
    fill_noise(r, sd0, max(0.2 * set.noise_per_base, sd1 - sd0))


cdef void fit_locally(Read* r, Settings* set, int limit) noexcept nogil:
    # x from raw values with a gain and an offset that drift along the flows: weighted least squares in a
    # two-sided exponential window, drawn towards gain 1 and offset 0.
    cdef int j, k, n = r.n_flows
    cdef double keep = 1.0 - 1.0 / set.kernel, w, z, e, p, gain, offset, a, b, c, d, g, det
    cdef double run[5]
    cdef double here[5]
    # Each flow's own terms are added in the forward pass; the backward pass adds what comes after it.
    for k in range(5):
        run[k] = 0.0
    for j in range(limit):
        p = r.signal[j]
        w = r.weight[noise_index(p)]
        e = r.x[j] - p
        z = sqrt(e * e * w)
        if z > 2.5:
            w *= 2.5 / z
        terms(p, e, w, here)
        for k in range(5):
            run[k] = run[k] * keep + here[k]
            r.sums[k * n + j] = run[k]
    for k in range(5):
        run[k] = 0.0
    for j in range(limit - 1, -1, -1):
        p = r.signal[j]
        w = r.weight[noise_index(p)]
        e = r.x[j] - p
        z = sqrt(e * e * w)
        if z > 2.5:
            w *= 2.5 / z
        terms(p, e, w, here)
        for k in range(5):
            r.sums[k * n + j] += run[k] * keep
            run[k] = run[k] * keep + here[k]
        a = r.sums[j] + 1.0 / (set.gain_sd * set.gain_sd)
        b = r.sums[n + j]
        c = r.sums[2 * n + j] + 1.0 / (set.offset_sd * set.offset_sd)
        d = r.sums[3 * n + j]
        g = r.sums[4 * n + j]
        det = a * c - b * b
        gain = 1.0 + (d * c - g * b) / det
        offset = (a * g - b * d) / det
        r.x[j] = (r.x[j] - offset) / max(0.5, min(gain, 2.0))


cdef inline void terms(double p, double e, double w, double* here) noexcept nogil:
    here[0] = w * p * p
    here[1] = w * p
    here[2] = w
    here[3] = w * p * e
    here[4] = w * e
