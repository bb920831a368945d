"""The least squares of a bond: theta, legs (k0, s, k1, t), as a product of two tensors in the metric around them.

See `bond_truncation`, which leads from sweep to sweep, for the sources.
"""

import numpy as np

from tnsim.linalg import Spectrum, Truncation, eigh, lq, qr, svd
from tnsim.linalg.solve_positive import solve_positive
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.tensor import Tensor, contract, fuse, inner, split, trace, transpose, twist

# eigenvalues of an environment below this, relative to the largest one, are not divided by
SMALLEST = 1e-12


class BondFit:
    """theta in the gauge in which what the metric (k0', k1', k0, k1) gives either end is an identity.

    Products are first (k0, s, bond) times second (bond, k1, t), in that gauge until `ungauged`. norm: of theta in the
    metric, squared. `PlainFit` is the same for bare arrays.
    """

    def __init__(self, theta: Tensor, metric: Tensor) -> None:
        self._given = theta
        self._left, left = _roots(trace(twist(metric, (1,)), 1, 3))
        self._right, right = _roots(trace(twist(metric, (0,)), 0, 2))
        self._inverses = left, right
        self._theta = contract("a k, b l, k s l t -> a s b t", self._left, self._right, theta)
        self._metric = contract("a k, b l, k l m n, m c, n d -> a b c d", left, right, metric, left, right)
        self._target = applied(self._metric, self._theta)
        self.norm = float(np.real(inner(self._theta, self._target)))

    def start(self, truncation: Truncation) -> tuple[Tensor, Tensor, float]:
        """The better of two truncations, and its error."""
        first, second = _halves(self._given, truncation)
        plain = contract("a k, k s m -> a s m", self._left, first), contract("b l, m l t -> m b t", self._right, second)
        found = [(self.error(*pair), pair) for pair in (_halves(self._theta, truncation), plain)]
        error, pair = min(found, key=lambda entry: entry[0])
        return *pair, error

    def error(self, first: Tensor, second: Tensor) -> float:
        """Squared distance of the product from theta over the squared norm of theta."""
        product = contract("k s m, m l t -> k s l t", first, second)
        square = np.real(expectation(self._metric, product, product)) - 2 * np.real(inner(product, self._target))
        return float(1 + square / self.norm)

    def first_solved(self, first: Tensor, second: Tensor) -> Tensor:
        """The best first tensor for a given second one."""
        half = contract("i j k l, m l t -> i j k m t", self._metric, second)
        matrix = contract("n j t, i j k m t -> i n k m", second.conj(), half)
        right = contract("n j t, i s j t -> i n s", second.conj(), self._target)
        return transpose(_least_squares(matrix, right, transpose(first, (0, 2, 1))), (0, 2, 1))

    def second_solved(self, first: Tensor, second: Tensor) -> Tensor:
        """The best second tensor for a given first one."""
        half = contract("i j k l, k s m -> i j s m l", self._metric, first)
        matrix = contract("i s n, i j s m l -> j n l m", first.conj(), half)
        right = contract("i s n, i s j t -> j n t", first.conj(), self._target)
        return transpose(_least_squares(matrix, right, transpose(second, (1, 0, 2))), (1, 0, 2))

    def balanced(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """The same product with the square root of its singular values on either side."""
        return _balanced(first, second)[:2]

    def ungauged(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Spectrum]:
        """The product of norm 1 with the square root of its singular values on either side, as theta was given."""
        left, right = self._inverses
        first, second = contract("k a, a s m -> k s m", left, first), contract("l b, m b t -> m l t", right, second)
        return _balanced(first, second, normalize=True)


def expectation(metric: Tensor, bra: Tensor, ket: Tensor) -> complex:
    """<bra| metric |ket>, of tensors (k0, s, k1, t)."""
    return inner(bra, applied(metric, ket))


def applied(metric: Tensor, theta: Tensor) -> Tensor:
    """The metric on theta."""
    return contract("i j k l, k s l t -> i s j t", metric, theta)


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Square root of a positive matrix, and its inverse where eigenvalues are not negligible."""
    vectors, spectrum = eigh(matrix)
    largest = float(spectrum.values.max(initial=0.0))
    there = spectrum.values > SMALLEST * largest
    roots = np.sqrt(np.where(there, spectrum.values, 0.0))
    inverses = np.where(there, 1 / np.where(there, roots, 1.0), 0.0)
    made = [
        contract("a m, b m -> a b", scale_columns(vectors, Spectrum(spectrum.leg, values)), vectors.conj())
        for values in (roots, inverses)
    ]
    return made[0], made[1]


def _halves(theta: Tensor, truncation: Truncation) -> tuple[Tensor, Tensor]:
    """(k0, s, bond) and (bond, k1, t) by the singular values of theta."""
    u, spectrum, v = svd(theta, (0, 1), truncation)
    return scale_columns(u, spectrum), v


def _least_squares(matrix: Tensor, right: Tensor, start: Tensor) -> Tensor:
    """x of matrix x = right: matrix (a, b, a', b'), right and start (a, b, columns)."""
    rows = right.legs[:2]
    outwards = [n for n, leg in enumerate(rows) if leg.flow < 0]
    matrix, right = twist(matrix, outwards), twist(right, outwards)
    flows = [1, right.legs[2].flow]
    square = fuse(matrix, [(0, 1), (2, 3)], [1, -1])
    vectors = [fuse(tensor, [(0, 1), (2,)], flows) for tensor in (right, start)]
    return split(solve_positive(square, *vectors), 0, rows)


def _balanced(first: Tensor, second: Tensor, *, normalize: bool = False) -> tuple[Tensor, Tensor, Spectrum]:
    """The same product (of norm 1 if asked) with the square root of its singular values on either side."""
    q, r = qr(first, (0, 1))
    lower, other = lq(second, (0,))
    u, spectrum, v = svd(contract("a m, m b -> a b", r, lower), (0,), normalize=normalize)
    root = Spectrum(spectrum.leg, np.sqrt(spectrum.values))
    left = contract("k s a, a m -> k s m", q, scale_columns(u, root))
    return left, contract("m b, b l t -> m l t", scale_rows(v, root), other), spectrum
