"""Expectation values of local operators and their products."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import OperatorError
from tnsim.measure.operator import expect_mpo
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, from_dense

Operator = str | np.ndarray


def expect(
    psi: MPS, operator: "Operator | MPO | Sequence[tuple[Operator, int]]", site: int | None = None
) -> "np.ndarray | float | complex":
    """Normalised expectation value.

    operator: a name or matrix (one number per site, or that of `site`), a list of (operator, site) (their
    product), or an MPO. Operators that change a conserved charge give 0. Cost O(L d chi^3).

    >>> from tnsim.networks.sites import spin_sites
    >>> expect(MPS.product(spin_sites(2), ["up", "down"]), "Sz")
    array([ 0.5, -0.5])
    """
    if isinstance(operator, MPO):
        return expect_mpo(operator, psi)
    if isinstance(operator, (str, np.ndarray)):
        places = range(psi.L) if site is None else (_checked(psi, site),)
        values = _each_site(psi, operator, places)
        return values if site is None else values[0].item()
    return _product(psi, operator)


def _checked(psi: MPS, site: int) -> int:
    if not 0 <= site < psi.L:
        raise OperatorError(f"the state has sites 0 to {psi.L - 1}, found {site}.")
    return site


def _each_site(psi: MPS, operator: Operator, places: Sequence[int]) -> np.ndarray:
    """Expectation values site by site, the centre moving along."""
    values, norm = [], None
    for i in places:
        psi = canonicalize(psi, i)
        norm = psi.norm() if norm is None else norm
        total = 0.0
        for tensor, charge in components(psi.sites[i], operator):
            if charge == psi.sites[i].group.identity:
                tensor = tensor.astype(np.result_type(tensor.dtype, psi.dtype)).to(psi.backend)
                a = psi.tensors[i]
                total = contract("t s c, l s r, l t r -> c", tensor, a, a.conj())
                total = a.backend.to_host(total.data)[0]
        values.append(total / norm**2)
    return _real_if_close(np.array(values))


def _real_if_close(values: np.ndarray) -> np.ndarray:
    """Drop imaginary parts that are rounding."""
    if values.dtype.kind == "c" and np.abs(values.imag).max(initial=0.0) <= 1e-13 * max(1.0, np.abs(values).max(initial=0.0)):
        return values.real.copy()
    return values


def components(site: Site, operator: Operator) -> list[tuple[Tensor, tuple[int, ...]]]:
    """Parts of a local operator by the charge they add: tensors (out, in, charge), the last leg of dimension 1."""
    matrix, group = site.op(operator), site.group
    parts: dict[tuple[int, ...], np.ndarray] = {}
    for out, into in np.argwhere(matrix != 0).tolist():
        (charge,) = group.fuse(site.charges[out], group.dual(site.charges[into]))
        parts.setdefault(charge, np.zeros_like(matrix))[out, into] = matrix[out, into]
    return [
        (from_dense(part[:, :, None], (site.leg, site.leg.dual, Leg(group, [charge], [1], -1))), charge)
        for charge, part in sorted(parts.items())
    ]


def _product(psi: MPS, factors: Sequence[tuple[Operator, int]]) -> "float | complex":
    """<product of (operator, site)>: a sum of one term as an MPO."""
    for _, i in factors:
        _checked(psi, i)
    group = psi.sites[0].group
    parts = [components(psi.sites[i], op) for op, i in factors]
    if len(parts) and all(len(p) == 1 for p in parts):
        total = group.total([p[0][1] for p in parts], [1] * len(parts))
        if total != group.identity:
            return 0.0
    H = OperatorSum()
    H.add(1.0, *(part for factor in factors for part in factor))
    return expect_mpo(H.mpo(psi.sites).to(psi.backend), psi)


