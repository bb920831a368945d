"""Environments of states whose energy is minimised: how they converge, and which one an evaluation begins at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from tnsim.errors import SettingsError, check_fields
from tnsim.linalg import Truncation
from tnsim.linalg.anderson import Anderson
from tnsim.linalg.gmres import LinearSolution
from tnsim.tensor import Tensor
from tnsim.tensor.gradient import unit

GRADIENTS = ("fixed point", "unrolled")
# steps after which a fixed point that is not found is looked for in another way
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


class Adjoint:
    """What the linear system of a gradient is solved for: near the one of a similar state, where that is known."""

    def __init__(self, near: tuple[Tensor, ...] | None = None) -> None:
        self.near, self.found = near, near

    def told(self, found: tuple[Tensor, ...], how: LinearSolution) -> None:
        """What was found."""
        self.found = found if how.converged else None


class Surroundings(Protocol):
    """Tensors around a state that a step maps to new ones."""

    @property
    def chi(self) -> int: ...
    def parts(self) -> tuple[Any, ...]: ...
    def with_parts(self, parts: Sequence[Any]) -> Any: ...
    def apart(self, other: Any) -> float: ...


E = TypeVar("E", bound=Surroundings)


@dataclass(frozen=True, eq=False)
class Converged:
    """An environment, how much the last step changed it, and how many there were.

    adjoint: what the gradient of its state was solved for, which that of a near one begins at; None before.
    """

    environment: Any
    change: float
    steps: int
    adjoint: tuple[Tensor, ...] | None = None

    @property
    def chi(self) -> int:
        """The bond dimension of the environment."""
        return self.environment.chi

    def rests(self, settings: EnvironmentSettings) -> bool:
        """Whether it is the fixed point."""
        return self.change < settings.tol


def converge(
    environment: E, step: Callable[[E], E], settings: EnvironmentSettings, steps: int, again: Callable[[E], E]
) -> Converged:
    """The fixed point of a step, from something near it; steps are mixed (Anderson) near the end.

    steps: that there were before; again: another step with the same fixed point, every 40 steps.
    """
    mixing, change = Anderson(environment.parts()[0].backend), float("inf")
    for number in range(settings.max_steps):
        if number and number % _AGAIN == 0:
            environment = again(environment)
            mixing.forget()
        image, steps = step(environment), steps + 1
        before, change = change, image.apart(environment)
        if change < settings.tol:
            return Converged(image, change, steps)
        if change > _MIX_BELOW or change > 3 * before:
            mixing.forget()
            environment = image
        else:
            environment = _mixed(mixing, environment, image)
    return Converged(environment, change, steps)


def _mixed(mixing: Anderson, environment: E, image: E) -> E:
    join = mixing.backend.concatenate
    old, new = environment.parts(), image.parts()
    flat, start, parts = mixing.next(join([x.data for x in old]), join([x.data for x in new])), 0, []
    for part in new:
        parts.append(unit(Tensor(part.legs, flat[start : start + part.size], part.charge)))
        start += part.size
    return image.with_parts(parts)


@dataclass(frozen=True, eq=False)
class _Tried:
    """A point that was asked for."""

    point: np.ndarray
    environment: Converged
    energy: float


class Followed:
    """The environment of the point where a minimisation stands, which evaluations of other points begin at.

    Not that of the evaluation before: a trial far away may have one that no step leads back from (a superposition of
    two, which a state that is one of them keeps, or no numbers at all). A point that is asked for again is in doubt:
    its environment is made anew.
    """

    def __init__(self) -> None:
        self.last: Converged | None = None
        self._at: np.ndarray | None = None
        self._tried: list[_Tried] = []

    def begin(self, point: np.ndarray) -> Converged | None:
        """Near which to look for the environment of a point; None where it is to be made anew."""
        again = self._at is not None and np.array_equal(point, self._at)
        return None if again else self.last

    def found(self, point: np.ndarray, environment: Converged, energy: float) -> None:
        """The environment of a point, and the energy in it."""
        # a line search ends at the last point that it asked for, or at the lowest
        made = _Tried(point, environment, energy if np.isfinite(energy) else float("inf"))
        lowest = min([*self._tried, made], key=lambda tried: tried.energy)
        self._tried = [made] if lowest is made else [lowest, made]
        if self._at is None or np.array_equal(point, self._at):
            self.settle(point)

    def settle(self, point: np.ndarray, environment: Converged | None = None) -> None:
        """The minimisation stands at a point, whose environment was found before, or is told."""
        known = [tried.environment for tried in reversed(self._tried) if np.array_equal(tried.point, point)]
        if environment is not None or known:
            self.last, self._at = environment or known[0], point
        self._tried = []

    def renewed(self, environment: Converged) -> None:
        """Another environment of the point where the minimisation stands, which is not in doubt."""
        self.last, self._at = environment, None

    def forgotten(self) -> None:
        """Whatever is asked for next has its environment made anew."""
        self.last, self._at, self._tried = None, None, []
