"""Left and right environments of <psi|H|psi>, cached with what they were made from."""

from collections.abc import Sequence
from operator import is_

import numpy as np

from tnsim.errors import BackendError, LegError, ShapeError
from tnsim.networks.effective import absorb_site
from tnsim.networks.effective_plans import LEFT, RIGHT, environment_legs
from tnsim.networks.site_operator import SiteOperator
from tnsim.symmetry import Leg
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


class Environments:
    """All environments of one state and one MPO.

    left(i) holds sites 0..i-1, right(i) sites i+1..L-1. Site tensors are replaced, never edited, so an entry
    is fresh as long as the tensors it was made from are still in place; what lies beyond a stale entry is
    made again. The sites on the environment's side must be isometric (canonical form).
    """

    def __init__(self, tensors: list[Tensor], operators: Sequence[SiteOperator]) -> None:
        if len(tensors) != len(operators):
            raise ShapeError(f"the state has {len(tensors)} sites, the MPO {len(operators)}: they must agree.")
        check_legs(tensors, [operator.phys for operator in operators])
        if len({tensor.backend.name for tensor in tensors}) > 1:
            raise BackendError("the site tensors of a state must lie on one backend: use psi.to(...).")
        self.tensors, self.operators = tensors, tuple(operators)
        length = len(tensors)
        # environment of every site, and the site tensor that its last step absorbed
        self._left: list[Tensor | None] = [None] * length
        self._right: list[Tensor | None] = [None] * length
        self._left_from: list[Tensor | None] = [None] * length
        self._right_from: list[Tensor | None] = [None] * length
        self._left[0] = boundary_environment(LEFT, tensors[0].legs[0], operators[0].left, tensors[0])
        self._right[-1] = boundary_environment(RIGHT, tensors[-1].legs[2], operators[-1].right, tensors[-1])

    def left(self, site: int) -> Tensor:
        """The environment of the sites left of `site`, legs (bra, op, ket)."""
        start = _fresh(self._left_from[1 : site + 1], self.tensors[:site])
        for i in range(start, site):
            self.put_left(i + 1, absorb_site(LEFT, self._left[i], self.tensors[i], self.operators[i]))  # type: ignore[arg-type]
        return self._left[site]  # type: ignore[return-value]

    def right(self, site: int) -> Tensor:
        """The environment of the sites right of `site`, legs (bra, op, ket)."""
        last = len(self.tensors) - 1
        start = last - _fresh(self._right_from[site:last][::-1], self.tensors[site + 1 :][::-1])
        for i in range(start, site, -1):
            self.put_right(i - 1, absorb_site(RIGHT, self._right[i], self.tensors[i], self.operators[i]))  # type: ignore[arg-type]
        return self._right[site]  # type: ignore[return-value]

    def put_left(self, site: int, environment: Tensor) -> None:
        """Store left(site) as made from left(site - 1) and the tensor at site - 1; drop its stale mirror."""
        self._left[site], self._left_from[site] = environment, self.tensors[site - 1]
        if self._right_from[site - 1] is not self.tensors[site]:
            self._right[site - 1] = self._right_from[site - 1] = None

    def put_right(self, site: int, environment: Tensor) -> None:
        """Store right(site) as made from right(site + 1) and the tensor at site + 1; drop its stale mirror."""
        self._right[site], self._right_from[site] = environment, self.tensors[site + 1]
        if self._left_from[site + 1] is not self.tensors[site]:
            self._left[site + 1] = self._left_from[site + 1] = None


def _fresh(made_from: list[Tensor | None], tensors: list[Tensor]) -> int:
    """How many steps, counted from the end of the chain, were made from the tensors now in place."""
    if all(map(is_, made_from, tensors)):
        return len(tensors)
    return next(n for n, (a, b) in enumerate(zip(made_from, tensors, strict=True)) if a is not b)
