"""The energy of a state of one symmetric tensor and its gradient, as a function of the numbers in the tensor."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tnsim.algorithms.peps.star_bound import star_bound
from tnsim.algorithms.peps.variational.environments import (
    Adjoint,
    Converged,
    EnvironmentSettings,
    Followed,
    converge,
)
from tnsim.algorithms.peps.variational.minimization import EnergyCertificate, certificate
from tnsim.algorithms.peps.variational.norm_metric import inverse_metric
from tnsim.algorithms.peps.variational.symmetric_energy import SymmetricTerms
from tnsim.algorithms.peps.variational.symmetric_environment import SymmetricEnvironment, hole, symmetrised
from tnsim.errors import ShapeError
from tnsim.linalg.gradient import FixedPointGradient, fixed_point
from tnsim.linalg.lbfgs import Metric
from tnsim.linalg.truncation import wider_chi
from tnsim.networks.peps import InfinitePEPS
from tnsim.networks.self_dual import is_self_dual
from tnsim.networks.sites import Site
from tnsim.tensor import Tensor, contract, from_dense
from tnsim.tensor.gradient import unit
from tnsim.tensor.tape import checkpoint, value_and_gradient

# steps of the bond dimension asked for, of those that a new environment begins with
_WIDE_STEPS = 3


def converged(site: Tensor, start: SymmetricEnvironment | None, settings: EnvironmentSettings) -> Converged:
    """The environment of a tensor, from a near one or from nothing."""
    environment, steps = start, 0
    if environment is None or environment.basis is None:
        environment = SymmetricEnvironment.start(site)
        # most of the way with half of the bonds, where steps cost an eighth; the last ones find the others
        narrow = replace(settings, chi_max=max(1, settings.chi_max // 2)).truncation
        for number in range(settings.grow_steps):
            wide = number >= settings.grow_steps - _WIDE_STEPS
            environment = environment.grown(site, settings.truncation if wide else narrow)
        steps = settings.grow_steps

    def again(now: SymmetricEnvironment) -> SymmetricEnvironment:
        # the values that the bond is cut between may have changed places
        return now.grown(site, settings.truncation)

    return converge(environment, lambda now: now.grown(site), settings, steps, again)


class SymmetricProblem(Followed):
    """Energy and gradient at the numbers of one tensor.

    A tensor is what its numbers are up to a factor and to what the symmetries of the square take away; project: to
    tensors that are varied, those or fewer.
    """

    def __init__(
        self,
        terms: SymmetricTerms,
        like: Tensor,
        site: Site,
        settings: EnvironmentSettings,
        project: Callable[[Tensor], Tensor] = symmetrised,
    ) -> None:
        if len({leg.with_flow(1) for leg in like.legs[:4]}) != 1 or not is_self_dual(like.group):
            raise ShapeError(f"a symmetric tensor has four equal bonds without direction, found {like!r}.")
        if like.dtype.kind == "c":
            raise ShapeError(f"a symmetric tensor is real, found {like!r}: take a general cell.")
        super().__init__()
        self.terms, self.like, self.site, self.settings = terms, like, site, settings
        self.precision = settings
        self.project = project

    def aim(self, slope: float) -> float:
        """Evaluate as precisely as a gradient of this norm needs; what energies are uncertain by then."""
        self.precision = self.settings.aimed(slope)
        return self.precision.noise

    def tensors(self, point: np.ndarray) -> tuple[Tensor, ...]:
        """The tensor, of norm 1."""
        data = self.like.backend.asarray(point.astype(self.like.dtype))
        return (unit(self.project(Tensor(self.like.legs, data, self.like.charge))),)

    def point(self, tensors: tuple[Tensor, ...]) -> np.ndarray:
        """The numbers of a tensor."""
        (site,) = tensors
        return site.backend.to_host(unit(self.project(site)).data).astype(np.float64)

    def __call__(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy per site, and its gradient."""
        (site,) = self.tensors(point)
        near = self.begin(point)
        around = converged(site, None if near is None else near.environment, self.precision)
        adjoint = Adjoint(None if near is None else near.adjoint)
        energy, (gradient,) = value_and_gradient(lambda site: self._energy(around.environment, adjoint, site), site)
        self.found(point, replace(around, adjoint=adjoint.found), energy)
        host = site.backend.to_host(self.project(gradient).data).astype(np.float64)
        size = float(np.linalg.norm(point))
        along = point / size
        return energy, (host - along * (along @ host)) / size

    def metric(self) -> Metric:
        """The inverse of what the norm tells of changes of the tensor, where the minimisation stands."""
        assert self.last is not None
        inverse = inverse_metric(hole(self.last.environment))

        def apply(point: np.ndarray) -> np.ndarray:
            data = self.like.backend.asarray(point.astype(self.like.dtype))
            found = inverse(Tensor(self.like.legs, data, self.like.charge))
            return found.backend.to_host(self.project(found).data).astype(np.float64)

        return apply

    def energy_larger(self, point: np.ndarray) -> float | None:
        """The energy at 3/2 of the bond dimension, in an environment made anew; None where that does not rest."""
        (site,) = self.tensors(point)
        wider = replace(self.precision, chi_max=wider_chi(self.settings.chi_max))
        found = converged(site, None, wider)
        return float(self.terms.energy(found.environment, site).item()) if found.rests(wider) else None

    def certified(self, point: np.ndarray) -> EnergyCertificate:
        """Energies from environments made anew, at chi_max and at 3/2 of that."""
        (site,) = self.tensors(point)
        chi = self.settings.chi_max
        wider = replace(self.settings, chi_max=wider_chi(chi))
        found = [converged(site, None, settings) for settings in (self.settings, wider)]
        energies = [float(self.terms.energy(each.environment, site).item()) for each in found]
        changes = [each.change for each in found]
        return certificate(
            (energies[0], energies[1]), (chi, wider.chi_max), changes, self.settings.tol, star_bound(self.terms.plane)
        )

    def refreshed(self, point: np.ndarray) -> bool:
        """Let the bonds of the environment grow or shrink to what the tensor needs now; whether they do."""
        if self.last is None:
            return False
        (site,) = self.tensors(point)
        environment = self.last.environment.grown(site, self.settings.truncation)
        if environment.edge.legs == self.last.environment.edge.legs:
            return False
        self.renewed(replace(self.last, environment=environment))
        return True

    def state(self, point: np.ndarray) -> InfinitePEPS:
        """One tensor, or two of which the second is turned."""
        (tensor,) = self.tensors(point)
        turn = self.terms.turn
        if turn is None:
            return InfinitePEPS([tensor], [[0]], [self.site])
        leg = tensor.legs[4]
        # the terms were turned so that all tensors are alike: the state itself is turned back
        back = from_dense(turn.conj().astype(tensor.dtype), (leg.dual, leg)).to(tensor.backend)
        other = contract("n e s w p, p q -> n e s w q", tensor, back)
        return InfinitePEPS([tensor, other], [[0, 1], [1, 0]], [self.site] * 2)

    def _energy(self, environment: SymmetricEnvironment, adjoint: Adjoint, site: Any) -> Any:
        def step(point: tuple[Any, ...], parameters: tuple[Any, ...]) -> tuple[Any, ...]:
            corner, edge = point
            grown = SymmetricEnvironment(corner, edge, environment.basis).grown(parameters[0])
            return grown.corner, grown.edge

        point: tuple[Any, ...] = environment.corner, environment.edge
        if self.settings.gradient == "unrolled":
            for _ in range(self.settings.unrolled):
                point = checkpoint(lambda *values: step(values[:2], values[2:]), *point, site)
        else:
            how = FixedPointGradient(tol=self.precision.gradient_tol)
            point = fixed_point(step, point, (site,), how, adjoint.told, adjoint.near)
        return self.terms.energy(SymmetricEnvironment(*point), site)
