"""The energy of a finite state and its gradient, as a function of the numbers in its tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tnsim.algorithms.peps.star_bound import star_bound
from tnsim.algorithms.peps.variational.cell_problem import numbers_of, tangent, tensors_of
from tnsim.algorithms.peps.variational.environments import EnvironmentSettings
from tnsim.algorithms.peps.variational.finite_energy import FiniteTerms
from tnsim.algorithms.peps.variational.message_metric import inverse_messages, messages_of
from tnsim.algorithms.peps.variational.minimization import EnergyCertificate, certificate
from tnsim.errors import OperatorError
from tnsim.linalg import Truncation
from tnsim.linalg.lbfgs import Metric
from tnsim.linalg.truncation import wider_chi
from tnsim.networks.peps import PEPS, PlaneTerms
from tnsim.networks.peps.bond_graph import bond_graph
from tnsim.tensor import Tensor
from tnsim.tensor.gradient import unit
from tnsim.tensor.tape import value_and_gradient


@dataclass(frozen=True, kw_only=True)
class Swept:
    """The boundaries of a finite state are made anew at every evaluation, in one sweep: there is nothing to keep."""

    chi: int
    steps: int = 1
    change: float = 0.0


class FiniteProblem:
    """Energy and gradient at the numbers of all tensors of a finite state, each taken with norm 1."""

    def __init__(self, terms: PlaneTerms, like: PEPS, settings: EnvironmentSettings) -> None:
        if terms.shape != like.shape or terms.closed != like.closed:
            raise OperatorError(f"the terms, {terms!r}, do not fit the state, {like!r}.")
        self.terms, self.like, self.settings = terms, like, settings
        self.last: Swept | None = None
        self._at: np.ndarray | None = None  # where the minimisation stands
        self._graph = bond_graph(like.pattern, like.closed)
        self._energies = FiniteTerms(terms, settings.truncation)

    def aim(self, slope: float) -> float:
        """Nothing to choose: boundaries are as precise as they are; rounding of an energy."""
        return 1e-14 * len(self.like.tensors)

    def tensors(self, point: np.ndarray) -> tuple[Tensor, ...]:
        """All tensors, each of norm 1."""
        return tuple(unit(x) for x in tensors_of(point, self.like.tensors))

    def point(self, tensors: Sequence[Tensor]) -> np.ndarray:
        """The numbers of some tensors."""
        return numbers_of([unit(x) for x in tensors])

    def __call__(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy of the whole lattice, and its gradient."""
        energy, gradients = value_and_gradient(lambda *x: self._energies.energy(self._rows(x)), *self.tensors(point))
        self.last = Swept(chi=self.settings.chi_max)
        self._at = point if self._at is None else self._at
        return energy, tangent(numbers_of(gradients), point, self.like.tensors)

    def metric(self) -> Metric:
        """The inverse of what messages tell of the norm around every tensor, where the minimisation stands.

        It follows from the point alone, so that a run that is resumed takes the same steps.
        """
        assert self._at is not None
        tensors = self.tensors(self._at)
        around = messages_of(tensors, self._graph)
        inverses = [inverse_messages(messages, tensor) for messages, tensor in zip(around, tensors, strict=True)]

        def apply(point: np.ndarray) -> np.ndarray:
            parts = tensors_of(point, self.like.tensors)
            return numbers_of([inverse(tensor) for inverse, tensor in zip(inverses, parts, strict=True)])

        return apply

    def energy_larger(self, point: np.ndarray) -> float:
        """The energy through boundaries of 3/2 of the bond dimension."""
        own = self.settings.truncation
        wider = Truncation(chi_max=wider_chi(own.chi_max), svd_min=own.svd_min, degeneracy_tol=own.degeneracy_tol)
        return float(FiniteTerms(self.terms, wider).energy(self._rows(self.tensors(point))).item())

    def certified(self, point: np.ndarray) -> EnergyCertificate:
        """Energies through boundaries of chi_max and of 3/2 of that."""
        chi, rows = self.settings.chi_max, self._rows(self.tensors(point))
        energy = float(self._energies.energy(rows).item())
        found = energy, self.energy_larger(point)
        return certificate(found, (chi, wider_chi(chi)), (0.0,), self.settings.tol, star_bound(self.terms))

    def settle(self, point: np.ndarray, environment: Swept | None = None) -> None:
        """The minimisation stands at a point; evaluations begin at nothing."""
        self.last, self._at = environment or self.last, point

    def forgotten(self) -> None:
        """Nothing to do."""

    def refreshed(self, point: np.ndarray) -> bool:
        """Nothing to do: boundaries are made anew at every evaluation."""
        return False

    def state(self, point: np.ndarray) -> PEPS:
        """The state itself."""
        return self.like.with_tensors(self.tensors(point))

    def _rows(self, tensors: Sequence[Any]) -> list[list[Any]]:
        return [[tensors[n] for n in row] for row in self.like.pattern]
