"""The energy of a state of one symmetric tensor and its gradient, as a function of the numbers in the tensor."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tnsim.algorithms.peps.variational.minimization import EnergyCertificate, certificate
from tnsim.algorithms.peps.variational.norm_metric import inverse_metric
from tnsim.algorithms.peps.variational.symmetric_energy import SymmetricTerms
from tnsim.algorithms.peps.variational.symmetric_environment import SymmetricEnvironment, hole, symmetrised
from tnsim.errors import SettingsError, ShapeError, check_fields
from tnsim.linalg import Truncation
from tnsim.linalg.anderson import Anderson
from tnsim.linalg.gmres import LinearSolution
from tnsim.linalg.gradient import FixedPointGradient, fixed_point
from tnsim.linalg.lbfgs import Metric
from tnsim.networks.peps import InfinitePEPS
from tnsim.networks.self_dual import is_self_dual
from tnsim.networks.sites import Site
from tnsim.tensor import Tensor, contract, from_dense
from tnsim.tensor.gradient import unit
from tnsim.tensor.tape import checkpoint, value_and_gradient

GRADIENTS = ("fixed point", "unrolled")
# steps after which a fixed point that is not found is looked for in the leading eigenvectors again
_AGAIN = 40
# tolerances of environment and gradient while the slope is large: in units of it, and at most
_TOL, _GRADIENT_TOL = (1e-3, 1e-5), (3e-3, 1e-4)
# far from the fixed point mixing may lead to another one
_MIX_BELOW = 1e-2


@dataclass(frozen=True, kw_only=True)
class EnvironmentSettings:
    """How precisely the environment of a state is found at every evaluation, and how gradients go through it."""

    chi_max: int = field(metadata={"help": "bond dimension of the environment"})
    svd_min: float = field(default=1e-8, metadata={"help": "drop values of the corner below this"})
    tol: float = field(default=1e-9, metadata={"help": "converged: a step changes corner and edge by less"})
    max_steps: int = field(default=150, metadata={"help": "most steps at an evaluation"})
    grow_steps: int = field(default=12, metadata={"help": "steps with a decomposition of the whole corner at a start"})
    gradient: str = field(default="fixed point", metadata={"help": f"one of {', '.join(GRADIENTS)}"})
    unrolled: int = field(default=16, metadata={"help": "steps that an unrolled gradient goes through"})
    gradient_tol: float = field(default=1e-8, metadata={"help": "residual of the linear system of the gradient"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.gradient not in GRADIENTS:
            raise SettingsError(f"gradient is {' or '.join(GRADIENTS)}, found {self.gradient!r}.")
        counts = (self.chi_max, self.max_steps, self.grow_steps, self.unrolled)
        if min(counts) < 1 or not (self.tol > 0 and self.gradient_tol > 0 and 0 <= self.svd_min < 1):
            raise SettingsError("chi_max, steps and unrolled are at least 1, tolerances above 0, svd_min in [0, 1).")

    def aimed(self, slope: float) -> "EnvironmentSettings":
        """No more precise than a gradient of this norm needs; energies err by the square of the environment's error."""
        tol, gradient_tol = (min(share * slope, most) for share, most in (_TOL, _GRADIENT_TOL))
        return replace(self, tol=max(self.tol, tol), gradient_tol=max(self.gradient_tol, gradient_tol))

    @property
    def noise(self) -> float:
        """What energies are uncertain by, roughly."""
        return 1e-2 * self.tol

    @property
    def truncation(self) -> Truncation:
        """Of the grown corner; a multiplet is kept whole."""
        return Truncation(chi_max=self.chi_max, svd_min=self.svd_min, degeneracy_tol=1e-8)


@dataclass(frozen=True, eq=False)
class Converged:
    """An environment, how much the last step changed it, and how many there were."""

    environment: SymmetricEnvironment
    change: float
    steps: int

    @property
    def chi(self) -> int:
        """The bond dimension of the environment."""
        return self.environment.chi


def converged(site: Tensor, start: SymmetricEnvironment | None, settings: EnvironmentSettings) -> Converged:
    """The environment of a tensor, from a near one or from nothing; steps are mixed (Anderson) near the end."""
    environment, steps = start, 0
    if environment is None or environment.basis is None:
        environment = SymmetricEnvironment.start(site)
        for _ in range(settings.grow_steps):
            environment = environment.grown(site, settings.truncation)
        steps = settings.grow_steps
    mixing, change = Anderson(site.backend), float("inf")
    for number in range(settings.max_steps):
        if number and number % _AGAIN == 0:
            # the values that the bond is cut between may have changed places
            environment = environment.grown(site, settings.truncation)
            mixing.forget()
        image, steps = environment.grown(site), steps + 1
        before, change = change, image.apart(environment)
        if change < settings.tol:
            return Converged(image, change, steps)
        if change > _MIX_BELOW or change > 3 * before:
            mixing.forget()
            environment = image
        else:
            environment = _mixed(mixing, environment, image)
    return Converged(environment, change, steps)


