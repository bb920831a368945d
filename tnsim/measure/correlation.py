"""Two-point functions of all pairs of sites in one pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tnsim.errors import StateError
from tnsim.measure.local import Operator, checked_site, components, is_hermitian, local_values, norm_squared
from tnsim.networks.canonical import canonicalize, center_tensors
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mps import MPS
from tnsim.networks.precision import matching_dtype
from tnsim.networks.window import window
from tnsim.symmetry import Charge, Leg
from tnsim.tensor import Tensor, contract, from_dense

# how many left ends one environment carries: bounds its memory
_TOGETHER = 32


def correlation(
    psi: MPS | InfiniteMPS,
    first: Operator,
    second: Operator,
    sites: Sequence[int] | None = None,
    *,
    connected: bool = False,
) -> np.ndarray:
    """C[i, j] = <first_i second_j>, normalised, for all pairs of sites (or of the `sites` given).

    connected subtracts <first_i><second_j>. Operators that change the charge are allowed ("S+", "S-"), and
    fermionic ones ("Cdag_up", "C_up"): their Jordan-Wigner strings are placed. Real where all operators are
    Hermitian and none is fermionic. Exact. One sweep a triangle (a second only where it is not the adjoint
    of the first) carries up to 32 left ends at once: cost O(L^2 d chi^3), memory O(32 d chi^2). In an infinite
    state `sites` are any integers, those of its cell unless given.

    >>> from tnsim.networks.sites import spin_sites
    >>> psi = MPS.product(spin_sites(3), ["up", "down", "up"])
    >>> correlation(psi, "Sz", "Sz")[0].tolist()
    [0.25, -0.25, 0.25]
    """
    if isinstance(psi, InfiniteMPS):
        places = list(range(psi.L)) if sites is None else list(sites)
        start = min(places, default=0) - 1
        stretch = window(psi, start + 1, max(places, default=0))
        return correlation(stretch, first, second, [i - start for i in places], connected=connected)
    if not isinstance(psi, MPS):
        raise StateError(f"correlation takes a state first, then two operators; found {type(psi).__name__}.")
    chosen = list(range(psi.L)) if sites is None else [checked_site(psi, i) for i in sites]
    if not chosen:
        return np.zeros((0, 0))
    places = sorted(set(chosen))
    a = {i: psi.sites[i].op(first) for i in places}
    b = {i: psi.sites[i].op(second) for i in places}
    both = {i: a[i] @ b[i] for i in places}
    psi = psi.astype(matching_dtype(psi.dtype, *a.values(), *b.values()))
    even, odd = _upper(psi, a, b)
    upper = even + odd
    if all(np.array_equal(a[i], b[i].conj().T) for i in places):
        lower = upper.conj()
    else:
        if not all(np.array_equal(a[i], b[i]) for i in places):
            even, odd = _upper(psi, b, a)
        lower = even - odd  # fermionic operators of different sites anticommute
    result = upper + lower.T + np.diag(local_values(psi, both))
    if not odd.any() and all(is_hermitian(matrix) for group in (a, b, both) for matrix in group.values()):
        result = result.real.copy()
    if connected:
        result = result - np.outer(local_values(psi, a), local_values(psi, b))
    order = np.searchsorted(places, chosen)
    return result[np.ix_(order, order)]


@dataclass(frozen=True, eq=False)
class _Sweep:
    """What a sweep for one charge needs: tensors right of the centre, centre tensors, operator parts.

    strings: F on the sites that a Jordan-Wigner string passes; none for operators that are not fermionic.
    """

    psi: MPS
    centers: dict[int, Tensor]
    starts: dict[int, Tensor]
    ends: dict[int, Tensor]
    strings: dict[int, Tensor]


def _upper(psi: MPS, a: dict[int, np.ndarray], b: dict[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """<a_i b_j> for i < j among the places of a, zero elsewhere: from the even and from the fermionic parts."""
    places = list(a)
    psi = canonicalize(psi, places[0])
    norm, group = norm_squared(psi), psi.sites[0].operator_group
    centers = dict(zip(places, center_tensors(psi, places), strict=True))
    strings = _strings(psi, places)
    parts_a = {i: components(psi.sites[i], a[i]) for i in places}
    parts_b = {i: components(psi.sites[i], b[i]) for i in places}
    results = tuple(np.zeros((len(places), len(places)), dtype=psi.dtype) for _ in range(2))
    for charge in sorted({charge for parts in parts_a.values() for charge in parts}):
        ends = _with_charge(psi, parts_b, group.dual(charge))
        if not ends:
            continue
        odd = charge[-1]
        sweep = _Sweep(psi, centers, _with_charge(psi, parts_a, charge), ends, strings if odd else {})
        many = list(sweep.starts)
        for n in range(0, len(many), _TOGETHER):
            together = many[n : n + _TOGETHER]
            for j, values in _rows(sweep, together).items():
                results[odd][np.searchsorted(places, together), places.index(j)] += values
    return results[0] / norm, results[1] / norm


def _strings(psi: MPS, places: Sequence[int]) -> dict[int, Tensor]:
    """F of every fermionic site from the first place to the last."""
    sites = {i: psi.sites[i] for i in range(places[0], places[-1] + 1) if psi.sites[i].is_fermionic}
    neutral = psi.sites[0].operator_group.identity
    return _with_charge(psi, {i: components(site, site.string) for i, site in sites.items()}, neutral)


def _with_charge(psi: MPS, parts: dict[int, dict[Charge, Tensor]], charge: Charge) -> dict[int, Tensor]:
    """The parts of one charge, on the state's device and in its dtype."""
    return {i: part[charge].astype(psi.dtype).to(psi.backend) for i, part in parts.items() if charge in part}


