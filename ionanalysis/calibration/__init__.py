"""Calibration models learned from called reads, against a reference or without one (basecaller.md 10)."""
