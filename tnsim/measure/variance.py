"""The energy variance: how far a state is from an eigenstate."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import ShapeError
from tnsim.linalg import lq
from tnsim.measure.local import norm_squared
from tnsim.measure.operator import expect_mpo, shifted
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.peps import PEPS, PlaneTerms, chain_terms, peps_to_mps
from tnsim.tensor import contract, fuse

# elements (with those that symmetry forbids) of a site of H^2, and of H |psi>, up to which they are made
_LARGEST_SQUARE = 1 << 28
_LARGEST_PRODUCT = 1 << 28


def variance(H: MPO, psi: MPS) -> float:
    """<H^2> - <H>^2 of the normalised state, in squared energy units; exact for the MPO.

    Computed as the expectation of (H - E)^2, so that no large numbers cancel; rounding leaves about
    1e-11 at energies of order 100. Cost O(L chi^3 d w^2); where the square of H is larger than the state, it is the
    squared norm of (H - E) |psi>, at O(L w chi m^2) with m <= d^(L/2) the bond dimension of that. Raises ShapeError
    where both take too much memory (see `variance_fits`).

    >>> from tnsim.networks.sites import spin_sites
    >>> sites = spin_sites(4)
    >>> variance(MPO.identity(sites), MPS.product(sites, ["up", "down"] * 2))
    0.0
    """
    spread = energy_and_variance(H, psi)[1]
    if spread is None:
        raise ShapeError(
            f"the variance of {H!r} in a state of bond dimension {max(psi.bond_dimensions)} takes too much memory: "
            "measure it at a smaller bond dimension."
        )
    return spread


def plane_variance(terms: PlaneTerms, psi: PEPS) -> float:
    """<H^2> - <H>^2 of a finite PEPS, normalised, in squared energy units; exact, so for small lattices.

    The state is written as an MPS along its rows (`peps_to_mps`), of bond dimension D^columns at most, and H as an MPO;
    see `variance`. Raises ShapeError where that takes too much memory, and for terms of another lattice.

    >>> from tnsim.models import Heisenberg, Lattice
    >>> terms = PlaneTerms.of(Heisenberg(lattice=Lattice("square", 3, 2)))
    >>> plane_variance(terms, PEPS.product(terms.sites, [["up"] * 3] * 2))
    0.0
    """
    if terms.infinite or terms.shape != psi.shape:
        raise ShapeError(f"{terms!r} and {psi!r} do not stand on one finite lattice.")
    H, sites = chain_terms(terms)
    return variance(H.mpo(sites).to(psi.backend), peps_to_mps(psi))


def energy_and_variance(H: MPO, psi: MPS) -> tuple[float, float | None]:
    """<H>, and `variance`, or None where it takes too much memory."""
    energy = float(np.real(expect_mpo(H, psi)))
    if not variance_fits(H, psi):
        return energy, None
    centred = shifted(H, energy)
    if _square_size(H) <= min(_LARGEST_SQUARE, max(_product_sizes(H, psi))):
        return energy, max(0.0, float(np.real(expect_mpo(centred @ centred, psi))))
    return energy, _product_norm(centred, psi) / norm_squared(psi)


def variance_fits(H: MPO, psi: MPS) -> bool:
    """Whether the variance can be had exactly: H^2 or the state H |psi> fits into some GiB.

    >>> from tnsim.networks.sites import spin_sites
    >>> sites = spin_sites(4)
    >>> variance_fits(MPO.identity(sites), MPS.product(sites, ["up"] * 4))
    True
    """
    return _square_size(H) <= _LARGEST_SQUARE or max(_product_sizes(H, psi)) <= _LARGEST_PRODUCT


def _square_size(H: MPO) -> int:
    """Elements of the largest site of H^2."""
    return max((left * right) ** 2 * out * into for left, out, into, right in (tensor.shape for tensor in H.tensors))


def _product_sizes(H: MPO, psi: MPS) -> Sequence[int]:
    """Elements of every site in `_product_norm`, from the right."""
    sizes, bond = [], 1
    for w, a in zip(reversed(H.tensors), reversed(psi.tensors), strict=True):
        rows, columns = w.shape[0] * a.shape[0], w.shape[1] * bond
        sizes.append(max(rows * columns, a.shape[0] * a.shape[1] * w.shape[3] * bond))
        bond = min(rows, columns)
    return sizes


def _product_norm(H: MPO, psi: MPS) -> float:
    """The squared norm of H |psi>: what is to the right of a site is cut down to its rank, exactly.

        t
    a--[H]---b--.
        |      [rest]--y
    l--[psi]-r--'
    """
    rest = None
    for w, a in zip(reversed(H.tensors), reversed(psi.tensors), strict=True):
        if rest is None:
            joined = fuse(contract("a t s b, l s r -> a l t b r", w, a), [(0,), (1,), (2,), (3, 4)], [1, 1, 1, -1])
        else:
            joined = contract("l s r, b r y, a t s b -> a l t y", a, rest, w)
        rest, _ = lq(joined, (0, 1))
    assert rest is not None
    return rest.norm() ** 2
