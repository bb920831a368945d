"""Transfer spectrum, correlation length and fidelity of infinite states."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import NumericalError, ShapeError
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.transfer import second_eigenvalue, transfer_eigenpairs
from tnsim.symmetry import Charge
from tnsim.tensor import contract

# differences that rounding does not touch
_VISIBLE = 1e-6


def transfer_spectrum(
    psi: InfiniteMPS, count: int = 10, *, charge: Charge | int | None = None, tolerance: float = 1e-10
) -> np.ndarray:
    """The `count` eigenvalues of largest magnitude of the cell's transfer matrix, in one charge sector.

    charge: what an operator adds to the state where correlations in this sector begin; neutral unless given, and
    the first value there is 1. Complex; an angle is the momentum of a decaying oscillation. Cost O(n d chi^3) a
    product.

    >>> from tnsim.networks.sites import spin_sites
    >>> transfer_spectrum(InfiniteMPS.product(spin_sites(2), ["up", "down"]))
    array([1.+0.j])
    """
    if count < 1:
        raise ShapeError(f"a spectrum has at least one value, found count = {count}.")
    pairs, _ = transfer_eigenpairs(psi.AL, psi.AL, count=count, charge=charge, tolerance=tolerance)
    if not pairs.converged:
        raise NumericalError(
            f"the transfer spectrum did not converge (residuals up to {pairs.residuals.max():.1e}): ask for fewer "
            "values or a larger tolerance."
        )
    return pairs.values


def correlation_length(psi: InfiniteMPS, *, charge: Charge | int | None = None) -> float:
    """The length, in sites, over which correlations decay: -n / log |lambda| for a cell of n sites.

    charge: of the operator whose correlations are meant; unless given, the longest among those that one site's
    operators can carry, the neutral one included. Exact for the state, and a few per cent too short for the ground
    state that it stands for; see `extrapolate_correlation_length`.
    Source: V. Zauner et al., New J. Phys. 17, 053002 (2015).

    >>> from tnsim.networks.sites import spin_sites
    >>> correlation_length(InfiniteMPS.product(spin_sites(2), ["up", "down"]))
    0.0
    """
    group = psi.sites[0].group
    if charge is not None:
        charges = {group.charge(charge)}
    else:
        charges = {
            group.fuse(a, group.dual(b))[0] for site in psi.sites for a in site.leg.charges for b in site.leg.charges
        }
    largest = max(_largest(psi, q) for q in charges)
    if largest >= 1:
        return float("inf")
    return float(-psi.L / np.log(largest)) if largest > 1e-14 else 0.0


def extrapolate_correlation_length(states: Sequence[InfiniteMPS]) -> float:
    """The correlation length without the error of a finite bond dimension, from states of growing chi; in sites.

    The exact transfer spectrum is continuous; at finite chi its edge -log|lambda_2| lies too high by about the spacing
    to -log|lambda_3|. A line through the edge against that spacing is followed to spacing 0 (neutral sector).
    Source: M. M. Rams, P. Czarnik, L. Cincio, Phys. Rev. X 8, 041033 (2018). Raises ShapeError for fewer than
    two states, NumericalError where the fit finds no positive length.
    """
    if len(states) < 2:
        raise ShapeError(f"an extrapolation needs states of at least two bond dimensions, found {len(states)}.")
    edges, spacings = [], []
    for psi in states:
        _, edge, following = -np.log(np.abs(transfer_spectrum(psi, 3))) / psi.L
        edges.append(edge)
        spacings.append(following - edge)
    inverse = float(np.polyfit(spacings, edges, 1)[1])
    if not inverse > 0:
        raise NumericalError(f"the edges {edges} at spacings {spacings} do not extrapolate to a finite length.")
    return 1 / inverse


def _largest(psi: InfiniteMPS, charge: Charge) -> float:
    """The largest magnitude of an eigenvalue in a sector, without the 1 of the neutral one."""
    if charge == psi.sites[0].group.identity:
        fixed = contract("k r, b r -> b k", psi.C[-1], psi.C[-1].conj())
        return abs(second_eigenvalue(psi.AL, fixed, 1e-10))
    values = transfer_eigenpairs(psi.AL, psi.AL, charge=charge, tolerance=1e-10)[0].values
    return float(np.abs(values).max(initial=0.0))


def fidelity(first: InfiniteMPS, second: InfiniteMPS) -> float:
    """|<first|second>| per cell: the largest eigenvalue of the mixed transfer matrix; 1 only for equal states.

    States whose bonds share no charge are orthogonal. Raises ShapeError unless both have the same cell.

    >>> from tnsim.networks.sites import spin_sites
    >>> fidelity(*(InfiniteMPS.random(spin_sites(2), chi=4, seed=1) for _ in range(2))).__round__(10)
    1.0
    """
    values = transfer_eigenpairs(first.AL, second.AL)[0].values
    return float(min(1.0, np.abs(values).max(initial=0.0)))


def infidelity(first: InfiniteMPS, second: InfiniteMPS) -> float:
    """1 - `fidelity`, also where rounding hides that difference: half the square of what of the second state's cell the
    first one's tensors do not hold.

    X --B--C--      less what A holds:  (1 - A A^dagger) X B C    with X the fixed point of both
    Below 1e-6 to first order in itself; not seen below 1e-24 or so.
    """
    pairs, matrices = transfer_eigenpairs(first.AL, second.AL)
    plain = 1 - min(1.0, float(np.abs(pairs.values).max(initial=0.0)))
    if plain > _VISIBLE:
        return plain
    x = matrices[int(np.abs(pairs.values).argmax())]
    size, lost = contract("x y, y z -> x z", x, second.C[-1]).norm(), 0.0
    for A, B, C in zip(first.AL, second.AL, second.C, strict=True):
        moved = contract("x y, y s v -> x s v", x, B)
        x = contract("x s u, x s v -> u v", A.conj(), moved)
        rest = moved - contract("x s u, u v -> x s v", A, x)
        lost += contract("x s v, v w -> x s w", rest, C).norm() ** 2
    return lost / (2 * size**2)
