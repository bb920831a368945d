"""Decompositions: the suite on every backend, dtype and symmetry, and what is refused."""

import numpy as np
import pytest

from tests.suites import decompositions
from tests.suites.structures import STRUCTURES
from tnsim.errors import LegError, NumericalError, SettingsError, ShapeError
from tnsim.linalg import Spectrum, Truncation, discarded_weight, eigh, qr, random_isometry, svd
from tnsim.symmetry import U1, Leg
from tnsim.tensor import from_dense, random_tensor, zeros

CHECKS = [
    decompositions.check_svd,
    decompositions.check_truncated_svd,
    decompositions.check_qr,
    decompositions.check_eigh,
    decompositions.check_truncated_eigh,
    decompositions.check_random_isometry,
    decompositions.check_fixed_signs,
    decompositions.check_empty_and_zero,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_against_dense(check, backend, dtype, structure):
    check(backend, dtype, structure)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf_are_errors(backend, bad):
    matrix = np.ones((3, 3))
    matrix[1, 1] = bad
    tensor = from_dense(matrix).to(backend)
    with pytest.raises(NumericalError, match="NaN or Inf"):
        svd(tensor, (0,))
    for function in (lambda t: qr(t, (0,)), eigh):
        with pytest.raises(NumericalError, match="NaN or Inf"):
            function(tensor)


def test_a_split_needs_both_sides():
    tensor = from_dense(np.ones((2, 3)))
    for rows in ((), (0, 1)):
        with pytest.raises(ShapeError, match="both sides"):
            svd(tensor, rows)
    with pytest.raises(ShapeError):
        svd(tensor, (0, 5))


def test_eigh_needs_a_hermitian_structure():
    a, b, *_ = STRUCTURES[1].legs
    with pytest.raises(ShapeError, match="leg.dual"):
        eigh(random_tensor([a, b.dual]))
    with pytest.raises(ShapeError, match="no charge"):
        eigh(random_tensor([a, a.dual], (2,)))


def test_an_isometry_needs_room():
    a, b, *_ = STRUCTURES[1].legs
    with pytest.raises(LegError, match="leave room for"):
        random_isometry([a], b)
    flat = random_isometry([a], a, seed=1)
    assert random_isometry([a], a, seed=2).dtype == flat.dtype and abs(flat.norm() ** 2 - a.dim) < 1e-12


def test_eigh_keeps_degenerate_values_at_the_top():
    v, spectrum = eigh(from_dense(np.diag([-0.1, 1.0, 1.0])), Truncation(chi_max=1))
    assert list(spectrum.values) == [1.0] and v.shape == (3, 1)


def test_spectrum_by_charge():
    a, b, *_ = STRUCTURES[1].legs
    _, spectrum, _ = svd(random_tensor([a, b, a.dual], seed=0), (0, 1))
    table = spectrum.by_charge()
    assert sum(map(len, table.values())) == len(spectrum.values)
    assert all((np.diff(values) <= 0).all() for values in table.values())


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"chi_max": 0}, "chi_max must be at least 1, found 0"),
        ({"chi_max": 2.5}, "chi_max"),
        ({"chi_max": True}, "chi_max"),
        ({"chi_max": 3, "chi_min": 4}, "chi_min"),
        ({"chi_max": 3, "svd_min": -1.0}, "svd_min"),
        ({"chi_max": 3, "trunc_err": 1.0}, "trunc_err"),
        ({"chi_max": 3, "svd_min": float("nan")}, "svd_min"),
    ],
)
def test_bad_truncations(bad, words):
    with pytest.raises(SettingsError, match=words):
        Truncation(**bad)


def test_truncation_rules():
    values = np.sqrt(np.array([0.5, 0.3, 0.1, 0.1, 0.0]))
    assert Truncation(chi_max=10).count(values) == 4
    assert Truncation(chi_max=10, trunc_err=0.15).count(values) == 3
    assert Truncation(chi_max=10, trunc_err=0.25).count(values) == 2
    assert Truncation(chi_max=3, degeneracy_tol=1e-6).count(values) == 2
    assert Truncation(chi_max=10, chi_min=5).count(values) == 5
    assert Truncation(chi_max=10, svd_min=0.9).count(values) == 1
    assert Truncation(chi_max=10).count(np.zeros(0)) == 0
    assert Truncation(chi_max=10, trunc_err=0.9999).count(np.array([1.0])) == 1
    np.testing.assert_array_equal(Truncation(chi_max=2).keep(np.array([0.1, 0.5, 0.2, 0.5])), [1, 3])


def test_discarded_weight_of_zeros_is_zero():
    assert discarded_weight(np.zeros(3), np.array([0])) == 0


def test_a_spectrum_is_one_short_line():
    leg = Leg(U1("Sz"), [-1, 1], [1, 2])
    spectrum = Spectrum(leg, np.array([0.8, 0.6, 1e-7]), 2e-12)
    assert repr(spectrum) == "Spectrum(3 values from 0.8 to 1e-07, 2 sectors, discarded 2.0e-12)"
    assert len(repr(Spectrum(leg, np.linspace(1, 0, 500)))) < 79
    _, kept, _ = svd(zeros([leg, leg.dual]), (0,), Truncation(chi_max=1))
    assert "discarded 0.0e+00" in repr(kept)
