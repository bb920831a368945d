"""Samples, marginals, sides and double layers of finite networks against sums over all configurations."""

import itertools

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact.grids import value
from tnsim.algorithms.plane.boundary_mps import BoundaryMPS
from tnsim.algorithms.plane.network_samples import network_marginals, sample_network
from tnsim.errors import LegError, NumericalError, OperatorError, SettingsError, ShapeError
from tnsim.linalg import Truncation
from tnsim.models.classical import Dimers, HardSquares, Ising, Potts
from tnsim.networks.double_layer import amplitude_network, overlap_network
from tnsim.networks.square_network import FLOWS
from tnsim.symmetry import U1, Leg, trivial_leg
from tnsim.tensor import random_tensor


def wide(chi: int = 32, **settings) -> BoundaryMPS:
    return BoundaryMPS(truncation=Truncation(chi_max=chi, svd_min=1e-14), **settings)


def weights_of(model: Ising, configurations: np.ndarray) -> np.ndarray:
    spins = 1.0 - 2.0 * configurations
    energy = -model.field * spins.sum((1, 2))
    energy -= model.couplings[0] * (spins[:, :, :-1] * spins[:, :, 1:]).sum((1, 2))
    energy -= model.couplings[1] * (spins[:, :-1] * spins[:, 1:]).sum((1, 2))
    return np.exp(-model.beta * energy)


def all_configurations(rows: int, columns: int) -> np.ndarray:
    return np.array(list(itertools.product([0, 1], repeat=rows * columns))).reshape(-1, rows, columns)


def test_samples_follow_the_weights():
    """Chi^2 over all 256 configurations of 2 x 4 spins, those of less than five expected shots together."""
    model, shots = Ising(beta=0.35, Jy=0.6, field=0.1), 20000
    found = sample_network(model.finite(2, 4), model.outcomes(2, 4), shots, wide(), seed=3)
    every = all_configurations(2, 4)
    probabilities = weights_of(model, every) / weights_of(model, every).sum()
    numbers = found.outcomes.reshape(shots, 8) @ 2 ** np.arange(7, -1, -1)
    expected, counts = shots * probabilities, np.bincount(numbers, minlength=256)
    rare = expected < 5
    expected = np.append(expected[~rare], expected[rare].sum())
    counts = np.append(counts[~rare], counts[rare].sum())
    chi2, free = ((counts - expected) ** 2 / expected).sum(), len(expected) - 1
    assert abs(chi2 - free) < 4 * np.sqrt(2 * free)
    np.testing.assert_allclose(found.log_probabilities, np.log(probabilities[numbers]), atol=1e-10)
    first, again = (sample_network(model.finite(2, 4), model.outcomes(2, 4), 50, wide(), seed=3).outcomes for _ in "ab")
    np.testing.assert_array_equal(first, again)


def test_samples_of_a_cut_boundary_tell_their_probability():
    """Weights over the probabilities that samples were drawn with give averages without the cut's error."""
    model, shots = Ising(beta=0.44), 200
    found = sample_network(model.finite(4, 4), model.outcomes(4, 4), shots, wide(2), seed=1)
    exact = np.log(value(model.finite(4, 4)).real)
    ratios = np.exp(np.log(weights_of(model, found.outcomes)) - found.log_probabilities - exact)
    assert ratios.mean() == pytest.approx(1, abs=0.05) and 1e-6 < ratios.std() < 0.5


def test_forbidden_configurations_never_come():
    samples = sample_network(HardSquares().finite(3, 4), HardSquares().outcomes(3, 4), 100, wide(), seed=2)
    found = samples.outcomes
    assert not (found[:, :, :-1] * found[:, :, 1:]).any() and not (found[:, :-1] * found[:, 1:]).any()
    assert found.any() and "100 of 3 x 4" in repr(samples)


@pytest.mark.parametrize("device", ["numpy", "strict"])
def test_marginals(device):
    backend = backend_or_skip(device)
    model = Ising(beta=0.5, field=0.3)
    boundaries = wide().boundaries(model.finite(2, 3, backend=backend))
    found = network_marginals(boundaries, model.outcomes(2, 3, backend=backend))
    every = all_configurations(2, 3)
    weights = weights_of(model, every)
    up = np.einsum("a,aij->ij", weights, 1.0 - every) / weights.sum()
    np.testing.assert_allclose(found, np.stack([up, 1 - up], -1), atol=1e-12)
    outcomes = sample_network(model.finite(2, 3, backend=backend), model.outcomes(2, 3, backend=backend), 3, wide())
    assert outcomes.outcomes.shape == (3, 2, 3)


@pytest.mark.parametrize("method", ["zip-up", "variational", "density-matrix", "src", "svd"])
def test_every_method_takes_in_rows(method):
    network = Ising(beta=0.44, Jy=0.6).finite(5, 5)
    exact = np.log(value(network).real)
    # the density matrix squares Schmidt values
    assert wide(64, method=method).solve(network).log_z == pytest.approx(exact, abs=1e-9)
    cut = wide(4, method=method).solve(network)
    assert cut.log_z == pytest.approx(exact, abs=max(4 * cut.error, 1e-9)) and cut.error < 1e-3


