"""Approximate contraction of any network against exact contraction, its error estimate, and what is refused."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact.grids import value
from tests.suites.chains import PLACES
from tnsim.algorithms.plane.exact_contraction import ExactContraction
from tnsim.algorithms.plane.sweep_contraction import SweepContraction, short_cut_order
from tnsim.errors import OperatorError, SettingsError, ShapeError
from tnsim.linalg import Truncation
from tnsim.models.classical import Dimers, Ising
from tnsim.networks.factor_graph import FactorGraph, colourings
from tnsim.networks.square_network import FiniteNetwork


def sweep(chi: int, **settings) -> SweepContraction:
    return SweepContraction(truncation=Truncation(chi_max=chi, svd_min=1e-14), **settings)


def of_grid(network: FiniteNetwork) -> tn.TensorNetwork:
    """Bonds named by what is north, or west, of them; the edges closed by ones."""
    tensors = {}
    for i, row in enumerate(network.rows):
        for j, tensor in enumerate(row):
            words = [f"v{i},{j}", f"h{i},{j + 1}", f"v{i + 1},{j}", f"h{i},{j}"]
            tensors[f"{i},{j}"] = (tensor, words)
            for word, leg in zip(words, tensor.legs, strict=True):
                if leg.dim == 1:
                    one = tn.from_dense(np.ones(1, dtype=tensor.dtype), [leg.dual]).to(tensor.backend)
                    tensors[f"edge {word}"] = (one, [word])
    return tn.TensorNetwork(tensors)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_grids_on_every_device(device, dtype):
    network = Ising(beta=0.4, Jy=0.6).finite(4, 5, dtype=dtype, backend=backend_or_skip(device))
    found = sweep(16).solve(of_grid(network))
    exact = value(Ising(beta=0.4, Jy=0.6).finite(4, 5)).real
    eps = 1e-4 if dtype.char in "fF" else 1e-10
    assert found.log_value + network.log_scale == pytest.approx(np.log(exact), abs=eps)
    assert found.phase == pytest.approx(1, abs=1e-5)


def test_conserved_charges_stay():
    network = Ising(beta=0.4, conserve="parity").finite(4, 4)
    found = sweep(16).solve(of_grid(network))
    assert found.log_value + network.log_scale == pytest.approx(np.log(value(network).real), abs=1e-11)


def test_a_planar_network_is_swept_in_a_width_of_its_side():
    """Dimers of 8 x 8: the order found leaves less than two indices a column open."""
    found = sweep(64, tol=1e-6).solve(of_grid(Dimers().finite(8, 8)))
    assert np.exp(found.log_value) == pytest.approx(12988816, rel=1e-7) and found.width <= 16
    assert found.status.converged and "open indices at most" in repr(found)


def test_graphs_that_are_no_lattice():
    """Weights on the edges of a cube and of the Petersen graph."""
    rng = np.random.default_rng(5)
    petersen = [(i, (i + 1) % 5) for i in range(5)] + [(i, i + 5) for i in range(5)]
    petersen += [(5 + i, 5 + (i + 2) % 5) for i in range(5)]
    network = FactorGraph({str(n): 3 for n in range(10)}, [(pair, rng.random((3, 3))) for pair in petersen]).network()
    exact = ExactContraction().solve(network).value
    found = sweep(81).solve(network)
    assert found.phase * np.exp(found.log_value) == pytest.approx(exact, rel=1e-9) and found.error < 1e-8
    signed = FactorGraph({str(n): 2 for n in range(10)}, [(p, rng.standard_normal((2, 2))) for p in petersen]).network()
    found = sweep(64).solve(signed)
    assert found.phase * np.exp(found.log_value) == pytest.approx(ExactContraction().solve(signed).value, rel=1e-8)


def test_the_error_tells_what_was_cut():
    rng = np.random.default_rng(2)
    edges = [(i, j) for i in range(16) for j in (i + 1, i + 4) if j < 16 and not (j == i + 1 and j % 4 == 0)]
    edges += [(0, 15), (3, 12)]  # two bonds across
    network = FactorGraph({str(n): 3 for n in range(16)}, [(e, 0.2 + rng.random((3, 3))) for e in edges]).network()
    exact = np.log(ExactContraction().solve(network).value.real)
    for chi in (3, 5):
        found = sweep(chi).solve(network)
        assert abs(found.log_value - exact) < 4 * found.error and found.error < 0.3
        assert not found.status.converged and "chi_max" in found.status.advice
    assert sweep(81).solve(network).log_value == pytest.approx(exact, abs=1e-9)


def test_traces_pieces_and_zeros():
    A, B = tn.from_dense(np.array([[1.0, 2.0], [3.0, 4.0]])), tn.from_dense(np.ones((2, 2)))
    two = tn.TensorNetwork({"A": (A, "a a"), "B": (B, "b b")}) if A.legs[0].dual is A.legs[1] else None
    closed = tn.TensorNetwork([(tn.from_dense(np.array([1.0, 2.0])), "a"), (tn.from_dense(np.ones(2)).conj(), "a")])
    assert sweep(4).solve(closed).log_value == pytest.approx(np.log(3))
    assert two is None or sweep(4).solve(two).log_value == pytest.approx(np.log(10))
    odd = colourings([(1, 2), (2, 3), (3, 1)], colours=2).network()
    found = sweep(8).solve(odd)
    assert found.log_value < -20


def test_bad_input_is_named():
    network = colourings([(1, 2), (2, 3)], colours=2).network()
    some = next(iter(network.tensors))
    opened = tn.TensorNetwork([(tn.from_dense(np.ones(2)), "a")], "a")
    cases = [
        (lambda: sweep(4).solve([]), OperatorError, "a TensorNetwork is contracted"),
        (lambda: sweep(4).solve(opened), ShapeError, "the indices a are open"),
        (lambda: sweep(4, order=("x",)).solve(network), SettingsError, "the order names 'x'"),
        (lambda: sweep(4, order=(some,)).solve(network), SettingsError, "each stands once"),
        (lambda: sweep(0), SettingsError, "chi_max"),
    ]
    for make, error, words in cases:
        with pytest.raises(error, match=words):
            make()
    assert sorted(short_cut_order(network)) == sorted(network.tensors)
