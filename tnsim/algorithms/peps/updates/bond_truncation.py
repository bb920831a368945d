"""Cutting a bond of a PEPS by the metric that its surroundings give: alternating least squares in a fixed gauge.

theta, legs (k0, s, k1, t), is what the two reduced tensors of a bond are to become; g, legs (k0', k1', k0, k1), is the
norm around them: |theta - A B|^2 = <theta - A B| g |theta - A B> is made small.
Sources: J. Jordan, R. Orus, G. Vidal, F. Verstraete, J. I. Cirac, Phys. Rev. Lett. 101, 250602 (2008); for the gauge
M. Lubasch, J. I. Cirac, M. C. Banuls, Phys. Rev. B 90, 064425 (2014), and H. N. Phien, J. A. Bengua, H. D. Tuan, P.
Corboz, R. Orus, Phys. Rev. B 92, 035142 (2015); for the truncation by a product of environments that the sweeps start
from P. Czarnik, J. Dziarmaga, P. Corboz, Phys. Rev. B 99, 035115 (2019).
"""

from dataclasses import dataclass

import numpy as np

from tnsim.errors import NumericalError
from tnsim.linalg import Spectrum, Truncation, eigh, lq, qr, svd
from tnsim.linalg.solve_positive import solve_positive
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.tensor import Tensor, contract, fuse, inner, split, trace, transpose, twist

# eigenvalues of an environment below this, relative to the largest one, are not divided by
_SMALLEST = 1e-12
# sweeps end where one lowers the error by less than this share of it, or by rounding
_SETTLED, _ROUNDING = 1e-3, 1e-14


@dataclass(frozen=True, eq=False)
class BondCut:
    """theta as first (k0, s, bond) times second (bond, k1, t), with the square root of the weights in each.

    error: squared distance over the squared norm, in the metric; norm: of the product, in the metric.
    """

    first: Tensor
    second: Tensor
    spectrum: Spectrum
    error: float
    norm: float
    sweeps: int


def positive(metric: Tensor) -> tuple[Tensor, float]:
    """The Hermitian, positive part of a metric (k0', k1', k0, k1), and the share of negative eigenvalues.

    The share is their sum over the sum of all magnitudes; its square root bounds nothing, but above a percent the
    environment is not to be trusted. The phase of the whole, which corners do not know, is that of a positive trace.
    Cost O(k^6). Raises NumericalError where no positive part is left.
    """
    legs = metric.legs[:2]
    matrix = fuse(metric, [(0, 1), (2, 3)], [1, -1])
    size = complex(trace(twist(matrix, (0,)), 0, 1).item())
    phase = size.conjugate() / (abs(size) or 1.0)
    matrix = matrix * (phase if matrix.dtype.kind == "c" else phase.real)
    adjoint = contract("a b -> b a", matrix.conj())
    vectors, spectrum = eigh((matrix + adjoint) * 0.5)
    values = np.maximum(spectrum.values, 0.0)
    total = float(np.abs(spectrum.values).sum())
    if not values.any():
        raise NumericalError("the environment of a bond has no positive part: raise chi of the environment.")
    root = scale_columns(vectors, Spectrum(spectrum.leg, np.sqrt(values)))
    clipped = contract("a m, b m -> a b", root, root.conj())
    share = float((values - spectrum.values).sum()) / total
    return split(split(clipped, 1, tuple(leg.dual for leg in legs)), 0, legs), share


def expectation(metric: Tensor, bra: Tensor, ket: Tensor) -> complex:
    """<bra| metric |ket>, of tensors (k0, s, k1, t)."""
    return inner(bra, applied(metric, ket))


def positive_norm(square: complex) -> float:
    """A squared norm in a metric. Raises NumericalError for one that is not positive."""
    found = float(np.real(square))
    if not found > 0:
        raise NumericalError(
            f"the squared norm of a bond in its surroundings is {found:.1e}: they see less of the bond than it holds. "
            "Lower chi_max or raise svd_min of the update, or raise chi_max of the environment where there is one."
        )
    return found


def applied(metric: Tensor, theta: Tensor) -> Tensor:
    """The metric on theta."""
    return contract("i j k l, k s l t -> i s j t", metric, theta)


