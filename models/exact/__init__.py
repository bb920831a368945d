"""Exact solutions in plain NumPy: Bethe equations and free fermions."""
