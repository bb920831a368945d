"""Matrix elements of local operators between two states."""

import numpy as np

from tnsim.errors import ChargeError, ShapeError
from tnsim.measure.local import Operator, components
from tnsim.networks.mps import MPS
from tnsim.networks.precision import matching_dtype
from tnsim.networks.sites import Site
from tnsim.tensor import Tensor, contract, from_dense


def transition_values(bra: MPS, operator: Operator, ket: MPS) -> np.ndarray:
    """<bra| operator_i |ket> for every site i, nothing divided by norms; cost O(L d chi^3), one device read.

    The part of the operator that conserves the charge and the fermion parity counts. Raises ShapeError for states on
    other sites, ChargeError for states of other charges.

    >>> from tnsim.networks.sites import spin_sites
    >>> psi = MPS.product(spin_sites(2), ["up", "down"])
    >>> transition_values(psi, "Sz", psi * 2.0).tolist()
    [1.0, -1.0]
    """
    if bra.L != ket.L or [site.leg for site in bra.sites] != [site.leg for site in ket.sites]:
        raise ShapeError("matrix elements need two states on the same sites.")
    if bra.charge != ket.charge:
        raise ChargeError(f"local operators that conserve the charge do not lead from {ket.charge} to {bra.charge}.")
    matrices = [site.op(operator) for site in ket.sites]
    dtype = matching_dtype(np.result_type(bra.dtype, ket.dtype), *matrices)
    bras, kets = ([tensor.astype(dtype) for tensor in psi.tensors] for psi in (bra, ket))
    rights = [_edge(bras[-1], kets[-1], 2)]
    for a, b in zip(reversed(bras[1:]), reversed(kets[1:]), strict=True):
        rights.append(contract("x s u, y s v, u v -> x y", a.conj(), b, rights[-1]))
    left, found, data = _edge(bras[0], kets[0], 0), [], []
    for i, (a, b) in enumerate(zip(bras, kets, strict=True)):
        part = _neutral(ket.sites[i], matrices[i])
        if part is not None:
            found.append(i)
            acting = contract("t s, y s v -> y t v", part.astype(dtype).to(ket.backend), b)
            data.append(contract("x y, x t u, y t v, u v -> ", left, a.conj(), acting, rights[-1 - i]).data)
        left = contract("x y, x s u, y s v -> u v", left, a.conj(), b)
    values = np.zeros(ket.L, dtype=dtype)
    if found:
        values[found] = ket.backend.to_host(ket.backend.concatenate(data))
    return values


def _neutral(site: Site, matrix: np.ndarray) -> Tensor | None:
    return components(site, matrix).get(site.operator_group.identity)


def _edge(bra: Tensor, ket: Tensor, axis: int) -> Tensor:
    """1 on the outer legs of both states."""
    legs = bra.legs[axis], ket.legs[axis].dual
    return from_dense(np.ones((1, 1), dtype=ket.dtype), legs).to(ket.backend)
