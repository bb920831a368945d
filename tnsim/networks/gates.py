"""Gates on neighbouring sites of a matrix-product state."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tnsim.errors import OperatorError, ShapeError
from tnsim.linalg import Truncation, svd
from tnsim.networks.canonical import center_within
from tnsim.networks.mps import MPS
from tnsim.networks.precision import matching_dtype
from tnsim.networks.scaling import scale_rows
from tnsim.networks.sites import Site
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, from_dense, transpose, twist


def apply_gate(psi: MPS, gate: Any, first: int, truncation: Truncation | None = None) -> tuple[MPS, float]:
    """Apply an n-site gate to sites first..first+n-1; returns the state and the discarded weight.

    gate: matrix d^n x d^n in the Kronecker basis of the sites' states, rows out; n follows from its size.
    The result has its centre on the last of these sites; a non-unitary gate changes the norm. Cost
    O(chi^3 d^(n+2)); error sqrt(discarded weight) times the norm. ChargeError for a gate that breaks a charge,
    OperatorError for one that breaks the fermion parity. Fermions on these sites are in Jordan-Wigner order:
    `OperatorSum.mpo(sites).to_dense()` gives such matrices.

    >>> from tnsim.networks.sites import spin_sites
    >>> swap = np.eye(4)[[0, 2, 1, 3]]
    >>> psi, weight = apply_gate(MPS.product(spin_sites(2), ["up", "down"]), swap, 0)
    >>> psi.to_dense().tolist(), weight
    ([0.0, 1.0, 0.0, 0.0], 0.0)
    """
    matrix = np.asarray(gate)
    matrix = matrix if matrix.dtype.kind in "fc" else matrix.astype(np.float64)
    count = _site_count(psi, matrix, first)
    last = first + count - 1
    psi = center_within(psi.astype(matching_dtype(psi.dtype, matrix)), first, last)
    operator = gate_tensor(matrix, psi.sites[first : last + 1]).astype(psi.dtype).to(psi.backend)
    theta = psi.tensors[first]
    for n in range(1, count):
        ins = " ".join(f"s{k}" for k in range(n))
        theta = contract(f"l {ins} m, m s{n} r -> l {ins} s{n} r", theta, psi.tensors[first + n])
    #        t0  t1
    #       [ gate ]
    #        s0  s1
    #   l -- [theta] -- r
    ins, outs = (" ".join(f"{letter}{k}" for k in range(count)) for letter in "st")
    theta = contract(f"{outs} {ins}, l {ins} r -> l {outs} r", operator, theta)
    tensors, weight = psi.tensors.copy(), 0.0
    for i in range(first, last):
        tensors[i], s, rest = svd(theta, (0, 1), truncation)
        weight += s.discarded_weight
        theta = scale_rows(rest, s)
    tensors[last] = theta
    return MPS(tensors, psi.sites, last), weight


def gate_tensor(matrix: np.ndarray, sites: Sequence[Site]) -> Tensor:
    """Legs (out.., in..); elements that break a charge by rounding only are dropped.

    matrix: in the Kronecker basis, fermions in the order of the sites (what the signs of graded legs then stand for).
    """
    rounding = 100 * float(np.finfo(matrix.dtype).eps) * float(np.abs(matrix).max())
    parity = np.ones(1)
    for site in sites:
        parity = np.kron(parity, site.string.diagonal())
    if np.abs(matrix[parity[:, None] != parity[None, :]]).max(initial=0.0) > rounding:
        raise OperatorError("the gate changes the fermion parity: such operators come in pairs only.")
    return operator_tensor(matrix, [site.leg for site in sites], tolerance=rounding)


def operator_tensor(matrix: np.ndarray, legs: Sequence[Leg], *, tolerance: float = 0.0) -> Tensor:
    """Legs (out.., in..) of an operator on states of these legs; the states that come in stand as bras, the last first.

    Raises ChargeError for elements above the tolerance that break a charge.
    """
    dims, count = [leg.dim for leg in legs], len(legs)
    order = (*range(count), *range(2 * count - 1, count - 1, -1))
    both = [*legs, *(leg.dual for leg in legs)]
    array = np.ascontiguousarray(matrix.reshape(dims + dims).transpose(order))
    return transpose(from_dense(array, [both[n] for n in order], tolerance=tolerance), order)


def density_matrix(rho: Tensor) -> np.ndarray:
    """A density tensor with legs (ket.., bra..), left open between the layers of a state, as a matrix on the host.

    Rows are kets, in the Kronecker basis, fermions in the order of the sites: the sum of rho and a gate tensor over all
    legs is the trace of the product of both matrices.
    """
    count = rho.ndim // 2
    order = (*range(count), *range(2 * count - 1, count - 1, -1))
    # an open ket meets the bra behind it with the sign of its parity
    nested = twist(transpose(rho, order), range(count))
    array = np.asarray(nested.backend.to_host(nested.to_dense())).transpose(order)
    size = int(np.prod(array.shape[:count]))
    return array.reshape(size, size)


def _site_count(psi: MPS, matrix: np.ndarray, first: int) -> int:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ShapeError(f"a gate is a square matrix, found shape {matrix.shape}.")
    if not 0 <= first < psi.L:
        raise ShapeError(f"a gate starts at a site from 0 to {psi.L - 1}, found {first}.")
    dims = [site.dim for site in psi.sites[first:]]
    for count in range(1, len(dims) + 1):
        if prod(dims[:count]) == matrix.shape[0]:
            return count
    raise ShapeError(
        f"a gate of size {matrix.shape[0]} at site {first} does not match the local dimensions from there on: "
        f"{dims[:6]}."
    )
