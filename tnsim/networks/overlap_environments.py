"""Environments of overlaps with fixed states, and what of a tensor is orthogonal to these."""

from collections.abc import Iterator, Sequence

import numpy as np

from tnsim.backend import Array
from tnsim.errors import BackendError, ShapeError, StateError
from tnsim.linalg.complement import as_rows, orthonormal_rows, start_in_complement
from tnsim.networks.effective import TwoSiteHamiltonian
from tnsim.networks.environments import check_legs
from tnsim.networks.mirror_gauge import parity_sector_size, reflected
from tnsim.networks.mps import MPS, overlap
from tnsim.networks.transfer import LEFT, RIGHT, transfer
from tnsim.tensor import Tensor, contract, eye


class OverlapEnvironments:
    """Halves of <psi|phi>, legs (bra, ket), for a psi whose site tensors are replaced one by one and a phi that stays.

    An environment is fresh as long as the tensors of psi that it absorbed are still in place.

    x--conj(A)--u
    |    |            left(i) holds sites 0..i-1, right(i) sites i+1..L-1
    y--- B -----v
    """

    def __init__(self, tensors: list[Tensor], phi: MPS) -> None:
        self.tensors, self.fixed = tensors, phi.tensors
        first, last = phi.tensors[0], phi.tensors[-1]
        ends = (LEFT, first.legs[0]), (RIGHT, last.legs[2])
        # environments from either end inwards, and the site tensor of psi that each step absorbed
        self._grown = {side: [eye(leg, dtype=phi.dtype, backend=phi.backend)] for side, leg in ends}
        self._made_from: dict[str, list[Tensor]] = {LEFT: [], RIGHT: []}

    def left(self, site: int) -> Tensor:
        """The environment of the sites left of `site`."""
        return self._grow(LEFT, self.tensors[:site], self.fixed)

    def right(self, site: int) -> Tensor:
        """The environment of the sites right of `site`."""
        return self._grow(RIGHT, self.tensors[:site:-1], self.fixed[::-1])

    def _grow(self, side: str, bra: list[Tensor], ket: list[Tensor]) -> Tensor:
        """The environment that absorbed `bra`, in the order from the end of the chain inwards."""
        grown, made_from = self._grown[side], self._made_from[side]
        known = min(len(made_from), len(bra))
        fresh = next((n for n in range(known) if made_from[n] is not bra[n]), known)
        if fresh < len(bra):
            del made_from[fresh:], grown[fresh + 1 :]
        for a, b in zip(bra[fresh:], ket[fresh : len(bra)], strict=True):
            grown.append(transfer(side, grown[-1], [a], [b]))
            made_from.append(a)
        return grown[len(bra)]

    def left_site(self, site: int) -> Tensor:
        """phi at a site, seen through the basis of psi left of it.

        x--L--y--B--m
        """
        return contract("x y, y s m -> x s m", self.left(site), self.fixed[site])

    def right_site(self, site: int) -> Tensor:
        """phi at a site, seen through the basis of psi right of it.

        m--B--v--R--u
        """
        return contract("m t v, u v -> m t u", self.fixed[site], self.right(site))


def restrict(heff: TwoSiteHamiltonian, theta: Array, rows: list[Array], seed: int) -> tuple[Array, Array | None]:
    """theta without its parts along `rows`, or a random vector where nothing is left, and `rows` made orthonormal.

    One direction at least is left free: where two sites offer fewer than there are states, the weakest overlaps are
    allowed. Cost O(chi^2 d^2) a pair of rows.
    """
    if not rows:
        return theta, None
    constraints = orthonormal_rows(as_rows(rows, heff.backend), heff.backend, most=heff.freedom - 1)
    start = start_in_complement(theta, constraints, heff.backend, seed)
    return heff.own_part(start), constraints


def lower_states(psi: MPS, states: Sequence[MPS], reflection: str = "", parity: int = 0) -> tuple[MPS, ...]:
    """Of the states that psi shall be orthogonal to those that share its charge (and its parity, where there is a
    reflection), normalised.

    Raises StateError for anything but states of finite norm and where they leave no state of the sector, ShapeError,
    LegError or BackendError where they do not live on the sites of psi.
    """
    found = tuple(_checked(psi, states))
    if reflection:
        found = tuple(phi for phi in found if (overlap(phi, reflected(phi, reflection)) * parity).real > 0)
    if found and len(found) >= (size := parity_sector_size(psi.sites, psi.charge, reflection, parity)):
        kind = f", parity {parity}" if reflection else ""
        raise StateError(
            f"the sector of charge {psi.charge} ({psi.sites[0].group!r}){kind} holds {size} states, and {len(found)} "
            "are excluded: ask for fewer levels, or start in another sector."
        )
    return found


def _checked(psi: MPS, states: Sequence[MPS]) -> Iterator[MPS]:
    if isinstance(states, MPS) or not all(isinstance(phi, MPS) for phi in states):
        kind = type(states).__name__ if isinstance(states, MPS) else [type(phi).__name__ for phi in states]
        raise StateError(f"orthogonal_to takes a list of MPS (of a solution its .state), found {kind}.")
    for phi in states:
        if phi.L != psi.L:
            raise ShapeError(f"a state of {phi.L} sites cannot be orthogonal to one of {psi.L}.")
        if phi.backend is not psi.backend:
            raise BackendError(
                f"the state lies on {psi.backend.name}, one that it shall be orthogonal to on {phi.backend.name}: "
                "move one with .to(...)."
            )
        check_legs(phi.tensors, [tensor.legs[1] for tensor in psi.tensors])
        norm = phi.norm()
        if not 0 < norm < np.inf:
            raise StateError(f"a state to be orthogonal to needs a finite norm, not zero; found norm {norm}.")
        if phi.charge == psi.charge:
            yield phi * (1 / norm)
