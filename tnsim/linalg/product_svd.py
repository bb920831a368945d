"""The leading singular values of a product of matrices that is never formed, by random projection.

Source: N. Halko, P. G. Martinsson, J. A. Tropp, SIAM Rev. 53, 217 (2011), algorithms 4.4 and 5.1, and its equation
(4.3) turned into an estimate of what lies outside the range that was found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tnsim.backend import Seed, generator
from tnsim.errors import NumericalError, ShapeError
from tnsim.linalg.decompose import Spectrum, qr, svd
from tnsim.linalg.truncation import Truncation
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, random_tensor, transpose

# more columns than are kept, and columns that probe what is left
_SPARE, _SPARE_SHARE = 8, 0.25
_PROBES = 6
# rounds of subspace iteration at most; none more once so small a share of what is cut anyway lies outside, or nothing
# above so many roundings of the whole
_ROUNDS, _SHARE, _ROUNDING = 2, 1e-4, 50
# a full decomposition is cheaper where the matrix is not this much larger than what is kept, or has no more rows
_WORTH, _SMALL = 2.5, 200


def product_svd(
    factors: Sequence[Tensor], truncation: Truncation, *, seed: Seed = 0, sketch: bool = False
) -> tuple[Tensor, Spectrum, Tensor]:
    """U, singular values, V of factors[0] factors[1] ..., matrices without charge whose legs fit; as `svd`.

    Small products are formed and decomposed in full, unless `sketch` asks otherwise. Else cost O(m n chi) a factor for
    every block, twice, and twice more for every round of subspace iteration that slowly decaying values ask for; the
    discarded weight is an estimate (without bias, spread a third). Raises ShapeError for other structures,
    NumericalError on NaN or Inf.

    >>> from tnsim.tensor import from_dense
    >>> matrix = from_dense(np.diag([3.0, 2.0, 1.0]))
    >>> product_svd([matrix, matrix], Truncation(chi_max=2))[1].values
    array([9., 4.])
    """
    sketched = _sketched(factors, truncation, seed, sketch)
    if sketched is None:
        return svd(_product(factors), (0,), truncation)
    basis, (u, spectrum, v) = sketched.basis, sketched.parts
    return contract("a m, m n -> a n", basis, u), spectrum, v


def product_ends(
    left: Sequence[Tensor], right: Sequence[Tensor], truncation: Truncation, *, noise: float = 0.0, sketch: bool = False
) -> tuple[Tensor, Spectrum, Tensor]:
    """What the singular vectors of a product make of its two halves: U^dagger left, singular values, right V^dagger.

    Of the product of all factors in a row, as `product_svd`, at the cost of half a round less. noise: what may lie
    outside the space that is looked at, relative to the norm of the product.
    """
    sketched = _sketched([*left, *right], truncation, 0, sketch, noise)
    if sketched is None:
        u, spectrum, v = svd(_product([*left, *right]), (0,), truncation)
        return _left(left, u), spectrum, _right(right, _dagger(v))
    u, spectrum, v = sketched.parts
    ends = contract("m k, m b -> k b", u.conj(), sketched.halfway(len(left)))
    return ends, spectrum, _right(right, _dagger(v))


@dataclass(frozen=True)
class _Sketched:
    """Columns that span the leading left singular vectors, rows of them times the first factors, then one more, and so
    on, and the decomposition of the last."""

    basis: Tensor
    rows: Sequence[Tensor]
    parts: tuple[Tensor, Spectrum, Tensor]

    def halfway(self, count: int) -> Tensor:
        """The basis times so many factors."""
        return self.rows[count - 1]


def _sketched(
    factors: Sequence[Tensor], truncation: Truncation, seed: Seed, sketch: bool, noise: float = 0.0
) -> _Sketched | None:
    """None where the product is better formed."""
    for matrix in factors:
        if matrix.ndim != 2 or matrix.charge != matrix.group.identity:
            raise ShapeError(f"a product of matrices without charge can be decomposed, found {matrix!r}.")
    least = (1.0, 0) if sketch else (_WORTH, _SMALL)
    bond = _sketch_leg(factors[0].legs[0], factors[-1].legs[1], truncation.chi_max, *least)
    return None if bond is None else _range(factors, bond, truncation, generator(seed), noise)


def _sketch_leg(rows: Leg, columns: Leg, chi: int, worth: float, small: int) -> Leg | None:
    """The leg of the random columns, as many in every sector as could be kept; None unless some sector is so many times
    as large, and larger than `small`."""
    wanted = chi + max(_SPARE, int(_SPARE_SHARE * chi))
    charges, dims, room = [], [], 0
    for charge, d in zip(columns.charges, columns.dims, strict=True):
        place = rows.index_of(charge)
        if place is not None:
            most = min(d, rows.dims[place])
            charges.append(charge)
            dims.append(min(most, wanted))
            room = max(room, most)
    return Leg(columns.group, charges, dims, -1) if room > max(worth * wanted, small) else None


def _range(
    factors: Sequence[Tensor], bond: Leg, truncation: Truncation, rng: np.random.Generator, noise: float
) -> _Sketched:
    """Orthonormal columns that span the leading left singular vectors, and what is found within them.

    Some more columns never enter the span: they tell what lies outside it.
    """
    last = factors[-1]
    leg = last.legs[1]
    probes = Leg(leg.group, leg.charges, [_PROBES] * len(leg), -1)
    sketch, probe = (
        _right(factors, random_tensor((leg.dual, columns), dtype=last.dtype, seed=rng, backend=last.backend))
        for columns in (bond, probes)
    )
    basis, _ = qr(sketch, (0,))
    noise = max(noise, _ROUNDING * float(np.finfo(last.dtype).eps))
    for count in range(_ROUNDS + 1):
        rows = _rows(factors, basis)
        total = rows[-1].norm() ** 2
        u, spectrum, v = svd(rows[-1], (0,), truncation)
        outside = _outside(probe, basis)
        if not np.isfinite(total + outside):
            raise NumericalError("a product of matrices holds NaN or Inf: check what it was made from.")
        if count == _ROUNDS or outside <= max(_SHARE * spectrum.discarded_weight, noise**2) * total:
            break
        other, _ = qr(_dagger(rows[-1]), (0,))
        basis, _ = qr(_right(factors, other), (0,))
    weight = (spectrum.discarded_weight * total + outside) / (total + outside) if total > 0 else 0.0
    return _Sketched(basis, rows, (u, replace(spectrum, discarded_weight=float(weight)), v))


def _outside(probe: Tensor, basis: Tensor) -> float:
    """An estimate of the squared norm of what the basis does not span, from the image of random columns."""
    left = probe - contract("a m, m c -> a c", basis, contract("a m, a c -> m c", basis.conj(), probe))
    return left.norm() ** 2 / _PROBES


def _right(factors: Sequence[Tensor], vectors: Tensor) -> Tensor:
    for matrix in reversed(factors):
        vectors = contract("a b, b c -> a c", matrix, vectors)
    return vectors


def _left(factors: Sequence[Tensor], basis: Tensor) -> Tensor:
    """basis^dagger times the product."""
    return _rows(factors, basis)[-1]


def _rows(factors: Sequence[Tensor], basis: Tensor) -> list[Tensor]:
    """basis^dagger times the first factor, times the first two, and so on."""
    rows, found = _dagger(basis), []
    for matrix in factors:
        rows = contract("m a, a b -> m b", rows, matrix)
        found.append(rows)
    return found


def _dagger(matrix: Tensor) -> Tensor:
    return transpose(matrix.conj(), (1, 0))


def _product(factors: Sequence[Tensor]) -> Tensor:
    result = factors[0]
    for matrix in factors[1:]:
        result = contract("a b, b c -> a c", result, matrix)
    return result
