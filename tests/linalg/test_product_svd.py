"""The randomised decomposition of a product against the full one."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tests.suites.structures import tolerance
from tnsim.errors import NumericalError, ShapeError
from tnsim.linalg import Truncation, svd
from tnsim.linalg.product_svd import _rows, product_ends, product_svd
from tnsim.symmetry import TRIVIAL, Leg, Zn
from tnsim.tensor import Tensor, contract, from_dense, random_tensor

LEGS = {"trivial": Leg(TRIVIAL, [()], [60]), "Z2": Leg(Zn(2), [0, 1], [50, 60])}


def decaying(leg: Leg, backend, dtype) -> tuple[Tensor, Tensor]:
    """Two matrices whose product has singular values 2^-n."""
    first = random_tensor((leg, leg.dual), seed=1, dtype=dtype)
    u, s, v = svd(first, (0,))
    values = np.concatenate([2.0 ** -np.arange(d) for d in leg.dims]).astype(dtype)
    middle = from_dense(np.diag(values), (leg, leg.dual))
    left = contract("a m, m n -> a n", u, middle)
    return left.to(backend), v.to(backend)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
@pytest.mark.parametrize("name", LEGS)
def test_it_finds_the_leading_part_of_a_product(device, dtype, name):
    backend = backend_or_skip(device)
    factors = decaying(LEGS[name], backend, dtype)
    u, spectrum, v = product_svd(factors, Truncation(chi_max=8), sketch=True)
    full = svd(contract("a b, b c -> a c", *factors), (0,), Truncation(chi_max=8))[1]
    assert u.dtype == dtype and u.backend is backend and spectrum.leg is full.leg
    np.testing.assert_allclose(spectrum.values, full.values, atol=tolerance(dtype))
    if dtype in (np.float64, np.complex128):
        assert spectrum.discarded_weight == pytest.approx(full.discarded_weight, rel=1e-4)
    rows = backend.to_host(contract("a m, a n -> m n", u.conj(), u).to_dense())
    np.testing.assert_allclose(rows, np.eye(8), atol=tolerance(dtype))


def test_the_weight_outside_the_sketch_is_estimated():
    """A flat tail, of which the columns to spare see little."""
    values = np.concatenate([np.ones(4), np.full(196, 0.01)])
    rng = np.random.default_rng(0)
    turn = [np.linalg.qr(rng.standard_normal((200, 200)))[0] for _ in range(2)]
    matrix = from_dense(turn[0] * values @ turn[1])
    _, spectrum, _ = product_svd([matrix], Truncation(chi_max=4), sketch=True)
    assert spectrum.discarded_weight == pytest.approx(196e-4 / (4 + 196e-4), rel=0.2)


def test_small_products_are_decomposed_in_full():
    """A discarded weight to all digits, which a sketch only estimates; one of more rows is sketched."""
    values = 0.9 ** np.arange(300)
    found = []
    for count in (150, 300):
        _, spectrum, _ = product_svd([from_dense(np.diag(values[:count]))], Truncation(chi_max=8))
        exact = (values[8:count] ** 2).sum() / (values[:count] ** 2).sum()
        found.append(abs(spectrum.discarded_weight / exact - 1))
    assert found[0] < 1e-12 < found[1]


@pytest.mark.parametrize("sketch", [False, True])
@pytest.mark.parametrize("name", LEGS)
def test_the_ends_of_a_product_are_what_its_singular_vectors_make_of_them(name, sketch):
    left, right = decaying(LEGS[name], backend_or_skip("numpy"), np.dtype("d"))
    lower, spectrum, upper = product_ends([left], [right], Truncation(chi_max=6), sketch=sketch)
    full = svd(contract("a b, b c -> a c", left, right), (0,), Truncation(chi_max=6))[1]
    np.testing.assert_allclose(spectrum.values, full.values, atol=1e-12)
    # lower upper is U^dagger (U s V) V^dagger
    middle = contract("k b, b l -> k l", lower, upper).to_dense()
    np.testing.assert_allclose(middle, np.diag(spectrum.values), atol=1e-12)


def test_rounds_are_made_where_values_decay_slowly(monkeypatch):
    """Without a tail none; with one as many as bring the rest down to the share that is cut anyway, or two."""
    rounds = []
    monkeypatch.setattr("tnsim.linalg.product_svd._rows", lambda *words: rounds.append(1) or _rows(*words))
    rng = np.random.default_rng(0)
    turn = [np.linalg.qr(rng.standard_normal((200, 200)))[0] for _ in range(2)]
    for values, expected in ((2.0 ** -(4.0 * np.arange(200)), 1), (1 / np.arange(1, 201), 3)):
        rounds.clear()
        left, right = from_dense(turn[0] * values), from_dense(turn[1])
        product_ends([left], [right], Truncation(chi_max=8), noise=1e-11, sketch=True)
        assert len(rounds) == expected


def test_bad_input_is_named():
    with pytest.raises(ShapeError, match="matrices"):
        product_svd([from_dense(np.ones((2, 2, 2)))], Truncation(chi_max=2))
    for size in (3, 60, 300):
        with pytest.raises(NumericalError, match="NaN"):
            product_svd([from_dense(np.full((size, size), np.nan))], Truncation(chi_max=2))