@pytest.mark.parametrize("side", ["north", "east", "south", "west"])
def test_boundaries_from_any_side(side):
    """All lines from one side are the network; of none, bonds of one state."""
    network = Ising(beta=0.44, Jy=0.7, field=0.2).finite(3, 4)
    whole = wide().boundary(network, side)
    number = np.prod([tensor.to_dense() for tensor in whole.state.tensors]).item()
    assert whole.log_norm + np.log(number) + network.log_scale == pytest.approx(np.log(value(network).real))
    half = wide().boundary(network, side, 1)
    assert max(half.state.bond_dimensions) == 2 and len(half.state.tensors) == (4 if side in ("north", "south") else 3)


def peps(rows: int, columns: int, leg: Leg, phys: Leg, seed: int) -> list[list[tn.Tensor]]:
    rng = np.random.default_rng(seed)
    one = trivial_leg(1, 1, leg.group)

    def bond(inside: bool, flow: int) -> Leg:
        return (leg if inside else one).with_flow(flow)

    return [
        [
            random_tensor(
                (*map(bond, (i > 0, j < columns - 1, i < rows - 1, j > 0), FLOWS), phys),
                dtype=np.complex128,
                seed=rng,
            )
            for j in range(columns)
        ]
        for i in range(rows)
    ]


def amplitudes(sites: list[list[tn.Tensor]]) -> np.ndarray:
    """All of a 2 x 2 state."""
    (a, b), (c, d) = [[tensor.to_dense() for tensor in row] for row in sites]
    return (
        np.einsum("aefbp,cghep,fijkl,hmnil->", a, b, c, d)
        if False
        else np.einsum("aefbp,cgheq,fijkr,hlmis->pqrs", a, b, c, d, optimize=True)
    )


@pytest.mark.parametrize("group", ["none", "U1"])
def test_norms_overlaps_and_amplitudes_of_states_in_the_plane(group):
    leg = trivial_leg(3) if group == "none" else Leg(U1("N"), [(-1,), (0,), (1,)], [1, 2, 1], 1)
    phys = trivial_leg(2) if group == "none" else Leg(U1("N"), [(0,), (1,)], [1, 1], 1)
    if group == "U1":
        leg = Leg(U1("N"), [(-1,), (0,), (1,)], [1, 1, 1], 1)
    first, second = peps(2, 2, leg, phys, 1), peps(2, 2, leg, phys, 2)
    ket, bra = amplitudes(first), amplitudes(second)
    total = wide(100).solve(overlap_network(second, first))
    assert total.phase * np.exp(total.log_z) == pytest.approx(np.vdot(bra, ket), rel=1e-10)
    norm = wide(100).solve(overlap_network(first, first))
    assert norm.phase.real == pytest.approx(1) and np.exp(norm.log_z) == pytest.approx(
        np.vdot(ket, ket).real, rel=1e-10
    )
    if group == "none":
        for states in ([[0, 0], [0, 0]], [[1, 0], [1, 1]]):
            found = wide().solve(amplitude_network(first, states))
            assert found.phase * np.exp(found.log_z) == pytest.approx(ket[tuple(np.ravel(states))], rel=1e-10)


def test_bad_input_is_named():
    model, network = Ising(beta=0.4), Ising(beta=0.4).finite(2, 2)
    cases = [
        (lambda: wide().boundary(network, "sout"), SettingsError, 'Did you mean "south"'),
        (lambda: wide().boundary(network, "north", 3), SettingsError, "2 lines from the north"),
        (lambda: wide(method="zipup"), SettingsError, 'Did you mean "zip-up"'),
        (lambda: sample_network(network, model.outcomes(2, 3), 1, wide()), ShapeError, r"\(2, 2\) places"),
        (lambda: sample_network(network, model.outcomes(2, 2)[:1], 1, wide()), OperatorError, "do not add up"),
        (lambda: sample_network(network, model.outcomes(2, 2), 0, wide()), ShapeError, "at least one shot"),
        (lambda: sample_network(network, model.outcomes(2, 2), 1.5, wide()), ShapeError, "whole number"),
        (lambda: Potts(states=3, beta=0.4, conserve="charge").outcomes(2, 2), SettingsError, "breaks the symmetry"),
        (lambda: overlap_network([[network.rows[0][0]]], [[network.rows[0][0]]]), LegError, "phys"),
        (lambda: amplitude_network(peps(1, 1, trivial_leg(1), trivial_leg(2), 0), [[2]]), ShapeError, "states 0 to 1"),
    ]
    for make, error, words in cases:
        with pytest.raises(error, match=words):
            make()
    signed = Dimers().finite(2, 2)
    negative = tn.FiniteNetwork([[-signed.rows[0][0], signed.rows[0][1]], signed.rows[1]])
    with pytest.raises(NumericalError, match="no probabilities"):
        sample_network(negative, [negative], 1, wide())


def test_samples_of_wide_networks_have_their_probabilities():
    """Two rows of 1500 spins, nothing cut: ln p = -beta E - ln Z."""
    model, width = Ising(beta=0.3), 1500
    run = BoundaryMPS(truncation=Truncation(chi_max=4, svd_min=1e-14), estimate=False)
    network = model.finite(2, width)
    found = sample_network(network, model.outcomes(2, width), 1, run, seed=3)
    spins = 1 - 2 * found.outcomes[0]
    energy = -(spins[:, :-1] * spins[:, 1:]).sum() - (spins[0] * spins[1]).sum()
    assert found.log_probabilities[0] == pytest.approx(-0.3 * energy - run.solve(network).log_z, abs=1e-8)
