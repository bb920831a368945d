"""Finite PEPS measured by boundary MPS."""
