"""Compile the kernels of some dtypes, then run tests that compile what is left: `compile_kernels.py fd TEST ...`.

In one process, as functions that kernels share are compiled once in it, but again in every other one.
"""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as tests/conftest.py, which comes too late here

import pytest

from tnsim.kernels.cpu import ahead

dtypes, *tests = sys.argv[1:]
for dtype in dtypes:
    for eigensolver in ("lanczos", "davidson"):
        ahead.compile_kernels(dtype, threads=2, eigensolver=eigensolver)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *tests]))
