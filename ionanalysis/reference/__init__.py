"""Plain-NumPy twins of the kernels: slow, short, meant to be read; same file and function names as _core."""
