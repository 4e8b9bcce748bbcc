"""Kernels compiled for one instruction set; chosen by `ionanalysis._core`."""
