"""exp(z A) applied to a vector, for any callable A: a Krylov space, an error estimate, and as many steps as it takes.

Sources: Y. Saad, SIAM J. Numer. Anal. 29, 209 (1992), theorem 5.1 (the estimate); R. B. Sidje, ACM Trans. Math.
Softw. 24, 130 (1998), section 4 (steps).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import expm

from tnsim.backend import Array, Backend
from tnsim.errors import NumericalError, SettingsError
from tnsim.linalg.arnoldi import weighted_sum
from tnsim.tensor import Tensor

_CHECK_EVERY = 2


@dataclass(frozen=True, eq=False)
class Exponential:
    """vector: flat, exp(z A) start; error: estimate of its distance from that, relative to its norm.

    matvecs: products with A; steps: into how many the way was cut, where one Krylov space did not reach its end.
    """

    vector: Array = field(repr=False)
    error: float
    matvecs: int
    steps: int


def exponentiate(
    matvec: Callable[[Array], Array],
    start: Array,
    factor: complex,
    backend: Backend,
    *,
    hermitian: bool = True,
    tolerance: float = 1e-12,
    krylov_max: int = 30,
) -> Exponential:
    """exp(factor A) start, to a norm error of about `tolerance` times the norm of the result.

    Lanczos where A is Hermitian, else Arnoldi, with full orthogonalisation; the space grows until the estimate is small
    enough, at most to krylov_max vectors, and then the way is cut. A factor that is not real makes real data complex.
    Coefficients stay on the device and are read after every second product. Errors below 8 eps of the data's precision
    are not reached. Raises SettingsError for a factor or tolerance out of range, NumericalError on NaN or Inf.

    >>> from tnsim.backend import get_backend
    >>> exponentiate(lambda x: np.array([0.0, np.pi]) * x, np.ones(2), 1j, get_backend("numpy")).vector.round(9).real
    array([ 1., -1.])
    """
    factor = _checked(factor, tolerance, krylov_max)
    if isinstance(factor, complex) and start.dtype.kind != "c":
        start = backend.astype(start, np.result_type(start.dtype, np.complex64))
    tolerance = max(tolerance, 8 * float(np.finfo(start.dtype).eps))
    vector, left, error, spent, steps = start, 1.0, 0.0, 0, 0
    while left > 0:
        size = _finite(float(backend.read(backend.norm(vector))))
        if size == 0:
            return Exponential(vector, error, spent, steps)
        space = _Space(matvec, vector * (1 / size), backend, hermitian)
        step, weights, missed = space.reach(factor, left, tolerance, krylov_max)
        vector = weighted_sum(weights * size if start.dtype.kind == "c" else weights.real * size, space.basis)
        left, error, spent, steps = left - step, error + missed, spent + space.matvecs, steps + 1
    return Exponential(vector, error, spent, steps)


def exponentiate_tensor(
    action: Callable[[Tensor], Tensor],
    start: Tensor,
    factor: complex,
    *,
    hermitian: bool = True,
    tolerance: float = 1e-12,
    krylov_max: int = 30,
) -> tuple[Tensor, Exponential]:
    """exp(factor A) on a tensor, where `action` gives a tensor of the same legs; see `exponentiate`."""
    legs, charge = start.legs, start.charge

    def matvec(flat: Array) -> Array:
        return action(Tensor(legs, flat, charge)).data

    found = exponentiate(
        matvec, start.data, factor, start.backend, hermitian=hermitian, tolerance=tolerance, krylov_max=krylov_max
    )
    return Tensor(legs, found.vector, charge), found


class _Space:
    """A Krylov space that grows, and the matrix of A in it (one row more than columns: what leads outside)."""

    def __init__(self, matvec: Callable[[Array], Array], first: Array, backend: Backend, hermitian: bool) -> None:
        self.matvec, self.backend, self.hermitian = matvec, backend, hermitian
        self.basis = [first]
        self.matvecs = 0
        self._next: Array = first
        self._unread: list[Any] = []
        self._read: list[np.ndarray] = []

    def reach(self, factor: complex, left: float, tolerance: float, krylov_max: int) -> tuple[float, np.ndarray, float]:
        """How much of the way `left` is gone, the result in this basis, and the error that it has."""
        limit = min(krylov_max, self.basis[0].shape[0])
        while True:
            self._extend()
            count, last = self.matvecs, self.matvecs == limit
            if not last and count % _CHECK_EVERY:
                continue
            small = self._small()
            spent = small.shape[0] == small.shape[1]
            step, (weights, error) = left, _in_space(small, factor * left, self.hermitian)
            while last and not spent and error > _allowed(tolerance, step, self.basis[0]):
                step *= max(0.1, min(0.9, 0.8 * (_allowed(tolerance, step, self.basis[0]) / error) ** (1 / count)))
                weights, error = _in_space(small, factor * step, self.hermitian)
            if spent or error <= _allowed(tolerance, step, self.basis[0]):
                return step, weights, error

    def _extend(self) -> None:
        """One more product, orthogonalised; its coefficients wait on the device."""
        if self.matvecs:
            self.basis.append(self._next)
        backend, last = self.backend, self.basis[-1]
        w = self.matvec(last)
        overlaps = []
        if self.hermitian:
            overlaps.append(backend.real(backend.vdot(last, w)))
            w = w - last * overlaps[0]
            for vector in reversed(self.basis):
                w = w - vector * backend.vdot(vector, w)
        else:
            for _ in range(2):
                for vector in self.basis:
                    overlaps.append(backend.vdot(vector, w))
                    w = w - vector * overlaps[-1]
        norm = backend.norm(w)
        self._unread.append([*overlaps, norm])
        self._next = w * (1 / (norm + 1e-30))  # the shift avoids 0/0 once the space is exhausted
        self.matvecs += 1

    def _small(self) -> np.ndarray:
        """The matrix of A, shape (n + 1, n), or (n, n) where the space is closed; one read of the device."""
        backend = self.backend
        if self._unread:
            flat = backend.to_host(backend.concatenate([x.reshape(-1) for column in self._unread for x in column]))
            sizes = np.cumsum([len(column) for column in self._unread])[:-1]
            self._read += np.split(flat.astype(np.complex128), sizes)
            self._unread = []
        count = len(self._read)
        small = np.zeros((count + 1, count), dtype=np.complex128)
        for j, column in enumerate(self._read):
            if self.hermitian:
                small[j, j], small[j + 1, j] = column
                small[j, j + 1 : j + 2] = column[1]
            else:
                small[: j + 1, j] = column[: j + 1] + column[j + 1 : -1]
                small[j + 1, j] = column[-1]
        _finite(float(np.abs(small).sum()))
        rounding = 30 * np.finfo(self.basis[0].dtype).eps * np.abs(small).max()
        closed = np.flatnonzero(np.abs(np.diag(small, -1)) <= rounding)
        return small[: closed[0] + 1, : closed[0] + 1] if len(closed) else small


def _in_space(small: np.ndarray, z: complex, hermitian: bool) -> tuple[np.ndarray, float]:
    """exp(z A) of the first basis vector, and what leaves the space, relative to its norm."""
    count = small.shape[1]
    # the last element of phi_1(z A), phi_1(x) = (exp(x) - 1) / x, times the coefficient that leads outside is the error
    with np.errstate(over="ignore", invalid="ignore"):
        if hermitian:
            values, vectors = np.linalg.eigh(small[:count].real)
            values = z * values
            weights = vectors @ (np.exp(values) * vectors[0])
            near_zero = np.abs(values) < 1e-8
            ratio = np.where(near_zero, 1 + values / 2, np.expm1(values) / np.where(near_zero, 1, values))
            leaving = vectors[-1] @ (ratio * vectors[0])
        else:
            joined = np.zeros((count + 1, count + 1), dtype=np.complex128)
            joined[:count, :count] = z * small[:count]
            joined[0, count] = 1
            whole = expm(joined)
            weights, leaving = whole[:count, 0], whole[count - 1, count]
    outside = 0.0 if small.shape[0] == count else abs(z * small[count, count - 1] * leaving)
    return weights, outside / max(1e-300, _finite(float(np.linalg.norm(weights))))


def _allowed(tolerance: float, step: float, like: Array) -> float:
    """The error that a part of the way may have: its share, but not less than rounding."""
    return max(tolerance * step, 4 * float(np.finfo(like.dtype).eps))


def _checked(factor: complex, tolerance: float, krylov_max: int) -> complex:
    """The factor as a real number where it is one."""
    factor = complex(factor)
    if not np.isfinite(factor):
        raise SettingsError(f"the factor of an exponential must be finite, found {factor}.")
    if not 0 < tolerance < 1 or krylov_max < 2:
        raise SettingsError(
            f"an exponential needs a tolerance between 0 and 1 and at least 2 Krylov vectors, found {tolerance!r} and "
            f"{krylov_max!r}."
        )
    return factor.real if factor.imag == 0 else factor


def _finite(size: float) -> float:
    if not np.isfinite(size):
        raise NumericalError("NaN or Inf in an exponential: the operator or the vector holds them, or it overflows.")
    return size
