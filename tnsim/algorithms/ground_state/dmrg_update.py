"""What one DMRG update optimises: two sites, or one site beside a bond that may grow.

Both are frames of two tensors, so that one loop drives them. With one site the second tensor is the bond itself, a
0/1 matrix into the larger bond, with a physical leg of one state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tnsim.algorithms.solution import Progress
from tnsim.networks.controlled_expansion import CenterBond, new_directions
from tnsim.networks.direct_sum import injection, side_by_side
from tnsim.networks.effective import TwoSiteHamiltonian, absorb_site
from tnsim.networks.effective_plans import LEFT, RIGHT
from tnsim.networks.environments import Environments
from tnsim.networks.overlap_environments import OverlapEnvironments
from tnsim.networks.reflection import ChainMirror
from tnsim.networks.site_operator import bond_operator
from tnsim.networks.transfer import transfer
from tnsim.networks.two_site_split import TwoSiteSplit
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, transpose

if TYPE_CHECKING:
    from tnsim.algorithms.ground_state.dmrg import DMRG


@dataclass(frozen=True, eq=False)
class Frame:
    """Two tensors whose product is optimised, the Hamiltonian on it, and the site that the centre moves into."""

    heff: TwoSiteHamiltonian
    first: Tensor
    second: Tensor
    neighbour: Tensor | None = None


class TwoSiteUpdate:
    """The two sites around a bond; mirror: where all is its own reflection."""

    def __init__(self, environments: Environments, mirror: ChainMirror | None = None) -> None:
        self.environments, self.mirror = environments, mirror

    def frame(self, bond: int, rightwards: bool, progress: Progress) -> Frame:
        """What the update of a bond works on."""
        environments = self.environments
        tensors, operators = environments.tensors, environments.operators
        heff = TwoSiteHamiltonian(
            environments.left(bond), operators[bond], operators[bond + 1], environments.right(bond + 1),
            hermitian=True, mirror=None if self.mirror is None else self.mirror.around(bond),
        )  # fmt: skip
        return Frame(heff, tensors[bond], tensors[bond + 1])

    def seen(self, overlap: OverlapEnvironments, frame: Frame, bond: int, rightwards: bool) -> tuple[Tensor, Tensor]:
        """The fixed state of an overlap as two tensors of the frame."""
        return overlap.left_site(bond), overlap.right_site(bond + 1)

    def place(self, frame: Frame, cut: TwoSiteSplit, bond: int, rightwards: bool) -> None:
        """Put the new site tensors in, and carry the environment on."""
        environments, last = self.environments, len(self.environments.tensors) - 2
        environments.tensors[bond], environments.tensors[bond + 1] = cut.first, cut.second
        if self.mirror is not None:
            self.mirror.even[bond + 1] = cut.even
        if rightwards and bond < last:
            environments.put_left(bond + 1, frame.heff.grow(cut.bond, cut.isometry, True, cut.even))
        elif not rightwards and bond > 0:
            environments.put_right(bond, frame.heff.grow(cut.bond, cut.isometry, False, cut.even))


class OneSiteUpdate:
    """The site on one side of a bond; the bond first grows into the other side where the settings say so."""

    def __init__(self, environments: Environments, operators: Sequence[Tensor], settings: "DMRG") -> None:
        self.environments, self.operators, self.settings = environments, operators, settings

    def frame(self, bond: int, rightwards: bool, progress: Progress) -> Frame:
        """What the update of a bond works on: left of it rightwards, right of it leftwards."""
        environments = self.environments
        here, there = (bond, bond + 1) if rightwards else (bond + 1, bond)
        center, neighbour = environments.tensors[here], environments.tensors[there]
        added = self._added(bond, rightwards, progress)
        if added is not None:
            neighbour = side_by_side([neighbour, added], 0 if rightwards else 2)
        operator = environments.operators[here]
        if rightwards:
            beyond = environments.right(bond) if added is None else self._absorbed(RIGHT, there, neighbour)
            sites = operator, bond_operator(operator, RIGHT)
            heff = TwoSiteHamiltonian(environments.left(bond), *sites, beyond, hermitian=True)
            return Frame(heff, center, _link(center.legs[2], neighbour.legs[0].dual, center), neighbour)
        beyond = environments.left(bond + 1) if added is None else self._absorbed(LEFT, there, neighbour)
        sites = bond_operator(operator, LEFT), operator
        heff = TwoSiteHamiltonian(beyond, *sites, environments.right(bond + 1), hermitian=True)
        link = transpose(_link(center.legs[0], neighbour.legs[2].dual, center), (2, 1, 0))
        return Frame(heff, link, center, neighbour)

    def _added(self, bond: int, rightwards: bool, progress: Progress) -> Tensor | None:
        """States to add to the bond: up to twice as many while it is small, then the settings' share."""
        environments, settings = self.environments, self.settings
        share = settings.expansion_of(progress)
        if share == 0:
            return None
        pair = slice(bond, bond + 2)
        first, second = environments.tensors[pair]
        chi_max = settings.truncation_of(progress.sweep).chi_max
        share = max(share, min(1.0, chi_max * (1 + share) / first.legs[2].dim - 1))
        w1, w2 = self.operators[pair]
        sites = CenterBond(
            environments.left(bond), first, second, (w1, w2), environments.right(bond + 1), toward_right=rightwards
        )
        rng = np.random.default_rng((settings.seed, progress.sweep, progress.step))
        return new_directions(sites, share, rng, noise=settings.noise_of(progress.sweep))

    def _absorbed(self, side: str, site: int, tensor: Tensor) -> Tensor:
        environments = self.environments
        beyond = environments.left(site) if side == LEFT else environments.right(site)
        return absorb_site(side, beyond, tensor, environments.operators[site])

    def seen(self, overlap: OverlapEnvironments, frame: Frame, bond: int, rightwards: bool) -> tuple[Tensor, Tensor]:
        """The fixed state of an overlap as two tensors of the frame: a site, and the bond as one of one state."""
        assert frame.neighbour is not None
        if rightwards:
            rest = transfer(RIGHT, overlap.right(bond + 1), [frame.neighbour], [overlap.fixed[bond + 1]])
            return overlap.left_site(bond), _with_state(transpose(rest, (1, 0)))
        rest = transfer(LEFT, overlap.left(bond), [frame.neighbour], [overlap.fixed[bond]])
        return _with_state(rest), overlap.right_site(bond + 1)

    def place(self, frame: Frame, cut: TwoSiteSplit, bond: int, rightwards: bool) -> None:
        """Put the new site in, take the rest into its neighbour, and carry the environment on."""
        environments, tensors = self.environments, self.environments.tensors
        assert frame.neighbour is not None
        if rightwards:
            rest = _without_state(cut.second)
            tensors[bond], tensors[bond + 1] = cut.first, contract("n m, m s r -> n s r", rest, frame.neighbour)
            environments.put_left(bond + 1, frame.heff.grow(cut.bond, cut.isometry, True))
        else:
            rest = _without_state(cut.first)
            tensors[bond], tensors[bond + 1] = contract("l s m, m n -> l s n", frame.neighbour, rest), cut.second
            environments.put_right(bond, frame.heff.grow(cut.bond, cut.isometry, False))


def _link(leg: Leg, larger: Leg, like: Tensor) -> Tensor:
    """The bond as a site of one state: (bond, one, larger bond)."""
    return _with_state(injection(leg, larger, like=like))


def _with_state(matrix: Tensor) -> Tensor:
    """A matrix as a site of one state."""
    group = matrix.group
    return Tensor((matrix.legs[0], Leg(group, [group.identity], [1]), matrix.legs[1]), matrix.data)


def _without_state(link: Tensor) -> Tensor:
    """The matrix that a site of one state holds."""
    return Tensor((link.legs[0], link.legs[2]), link.data)
