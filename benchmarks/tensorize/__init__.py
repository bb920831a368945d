"""Benchmarks of weights as chains of cores: one question a file, each run as a module."""
