"""Benchmarks with the peers side by side: `python -m benchmarks --help`."""
