"""What finite and infinite TEBD share: Hamiltonians as matrices of pairs, their gates, the stages of a step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import expm

from tnsim.algorithms.evolution.evolution import check_hermitian, evolving_dtype
from tnsim.algorithms.evolution.splitting import constant_parts, join_steps, stage_lengths
from tnsim.errors import OperatorError
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.pair_terms import Pair
from tnsim.networks.sites import Site
from tnsim.networks.two_site_gate import TwoSiteGate, two_site_gate

if TYPE_CHECKING:
    from tnsim.algorithms.evolution.tebd import TEBD

TimeDependent = Callable[[float], OperatorSum]
Layer = list[tuple[int, TwoSiteGate]]
Terms = dict[Pair, np.ndarray]
_LAYERS = 256


class GateLayers(ABC):
    """Layers of gates on all even or all odd bonds, one after the other; bond i lies right of site i."""

    def __init__(self, settings: "TEBD", H: OperatorSum | TimeDependent, sites: Sequence[Site]) -> None:
        if not (isinstance(H, OperatorSum) or callable(H)):
            raise OperatorError(
                f"TEBD takes an OperatorSum, or a function of the time that returns one, found {type(H).__name__}."
            )
        self.settings, self.hamiltonian, self._sites = settings, H, tuple(sites)
        self.conserves = isinstance(H, OperatorSum) and not settings.imaginary and not settings.non_hermitian
        self._constant = self._checked(H) if isinstance(H, OperatorSum) else None
        self._layers: dict[tuple[int, float], Layer] = {}
        self._runs_after = 0  # how many runs of stages follow the one under way

    @abstractmethod
    def _matrices(self, H: OperatorSum) -> tuple[Terms, bool]:
        """The terms as a matrix for every pair of sites, and whether they are Hermitian."""

    @abstractmethod
    def _apply_layer(self, gates: Layer) -> None:
        """Gates that do not overlap."""

    def _dtype(self, state_dtype: np.dtype) -> np.dtype:
        """That of the state under gates; an H that depends on time may become complex."""
        if self._constant is None:
            return np.result_type(state_dtype, np.complex64)
        return evolving_dtype(self.settings, state_dtype, *(matrix.dtype for matrix in self._constant.values()))

    @property
    def order(self) -> int:
        """Of the splitting."""
        return self.settings.order

    @property
    def unitary(self) -> bool:
        """Whether gates keep the norm."""
        return not self.settings.imaginary and not self.settings.non_hermitian

    def at(self, time: float) -> OperatorSum:
        """The sum at a time."""
        H = self.hamiltonian if isinstance(self.hamiltonian, OperatorSum) else self.hamiltonian(time)
        if not isinstance(H, OperatorSum):
            raise OperatorError(f"H(t) must return an OperatorSum, found {type(H).__name__} at time {time:.6g}.")
        return H

    def terms(self, time: float) -> Terms:
        """Terms of every pair of sites at a time."""
        return self._checked(self.at(time)) if self._constant is None else self._constant

    def _evolve(self, time: float, dt: float, steps: int) -> None:
        """Some steps; where H is constant, the stages at their ends join."""
        step = stage_lengths(self.settings.order, self.settings.splitting)
        if len(self._layers) > _LAYERS:  # steps that adapt have ever new lengths
            self._layers.clear()
        if self._constant is not None:
            self._run(self._constant, join_steps([step] * steps), dt)
        else:
            for number in range(steps):
                parts = constant_parts(self.at, time + number * dt, dt, self.settings.order)
                for place, (H, duration) in enumerate(parts):
                    self._runs_after = (steps - number) * len(parts) - place - 1
                    self._layers.clear()
                    self._run(self._checked(H), step, duration)

    def _checked(self, H: OperatorSum) -> Terms:
        terms, hermitian = self._matrices(H)
        check_hermitian(self.settings, hermitian)
        return terms

    def _run(self, terms: Terms, stages: tuple[float, ...], dt: float) -> None:
        """Even and odd bonds in turn."""
        layers = []
        for number, length in enumerate(stages):
            key = number % 2, length * dt
            if key not in self._layers:
                self._layers[key] = self._gates(terms, *key)
            layers.append(self._layers[key])
        self._apply_layers([layer for layer in layers if layer])

    def _apply_layers(self, layers: list[Layer]) -> None:
        """One layer after the other."""
        for layer in layers:
            self._apply_layer(layer)

    def _gates(self, terms: Terms, parity: int, tau: float) -> Layer:
        """The exponentials on all even or all odd bonds; equal ones are made once."""
        known: dict[tuple, TwoSiteGate] = {}
        gates = []
        for (bond, other), matrix in terms.items():
            if bond % 2 != parity:
                continue
            sites = self._sites[bond], self._sites[other % len(self._sites)]
            key = (sites[0].leg, sites[1].leg, matrix.tobytes())
            if key not in known:
                known[key] = two_site_gate(exponential(self.settings.generator * tau, matrix), sites)
            gates.append((bond, known[key]))
        return gates


def exponential(factor: complex, matrix: np.ndarray) -> np.ndarray:
    """exp(factor * matrix); real where both are."""
    if not np.allclose(matrix, matrix.conj().T, rtol=0, atol=1e-13 * np.abs(matrix).max(initial=0.0)):
        return expm(factor * matrix)
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.exp(factor * values)) @ vectors.conj().T
