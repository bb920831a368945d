"""Layers for PyTorch, and what acts on whole networks; everything here needs the extra `torch`.

Its public names are handed out by `tnsim.tensorize`, which loads this package when the first one is used.
"""
