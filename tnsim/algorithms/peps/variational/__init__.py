"""PEPS of least energy by gradients."""
