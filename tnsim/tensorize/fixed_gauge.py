"""Functions of the numbers in the tensors of a state, in a gauge that does not depend on how the state was written.

Such a function is no function of the vector: in another gauge it gives another one. It is a model of its own, and the
gauge is part of it.
"""

from dataclasses import dataclass

import numpy as np

from tnsim.errors import SettingsError
from tnsim.linalg import Truncation, fix_signs, svd
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mps import MPS
from tnsim.networks.scaling import scale_rows
from tnsim.tensor import Tensor, contract


def fixed_gauge(psi: MPS) -> MPS:
    """The state in the basis of its singular vectors on every bond, signs fixed; the centre is the last site.

    Unique where no two singular values of a bond are equal; values below rounding are dropped. Cost O(L d chi^3).
    """
    psi = canonicalize(psi, 0)
    tensors, rounding = list(psi.tensors), 10 * float(np.finfo(psi.dtype).eps)
    for k in range(psi.L - 1):
        most = max(1, min(tensors[k].shape[0] * tensors[k].shape[1], tensors[k].shape[2]))
        u, s, v = svd(tensors[k], (0, 1), Truncation(chi_max=most, svd_min=rounding))
        tensors[k], v = fix_signs(u, v)
        tensors[k + 1] = contract("l m, m s r -> l s r", scale_rows(v, s), tensors[k + 1])
    return MPS(tensors, psi.sites, psi.L - 1)


@dataclass(frozen=True, kw_only=True)
class CoreActivation:
    """A trainable function of the tensors in the fixed gauge: of every number a of site k, c_k0 a + c_k1 a^3 + ...

    coefficients: a row for every site, or one row for all. Odd powers, so that the signs of singular vectors, which
    rounding may turn, do not matter. The bond dimension stays. Only on the host.
    """

    coefficients: tuple[tuple[float, ...], ...] = ((1.0, 0.0),)

    def __post_init__(self) -> None:
        rows = tuple(tuple(float(c) for c in row) for row in self.coefficients)
        if not rows or not all(rows) or not np.isfinite([c for row in rows for c in row]).all():
            raise SettingsError(f"a row of finite coefficients for every site (or one) is needed, found {rows}.")
        object.__setattr__(self, "coefficients", rows)

    def __call__(self, psi: MPS) -> MPS:
        """The new state."""
        if len(self.coefficients) not in (1, psi.L):
            raise SettingsError(f"coefficients for {len(self.coefficients)} sites, but the state has {psi.L}.")
        psi = fixed_gauge(psi)
        rows = self.coefficients if len(self.coefficients) > 1 else self.coefficients * psi.L
        return MPS([_odd(tensor, row) for tensor, row in zip(psi.tensors, rows, strict=True)], psi.sites)


def _odd(tensor: Tensor, row: tuple[float, ...]) -> Tensor:
    """c0 a + c1 a^3 + c2 a^5 + ... of every number."""
    data, square = tensor.data, tensor.data * tensor.data
    total = data * 0.0
    for c in reversed(row):
        total = total * square + data * 0.0 + c
    return Tensor(tensor.legs, total * data, tensor.charge)
