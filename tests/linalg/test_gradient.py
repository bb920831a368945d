"""Gradients of decompositions and fixed points, against finite differences."""

import numpy as np
import pytest

from tests.suites.gradients import check, overlap_with
from tnsim.linalg import Truncation
from tnsim.linalg import gradient as lg
from tnsim.symmetry import U1, Group, Leg, trivial_leg
from tnsim.tensor import diagonal, from_dense, inner, random_tensor, transpose
from tnsim.tensor import gradient as g
from tnsim.tensor.tape import value_and_gradient

CUT = Truncation(chi_max=4)
CHARGED = Leg(U1("N"), [(0,), (1,)], [4, 3])
WIDE = Leg(U1("N"), [(0,), (1,), (2,)], [2, 6, 3])
FERMIONS = Group(("N",), (0,), fermionic=(0,))
GRADED = [Leg(FERMIONS, leg.charges, leg.dims) for leg in (CHARGED, WIDE)]


@pytest.fixture(params=["d", "D"], ids=["float64", "complex128"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture(params=["trivial", "U1", "fermions"])
def legs(request):
    """A tall and a wide leg."""
    return {"trivial": (trivial_leg(5), trivial_leg(8)), "U1": (CHARGED, WIDE), "fermions": tuple(GRADED)}[
        request.param
    ]


def _matrix(first, second, dtype, backend, seed=1):
    return random_tensor((first, second.dual), dtype=dtype, seed=seed, backend=backend)


def _hermitian(leg, dtype, backend, seed=1):
    matrix = random_tensor((leg, leg.dual), dtype=dtype, seed=seed, backend=backend)
    return (matrix + transpose(matrix.conj(), (1, 0))) * 0.5


@pytest.mark.parametrize("tall", [True, False])
def test_qr(legs, dtype, backend, tall):
    first, second = legs if not tall else legs[::-1]
    x = _matrix(first, second, dtype, backend)

    def function(x):
        q, r = lg.qr(x, (0,))
        return overlap_with(q, 5) + overlap_with(r, 6)

    check(function, x)


@pytest.mark.parametrize("leg", [CHARGED, GRADED[0]], ids=["U1", "fermions"])
def test_qr_of_many_legs(leg, dtype, backend):
    x = random_tensor((leg, leg, leg.dual, leg.dual), (1,), dtype=dtype, seed=1, backend=backend)
    check(lambda x: overlap_with(lg.qr(x, (2, 0))[0], 5) + overlap_with(lg.qr(x, (1,))[1], 5), x)


def test_column_space(legs, dtype, backend):
    columns = legs[0] if len(legs[0]) == 1 else Leg(legs[0].group, [(0,), (1,)], [2, 3])
    x = _matrix(legs[1], columns, dtype, backend)

    def function(x):
        q = lg.column_space(x, (0,))
        return overlap_with(g.contract("a m, b m -> a b", q, q.conj()), 5)

    check(function, x)


def test_inverse(legs, dtype, backend):
    x = random_tensor((legs[1], legs[1].dual), dtype=dtype, seed=3, backend=backend)
    check(lambda x: overlap_with(lg.inverse(x), 5), x, tolerance=1e-7)


@pytest.mark.parametrize("truncation", [None, CUT], ids=["all", "cut"])
def test_eigh(legs, dtype, backend, truncation):
    """The phases of eigenvectors are free: only what they do not change has a gradient."""
    x = _hermitian(legs[1], dtype, backend)

    def function(x):
        v, w = lg.eigh(x, truncation)
        squares = g.contract("a m, m n, b n -> a b", v, g.contract("a b, b c -> a c", w, w), v.conj())
        weights = diagonal(w.backend.asarray(np.linspace(1, 2, w.shape[0]).astype(dtype)), w.legs[0])
        return overlap_with(squares, 5) + overlap_with(g.contract("a m, m n, b n -> a b", v, weights, v.conj()), 6)

    check(function, x, hermitian=True, tolerance=1e-7)


def test_leading_space(legs, dtype, backend):
    x = _hermitian(legs[1], dtype, backend)

    def function(x):
        v = lg.leading_space(x, CUT)
        return overlap_with(g.contract("a m, b m -> a b", v, v.conj()), 5)

    check(function, x, hermitian=True)


@pytest.mark.parametrize("truncation", [None, CUT], ids=["all", "cut"])
@pytest.mark.parametrize("tall", [True, False])
def test_svd(legs, dtype, backend, truncation, tall):
    first, second = legs if not tall else legs[::-1]
    x = _matrix(first, second, dtype, backend)

    def function(x):
        u, s, v = lg.svd(x, (0,), truncation)
        weights = diagonal(s.backend.asarray(np.linspace(1, 2, s.shape[0]).astype(dtype)), s.legs[0])
        whole = overlap_with(g.contract("a m, m n, n b -> a b", u, g.contract("a b, b c -> a c", s, s), v), 5)
        return whole + overlap_with(g.contract("a m, m n, n b -> a b", u, weights, v), 6)

    check(function, x, tolerance=1e-7)


@pytest.mark.parametrize("truncation", [Truncation(chi_max=99), CUT], ids=["all", "cut"])
@pytest.mark.parametrize("tall", [True, False])
def test_compressed(legs, dtype, backend, truncation, tall):
    """U U^dagger x, and what the rest alone tells, whatever the basis."""
    first, second = legs if not tall else legs[::-1]
    x = _matrix(first, second, dtype, backend)

    def function(x):
        u, rest = lg.compressed(x, (0,), truncation)
        inside = overlap_with(g.contract("a n, n b -> a b", u, rest), 5)
        return inside + overlap_with(g.contract("n b, n c -> b c", rest.conj(), rest), 6)

    check(function, x)


def test_compression_of_degenerate_values_has_a_gradient():
    """Of those that are kept: the space that they span is what counts."""
    rotations = [np.linalg.qr(np.random.default_rng(n).normal(size=(6, 6)))[0] for n in (1, 2)]
    x = from_dense(rotations[0] @ np.diag([3.0, 3.0, 3.0, 1.0, 1.0, 0.5]) @ rotations[1])

    def function(x):
        u, rest = lg.compressed(x, (0,), Truncation(chi_max=3))
        return overlap_with(g.contract("a n, n b -> a b", u, rest), 5)

    check(function, x)


@pytest.mark.parametrize("count", [2, 4])
def test_degenerate_eigenvalues_are_one_space_with_a_matrix_of_values(count):
    """As a whole V w V^dagger does not depend on the basis of a space that moves."""
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    x = from_dense(rotation @ np.diag([3.0, 3.0 + 1e-9, 1.0, 1.0, 0.5]) @ rotation.T)

    def function(x):
        v, w = lg.eigh(x, Truncation(chi_max=count))
        return overlap_with(g.contract("a m, m n, b n -> a b", v, w, v.conj()), 5)

    check(function, x, hermitian=True, tolerance=1e-6)


@pytest.mark.parametrize("dtype", ["d", "D"])
def test_degenerate_singular_values_are_one_space_with_a_matrix_of_values(dtype):
    u, v = (
        np.linalg.qr(random_tensor((trivial_leg(5), trivial_leg(5, -1)), dtype=dtype, seed=n).array)[0] for n in (1, 2)
    )
    x = from_dense(u @ np.diag([3.0, 3.0, 1.0, 1.0 + 1e-9, 0.5]) @ v)

    def function(x):
        u, s, v = lg.svd(x, (0,), Truncation(chi_max=4))
        return overlap_with(g.contract("a m, m n, n b -> a b", u, lg.inverse(s), v), 5)

    check(function, x, tolerance=1e-6)


def test_the_discarded_space_counts():
    """Without it the gradient of a truncated matrix is wrong by a large share."""
    x = _hermitian(trivial_leg(6), np.dtype("d"), "numpy")

    def kept(x):
        v, w = lg.eigh(x, Truncation(chi_max=3))
        return overlap_with(g.contract("a m, m n, b n -> a b", v, w, v.conj()), 5)

    _, (whole,) = value_and_gradient(kept, x)
    v, _ = lg.eigh(x, Truncation(chi_max=3))
    space = g.contract("a m, b m -> a b", v, v.conj())
    inside = g.contract("a b, b c, c d -> a d", space, whole, space)
    assert (whole - inside).norm() > 0.1 * whole.norm()


def test_fixed_points(dtype, backend):
    """x = A x / 3 + p / |p|, and the same with the solution written out."""
    leg = CHARGED
    matrix = random_tensor((leg, leg.dual), dtype=dtype, seed=1, backend=backend)
    matrix = matrix * (0.5 / matrix.norm())
    p = random_tensor((leg, leg.dual), dtype=dtype, seed=2, backend=backend)

    def step(x, parameters):
        a, p = parameters
        return (g.contract("a b, b c -> a c", a, g.conj(g.transpose(x[0], (1, 0)))) + g.unit(p),)

    def solution(a, p):
        x = (g.unit(p),)
        for _ in range(60):
            x = step(x, (a, p))
        return x

    fixed = tuple(value for value in solution(matrix, p))
    told = []

    def function(a, p):
        near = told[-1][0] if told else None
        how = lg.FixedPointGradient(tol=1e-12)
        return overlap_with(lg.fixed_point(step, fixed, (a, p), how, lambda *y: told.append(y), near)[0], 5)

    _, found = value_and_gradient(function, matrix, p)
    _, again = value_and_gradient(function, matrix, p)
    _, expected = value_and_gradient(lambda a, p: overlap_with(solution(a, p)[0], 5), matrix, p)
    # what was solved before is known already
    assert told[0][1].converged and told[0][1].matvecs > 3 and told[1][1].matvecs == 0
    for first, same, second in zip(found, again, expected, strict=True):
        assert max((first - second).norm(), (same - second).norm()) <= 1e-9 * second.norm()
    assert abs(inner(found[0], found[0])) > 1e-3
