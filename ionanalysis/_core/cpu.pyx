"""Which instruction sets this processor (and its operating system) can run."""

cdef extern from *:
    """
    #if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    static int has_avx2(void)
    {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    }
    static int has_avx512(void)
    {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    }
    #else
    static int has_avx2(void) { return 0; }
    static int has_avx512(void) { return 0; }
    #endif
    """
    int has_avx2() nogil
    int has_avx512() nogil


def supported():
    """Names of the variants that can run here, slowest first."""
    cdef int avx2, avx512
    with nogil:
        avx2 = has_avx2()
        avx512 = has_avx512()
    return ("baseline",) + (("avx2",) if avx2 else ()) + (("avx512",) if avx2 and avx512 else ())
