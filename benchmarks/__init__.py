"""How fast the stages and kernels are, on synthetic chips.

Suites are in the style of asv (`bench_*.py`: `params`, `setup`, `time_*`), and run as they are under
``python -m benchmarks.run`` (``make bench``), which needs nothing but the package.
"""
