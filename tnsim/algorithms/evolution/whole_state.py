"""What schemes share that move a state as a whole: a state of norm 1, and the norm beside it."""

from typing import Any

import numpy as np

from tnsim.algorithms.evolution.evolution import Evolution, check_hermitian, check_start, evolving_dtype, middle_entropy
from tnsim.measure.operator import expect_mpo
from tnsim.networks.acting import check_acts_on
from tnsim.networks.adjoint import is_own_adjoint
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.precision import matching_dtype


class WholeState:
    """A state under an MPO H, its centre on the first site at the start; `_weight` and `_log_norm` are of one
    `advance`."""

    def __init__(self, settings: Evolution, H: MPO, psi: MPS) -> None:
        check_acts_on(H, psi)
        check_start(psi)
        check_hermitian(settings, is_own_adjoint(H))
        self.settings = settings
        self.hermitian = not settings.non_hermitian
        self.conserves = self.hermitian and not settings.imaginary
        self._psi = canonicalize(psi.astype(evolving_dtype(settings, psi.dtype, H.dtype)) / psi.norm(), 0)
        self.hamiltonian = H.astype(matching_dtype(self._psi.dtype, H))
        self._norm = 1.0 if settings.imaginary else psi.norm()
        self._weight = self._log_norm = 0.0

    @property
    def state(self) -> MPS:
        """The state, with the norm that steps and cuts left of it (1 in imaginary time)."""
        return self._psi if self._norm == 1.0 else self._psi * self._norm

    def energy(self, time: float) -> float | None:
        """<H> of the normalised state; cost O(L chi^3 d w)."""
        return complex(expect_mpo(self.hamiltonian, self._psi)).real if self.hermitian else None

    def entropy(self) -> float:
        """Von Neumann entropy at the middle bond."""
        return middle_entropy(self._psi)

    def remember(self) -> Any:
        """The state and its norm."""
        return self._psi, self._norm

    def return_to(self, memory: Any) -> None:
        """Undo what was done since."""
        self._psi, self._norm = memory

    def _replace(self, psi: MPS, weight: float, log_factor: complex = 0.0) -> None:
        """psi, whose norm counts as what was done to the state, times exp(log_factor)."""
        size = psi.norm()
        phase = complex(np.exp(1j * np.imag(log_factor)))
        self._psi = psi * (1 / size) if phase == 1 else psi * (phase / size)
        self._weight += weight
        self._log_norm += float(np.log(size) + np.real(log_factor))