def _mixed(mixing: Anderson, environment: SymmetricEnvironment, image: SymmetricEnvironment) -> SymmetricEnvironment:
    join = mixing.backend.concatenate
    flat = mixing.next(*(join([each.corner.data, each.edge.data]) for each in (environment, image)))
    size = image.corner.size
    corner, edge = Tensor(image.corner.legs, flat[:size]), Tensor(image.edge.legs, flat[size:])
    return SymmetricEnvironment(unit(corner), unit(edge), image.basis)


class SymmetricProblem:
    """Energy and gradient at the numbers of one tensor; the environment of the last evaluation starts the next.

    A tensor is what its numbers are up to a factor and to what the symmetries of the square take away.
    """

    def __init__(self, terms: SymmetricTerms, like: Tensor, site: Site, settings: EnvironmentSettings) -> None:
        if len({leg.with_flow(1) for leg in like.legs[:4]}) != 1 or not is_self_dual(like.group):
            raise ShapeError(f"a symmetric tensor has four equal bonds without direction, found {like!r}.")
        if like.dtype.kind == "c":
            raise ShapeError(f"a symmetric tensor is real, found {like!r}: take a general cell.")
        self.terms, self.like, self.site, self.settings = terms, like, site, settings
        self.last: Converged | None = None
        self.linear: LinearSolution | None = None
        self.precision = settings

    def aim(self, slope: float) -> float:
        """Evaluate as precisely as a gradient of this norm needs; what energies are uncertain by then."""
        self.precision = self.settings.aimed(slope)
        return self.precision.noise

    def tensors(self, point: np.ndarray) -> tuple[Tensor, ...]:
        """The tensor, of norm 1."""
        data = self.like.backend.asarray(point.astype(self.like.dtype))
        return (unit(symmetrised(Tensor(self.like.legs, data, self.like.charge))),)

    def point(self, tensors: tuple[Tensor, ...]) -> np.ndarray:
        """The numbers of a tensor."""
        (site,) = tensors
        return site.backend.to_host(unit(symmetrised(site)).data).astype(np.float64)

    def __call__(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy per site, and its gradient."""
        (site,) = self.tensors(point)
        start = self.last.environment if self.last is not None else None
        self.last = converged(site, start, self.precision)
        energy, (gradient,) = value_and_gradient(self._energy, site)
        host = site.backend.to_host(symmetrised(gradient).data).astype(np.float64)
        size = float(np.linalg.norm(point))
        along = point / size
        return energy, (host - along * (along @ host)) / size

    def metric(self) -> Metric:
        """The inverse of what the norm tells of changes of the tensor, around the last environment."""
        assert self.last is not None
        inverse = inverse_metric(hole(self.last.environment))

        def apply(point: np.ndarray) -> np.ndarray:
            data = self.like.backend.asarray(point.astype(self.like.dtype))
            found = inverse(Tensor(self.like.legs, data, self.like.charge))
            return found.backend.to_host(symmetrised(found).data).astype(np.float64)

        return apply

    def certified(self, point: np.ndarray) -> EnergyCertificate:
        """Energies from environments made anew, at chi_max and at twice that."""
        (site,) = self.tensors(point)
        chi = self.settings.chi_max
        wider = replace(self.settings, chi_max=2 * chi)
        found = [converged(site, None, settings) for settings in (self.settings, wider)]
        energies = [float(self.terms.energy(each.environment, site).item()) for each in found]
        changes = [each.change for each in found]
        return certificate((energies[0], energies[1]), (chi, 2 * chi), changes, self.settings.tol, self.terms.bound())

    def refreshed(self, point: np.ndarray) -> bool:
        """Let the bonds of the environment grow or shrink to what the tensor needs now; whether they do."""
        if self.last is None:
            return False
        (site,) = self.tensors(point)
        environment = self.last.environment.grown(site, self.settings.truncation)
        if environment.edge.legs == self.last.environment.edge.legs:
            return False
        self.last = replace(self.last, environment=environment)
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

    def _energy(self, site: Any) -> Any:
        assert self.last is not None
        environment = self.last.environment

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
            point = fixed_point(step, point, (site,), how, lambda solved: setattr(self, "linear", solved))
        return self.terms.energy(SymmetricEnvironment(*point), site)
