"""Whether an operator acts on a state: asked before the first product."""

from typing import Any

from tnsim.errors import BackendError, OperatorError, ShapeError
from tnsim.networks.environments import check_legs
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.sites import Site
from tnsim.symmetry import Leg


def check_acts_on(H: Any, psi: Any) -> None:
    """Raises OperatorError for other things than an MPO and an MPS, ShapeError, LegError or BackendError where the
    lengths, sites or devices differ."""
    if not isinstance(H, MPO) or not isinstance(psi, MPS):
        raise OperatorError(
            f"an MPO and an MPS are needed, found {type(H).__name__} and {type(psi).__name__}: "
            "an OperatorSum becomes an MPO by H.mpo(sites)."
        )
    if H.L != psi.L:
        raise ShapeError(f"the MPO has {H.L} sites, the state {psi.L}: build both for one chain.")
    if psi.backend is not H.backend:
        raise BackendError(
            f"the state lies on {psi.backend.name}, the MPO on {H.backend.name}: move one with .to(...)."
        )
    check_legs(psi.tensors, [tensor.legs[1] for tensor in H.tensors])


def image_sites(H: MPO, psi: MPS) -> tuple[Site, ...]:
    """The sites of H |psi>: those of psi where H leads back to them, elsewhere sites without operators."""
    pairs = zip(H.tensors, psi.sites, strict=True)
    return tuple(site if tensor.legs[1] is site.leg else bond_site(tensor.legs[1]) for tensor, site in pairs)


def bond_site(leg: Leg) -> Site:
    """A leg (flow +1) as a site: states are numbered, operators there are none."""
    charges = tuple(charge for charge, dim in zip(leg.charges, leg.dims, strict=True) for _ in range(dim))
    return Site("bond", tuple(map(str, range(leg.dim))), leg.group, charges, {})
