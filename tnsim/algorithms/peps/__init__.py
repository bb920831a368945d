"""Algorithms on states in the plane."""
