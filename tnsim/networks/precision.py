"""Which dtype operators take when they meet a state."""

from typing import Any

import numpy as np


def matching_dtype(state_dtype: Any, *operators: Any) -> np.dtype:
    """The precision of the state, complex where the state or an operator (anything with a dtype) is.

    >>> matching_dtype(np.float32, np.eye(2)), matching_dtype(np.float32, 1j * np.eye(2))
    (dtype('float32'), dtype('complex64'))
    """
    if any(matrix.dtype.kind == "c" for matrix in operators):
        return np.result_type(state_dtype, np.complex64)
    return np.dtype(state_dtype)
