"""Infinite PEPS measured in their environment."""
