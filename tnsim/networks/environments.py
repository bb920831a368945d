"""Left and right environments of <psi|H|psi>, cached with what they were made from."""

from collections.abc import Sequence
from operator import is_

import numpy as np

from tnsim.errors import BackendError, LegError, ShapeError
from tnsim.networks.effective import absorb_site
from tnsim.networks.effective_plans import LEFT, RIGHT, environment_legs
from tnsim.networks.environment_store import EnvironmentStore
from tnsim.networks.sector_bonds import sector_bonds
from tnsim.networks.site_operator import SiteOperator
from tnsim.networks.sites import Site
from tnsim.symmetry import Charge, Leg, layout
from tnsim.tensor import Tensor


def boundary_environment(side: str, bond: Leg, operator_leg: Leg, like: Tensor) -> Tensor:
    """The trivial environment at an end of the chain: one number, 1."""
    legs = environment_legs(side, bond, operator_leg)
    if any(leg.dim != 1 for leg in legs):
        raise ShapeError(
            f"the {side} end of an open chain needs legs of dimension 1, found {[leg.dim for leg in legs]}."
        )
    return Tensor(legs, like.backend.asarray(np.ones(1, dtype=like.dtype)))


def check_legs(tensors: Sequence[Tensor], physical: Sequence[Leg]) -> None:
    """Raises LegError where a site of the state is another than that of the operator."""
    for i, (tensor, leg) in enumerate(zip(tensors, physical, strict=True)):
        if tensor.legs[1] is not leg:
            raise LegError(
                f"site {i}: the state's physical leg is {tensor.legs[1]!r}, the MPO's {leg!r}; "
                "make both from the same sites."
            )


def largest_environment(
    sites: Sequence[Site], charge: Charge, operators: Sequence[SiteOperator], chi: int
) -> tuple[int, int]:
    """About how many numbers the largest left environment holds at a bond dimension, and its site."""
    bonds = sector_bonds(sites, charge, chi)
    legs = [environment_legs(LEFT, bonds[i], operator.left) for i, operator in enumerate(operators)]
    sizes = [layout(three, three[0].group.identity).size for three in legs]
    return max(sizes), int(np.argmax(sizes))


class Environments:
    """All environments of one state and one MPO.

    left(i) holds sites 0..i-1, right(i) sites i+1..L-1. Site tensors are replaced, never edited, so an entry
    is fresh as long as the tensors it was made from are still in place; what lies beyond a stale entry, and what the
    store did not keep, is made again. The sites on the environment's side must be isometric (canonical form).
    """

    def __init__(
        self, tensors: list[Tensor], operators: Sequence[SiteOperator], store: EnvironmentStore | None = None
    ) -> None:
        if len(tensors) != len(operators):
            raise ShapeError(f"the state has {len(tensors)} sites, the MPO {len(operators)}: they must agree.")
        check_legs(tensors, [operator.phys for operator in operators])
        if len({tensor.backend.name for tensor in tensors}) > 1:
            raise BackendError("the site tensors of a state must lie on one backend: use psi.to(...).")
        self.tensors, self.operators = tensors, tuple(operators)
        length = len(tensors)
        self.store = store or EnvironmentStore(length)
        # the site tensor that the last step of every environment absorbed, whether the store kept it or not
        self._left_from: list[Tensor | None] = [None] * length
        self._right_from: list[Tensor | None] = [None] * length
        self._left_end = boundary_environment(LEFT, tensors[0].legs[0], operators[0].left, tensors[0])
        self._right_end = boundary_environment(RIGHT, tensors[-1].legs[2], operators[-1].right, tensors[-1])

    def left(self, site: int) -> Tensor:
        """The environment of the sites left of `site`, legs (bra, op, ket)."""
        start, found = _fresh(self._left_from[1 : site + 1], self.tensors[:site]), None
        while start > 0 and (found := self.store.get(LEFT, start)) is None:
            start -= 1
        environment = self._left_end if found is None else found
        for i in range(start, site):
            environment = absorb_site(LEFT, environment, self.tensors[i], self.operators[i])
            self._keep_left(i + 1, environment)
        return environment

    def right(self, site: int) -> Tensor:
        """The environment of the sites right of `site`, legs (bra, op, ket)."""
        last, found = len(self.tensors) - 1, None
        start = last - _fresh(self._right_from[site:last][::-1], self.tensors[site + 1 :][::-1])
        while start < last and (found := self.store.get(RIGHT, start)) is None:
            start += 1
        environment = self._right_end if found is None else found
        for i in range(start, site, -1):
            environment = absorb_site(RIGHT, environment, self.tensors[i], self.operators[i])
            self._keep_right(i - 1, environment)
        return environment

    def put_left(self, site: int, environment: Tensor) -> None:
        """The sweep goes right and has come to `site`, with left(site) made from left(site - 1)."""
        self._keep_left(site, environment)
        self.store.move(site, True)

    def put_right(self, site: int, environment: Tensor) -> None:
        """The sweep goes left and has come to `site`, with right(site) made from right(site + 1)."""
        self._keep_right(site, environment)
        self.store.move(site - 1, False)

    def _keep_left(self, site: int, environment: Tensor) -> None:
        """Store left(site) as made from the tensor at site - 1; drop its stale mirror."""
        self._left_from[site] = self.tensors[site - 1]
        if self._right_from[site - 1] is not self.tensors[site]:
            self._right_from[site - 1] = None
            self.store.drop(RIGHT, site - 1)
        self.store.put(LEFT, site, environment)

    def _keep_right(self, site: int, environment: Tensor) -> None:
        """Store right(site) as made from the tensor at site + 1; drop its stale mirror."""
        self._right_from[site] = self.tensors[site + 1]
        if self._left_from[site + 1] is not self.tensors[site]:
            self._left_from[site + 1] = None
            self.store.drop(LEFT, site + 1)
        self.store.put(RIGHT, site, environment)


def _fresh(made_from: list[Tensor | None], tensors: list[Tensor]) -> int:
    """How many steps, counted from the end of the chain, were made from the tensors now in place."""
    if all(map(is_, made_from, tensors)):
        return len(tensors)
    return next(n for n, (a, b) in enumerate(zip(made_from, tensors, strict=True)) if a is not b)
