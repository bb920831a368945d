"""The energy of a state with a cell that repeats and its gradient, as a function of the numbers in its tensors."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tnsim.algorithms.peps.star_bound import star_bound
from tnsim.algorithms.peps.variational.cell_energy import CellTerms
from tnsim.algorithms.peps.variational.cell_environment import CellEnvironment
from tnsim.algorithms.peps.variational.cell_pattern import CellPattern
from tnsim.algorithms.peps.variational.environments import (
    Adjoint,
    Converged,
    EnvironmentSettings,
    Followed,
    converge,
)
from tnsim.algorithms.peps.variational.minimization import EnergyCertificate, certificate
from tnsim.algorithms.peps.variational.norm_metric import inverse_metric
from tnsim.linalg.gradient import FixedPointGradient, fixed_point
from tnsim.linalg.lbfgs import Metric
from tnsim.linalg.truncation import wider_chi
from tnsim.networks.peps import InfinitePEPS, PlaneTerms
from tnsim.tensor import Tensor
from tnsim.tensor.gradient import unit
from tnsim.tensor.tape import checkpoint, value_and_gradient


def converged_cell(
    tensors: Sequence[Tensor], pattern: CellPattern, start: CellEnvironment | None, settings: EnvironmentSettings
) -> Converged:
    """The environment of a cell, from a near one or from nothing."""

    def step(now: CellEnvironment) -> CellEnvironment:
        return now.grown(settings.truncation)

    if start is not None:
        return converge(start.with_parts(start.parts(), tensors), step, settings, 0, step)
    environment = CellEnvironment.start(tensors, pattern)
    for _ in range(settings.grow_steps):
        environment = step(environment)
    return converge(environment, step, settings, settings.grow_steps, step)


class CellProblem(Followed):
    """Energy and gradient at the numbers of all tensors.

    Every tensor is what its numbers are up to a factor. Complex numbers count as pairs of real ones.
    """

    def __init__(self, terms: PlaneTerms, like: InfinitePEPS, settings: EnvironmentSettings) -> None:
        super().__init__()
        self.plane, self.terms = terms, CellTerms(terms, like.pattern)
        self.like, self.settings = like, settings
        self.pattern = CellPattern.of(like.pattern)
        self.precision = settings

    def aim(self, slope: float) -> float:
        """Evaluate as precisely as a gradient of this norm needs; what energies are uncertain by then."""
        self.precision = self.settings.aimed(slope)
        return self.precision.noise

    def tensors(self, point: np.ndarray) -> tuple[Tensor, ...]:
        """All tensors, each of norm 1."""
        return tuple(unit(x) for x in tensors_of(point, self.like.tensors))

    def point(self, tensors: Sequence[Tensor]) -> np.ndarray:
        """The numbers of some tensors."""
        return numbers_of([unit(x) for x in tensors])

    def __call__(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy per place, and its gradient."""
        tensors = self.tensors(point)
        near = self.begin(point)
        around = converged_cell(tensors, self.pattern, None if near is None else near.environment, self.precision)
        adjoint = Adjoint(None if near is None else near.adjoint)
        energy, gradients = value_and_gradient(lambda *own: self._energy(around.environment, adjoint, *own), *tensors)
        self.found(point, replace(around, adjoint=adjoint.found), energy)
        return energy, tangent(numbers_of(gradients), point, self.like.tensors)

    def metric(self) -> Metric:
        """The inverse of what the norm tells of changes of every tensor, where the minimisation stands."""
        assert self.last is not None
        inverses = [inverse_metric(site.hole()) for site in self.last.environment.sites]

        def apply(point: np.ndarray) -> np.ndarray:
            tensors = tensors_of(point, self.like.tensors)
            return numbers_of([inverse(tensor) for inverse, tensor in zip(inverses, tensors, strict=True)])

        return apply

    def energy_larger(self, point: np.ndarray) -> float | None:
        """The energy at 3/2 of the bond dimension, in an environment made anew; None where that does not rest."""
        wider = replace(self.precision, chi_max=wider_chi(self.settings.chi_max))
        found = converged_cell(self.tensors(point), self.pattern, None, wider)
        return float(self.terms.energy(found.environment).item()) if found.rests(wider) else None

    def certified(self, point: np.ndarray) -> EnergyCertificate:
        """Energies from environments made anew, at chi_max and at 3/2 of that."""
        tensors, chi = self.tensors(point), self.settings.chi_max
        wider = replace(self.settings, chi_max=wider_chi(chi))
        found = [converged_cell(tensors, self.pattern, None, settings) for settings in (self.settings, wider)]
        energies = [float(self.terms.energy(each.environment).item()) for each in found]
        changes = [each.change for each in found]
        bound = star_bound(self.plane)
        return certificate((energies[0], energies[1]), (chi, wider.chi_max), changes, self.settings.tol, bound)

    def refreshed(self, point: np.ndarray) -> bool:
        """Nothing to do: every step lets the bonds of the environment grow or shrink."""
        return False

    def state(self, point: np.ndarray) -> InfinitePEPS:
        """The state itself."""
        return self.like.with_tensors(self.tensors(point))

    def _energy(self, environment: CellEnvironment, adjoint: Adjoint, *tensors: Any) -> Any:
        count = 8 * len(tensors)
        kept = replace(self.settings.truncation, chi_max=environment.chi)

        def step(point: Sequence[Any], parameters: Sequence[Any]) -> tuple[Any, ...]:
            return environment.with_parts(point, parameters).grown(kept).parts()

        point = environment.parts()
        if self.settings.gradient == "unrolled":
            for _ in range(self.settings.unrolled):
                point = checkpoint(lambda *values: step(values[:count], values[count:]), *point, *tensors)
        else:
            how = FixedPointGradient(tol=self.precision.gradient_tol)
            point = fixed_point(step, point, tensors, how, adjoint.told, adjoint.near)
        return self.terms.energy(environment.with_parts(point, tensors))


def numbers_of(tensors: Sequence[Tensor]) -> np.ndarray:
    """All numbers of some tensors as real ones in a row, on the host."""
    parts = [tensor.backend.to_host(tensor.data) for tensor in tensors]
    wide = [part.astype(np.complex128 if part.dtype.kind == "c" else np.float64) for part in parts]
    return np.concatenate([part.view(np.float64) for part in wide])


def tensors_of(point: np.ndarray, like: Sequence[Tensor]) -> list[Tensor]:
    """The inverse of `numbers_of`, in the structure of other tensors."""
    found, start = [], 0
    for tensor in like:
        size = tensor.size * (2 if tensor.dtype.kind == "c" else 1)
        part = np.ascontiguousarray(point[start : start + size])
        part = part.view(np.complex128) if tensor.dtype.kind == "c" else part
        data = tensor.backend.asarray(part.astype(tensor.dtype))
        found.append(Tensor(tensor.legs, data, tensor.charge))
        start += size
    return found


def tangent(gradient: np.ndarray, point: np.ndarray, like: Sequence[Tensor]) -> np.ndarray:
    """The gradient by numbers from that by tensors of norm 1: without what would only scale a tensor."""
    result, start = np.empty_like(gradient), 0
    for tensor in like:
        size = tensor.size * (2 if tensor.dtype.kind == "c" else 1)
        own = slice(start, start + size)
        norm = float(np.linalg.norm(point[own]))
        along = point[own] / norm
        result[own] = (gradient[own] - along * (along @ gradient[own])) / norm
        start += size
    return result
