"""Time evolution in a Krylov space of whole states: psi, H psi, H^2 psi, ..., each an MPS.

Source: S. Paeckel, T. Koehler, A. Swoboda, S. R. Manmana, U. Schollwoeck, C. Hubig, Ann. Phys. 411, 167998 (2019),
section 5.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import expm

from tnsim.algorithms.evolution.evolution import Evolution, check_krylov
from tnsim.algorithms.evolution.whole_state import WholeState
from tnsim.errors import SettingsError
from tnsim.measure.operator import expect_mpo, shifted
from tnsim.networks.apply import apply_with_weight, check_method
from tnsim.networks.canonical import canonicalize
from tnsim.networks.compress import compress
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS, overlap


@dataclass(frozen=True, kw_only=True)
class KrylovEvolution(Evolution):
    """Time evolution in Krylov spaces of whole states: `KrylovEvolution(...).run(H, psi, time=...)`, H an MPO.

    There is no splitting: the error of a step is `krylov_tol`, for terms of any range and any dt, and that of the cuts.
    The states of the space need larger bond dimensions than the evolved one: this is for checks, and for long steps
    where cuts are small. A step that krylov_max states do not reach is cut into shorter ones. Cost of a step: n
    products with H, O(L d chi^3 w) each, and 3 n sums, O(L d chi^3) each, for n states.

    >>> from tnsim.linalg import Truncation
    >>> from tnsim.networks.operator_sum import OperatorSum, plus_hc
    >>> from tnsim.networks.sites import spin_sites
    >>> sites, H = spin_sites(4), OperatorSum()
    >>> for i in range(4):
    ...     for j in range(i):
    ...         H += plus_hc(0.5 / (i - j) ** 2, "S+", i, "S-", j)
    >>> psi = MPS.product(sites, ["up", "down"] * 2)
    >>> evolved = KrylovEvolution(dt=0.5, truncation=Truncation(chi_max=8)).run(H.mpo(sites), psi, time=1.0)
    >>> evolved.status.name, abs(evolved.history[-1].energy_drift) < 1e-6
    ('finished', True)
    """

    krylov_tol: float = field(default=1e-8, metadata={"help": "error of a step, relative to the norm"})
    krylov_max: int = field(default=12, metadata={"help": "most states in one Krylov space"})
    apply: str = field(
        default="zip-up", metadata={"help": "how H is applied: zip-up, variational, density-matrix, src or svd"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_method(self.apply)
        if self.step_tol:
            raise SettingsError("a Krylov space has no splitting error: its error is krylov_tol, leave step_tol out.")
        check_krylov(self.krylov_tol, self.krylov_max)

    def propagator(self, H: MPO, psi: MPS) -> "StateKrylov":
        """The state in its spaces. Raises OperatorError, ShapeError, LegError, BackendError or StateError for wrong
        input."""
        return StateKrylov(self, H, psi)


class StateKrylov(WholeState):
    """A state in one Krylov space after the other."""

    settings: KrylovEvolution
    order = 1  # there is no splitting

    def advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Some steps, each in as many parts as it takes."""
        self._weight = self._log_norm = 0.0
        for _ in range(steps):
            left = dt
            while abs(left) > 1e-12 * abs(dt):
                left -= self._part(left)
        if not self.settings.imaginary:
            self._norm *= float(np.exp(self._log_norm))
        return self._weight, self._log_norm

    def _part(self, dt: float) -> float:
        """One Krylov space; the time that it reached."""
        energy = complex(expect_mpo(self.hamiltonian, self._psi)).real
        space = _Space(self.settings, shifted(self.hamiltonian, energy), self._psi)
        generator = self.settings.generator
        while True:
            space.extend()
            weights, error, allowed = space.exponential(generator * dt)
            if error <= allowed or space.is_closed:
                break
            if len(space.states) == self.settings.krylov_max:
                while error > allowed:
                    dt *= max(0.2, min(0.9, 0.8 * (allowed / error) ** (1 / len(weights))))
                    weights, error, allowed = space.exponential(generator * dt)
                break
        psi, cut = space.combine(weights)
        self._replace(psi, cut, generator * dt * energy)
        return dt


class _Space:
    """States that span psi, A psi, A^2 psi, ..., nearly orthonormal, with their overlaps and matrix elements."""

    def __init__(self, settings: KrylovEvolution, operator: MPO, psi: MPS) -> None:
        self.settings, self.operator = settings, operator
        self.states, self.cuts = [psi], [0.0]
        self.images: list[MPS] = []
        self.outside = 0.0  # norm of what the last product leads to outside of the space
        self.is_closed = False
        self._next: MPS | None = None
        self._gram = self._matrix = np.zeros((0, 0), dtype=np.complex128)

    def extend(self) -> None:
        """One more product, and the state that it adds for the next one."""
        truncation = self.settings.truncation
        if self._next is not None:
            self.states.append(self._next)
        image, cut = apply_with_weight(self.operator, self.states[-1], truncation, self.settings.apply)
        self.images.append(image)
        self._gram = self._bordered(self._gram, self.states)
        self._matrix = self._bordered(self._matrix, self.images)
        rest, scale = image, image.norm()
        # under a Hermitian operator the others are orthogonal but for the cuts, which the overlaps take care of
        for state in reversed(self.states[0 if self.settings.non_hermitian else -2 :]):
            rest, more = compress(rest + state * -overlap(state, rest), truncation)
            cut += more
        self.outside = rest.norm()
        self.is_closed = self.outside <= 30 * float(np.finfo(rest.dtype).eps) * max(scale, 1e-300)
        self._next = None if self.is_closed else rest / self.outside
        self.cuts.append(cut)

    def _bordered(self, table: np.ndarray, kets: list[MPS]) -> np.ndarray:
        """Overlaps of all states with `kets`, of which the last of both are new."""
        count = len(kets)
        result = np.zeros((count, count), dtype=np.complex128)
        result[:-1, :-1] = table
        result[-1] = [overlap(self.states[-1], ket) for ket in kets]
        result[:-1, -1] = [overlap(state, kets[-1]) for state in self.states[:-1]]
        return result

    def exponential(self, z: complex) -> tuple[np.ndarray, float, float]:
        """exp(z A) psi in terms of the states, an estimate of its error relative to its norm, and what that may be.

        The cuts of the states set a limit beyond which more states, or shorter steps, bring nothing.
        """
        matrix = np.linalg.solve(self._gram, self._matrix)
        count = len(matrix)
        joined = np.zeros((count + 1, count + 1), dtype=np.complex128)
        joined[:count, :count], joined[0, count] = z * matrix, 1
        whole = expm(joined)
        weights = whole[:count, 0]
        cuts = float(np.sqrt(np.abs(weights[1:]) ** 2 @ self.cuts[1:count]))
        rounding = 30 * float(np.finfo(self.states[0].dtype).eps)
        allowed = max(self.settings.krylov_tol, rounding, cuts)
        return weights, float(abs(z * self.outside * whole[count - 1, count]) / np.linalg.norm(weights)), allowed

    def combine(self, weights: np.ndarray) -> tuple[MPS, float]:
        """The sum of the states with weights, and the discarded weight."""
        real = self.states[0].dtype.kind != "c"
        numbers = weights.real.tolist() if real else weights.tolist()
        total, lost = self.states[0] * numbers[0], 0.0
        for number, state, cut in zip(numbers[1:], self.states[1:], self.cuts[1:], strict=False):
            total, more = compress(total + state * number, self.settings.truncation)
            lost += more + abs(number) ** 2 * cut
        return canonicalize(total, 0), lost
