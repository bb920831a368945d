"""The leading singular values of a product of matrices that is never formed, by random projection.

Source: N. Halko, P. G. Martinsson, J. A. Tropp, SIAM Rev. 53, 217 (2011), algorithms 4.4 and 5.1, and its equation
(4.3) turned into an estimate of what lies outside the range that was found.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tnsim.backend import Seed, generator
from tnsim.errors import NumericalError, ShapeError
from tnsim.linalg.decompose import Spectrum, qr, svd
from tnsim.linalg.truncation import Truncation
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, random_tensor, transpose

# more columns than are kept, rounds of subspace iteration, and columns that probe what is left
_SPARE, _SPARE_SHARE = 8, 0.25
_ROUNDS = 2
_PROBES = 6
# a full decomposition is cheaper where the matrix is not this much larger than what is kept
_WORTH = 2.5


def product_svd(
    factors: Sequence[Tensor], truncation: Truncation, *, seed: Seed = 0, sketch: bool = False
) -> tuple[Tensor, Spectrum, Tensor]:
    """U, singular values, V of factors[0] factors[1] ..., matrices without charge whose legs fit; as `svd`.

    Small products are formed and decomposed in full, unless `sketch` asks otherwise. Else cost O(m n chi) a factor for
    every block; the singular values are exact up to (s_last / s)^5 or so where they decay, and the discarded weight is
    an estimate (without bias, spread a third). Raises ShapeError for other structures, NumericalError on NaN or Inf.

    >>> from tnsim.tensor import from_dense
    >>> matrix = from_dense(np.diag([3.0, 2.0, 1.0]))
    >>> product_svd([matrix, matrix], Truncation(chi_max=2))[1].values
    array([9., 4.])
    """
    for matrix in factors:
        if matrix.ndim != 2 or matrix.charge != matrix.group.identity:
            raise ShapeError(f"a product of matrices without charge can be decomposed, found {matrix!r}.")
    bond = _sketch_leg(factors[0].legs[0], factors[-1].legs[1], truncation.chi_max, 1.0 if sketch else _WORTH)
    if bond is None:
        return svd(_product(factors), (0,), truncation)
    rng = generator(seed)
    basis = _range(factors, bond, rng)
    small = _left(factors, basis)
    u, spectrum, v = svd(small, (0,), truncation)
    total = small.norm() ** 2
    outside = _outside(factors, basis, rng)
    if not np.isfinite(total + outside):
        raise NumericalError("a product of matrices holds NaN or Inf: check what it was made from.")
    weight = (spectrum.discarded_weight * total + outside) / (total + outside) if total > 0 else 0.0
    return contract("a m, m n -> a n", basis, u), replace(spectrum, discarded_weight=float(weight)), v


def _sketch_leg(rows: Leg, columns: Leg, chi: int, worth: float) -> Leg | None:
    """The leg of the random columns, as many in every sector as could be kept; None unless some sector is so many times
    as large."""
    wanted = chi + max(_SPARE, int(_SPARE_SHARE * chi))
    charges, dims, room = [], [], 0
    for charge, d in zip(columns.charges, columns.dims, strict=True):
        place = rows.index_of(charge)
        if place is not None:
            most = min(d, rows.dims[place])
            charges.append(charge)
            dims.append(min(most, wanted))
            room = max(room, most)
    return Leg(columns.group, charges, dims, -1) if room > worth * wanted else None


def _range(factors: Sequence[Tensor], bond: Leg, rng: np.random.Generator) -> Tensor:
    """Orthonormal columns that span the leading left singular vectors."""
    last = factors[-1]
    sketch = random_tensor((last.legs[1].dual, bond), dtype=last.dtype, seed=rng, backend=last.backend)
    basis, _ = qr(_right(factors, sketch), (0,))
    for _ in range(_ROUNDS):
        other, _ = qr(_dagger(_left(factors, basis)), (0,))
        basis, _ = qr(_right(factors, other), (0,))
    return basis


def _outside(factors: Sequence[Tensor], basis: Tensor, rng: np.random.Generator) -> float:
    """An estimate of the squared norm of what the basis does not span."""
    last = factors[-1]
    leg = last.legs[1]
    probes = Leg(leg.group, leg.charges, [_PROBES] * len(leg), -1)
    image = _right(factors, random_tensor((leg.dual, probes), dtype=last.dtype, seed=rng, backend=last.backend))
    image = image - contract("a m, m c -> a c", basis, contract("a m, a c -> m c", basis.conj(), image))
    return image.norm() ** 2 / _PROBES


def _right(factors: Sequence[Tensor], vectors: Tensor) -> Tensor:
    for matrix in reversed(factors):
        vectors = contract("a b, b c -> a c", matrix, vectors)
    return vectors


def _left(factors: Sequence[Tensor], basis: Tensor) -> Tensor:
    """basis^dagger times the product."""
    rows = _dagger(basis)
    for matrix in factors:
        rows = contract("m a, a b -> m b", rows, matrix)
    return rows


def _dagger(matrix: Tensor) -> Tensor:
    return transpose(matrix.conj(), (1, 0))


def _product(factors: Sequence[Tensor]) -> Tensor:
    result = factors[0]
    for matrix in factors[1:]:
        result = contract("a b, b c -> a c", result, matrix)
    return result
