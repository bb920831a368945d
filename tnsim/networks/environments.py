"""Left and right environments of <psi|H|psi>, cached with what they were made from."""

from collections.abc import Sequence

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
        raise ShapeError(f"the {side} end of an open chain needs legs of dimension 1, found {[leg.dim for leg in legs]}.")
    return Tensor(legs, like.backend.asarray(np.ones(1, dtype=like.dtype)))


class Environments:
    """All environments of one state and one MPO.

    left(i) holds sites 0..i-1, right(i) sites i+1..L-1. Site tensors are replaced, never edited, so an entry
    is fresh as long as the tensors it was made from are still in place; what lies beyond a stale entry is
    made again. The sites on the environment's side must be isometric (canonical form).
    """

    def __init__(self, tensors: list[Tensor], operators: Sequence[SiteOperator]) -> None:
        if len(tensors) != len(operators):
            raise ShapeError(f"the state has {len(tensors)} sites, the MPO {len(operators)}: they must agree.")
        for i, (tensor, operator) in enumerate(zip(tensors, operators, strict=True)):
            if tensor.legs[1] is not operator.phys:
                raise LegError(
                    f"site {i}: the state's physical leg is {tensor.legs[1]!r}, the MPO's {operator.phys!r}; "
                    "make both from the same sites."
                )
        if len({tensor.backend.name for tensor in tensors}) > 1:
            raise BackendError("the site tensors of a state must lie on one backend: use psi.to(...).")
        self.tensors, self.operators = tensors, tuple(operators)
        length = len(tensors)
        self._left: list[tuple[Tensor, Tensor | None] | None] = [None] * length
        self._right: list[tuple[Tensor, Tensor | None] | None] = [None] * length
        self._left[0] = boundary_environment(LEFT, tensors[0].legs[0], operators[0].left, tensors[0]), None
        self._right[-1] = boundary_environment(RIGHT, tensors[-1].legs[2], operators[-1].right, tensors[-1]), None

    def left(self, site: int) -> Tensor:
        """The environment of the sites left of `site`, legs (bra, op, ket)."""
        start = 0
        while start < site and self._is_fresh(self._left[start + 1], start):
            start += 1
        for i in range(start, site):
            environment = absorb_site(LEFT, self._left[i][0], self.tensors[i], self.operators[i])  # type: ignore[index]
            self._left[i + 1] = environment, self.tensors[i]
        return self._left[site][0]  # type: ignore[index]

    def right(self, site: int) -> Tensor:
        """The environment of the sites right of `site`, legs (bra, op, ket)."""
        start = len(self.tensors) - 1
        while start > site and self._is_fresh(self._right[start - 1], start):
            start -= 1
        for i in range(start, site, -1):
            environment = absorb_site(RIGHT, self._right[i][0], self.tensors[i], self.operators[i])  # type: ignore[index]
            self._right[i - 1] = environment, self.tensors[i]
        return self._right[site][0]  # type: ignore[index]

    def _is_fresh(self, entry: tuple[Tensor, Tensor | None] | None, site: int) -> bool:
        return entry is not None and entry[1] is self.tensors[site]

    def put_left(self, site: int, environment: Tensor) -> None:
        """Store left(site) as made by the caller from the tensor at site - 1."""
        self._left[site] = environment, self.tensors[site - 1]

    def put_right(self, site: int, environment: Tensor) -> None:
        """Store right(site) as made by the caller from the tensor at site + 1."""
        self._right[site] = environment, self.tensors[site + 1]