def cut_bond(theta: Tensor, metric: Tensor, truncation: Truncation, *, sweeps: int = 50) -> BondCut:
    """The product nearest to theta in a positive metric, among those that the truncation allows.

    Starts from the better of two truncations, by singular values of theta and by those that the environment of each end
    gives theta; `sweeps` least squares each for A and for B follow, in the gauge in which these environments are
    identities. Cost O(k^4 D^2) a sweep, k the smaller of D d and D^3. The error never grows from sweep to sweep: one
    that ends further below 0 fitted the rounding of a metric that does not see all of a bond, and is not taken.
    """
    left, right = _ends(metric)
    theta_gauged = contract("a k, b l, k s l t -> a s b t", left[0], right[0], theta)
    gauged = contract("a k, b l, k l m n, m c, n d -> a b c d", left[1], right[1], metric, left[1], right[1])
    target = applied(gauged, theta_gauged)
    norm = positive_norm(inner(theta_gauged, target))
    first, second, error = _best_start(theta, theta_gauged, (left, right), gauged, target, norm, truncation)
    done = 0
    while done < sweeps and error > _ROUNDING and not _holds_all(first.legs[2].dim, theta):
        better = _first_solved(gauged, target, first, second)
        product = better, _second_solved(gauged, target, better, second)
        done, before, error = done + 1, error, _error(gauged, target, *product, norm)
        if error < -before:
            error = before
            break
        first, second = product
        if before - error <= max(_SETTLED * error, _ROUNDING):
            break
        first, second, _ = _balanced(first, second)
    first, second = contract("k a, a s m -> k s m", left[1], first), contract("l b, m b t -> m l t", right[1], second)
    first, second, spectrum = _balanced(first, second, normalize=True)
    return BondCut(first, second, spectrum, max(error, 0.0), (norm * max(1 - error, 0.0)) ** 0.5, done)


def _holds_all(bond: int, theta: Tensor) -> bool:
    """Whether a bond holds all of theta, so that there is nothing to improve."""
    left = theta.legs[0].dim * theta.legs[1].dim
    return bond >= min(left, theta.legs[2].dim * theta.legs[3].dim)


Ends = tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]


def _ends(metric: Tensor) -> Ends:
    """Square root and inverse square root of what the metric gives either end, the other one traced."""
    return _roots(trace(twist(metric, (1,)), 1, 3)), _roots(trace(twist(metric, (0,)), 0, 2))


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Square root of a positive matrix, and its inverse where eigenvalues are not negligible."""
    vectors, spectrum = eigh(matrix)
    largest = float(spectrum.values.max(initial=0.0))
    there = spectrum.values > _SMALLEST * largest
    roots = np.sqrt(np.where(there, spectrum.values, 0.0))
    inverses = np.where(there, 1 / np.where(there, roots, 1.0), 0.0)
    made = [
        contract("a m, b m -> a b", scale_columns(vectors, Spectrum(spectrum.leg, values)), vectors.conj())
        for values in (roots, inverses)
    ]
    return made[0], made[1]


def _best_start(
    theta: Tensor, theta_gauged: Tensor, ends: Ends, metric: Tensor, target: Tensor, norm: float, truncation: Truncation
) -> tuple[Tensor, Tensor, float]:
    """The better of two truncations, in the gauge of the metric, and its error."""
    (left, _), (right, _) = ends
    assisted = _halves(theta_gauged, truncation)
    plain = _halves(theta, truncation)
    plain = contract("a k, k s m -> a s m", left, plain[0]), contract("b l, m l t -> m b t", right, plain[1])
    found = [(_error(metric, target, *pair, norm), pair) for pair in (assisted, plain)]
    error, (first, second) = min(found, key=lambda entry: entry[0])
    return first, second, error


def _halves(theta: Tensor, truncation: Truncation) -> tuple[Tensor, Tensor]:
    """(k0, s, bond) and (bond, k1, t) by the singular values of theta."""
    u, spectrum, v = svd(theta, (0, 1), truncation)
    return scale_columns(u, spectrum), v


def _error(metric: Tensor, target: Tensor, first: Tensor, second: Tensor, norm: float) -> float:
    """Squared distance of the product from theta over the squared norm of theta."""
    product = contract("k s m, m l t -> k s l t", first, second)
    square = np.real(expectation(metric, product, product)) - 2 * np.real(inner(product, target))
    return float(1 + square / norm)


def _first_solved(metric: Tensor, target: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The best first tensor for a given second one."""
    half = contract("i j k l, m l t -> i j k m t", metric, second)
    matrix = contract("n j t, i j k m t -> i n k m", second.conj(), half)
    right = contract("n j t, i s j t -> i n s", second.conj(), target)
    found = _least_squares(matrix, right, transpose(first, (0, 2, 1)))
    return transpose(found, (0, 2, 1))


def _second_solved(metric: Tensor, target: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The best second tensor for a given first one."""
    half = contract("i j k l, k s m -> i j s m l", metric, first)
    matrix = contract("i s n, i j s m l -> j n l m", first.conj(), half)
    right = contract("i s n, i s j t -> j n t", first.conj(), target)
    found = _least_squares(matrix, right, transpose(second, (1, 0, 2)))
    return transpose(found, (1, 0, 2))


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
