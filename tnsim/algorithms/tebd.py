"""Time-evolving block decimation: gates on neighbouring sites, all even bonds and all odd bonds in turn.

Sources: G. Vidal, Phys. Rev. Lett. 93, 040502 (2004); S. R. White, A. E. Feiguin, Phys. Rev. Lett. 93, 076401 (2004).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import expm

from tnsim.algorithms.evolution import Evolution, check_hermitian, check_start, evolving_dtype, middle_entropy
from tnsim.algorithms.splitting import SPLITTINGS, constant_parts, join_steps, stage_lengths
from tnsim.errors import OperatorError, SettingsError, ShapeError
from tnsim.measure.expectation import expect_mpo
from tnsim.networks.canonical import canonicalize
from tnsim.networks.center_move import move_left, move_right
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.pair_terms import Pair, pair_terms
from tnsim.networks.two_site_gate import TwoSiteGate, TwoSites, two_site_gate
from tnsim.networks.two_site_split import choose_method, split_two_site

TimeDependent = Callable[[float], OperatorSum]
SPLITS = ("auto", "leading", "gram", "svd")


@dataclass(frozen=True, kw_only=True)
class TEBD(Evolution):
    """Time evolution by gates, of sums of terms on neighbouring sites: `TEBD(...).run(H, psi, time=...)`.

    H: an OperatorSum, or a function of the time that returns one. The error of a step is O(dt^(order + 1)) times
    nested commutators of neighbouring terms, that of a time O(dt^order); each cut adds sqrt(discarded weight) at
    most. Cost of a step: 1.5 cuts a bond for order 2 (1 where steps join), 5.5 (5) for order 4, each O(chi^3 d^3).

    >>> from tnsim.linalg import Truncation
    >>> from tnsim.networks.sites import spin_sites
    >>> psi, H = MPS.product(spin_sites(4), ["up", "down"] * 2), OperatorSum()
    >>> for i in range(3):
    ...     H += 0.5, "S+", i, "S-", i + 1
    ...     H += 0.5, "S-", i, "S+", i + 1
    >>> evolved = TEBD(dt=0.1, truncation=Truncation(chi_max=8)).run(H, psi, time=1.0)
    >>> evolved.status.name, abs(evolved.history[-1].energy_drift) < 1e-6
    ('finished', True)
    """

    order: int = field(default=4, metadata={"help": "of the splitting: 1, 2 or 4"})
    splitting: str = field(
        default="optimized",
        metadata={"help": "of order 4: optimized (Barthel and Zhang) or suzuki", "choices": SPLITTINGS},
    )
    split: str = field(
        default="auto",
        metadata={"help": "leading, gram or svd; auto is leading where svd_min allows it", "choices": SPLITS},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        stage_lengths(self.order, self.splitting)
        if self.split not in SPLITS:
            raise SettingsError(f"split must be one of {SPLITS}, found {self.split!r}.")

    def propagator(self, H: OperatorSum | TimeDependent, psi: MPS) -> "GateEvolution":
        """The state under its gates. Raises OperatorError, ShapeError, ChargeError or StateError for wrong input."""
        return GateEvolution(self, H, psi)


class GateEvolution:
    """A finite state under layers of gates: tensors of norm 1 with a centre, and the norm beside them."""

    def __init__(self, settings: TEBD, H: OperatorSum | TimeDependent, psi: MPS) -> None:
        _check_kinds(H, psi)
        self.settings, self.hamiltonian, self._sites = settings, H, psi.sites
        self.conserves = isinstance(H, OperatorSum) and not settings.imaginary and not settings.non_hermitian
        check_start(psi)
        terms = self._terms(self._at(0.0))
        dtype = evolving_dtype(settings, psi.dtype, *(matrix.dtype for matrix in terms.values()))
        psi = canonicalize(psi.astype(dtype), psi.center or 0)
        self._norm = 1.0 if settings.imaginary else psi.norm()
        self._tensors, self._center = (psi / psi.norm()).tensors, psi.center or 0
        self._method = choose_method(settings.split, settings.truncation, dtype)
        self._layers: dict[tuple[int, float], list[tuple[int, TwoSiteGate]]] = {}
        self._constant = terms if isinstance(H, OperatorSum) else None
        self._mpo: MPO | None = None
        self._weight = self._log_norm = 0.0

    @property
    def state(self) -> MPS:
        """The state, with the norm that truncation left of it (1 in imaginary time)."""
        psi = MPS(self._tensors.copy(), self._sites, self._center)
        return psi if self._norm == 1.0 else psi * self._norm

    def energy(self, time: float) -> float | None:
        """<H> at a time; cost O(L chi^3 d w)."""
        if self.settings.non_hermitian:
            return None
        if self._mpo is None or self._constant is None:
            self._mpo = self._at(time).mpo(self._sites).to(self._tensors[0].backend)
        return complex(expect_mpo(self._mpo, MPS(self._tensors.copy(), self._sites, self._center))).real

    def entropy(self) -> float:
        """Von Neumann entropy at the middle bond."""
        return middle_entropy(MPS(self._tensors.copy(), self._sites, self._center))

    def advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Some steps; where H is constant, the stages at their ends join."""
        self._weight = self._log_norm = 0.0
        step = stage_lengths(self.settings.order, self.settings.splitting)
        if self._constant is not None:
            self._run(self._constant, join_steps([step] * steps), dt)
        else:
            for number in range(steps):
                for H, duration in constant_parts(self._at, time + number * dt, dt, self.settings.order):
                    self._layers.clear()
                    self._run(self._terms(H), step, duration)
        if not self.settings.imaginary:
            self._norm *= float(np.exp(self._log_norm))
        return self._weight, self._log_norm

    def _at(self, time: float) -> OperatorSum:
        """The sum at a time."""
        H = self.hamiltonian if isinstance(self.hamiltonian, OperatorSum) else self.hamiltonian(time)
        if not isinstance(H, OperatorSum):
            raise OperatorError(f"H(t) must return an OperatorSum, found {type(H).__name__} at time {time:.6g}.")
        return H

    def _terms(self, H: OperatorSum) -> dict[Pair, np.ndarray]:
        """Matrices of all bonds, checked."""
        terms, hermitian = pair_terms(H, self._sites)
        check_hermitian(self.settings, hermitian)
        far = next((pair for pair in terms if pair[1] - pair[0] > 1), None)
        if far is not None:
            raise OperatorError(f"TEBD takes terms on neighbouring sites, found one on the sites {far}: use TDVP.")
        return terms

    def _run(self, terms: dict[Pair, np.ndarray], stages: tuple[float, ...], dt: float) -> None:
        """Even and odd bonds in turn."""
        for number, length in enumerate(stages):
            key = number % 2, length * dt
            if key not in self._layers:
                self._layers[key] = self._gates(terms, *key)
            if self._layers[key]:
                self._layer(self._layers[key])

    def _gates(self, terms: dict[Pair, np.ndarray], parity: int, tau: float) -> list[tuple[int, TwoSiteGate]]:
        """The exponentials on all even or all odd bonds; equal ones are made once."""
        known: dict[tuple, TwoSiteGate] = {}
        gates = []
        for bond in range(parity, len(self._sites) - 1, 2):
            sites, matrix = self._sites[bond : bond + 2], terms[bond, bond + 1]
            key = (*(site.leg for site in sites), matrix.tobytes())
            if key not in known:
                known[key] = two_site_gate(exponential(self.settings.generator * tau, matrix), sites)
            gates.append((bond, known[key]))
        return gates

    def _layer(self, gates: list[tuple[int, TwoSiteGate]]) -> None:
        """Gates that do not overlap, from the end that is nearer to the centre; it stays near the other end."""
        rightwards = abs(self._center - gates[0][0]) <= abs(self._center - gates[-1][0] - 1)
        ordered = gates if rightwards else gates[::-1]
        for number, (bond, gate) in enumerate(ordered):
            self._move(bond)
            turns = number == len(ordered) - 1  # the next layer comes back
            self._apply(bond, gate, rightwards != turns)

    def _move(self, bond: int) -> None:
        """Bring the centre to one of the sites of a bond."""
        tensors = self._tensors
        while self._center < bond:
            here = slice(self._center, self._center + 2)
            tensors[here] = move_right(*tensors[here])
            self._center += 1
        while self._center > bond + 1:
            here = slice(self._center - 1, self._center + 1)
            tensors[here] = move_left(*tensors[here])
            self._center -= 1

    def _apply(self, bond: int, gate: TwoSiteGate, rightwards: bool) -> None:
        """One gate and its cut."""
        first, second = self._tensors[bond : bond + 2]
        pair = TwoSites(first, second)
        theta = pair.transform(pair.join(first, second), gate)
        if self.settings.imaginary or self.settings.non_hermitian:
            self._log_norm += float(np.log(pair.backend.read(pair.backend.norm(theta))))
        cut = split_two_site(pair, theta, self.settings.truncation, rightwards=rightwards, method=self._method)
        self._tensors[bond], self._tensors[bond + 1] = cut.first, cut.second
        self._center = bond + 1 if rightwards else bond
        self._weight += cut.trunc_err
        self._log_norm += float(np.log1p(-cut.trunc_err)) / 2


def exponential(factor: complex, matrix: np.ndarray) -> np.ndarray:
    """exp(factor * matrix); real where both are."""
    if not np.allclose(matrix, matrix.conj().T, rtol=0, atol=1e-13 * np.abs(matrix).max(initial=0.0)):
        return expm(factor * matrix)
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.exp(factor * values)) @ vectors.conj().T


def _check_kinds(H: OperatorSum | TimeDependent, psi: MPS) -> None:
    if not isinstance(psi, MPS) or not (isinstance(H, OperatorSum) or callable(H)):
        raise OperatorError(
            "TEBD takes an OperatorSum, or a function of the time that returns one, and an MPS, found "
            f"{type(H).__name__} and {type(psi).__name__}."
        )
    if psi.L < 2:
        raise ShapeError(f"TEBD needs at least 2 sites, found {psi.L}.")
