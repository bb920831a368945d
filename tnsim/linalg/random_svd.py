"""Truncated SVD from a random probe: the leading singular values of a large matrix without all of them."""

from collections.abc import Sequence

from tnsim.backend import Seed, generator
from tnsim.errors import SettingsError, ShapeError
from tnsim.linalg.decompose import Spectrum, qr, svd
from tnsim.linalg.truncation import Truncation
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, fuse, random_tensor, split


def random_svd(
    tensor: Tensor,
    rows: Sequence[int],
    truncation: Truncation,
    *,
    oversampling: int = 10,
    iterations: int = 2,
    seed: Seed = 0,
) -> tuple[Tensor, Spectrum, Tensor]:
    """As `svd`, for a truncation to few values: axes `rows` on U, the others on V, T close to U diag(s) V.

    A probe of chi_max + oversampling columns a sector is sent through T and T^dagger, orthonormalised after every
    product, and the small matrix that is left is decomposed. Cost O(m n chi_max) an iteration instead of
    O(m n min(m, n)). Error: on average at most 1 + O((s_cut / s_chi)^(2 iterations + 1)) of the best. The same seed
    gives the same numbers on every backend. Raises NumericalError on NaN or Inf. Source: N. Halko,
    P. G. Martinsson, J. A. Tropp, SIAM Review 53, 217 (2011), algorithm 4.4.

    >>> from tnsim.tensor import from_dense
    >>> T = from_dense(np.diag([3.0, 2.0, 1.0, 0.1, 0.1]))
    >>> random_svd(T, (0,), Truncation(chi_max=2))[1].values.round(6).tolist()
    [3.0, 2.0]
    """
    if oversampling < 0 or iterations < 0:
        raise SettingsError(
            f"a probe needs oversampling >= 0 and iterations >= 0, found {oversampling} and {iterations}."
        )
    cols = tuple(n for n in range(tensor.ndim) if n not in rows)
    if not rows or not cols:
        raise ShapeError(f"a split needs axes on both sides, found rows {tuple(rows)} of {tensor.ndim} axes.")
    matrix = fuse(tensor, [tuple(rows), cols], [1, -1])
    basis = _range(matrix, truncation.chi_max + oversampling, iterations, seed)
    small = contract("a m, a b -> m b", basis.conj(), matrix)
    u, spectrum, v = svd(small, (0,), truncation)
    u = contract("a m, m n -> a n", basis, u)
    whole = matrix.norm() ** 2
    lost = max(0.0, 1 - float((spectrum.values**2).sum()) / whole) if whole > 0 else 0.0
    return (
        split(u, 0, [tensor.legs[n] for n in rows]),
        Spectrum(spectrum.leg, spectrum.values, lost),
        split(v, 1, [tensor.legs[n] for n in cols]),
    )


def _range(matrix: Tensor, width: int, iterations: int, seed: Seed) -> Tensor:
    """Orthonormal columns that hold nearly all of the matrix's leading left vectors."""
    leg = matrix.legs[1]
    probe = Leg(leg.group, leg.charges, [min(d, width) for d in leg.dims], -leg.dual.flow)
    start = random_tensor((leg.dual, probe), dtype=matrix.dtype, seed=generator(seed), backend=matrix.backend)
    basis, _ = qr(contract("a b, b p -> a p", matrix, start), (0,))
    for _ in range(iterations):
        back, _ = qr(contract("a b, a m -> b m", matrix.conj(), basis), (0,))
        basis, _ = qr(contract("a b, b m -> a m", matrix, back), (0,))
    return basis
