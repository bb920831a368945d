"""SVD, QR, LQ and eigenvalues against dense NumPy, for any backend, dtype and symmetry."""

import numpy as np

from tests.suites.structures import Maker, Structure, assert_same, dense, tolerance
from tnsim.backend import Backend
from tnsim.linalg import Spectrum, Truncation, eigh, fix_signs, lq, qr, random_isometry, svd
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, diagonal, fuse

ROWS = [((0, 1), (2, 3)), ((2, 0), (1, 3)), ((3,), (0, 1, 2)), ((1, 2, 3), (0,))]


def example(backend: Backend, dtype: np.dtype, structure: Structure) -> Tensor:
    """A charged tensor with four legs."""
    a, b, c, d = structure.legs
    return Maker(backend, dtype)(a, b.dual, c, d.dual, charge=structure.charge)


def matrix_of(tensor: Tensor, rows: tuple[int, ...], cols: tuple[int, ...]) -> np.ndarray:
    """The dense matrix of a split."""
    sizes = tensor.shape
    return dense(tensor).transpose(rows + cols).reshape(int(np.prod([sizes[n] for n in rows])), -1)


def as_matrices(left: Tensor, right: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Factors of a split as dense matrices."""
    bond = left.shape[-1]
    return dense(left).reshape(-1, bond), dense(right).reshape(bond, -1)


def assert_isometry(matrix: np.ndarray, dtype: np.dtype) -> None:
    """Orthonormal columns."""
    np.testing.assert_allclose(matrix.conj().T @ matrix, np.eye(matrix.shape[1]), atol=tolerance(dtype))


def between(left: Tensor, spectrum: Spectrum, right: Tensor) -> np.ndarray:
    """U diag(s) V as a dense matrix."""
    u, v = as_matrices(left, right)
    return u * spectrum.values @ v


def check_svd(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """Full splits: product, isometries, singular values, charges."""
    tensor = example(backend, dtype, structure)
    for rows, cols in ROWS:
        u, spectrum, v = svd(tensor, rows)
        expected = matrix_of(tensor, rows, cols)
        assert u.dtype == v.dtype == dtype and spectrum.values.dtype == np.float64
        np.testing.assert_allclose(between(u, spectrum, v), expected, atol=tolerance(dtype) * 10)
        left, right = as_matrices(u, v)
        assert_isometry(left, dtype)
        assert_isometry(right.conj().T, dtype)
        exact = np.linalg.svd(expected, compute_uv=False)
        found = np.sort(spectrum.values)[::-1]
        np.testing.assert_allclose(found, exact[: len(found)], atol=tolerance(dtype) * 10)
        assert np.abs(exact[len(found) :]).max(initial=0) < tolerance(dtype) * 10
        assert u.charge == tensor.charge and v.charge == tensor.group.identity
        assert spectrum.leg is v.legs[0] and spectrum.leg is u.legs[-1].dual
        assert spectrum.discarded_weight == 0
        middle = diagonal(backend.asarray(spectrum.values.astype(dtype)), spectrum.leg)
        flat_u, flat_v = fuse(u, [range(u.ndim - 1), [u.ndim - 1]]), fuse(v, [[0], range(1, v.ndim)])
        whole = contract("l b, b c, c r -> l r", flat_u, middle, flat_v)
        expected = fuse(tensor, [rows, cols], [flat_u.legs[0].flow, flat_v.legs[1].flow])
        assert_same(whole, dense(expected), dtype)


def check_truncated_svd(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """Truncation is global over the blocks: the largest values survive, and the error is what was cut."""
    tensor = example(backend, dtype, structure)
    for rows, cols in ROWS[:2]:
        expected = matrix_of(tensor, rows, cols)
        exact = np.linalg.svd(expected, compute_uv=False).astype(np.float64)
        weights = exact**2 / (exact**2).sum()
        for chi in (1, 2, 4):
            u, spectrum, v = svd(tensor, rows, Truncation(chi_max=chi))
            kept = len(spectrum.values)
            assert u.shape[-1] == v.shape[0] == kept <= chi
            np.testing.assert_allclose(np.sort(spectrum.values)[::-1], exact[:kept], atol=tolerance(dtype) * 10)
            cut = weights[kept:].sum()
            assert abs(spectrum.discarded_weight - cut) < tolerance(dtype)
            error = np.linalg.norm(between(u, spectrum, v) - expected) ** 2 / (exact**2).sum()
            assert abs(error - cut) < tolerance(dtype) * 10
        wanted = weights[2:].sum() * 1.0001
        _, spectrum, _ = svd(tensor, rows, Truncation(chi_max=10**6, trunc_err=float(wanted)), normalize=True)
        assert spectrum.discarded_weight <= wanted
        assert len(spectrum.values) == min(2, len(exact))
        assert abs((spectrum.values**2).sum() - 1) < tolerance(dtype)


def check_qr(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """QR and LQ: product and isometry."""
    tensor = example(backend, dtype, structure)
    for rows, cols in ROWS:
        expected = matrix_of(tensor, rows, cols)
        for function, isometric in ((qr, 0), (lq, 1)):
            factors = function(tensor, rows)
            left, right = as_matrices(*factors)
            assert factors[0].dtype == factors[1].dtype == dtype
            np.testing.assert_allclose(left @ right, expected, atol=tolerance(dtype) * 10)
            assert_isometry(left if isometric == 0 else right.conj().T, dtype)
            assert factors[0].charge == tensor.charge


def check_eigh(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """Hermitian matrices: values as NumPy's, vectors unitary and eigenvectors."""
    leg = structure.legs[2]
    make = Maker(backend, dtype)
    x = make(leg, leg.dual)
    hermitian = (x + contract("a b -> b a", x.conj())) * 0.5
    v, spectrum = eigh(hermitian)
    full, vectors = dense(hermitian), dense(v)
    assert v.dtype == dtype
    assert_isometry(vectors, dtype)
    np.testing.assert_allclose(np.sort(spectrum.values), np.linalg.eigvalsh(full), atol=tolerance(dtype))
    np.testing.assert_allclose(full @ vectors, vectors * spectrum.values, atol=tolerance(dtype) * 10)
    assert_same(contract("a b, b c -> a c", hermitian, v), vectors * spectrum.values, dtype)


def check_truncated_eigh(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """The largest absolute values survive, over all sectors."""
    leg = structure.legs[2]
    x = Maker(backend, dtype)(leg, leg.dual)
    hermitian = x + contract("a b -> b a", x.conj())
    full = dense(hermitian)
    exact = np.linalg.eigvalsh(full).astype(np.float64)
    exact = exact[np.argsort(-np.abs(exact))]
    for chi in (1, 3, leg.dim):
        v, spectrum = eigh(hermitian, Truncation(chi_max=chi))
        count = len(spectrum.values)
        assert count == min(chi, leg.dim) and v.shape == (leg.dim, count) and v.legs[1].dual is spectrum.leg
        np.testing.assert_allclose(
            np.sort(np.abs(spectrum.values))[::-1], np.abs(exact[:count]), atol=tolerance(dtype) * 10
        )
        vectors = dense(v)
        assert_isometry(vectors, dtype)
        np.testing.assert_allclose(full @ vectors, vectors * spectrum.values, atol=tolerance(dtype) * 10)
        cut = (exact[count:] ** 2).sum() / (exact**2).sum()
        assert abs(spectrum.discarded_weight - cut) < tolerance(dtype)


def check_random_isometry(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """Isometric, conserving, with the same numbers on every backend."""
    a, b, c, _ = structure.legs
    room = svd(Maker(backend, dtype)(a, b, c, charge=structure.charge), (0, 1))[1].leg
    bond = Leg(room.group, room.charges, [1] * len(room))
    w = random_isometry([a, b], bond, structure.charge, dtype=dtype, seed=3, backend=backend)
    assert w.backend is backend and w.dtype == dtype and w.legs == (a, b, bond.dual)
    assert_isometry(dense(w).reshape(-1, bond.dim), dtype)
    host = random_isometry([a, b], bond, structure.charge, dtype=dtype, seed=3, backend="numpy")
    np.testing.assert_array_equal(backend.to_host(w.data), host.data)


def check_empty_and_zero(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """A tensor of zeros keeps one value; a tensor without blocks has an empty bond."""
    a, b, *_ = structure.legs
    zero = Maker(backend, dtype)(a, b.dual) * 0
    if zero.size:
        u, spectrum, v = svd(zero, (0,), Truncation(chi_max=3))
        assert list(spectrum.values) == [0.0] and spectrum.discarded_weight == 0
        left, right = as_matrices(u, v)
        assert_isometry(left, dtype)
    if structure.name == "U1":
        empty = Maker(backend, dtype)(a, b.dual, charge=(40,))
        u, spectrum, v = svd(empty, (0,), Truncation(chi_max=3))
        assert u.shape == (a.dim, 0) and v.shape == (0, b.dim) and len(spectrum.values) == 0
        for function in (qr, lq):
            left, right = function(empty, (0,))
            assert left.shape == (a.dim, 0) and right.shape == (0, b.dim)
        assert contract("l b, b r -> l r", u, v).norm() == 0


def check_fixed_signs(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """The product stays, u stays an isometry, and other phases of the same factors come out the same."""
    tensor = example(backend, dtype, structure)
    for rows, cols in ROWS[:2]:
        u, spectrum, v = svd(tensor, rows)
        phase = (0.6 + 0.8j) if dtype.kind == "c" else -1.0
        a, b = fix_signs(u, v)
        c, d = fix_signs(u * phase, v * (1 / phase))
        assert a.legs == u.legs and b.legs == v.legs and a.dtype == b.dtype == dtype
        np.testing.assert_allclose(between(a, spectrum, b), matrix_of(tensor, rows, cols), atol=tolerance(dtype) * 10)
        assert_isometry(as_matrices(a, b)[0], dtype)
        assert_same(c, dense(a), dtype)
        assert_same(d, dense(b), dtype)
