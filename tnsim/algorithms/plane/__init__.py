"""Contraction of two- and three-dimensional networks."""
