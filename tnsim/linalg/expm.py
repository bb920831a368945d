"""exp(z A) applied to a vector, for any callable A: a Krylov space, an error estimate, and as many steps as it takes.

Sources: Y. Saad, SIAM J. Numer. Anal. 29, 209 (1992), theorem 5.1 (the estimate); R. B. Sidje, ACM Trans. Math.
Softw. 24, 130 (1998), section 4 (steps).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import expm

from tnsim.backend import Array, Backend
from tnsim.errors import NumericalError, SettingsError
from tnsim.linalg.krylov_basis import KrylovBasis
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
        vector = space.combine(weights * size)
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
        self.matvecs, self.size, self.dtype = 0, first.shape[0], first.dtype
        self._basis = KrylovBasis(first, backend)
        self._next: Array | None = None
        self._unread: list[Array] = []
        self._small = np.zeros((1, 0), dtype=np.complex128)

    def reach(self, factor: complex, left: float, tolerance: float, krylov_max: int) -> tuple[float, np.ndarray, float]:
        """How much of the way `left` is gone, the result in this basis, and the error that it has."""
        limit = min(krylov_max, self.size)
        while True:
            self._extend()
            count, last = self.matvecs, self.matvecs == limit
            if not last and count % _CHECK_EVERY:
                continue
            small = self._matrix()
            spent = small.shape[0] == small.shape[1]
            step, (weights, error) = left, _in_space(small, factor * left, self.hermitian)
            while last and not spent and error > self._allowed(tolerance, step):
                step *= max(0.1, min(0.9, 0.8 * (self._allowed(tolerance, step) / error) ** (1 / count)))
                weights, error = _in_space(small, factor * step, self.hermitian)
            if spent or error <= self._allowed(tolerance, step):
                return step, weights, error

    def combine(self, weights: np.ndarray) -> Array:
        """sum_k weights[k] of the basis vectors."""
        return self._basis.combine(weights)

    def _allowed(self, tolerance: float, step: float) -> float:
        """The error that a part of the way may have: its share, but not less than rounding."""
        return max(tolerance * step, 4 * float(np.finfo(self.dtype).eps))

    def _extend(self) -> None:
        """One more product, orthogonalised twice; its coefficients wait on the device."""
        backend, count = self.backend, self.matvecs
        if self._next is not None:
            self._basis.append(self._next)
        w, overlaps = self._basis.without(self.matvec(self._basis[-1]))
        norm = backend.norm(w)
        kept = backend.real(overlaps[count]) if self.hermitian else overlaps
        self._unread += [kept.reshape(-1), norm.reshape(-1)]
        self._next = w * (1 / (norm + 1e-30))  # the shift avoids 0/0 once the space is exhausted
        self.matvecs += 1

    def _matrix(self) -> np.ndarray:
        """The matrix of A, shape (n + 1, n), or (n, n) where the space is closed; one read of the device."""
        flat, start, count = self.backend.to_host(self.backend.concatenate(self._unread)), 0, self.matvecs
        small, old = np.zeros((count + 1, count), dtype=np.complex128), self._small.shape[1]
        small[: old + 1, :old] = self._small
        for j in range(old, count):
            width = 2 if self.hermitian else j + 2
            small[j + 2 - width : j + 2, j] = flat[start : start + width]
            start += width
        if self.hermitian:
            small[np.arange(count - 1), np.arange(1, count)] = small[np.arange(1, count), np.arange(count - 1)]
        self._unread, self._small = [], small
        largest = _finite(float(np.abs(small).max()))
        closed = np.flatnonzero(np.abs(np.diag(small, -1)) <= 30 * float(np.finfo(self.dtype).eps) * largest)
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
