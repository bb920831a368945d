"""Symmetric structures that the suites run on, and the way from tensors to dense NumPy arrays and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tnsim.backend import Backend
from tnsim.symmetry import TRIVIAL, U1, Charge, FermionParity, Group, Leg, Zn
from tnsim.tensor import Tensor, random_tensor


@dataclass(frozen=True)
class Structure:
    """Four different legs (flow +1) of one group, and a charge that is not the identity (where there is one)."""

    name: str
    group: Group
    legs: tuple[Leg, Leg, Leg, Leg]
    charge: Charge


def _structure(name: str, group: Group, sectors: list[dict[Any, int]], charge: Any) -> Structure:
    legs = [Leg(group, list(sector), list(sector.values())) for sector in sectors]
    return Structure(name, group, tuple(legs), group.charge(charge))


_U1, _Z2, _Z3, _BOTH, _PARITY = U1("Sz"), Zn(2, "parity"), Zn(3, "clock"), U1("N") * Zn(2, "P"), FermionParity()

STRUCTURES = [
    _structure("trivial", TRIVIAL, [{(): 3}, {(): 4}, {(): 2}, {(): 5}], ()),
    _structure("U1", _U1, [{-1: 2, 1: 3}, {-2: 1, 0: 2, 1: 2}, {-1: 2, 0: 1, 1: 3, 3: 1}, {0: 2, 1: 1}], 1),
    _structure("Z2", _Z2, [{0: 2, 1: 3}, {0: 1, 1: 2}, {1: 4}, {0: 3, 1: 1}], 1),
    _structure("Z3", _Z3, [{0: 1, 1: 2, 2: 3}, {0: 2, 2: 1}, {1: 3, 2: 2}, {0: 1, 1: 1}], 2),
    _structure(
        "U1xZ2",
        _BOTH,
        [
            {(0, 0): 2, (1, 1): 2},
            {(-1, 0): 1, (-1, 1): 2, (0, 0): 2},
            {(0, 0): 1, (0, 1): 3, (1, 0): 1, (2, 1): 1},
            {(-1, 1): 2, (0, 0): 1, (1, 1): 1},
        ],
        (1, 1),
    ),
    _structure("fermions", _PARITY, [{0: 2, 1: 2}, {0: 3, 1: 1}, {0: 1, 1: 2}, {1: 3}], 1),
]


def tolerance(dtype: Any) -> float:
    """What single and double precision can be held to on numbers of order one."""
    return 2e-4 if np.dtype(dtype).char in "fF" else 1e-11


def dense(tensor: Tensor) -> np.ndarray:
    """The full array on the host."""
    return tensor.backend.to_host(tensor.to_dense())


def number(tensor: Tensor) -> complex:
    """The value of a tensor without legs."""
    return tensor.item()


def assert_same(tensor: Tensor, expected: np.ndarray, dtype: Any) -> None:
    """A tensor equals a dense array, and has the dtype that was asked for."""
    assert tensor.dtype == np.dtype(dtype)
    assert tensor.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(dense(tensor), expected, rtol=0, atol=tolerance(dtype) * scale)


@dataclass
class Maker:
    """Random tensors of one backend and dtype, a new seed each."""

    backend: Backend
    dtype: np.dtype
    seed: int = 0

    def __call__(self, *legs: Leg, charge: Charge | None = None) -> Tensor:
        self.seed += 1
        return random_tensor(legs, charge, dtype=self.dtype, seed=self.seed, backend=self.backend)


def oracle(expression: str, *arrays: np.ndarray) -> np.ndarray:
    """The contraction of dense arrays by NumPy; leg words become letters."""
    left, right = expression.split("->")
    words = {word: n for n, word in enumerate(dict.fromkeys(left.replace(",", " ").split()))}
    operands: list[Any] = []
    for part, array in zip(left.split(","), arrays, strict=True):
        operands += [array, [words[word] for word in part.split()]]
    return np.einsum(*operands, [words[word] for word in right.split()])
