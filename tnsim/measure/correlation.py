"""Two-point functions of all pairs of sites in one pass."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import ShapeError
from tnsim.measure.expectation import Operator, components, expect
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mps import MPS
from tnsim.symmetry import Charge, Leg
from tnsim.tensor import Tensor, contract, from_dense


def correlation(
    psi: MPS, first: Operator, second: Operator, sites: Sequence[int] | None = None, *, connected: bool = False
) -> np.ndarray:
    """C[i, j] = <first_i second_j>, normalised, for all pairs (or those of `sites`), both triangles.

    connected subtracts <first_i><second_j>. One sweep carries all left ends at once: cost O(L^2 d chi^3) in
    O(L) calls, memory O(L chi^2). Operators that change the charge are allowed ("S+", "S-").

    >>> from tnsim.networks.sites import spin_sites
    >>> psi = MPS.product(spin_sites(3), ["up", "down", "up"])
    >>> correlation(psi, "Sz", "Sz")[0].tolist()
    [0.25, -0.25, 0.25]
    """
    chosen = list(range(psi.L)) if sites is None else list(sites)
    if any(not 0 <= i < psi.L for i in chosen):
        raise ShapeError(f"the state has sites 0 to {psi.L - 1}, found {chosen}.")
    upper, diagonal = _upper(psi, first, second)
    lower, _ = _upper(psi, second, first)
    result = upper + lower.T + np.diag(diagonal)
    if connected:
        result = result - np.outer(expect(psi, first), expect(psi, second))
    result = result[np.ix_(chosen, chosen)]
    small = result.dtype.kind == "c" and np.abs(result.imag).max(initial=0.0) <= 1e-13 * max(1.0, np.abs(result).max())
    return result.real.copy() if small else result


def _upper(psi: MPS, first: Operator, second: Operator) -> tuple[np.ndarray, np.ndarray]:
    """<first_i second_j> for i < j, and for i = j, charge by charge."""
    psi = canonicalize(psi, 0)
    norm = psi.norm()
    dtype = np.result_type(psi.dtype, *(site.op(op).dtype for site in set(psi.sites) for op in (first, second)))
    result = np.zeros((psi.L, psi.L), dtype=dtype)
    diagonal = np.zeros(psi.L, dtype=dtype)
    charges = {charge for site in set(psi.sites) for _, charge in components(site, first)}
    for charge in sorted(charges):
        _one_charge(psi, first, second, charge, result, diagonal)
    return result / norm**2, diagonal / norm**2


def _one_charge(psi: MPS, first: Operator, second: Operator, charge: Charge, result: np.ndarray, diagonal: np.ndarray) -> None:
    """Add the part in which `first` adds `charge` and `second` takes it away."""
    group = psi.sites[0].group
    many = Leg(group, [charge], [psi.L], -1)
    right_canonical, centred = psi, psi
    environment: Tensor | None = None
    for j in range(psi.L):
        centred = canonicalize(centred, j)
        here, b = centred.tensors[j], right_canonical.tensors[j]
        start = _part(psi, j, first, charge)
        end = _part(psi, j, second, group.dual(charge))
        if end is not None and environment is not None:
            values = contract("x m y, x t r, y s r, t s n -> m n", environment, b.conj(), b, end)
            result[:, j] += psi.backend.to_host(values.data) if values.size else 0.0
        if start is not None and end is not None:
            # <first_i second_i>: second acts first
            both = contract("t u m, u s n, l s r, l t r -> m n", start, end, here, here.conj())
            diagonal[j] += psi.backend.to_host(both.data)[0] if both.size else 0.0
        if j == psi.L - 1:
            return
        if environment is not None:
            environment = contract("x m y, x s u, y s v -> u m v", environment, b.conj(), b)
        if start is not None:
            unit = np.zeros((1, psi.L), dtype=start.dtype)
            unit[0, j] = 1
            place = from_dense(unit, (start.legs[2].dual, many)).to(psi.backend)
            fresh = contract("l t u, t s c, l s v, c m -> u m v", here.conj(), start, here, place)
            environment = fresh if environment is None else environment + fresh


def _part(psi: MPS, site: int, operator: Operator, charge: Charge) -> Tensor | None:
    for tensor, found in components(psi.sites[site], operator):
        if found == charge:
            return tensor.astype(np.result_type(tensor.dtype, psi.dtype)).to(psi.backend)
    return None
