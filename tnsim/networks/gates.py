"""Gates on neighbouring sites of a matrix-product state."""

from typing import Any

import numpy as np

from tnsim.errors import ShapeError
from tnsim.linalg import Truncation, svd
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mps import MPS
from tnsim.networks.scaling import scale_rows
from tnsim.tensor import contract, from_dense


def apply_gate(psi: MPS, gate: Any, first: int, truncation: Truncation | None = None) -> tuple[MPS, float]:
    """Apply an n-site gate to sites first..first+n-1; returns the state and the discarded weight.

    gate: matrix d^n x d^n in the Kronecker basis of the sites' states, rows out; n follows from its size.
    The result has its centre on the last of these sites; a non-unitary gate changes the norm. Cost
    O(chi^3 d^(n+2)); error sqrt(discarded weight) times the norm. ChargeError for a gate that breaks a charge.
    """
    matrix = np.asarray(gate)
    count = _site_count(psi, matrix, first)
    sites = psi.sites[first : first + count]
    dims = [site.dim for site in sites]
    legs = [site.leg for site in sites] + [site.leg.dual for site in sites]
    dtype = np.result_type(matrix.dtype, psi.dtype)
    dense = matrix.astype(dtype).reshape(dims + dims)
    operator = from_dense(dense, legs).to(psi.backend)
    psi = canonicalize(psi, first)
    theta = psi.tensors[first]
    for n in range(1, count):
        ins = " ".join(f"s{k}" for k in range(n))
        theta = contract(f"l {ins} m, m s{n} r -> l {ins} s{n} r", theta, psi.tensors[first + n])
    ins, outs = (" ".join(f"{letter}{k}" for k in range(count)) for letter in "st")
    theta = contract(f"{outs} {ins}, l {ins} r -> l {outs} r", operator, theta)
    tensors, weight = psi.tensors.copy(), 0.0
    for n in range(count - 1):
        u, s, v = svd(theta, (0, 1), truncation)
        tensors[first + n] = u
        weight += s.discarded_weight
        theta = scale_rows(v, s)
    tensors[first + count - 1] = theta
    return MPS(tensors, psi.sites, first + count - 1), weight


def _site_count(psi: MPS, matrix: np.ndarray, first: int) -> int:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ShapeError(f"a gate is a square matrix, found shape {matrix.shape}.")
    if not 0 <= first < psi.L:
        raise ShapeError(f"a gate starts at a site from 0 to {psi.L - 1}, found {first}.")
    size, count = 1, 0
    while size < matrix.shape[0] and first + count < psi.L:
        size *= psi.sites[first + count].dim
        count += 1
    if size != matrix.shape[0] or count == 0:
        raise ShapeError(
            f"a gate of size {matrix.shape[0]} at site {first} does not match the local dimensions from there on: "
            f"{[site.dim for site in psi.sites[first:]][:6]}."
        )
    return count
