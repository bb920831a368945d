"""One choice of the signs (phases) of singular vectors, so that the same matrix gives the same factors."""

import numpy as np

from tnsim.tensor import Tensor, contract, diagonal, fuse

_GOLDEN = (5**0.5 - 1) / 2


def fix_signs(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The same product u v, the phases of its bond (last leg of u, first leg of v) chosen by a rule.

    Rule: the elements of every column of u, weighted by fixed numbers between 1 and 2, add up to a real, positive
    number. A column whose sum is below rounding keeps its phase. Cost: one pass, one read of the device a sector.

    >>> from tnsim.tensor import from_dense
    >>> u, v = fix_signs(from_dense(np.array([[0.6, 0.8], [0.8, -0.6]])), from_dense(np.eye(2)).conj().conj())
    >>> u.array.round(3).tolist(), v.array.round(3).tolist()
    ([[0.6, 0.8], [0.8, -0.6]], [[1.0, 0.0], [0.0, 1.0]])
    """
    phases = _phases(u).astype(u.dtype)
    backend, bond = u.backend, v.legs[0]
    left, right = diagonal(backend.asarray(phases.conj()), bond), diagonal(backend.asarray(phases), bond)
    before = " ".join(f"a{k}" for k in range(1, u.ndim))
    after = " ".join(f"b{k}" for k in range(1, v.ndim))
    return (
        contract(f"{before} m, m n -> {before} n", u, left),
        contract(f"m n, n {after} -> m {after}", right, v),
    )


def _phases(u: Tensor) -> np.ndarray:
    """Of every column, in the dense order of the bond, a number of modulus 1."""
    bond, backend = u.legs[-1], u.backend
    matrix = fuse(u, [tuple(range(u.ndim - 1)), (u.ndim - 1,)], [1, bond.flow])
    phases = np.ones(bond.dim, dtype=np.complex128)
    for (_, sector), block in matrix.blocks():
        # numbers without a pattern that a column could share, so that no sum vanishes by symmetry
        weights = 2 - (_GOLDEN * np.arange(1, block.shape[0] + 1)) % 1
        sums = backend.to_host(backend.asarray(weights.astype(u.dtype)[None, :]) @ block).reshape(-1)
        known = np.abs(sums) > 10 * np.finfo(u.dtype).eps
        phases[bond.starts[sector] : bond.starts[sector + 1]][known] = sums[known] / np.abs(sums[known])
    return phases if u.dtype.kind == "c" else phases.real