def _rows(sweep: _Sweep, together: Sequence[int]) -> dict[int, np.ndarray]:
    """For every end j the values of all starts at once (zero for starts at j or behind); one read.

    x--conj(B)--u
    |    t
    E-m  |          E carries the number m of the start: legs (bra, start, ket)
    |    s
    y--- B -----v
    """
    psi, environment = sweep.psi, None
    group, backend = psi.sites[0].group, psi.backend
    many = Leg(group, [group.identity], [len(together)], -1)
    last, found = max(sweep.ends), {}
    for j in range(together[0], last + 1):
        b = psi.tensors[j]
        if environment is not None:
            half = contract("x m y, y s v -> x m s v", environment, b)
            if j in sweep.ends:
                end = contract("x t v, t s -> x s v", b.conj(), sweep.ends[j])
                found[j] = contract("x m s v, x s v -> m", half, end).data
            if j < last:
                environment = contract("x m s v, x s u -> u m v", half, _with_string(sweep, j, b).conj())
        if j in together and j < last:
            fresh = _start(sweep, j, many, together.index(j))
            environment = fresh if environment is None else environment + fresh
    if not found:
        return {}
    values = backend.to_host(backend.concatenate(list(found.values()))).reshape(len(found), len(together))
    return dict(zip(found, values, strict=True))


def _start(sweep: _Sweep, site: int, many: Leg, number: int) -> Tensor:
    """The environment right of a start, at its number: legs (bra, start, ket)."""
    a = sweep.centers[site]
    fresh = contract("x t u, t s, x s v -> u v", a.conj(), sweep.starts[site], _with_string(sweep, site, a))
    unit = np.zeros(many.dim, dtype=fresh.dtype)
    unit[number] = 1
    return contract("u v, m -> u m v", fresh, from_dense(unit, (many,)).to(fresh.backend))


def _with_string(sweep: _Sweep, site: int, tensor: Tensor) -> Tensor:
    """F applied to a site tensor, where a string passes."""
    if site not in sweep.strings:
        return tensor
    return contract("t s, x s v -> x t v", sweep.strings[site], tensor)
