"""Expectation values of local operators and their products."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tnsim.errors import OperatorError, StateError
from tnsim.measure.local import Operator, checked_site, components, is_hermitian, local_values, norm_squared
from tnsim.measure.operator import expect_mpo
from tnsim.networks.canonical import center_within
from tnsim.networks.fermion_order import site_ordered
from tnsim.networks.infinite_environments import check_fits, infinite_environments
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.precision import matching_dtype
from tnsim.networks.window import window
from tnsim.symmetry import Charge
from tnsim.tensor import Tensor, contract, eye, trace


def expect(
    psi: MPS | InfiniteMPS,
    operator: "Operator | MPO | InfiniteMPO | OperatorSum | Sequence[tuple[Operator, int]]",
    site: int | None = None,
) -> "np.ndarray | float | complex":
    """Normalised expectation value: real for Hermitian operators.

    operator: a name or matrix (one number per site, or that of `site`), a list of (operator, site) (their
    product, in the order written, fermionic operators with their signs), an OperatorSum or an MPO. Parts that
    change a conserved charge or the fermion parity give 0. Exact. Cost O(L d chi^3); a product only costs the sites
    between its ends. Raises OperatorError for an unknown name or site, StateError for the zero state.

    In an infinite state, sites are any integers, a name gives one number per site of the cell, and an OperatorSum or an
    InfiniteMPO its value per cell.

    >>> from tnsim.networks.sites import spin_sites
    >>> psi = MPS.product(spin_sites(2), ["up", "down"])
    >>> expect(psi, "Sz"), expect(psi, [("Sz", 0), ("Sz", 1)])
    (array([ 0.5, -0.5]), -0.25)
    """
    if isinstance(psi, InfiniteMPS):
        return _infinite(psi, operator, site)
    if not isinstance(psi, MPS):
        raise StateError(f"expect takes a state first, then the operator; found {type(psi).__name__} as the state.")
    if isinstance(operator, OperatorSum):
        operator = operator.mpo(psi.sites).to(psi.backend)
    if isinstance(operator, InfiniteMPO):
        raise OperatorError("a finite state is measured with an MPO: see InfiniteMPO.open_chain(cells).")
    if isinstance(operator, MPO):
        value = expect_mpo(operator, psi)
        return value.real if operator.is_hermitian else value
    if not isinstance(operator, (str, np.ndarray)):
        return _product(psi, operator)
    places = range(psi.L) if site is None else (checked_site(psi, site),)
    values = local_values(psi, {i: psi.sites[i].op(operator) for i in places})
    return values if site is None else values[0].item()


def _infinite(psi: InfiniteMPS, operator: Any, site: int | None) -> "np.ndarray | float | complex":
    """Everything but an InfiniteMPO (or the sum that makes one) is measured in a window."""
    if isinstance(operator, OperatorSum):
        operator = InfiniteMPO.from_sum(operator, psi.sites).to(psi.backend)
    if isinstance(operator, InfiniteMPO):
        check_fits(psi, operator)
        dtype = np.result_type(psi.dtype, operator.dtype)
        return infinite_environments(psi.astype(dtype), operator).energy
    if isinstance(operator, MPO):
        raise OperatorError("an infinite state is measured with an InfiniteMPO, a name, a matrix or a product.")
    if not isinstance(operator, (str, np.ndarray)):
        _check_factors(operator)
        places = [i for _, i in operator]
        start = min(places) - 1
        return _product(window(psi, start + 1, max(places)), [(op, i - start) for op, i in operator])
    if site is not None:
        return expect(window(psi, site, site), operator, 1)
    values = [expect(window(psi, i, i), operator, 1) for i in range(psi.L)]
    return np.array(values)


def _product(psi: MPS, factors: Sequence[tuple[Operator, int]]) -> "float | complex":
    """<product of (operator, site)>, fermionic operators in any order."""
    _check_factors(factors)
    placed = [(psi.sites[checked_site(psi, i)].op(operator), i) for operator, i in factors]
    return sum(sign * _ordered(psi, matrices) for sign, matrices in site_ordered(placed, psi.sites))


def _check_factors(factors: Any) -> None:
    pairs = isinstance(factors, Sequence) and all(
        isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in factors
    )
    if not pairs or not factors:
        raise OperatorError(
            f'an operator is a name, a matrix, an MPO, a sum or a list of (operator, site) such as [("Sz", 0)], '
            f"found {factors!r}."
        )


def _ordered(psi: MPS, matrices: Mapping[int, np.ndarray]) -> "float | complex":
    """The same in ascending order of sites, one environment for every charge that the factors so far have added."""
    first, last = min(matrices), max(matrices)
    if first == last:
        return local_values(psi, matrices)[0].item()
    psi = center_within(psi.astype(matching_dtype(psi.dtype, *matrices.values())), first, last)
    norm, neutral = norm_squared(psi), psi.sites[0].operator_group.identity
    start = eye(psi.tensors[first].legs[0], dtype=psi.dtype, backend=psi.backend)
    environments = {neutral: start}
    for i in range(first, last + 1):
        environments = _absorb(environments, psi, i, matrices.get(i, np.eye(psi.sites[i].dim)))
    # right of `last` the state is isometric: close with the identity
    value = trace(environments[neutral], 0, 1).item() / norm if neutral in environments else 0.0
    even = all(psi.sites[i].by_parity(matrix)[-1][0] == 0 for i, matrix in matrices.items())
    return value.real if even and all(map(is_hermitian, matrices.values())) else value


def _absorb(environments: Mapping[Charge, Tensor], psi: MPS, i: int, matrix: np.ndarray) -> dict[Charge, Tensor]:
    """All environments (bra, ket) one site further, by the charge that was added so far.

    Where the fermion parity added is odd, as much is still to come: the site then gets F as well.

    x--conj(A)--u
    |    t
    E  [part]
    |    s
    y--- A -----v
    """
    a, site = psi.tensors[i], psi.sites[i]
    even = components(site, matrix)
    parts = even, components(site, matrix @ site.string) if site.is_fermionic else even
    result: dict[Charge, Tensor] = {}
    for carried, environment in environments.items():
        left = contract("x y, y s v -> x s v", environment, a)
        for added in even:
            (charge,) = site.operator_group.fuse(carried, added)
            operator = parts[charge[-1]][added].astype(a.dtype).to(a.backend)
            new = contract("x t u, t s, x s v -> u v", a.conj(), operator, left)
            result[charge] = result[charge] + new if charge in result else new
    return result
