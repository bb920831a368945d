"""Measurements: one quantity a file, functions of a state."""

from tnsim.measure.variance import variance

__all__ = ["variance"]
