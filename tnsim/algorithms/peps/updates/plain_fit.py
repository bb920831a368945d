"""The fit of a bond without symmetry on the CPU, in bare arrays: what calls cost counts. The steps are those of
`bond_fit`."""

import numpy as np

from tnsim.algorithms.peps.updates.bond_fit import SMALLEST
from tnsim.errors import NumericalError
from tnsim.linalg import Spectrum, Truncation
from tnsim.linalg.solve_positive import HOLD
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor


class PlainFit:
    """As `BondFit`. The metric is one matrix, rows (k0', k0), columns (k1', k1), which either end meets in a product.

    norm: of theta in the metric, squared.
    """

    def __init__(self, theta: Tensor, metric: Tensor) -> None:
        self._like, self._given, g = theta, theta.array, metric.array
        if not (np.isfinite(self._given).all() and np.isfinite(g).all()):
            raise NumericalError("a bond or the metric around it holds NaN or Inf: lower dt, or raise svd_min.")
        k, _, m, _ = self.shape = theta.shape
        self._left, left = _roots(np.trace(g, axis1=1, axis2=3))
        self._right, right = _roots(np.trace(g, axis1=0, axis2=2))
        self._inverses = left, right
        self._theta = np.matmul(self._right, np.tensordot(self._left, self._given, 1))
        g = np.tensordot(right, np.tensordot(np.tensordot(np.tensordot(left, g, 1), right, 1), left, (2, 0)), (1, 1))
        self._pairs = g.transpose(1, 3, 0, 2).reshape(k * k, m * m)
        self._whole = g.transpose(1, 0, 3, 2).reshape(k * m, k * m)
        self._target = self._applied(self._theta)
        self.norm = float(np.vdot(self._theta, self._target).real)

    def start(self, truncation: Truncation) -> tuple[np.ndarray, np.ndarray, float]:
        """The better of two truncations, in the gauge of the metric, and its error."""
        first, second = _halves(self._given, truncation)
        plain = np.tensordot(self._left, first, 1), np.matmul(self._right, second)
        found = [(self.error(*pair), pair) for pair in (_halves(self._theta, truncation), plain)]
        error, pair = min(found, key=lambda entry: entry[0])
        return *pair, error

    def error(self, first: np.ndarray, second: np.ndarray) -> float:
        """Squared distance of the product from theta over the squared norm of theta."""
        product = np.tensordot(first, second, 1)
        square = np.vdot(product, self._applied(product)).real - 2 * np.vdot(product, self._target).real
        return float(1 + square / self.norm)

    def first_solved(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The best first tensor for a given second one."""
        (k, s, m, t), bond = self.shape, first.shape[2]
        matrix = (self._pairs @ _beside(second)).reshape(k, k, bond, bond)
        right = self._target.reshape(k * s, m * t) @ second.reshape(bond, m * t).conj().T
        solved = _solved(matrix, right.reshape(k, s, bond).transpose(0, 2, 1), first.transpose(0, 2, 1))
        return solved.reshape(k, bond, s).transpose(0, 2, 1)

    def second_solved(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The best second tensor for a given first one."""
        (k, s, m, t), bond = self.shape, first.shape[2]
        matrix = (self._pairs.T @ _beside(first.transpose(2, 0, 1))).reshape(m, m, bond, bond)
        right = first.reshape(k * s, bond).conj().T @ self._target.reshape(k * s, m * t)
        solved = _solved(matrix, right.reshape(bond, m, t).transpose(1, 0, 2), second.transpose(1, 0, 2))
        return solved.reshape(m, bond, t).transpose(1, 0, 2)

    def balanced(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same product with the square root of its singular values on either side."""
        return _balanced(first, second, normalize=False)[:2]

    def ungauged(self, first: np.ndarray, second: np.ndarray) -> tuple[Tensor, Tensor, Spectrum]:
        """The product of norm 1 with the square root of its singular values on either side, as theta was given."""
        left, right = self._inverses
        first, second, values = _balanced(np.tensordot(left, first, 1), np.matmul(right, second), normalize=True)
        bond = trivial_leg(len(values), 1, self._like.group)
        a = Tensor((*self._like.legs[:2], bond.dual), np.ascontiguousarray(first).ravel())
        b = Tensor((bond, *self._like.legs[2:]), np.ascontiguousarray(second).ravel())
        return a, b, Spectrum(bond, values.astype(np.float64))

    def _applied(self, theta: np.ndarray) -> np.ndarray:
        """The metric on something like theta."""
        k, s, m, t = self.shape
        moved = self._whole @ theta.transpose(0, 2, 1, 3).reshape(k * m, s * t)
        return moved.reshape(k, m, s, t).transpose(0, 2, 1, 3)


def _beside(tensor: np.ndarray) -> np.ndarray:
    """(n, j, t) beside its conjugate, summed over t: rows (j', j), columns (n', n)."""
    n, j, t = tensor.shape
    rows = tensor.reshape(n * j, t)
    return (rows.conj() @ rows.T).reshape(n, j, n, j).transpose(1, 3, 0, 2).reshape(j * j, n * n)


def _solved(matrix: np.ndarray, right: np.ndarray, start: np.ndarray) -> np.ndarray:
    """x of matrix x = right, as `solve_positive`: matrix (a', a, b', b), right and start (a, b, columns)."""
    size = matrix.shape[0] * matrix.shape[2]
    square = matrix.transpose(0, 2, 1, 3).reshape(size, size)
    right, start = right.reshape(size, -1), start.reshape(size, -1)
    held = HOLD * float(np.trace(square).real) / size
    if not held > 0:
        return start
    square.flat[:: size + 1] += held
    return np.linalg.solve(square, right + start * held)


def _balanced(first: np.ndarray, second: np.ndarray, *, normalize: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `BondFit.balanced`, and the singular values, of norm 1 if asked."""
    (k, s, bond), (_, m, t) = first.shape, second.shape
    q, r = np.linalg.qr(first.reshape(k * s, bond))
    other, lower = np.linalg.qr(second.reshape(bond, m * t).T)
    u, values, v = np.linalg.svd(r @ lower.T, full_matrices=False)
    if normalize:
        values = values / np.linalg.norm(values)
    root = np.sqrt(values)
    return (q @ (u * root)).reshape(k, s, -1), ((root[:, None] * v) @ other.T).reshape(-1, m, t), values


def _roots(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square root of a positive matrix, and its inverse where eigenvalues are not negligible."""
    values, vectors = np.linalg.eigh(matrix)
    there = values > SMALLEST * max(float(values[-1]), 0.0)
    roots = np.sqrt(np.where(there, values, 0.0))
    inverses = np.where(there, 1 / np.where(there, roots, 1.0), 0.0)
    adjoint = vectors.conj().T
    return (vectors * roots) @ adjoint, (vectors * inverses) @ adjoint


def _halves(theta: np.ndarray, truncation: Truncation) -> tuple[np.ndarray, np.ndarray]:
    """(k0, s, bond) and (bond, k1, t) by the singular values of theta."""
    k, s, m, t = theta.shape
    u, values, v = np.linalg.svd(theta.reshape(k * s, m * t), full_matrices=False)
    norm = float(np.linalg.norm(values))
    kept = truncation.keep(values / norm if norm > 0 else values)
    return (u[:, kept] * values[kept]).reshape(k, s, -1), v[kept].reshape(-1, m, t)
