"""Expectation values of local operators and their products."""

from collections.abc import Mapping, Sequence

import numpy as np

from tnsim.errors import OperatorError, StateError
from tnsim.measure.operator import expect_mpo
from tnsim.networks.canonical import canonicalize, center_tensors, center_within
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.precision import matching_dtype
from tnsim.networks.sites import Site
from tnsim.symmetry import Charge
from tnsim.tensor import Tensor, contract, from_dense, trace

Operator = str | np.ndarray


def expect(
    psi: MPS, operator: "Operator | MPO | Sequence[tuple[Operator, int]]", site: int | None = None
) -> "np.ndarray | float | complex":
    """Normalised expectation value: real for Hermitian operators.

    operator: a name or matrix (one number per site, or that of `site`), a list of (operator, site) (their
    product, in the order written), or an MPO. Parts that change a conserved charge give 0. Exact. Cost
    O(L d chi^3); a product only costs the sites between its ends. Raises OperatorError for an unknown name
    or site, StateError for the zero state.

    >>> from tnsim.networks.sites import spin_sites
    >>> psi = MPS.product(spin_sites(2), ["up", "down"])
    >>> expect(psi, "Sz"), expect(psi, [("Sz", 0), ("Sz", 1)])
    (array([ 0.5, -0.5]), -0.25)
    """
    if isinstance(operator, MPO):
        norm_squared(psi)
        value = expect_mpo(operator, psi)
        return value.real if operator.is_hermitian else value
    if not isinstance(operator, (str, np.ndarray)):
        return _product(psi, operator)
    places = range(psi.L) if site is None else (checked_site(psi, site),)
    values = local_values(psi, {i: psi.sites[i].op(operator) for i in places})
    return values if site is None else values[0].item()


def checked_site(psi: MPS, site: int) -> int:
    if not 0 <= site < psi.L:
        raise OperatorError(f"the state has sites 0 to {psi.L - 1}, found {site}.")
    return site


def norm_squared(psi: MPS) -> float:
    """<psi|psi>; StateError where it is zero or not finite, since nothing can be measured then."""
    norm = psi.norm()
    if not 0 < norm < np.inf:
        raise StateError(f"a measurement needs a state of finite norm, not zero; found norm {norm}.")
    return norm**2


def is_hermitian(matrix: np.ndarray) -> bool:
    return bool(np.allclose(matrix, matrix.conj().T, rtol=0, atol=1e-13 * np.abs(matrix).max(initial=0.0)))


def components(site: Site, matrix: np.ndarray) -> dict[Charge, Tensor]:
    """Parts of a local operator by the charge that they add: tensors (out, in) of that charge, on the host."""
    group = site.group
    parts: dict[Charge, np.ndarray] = {}
    for out, into in np.argwhere(matrix != 0).tolist():
        (charge,) = group.fuse(site.charges[out], group.dual(site.charges[into]))
        parts.setdefault(charge, np.zeros_like(matrix))[out, into] = matrix[out, into]
    legs = (site.leg, site.leg.dual)
    return {charge: from_dense(part, legs, charge) for charge, part in sorted(parts.items())}


def local_values(psi: MPS, matrices: Mapping[int, np.ndarray]) -> np.ndarray:
    """<matrix> for one matrix at each of some ascending sites; the centre moves along, two reads in all.

    .--t--.
    l  |  r      sum of conj(A) matrix A
    '--s--'
    """
    places = list(matrices)
    psi = canonicalize(psi.astype(matching_dtype(psi.dtype, *matrices.values())), places[0])
    norm, neutral = norm_squared(psi), psi.sites[0].group.identity
    found, data = [], []
    for n, (i, a) in enumerate(zip(places, center_tensors(psi, places), strict=True)):
        part = components(psi.sites[i], matrices[i]).get(neutral)
        if part is not None:
            found.append(n)
            operator = part.astype(psi.dtype).to(psi.backend)
            data.append(contract("t s, l s r, l t r -> ", operator, a, a.conj()).data)
    values = np.zeros(len(places), dtype=psi.dtype)
    if found:
        values[found] = psi.backend.to_host(psi.backend.concatenate(data)) / norm
    return values.real.copy() if all(map(is_hermitian, matrices.values())) else values


def _product(psi: MPS, factors: Sequence[tuple[Operator, int]]) -> "float | complex":
    """<product of (operator, site)>, one environment for every charge that the factors so far have added."""
    matrices: dict[int, np.ndarray] = {}
    for operator, i in factors:
        matrix = psi.sites[checked_site(psi, i)].op(operator)
        matrices[i] = matrices[i] @ matrix if i in matrices else matrix
    if not matrices:
        raise OperatorError("a product of operators needs at least one (operator, site), found none.")
    first, last = min(matrices), max(matrices)
    if first == last:
        return local_values(psi, matrices)[0].item()
    psi = center_within(psi.astype(matching_dtype(psi.dtype, *matrices.values())), first, last)
    environments = {psi.sites[0].group.identity: None}
    for i in range(first, last + 1):
        parts = components(psi.sites[i], matrices[i]) if i in matrices else None
        environments = _absorb(environments, psi, i, parts)
    # right of `last` the state is isometric: close with the identity
    closed = environments.get(psi.sites[0].group.identity)
    value = 0.0 if closed is None else trace(closed, 0, 1).item()
    value = value / norm_squared(psi)
    return value.real if all(map(is_hermitian, matrices.values())) else value


def _absorb(
    environments: Mapping[Charge, Tensor | None], psi: MPS, site: int, parts: Mapping[Charge, Tensor] | None
) -> dict[Charge, Tensor]:
    """All environments (bra, ket) one site further; `parts` None means no operator there.

    x--conj(A)--u
    |    t
    E  [part]
    |    s
    y--- A -----v
    """
    a, group = psi.tensors[site], psi.sites[0].group
    result: dict[Charge, Tensor] = {}
    for carried, environment in environments.items():
        left = a if environment is None else contract("x y, y s v -> x s v", environment, a)
        for added, part in ({group.identity: None} if parts is None else parts).items():
            if part is not None:
                left_part = contract("t s, x s v -> x t v", part.astype(psi.dtype).to(psi.backend), left)
            else:
                left_part = left
            new = contract("x t u, x t v -> u v", a.conj(), left_part)
            (charge,) = group.fuse(carried, added)
            result[charge] = result[charge] + new if charge in result else new
    return result
