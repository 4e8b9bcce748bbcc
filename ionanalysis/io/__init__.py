"""Bytes to arrays and back: one module per file format."""
