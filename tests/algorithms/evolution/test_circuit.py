"""Circuits against state vectors."""

import numpy as np
import pytest
import scipy.linalg

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact import dense
from tests.suites.chains import CHAINS, relative, vector
from tnsim.errors import ChargeError, OperatorError, ShapeError, StateError
from tnsim.networks.gated_state import swap_matrix
from tnsim.networks.pair_terms import pair_terms

CUT = tn.Truncation(chi_max=64)


def haar(rng: np.random.Generator, size: int) -> np.ndarray:
    """A random unitary; its distribution does not matter here."""
    return np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))[0]


def random_circuit(qubits: int, depth: int, seed: int) -> tn.Circuit:
    """In every layer a gate on each qubit, and gates on random pairs."""
    rng = np.random.default_rng(seed)
    layers = []
    for _ in range(depth):
        order = rng.permutation(qubits).tolist()
        layers.append([(haar(rng, 2), (q,)) for q in range(qubits)])
        layers.append([(haar(rng, 4), (order[k], order[k + 1])) for k in range(0, qubits, 2)])
    return tn.Circuit.from_layers(layers)


def applied(circuit: tn.Circuit, amplitudes: np.ndarray, qubits: int) -> np.ndarray:
    """The same circuit on a state vector."""
    state = amplitudes.reshape((2,) * qubits)
    for matrix, sites in circuit.gates:
        gate = matrix.reshape((2,) * 2 * len(sites))
        state = np.tensordot(gate, state, axes=(range(len(sites), 2 * len(sites)), sites))
        state = np.moveaxis(state, range(len(sites)), sites)
    return state.reshape(-1)


def test_amplitudes_of_twelve_qubits():
    """Depth twelve with random pairs: every amplitude, one of them as the overlap with a bit string."""
    sites = tn.spin_sites(12, conserve=None)
    psi, circuit = tn.MPS.product(sites, ["down"] * 12), random_circuit(12, 12, seed=1)
    result = circuit.run(psi, truncation=CUT)
    exact = applied(circuit, vector(psi), 12)
    np.testing.assert_allclose(vector(result.state), exact, atol=1e-7)
    assert result.fidelity == pytest.approx(1, abs=1e-10) and "Circuit of 216 gates, 72" in repr(circuit)
    bits = ["down", "up"] * 6
    amplitude = tn.overlap(tn.MPS.product(sites, bits), result.state)
    assert amplitude == pytest.approx(exact[int("01" * 6, 2)], abs=1e-7)


def test_fidelity_is_estimated():
    sites = tn.spin_sites(8, conserve=None)
    psi, circuit = tn.MPS.product(sites, ["down"] * 8), random_circuit(8, 4, seed=2)
    result = circuit.run(psi, truncation=tn.Truncation(chi_max=10))
    exact = applied(circuit, vector(psi), 8)
    fidelity = abs(np.vdot(exact, relative(result.state))) ** 2
    assert max(result.state.bond_dimensions) == 10 and 0.1 < fidelity < 0.99
    assert result.fidelity == pytest.approx(fidelity, rel=0.3)
    assert result.state.norm() == pytest.approx(result.fidelity**0.5) and "fidelity 0." in repr(result)


@pytest.mark.parametrize("chain", [CHAINS[1], CHAINS[3], CHAINS[6]], ids=lambda chain: chain.name)
def test_charges_and_fermions(chain):
    """Two particles exchange places over a distance, in either order of the sites: strings are in the swaps."""
    L = len(chain.sites)
    psi = tn.MPS.random(chain.sites, chi=8, charge=chain.charge, seed=3)
    circuit, exact = tn.Circuit(), vector(psi).astype(complex)
    for i, j in ((0, L - 1), (L - 1, 1), (2, 0), (1, 2)):
        H = tn.OperatorSum([tn.plus_hc(0.7, chain.ladder[0], i, chain.ladder[1], j)])
        gate = scipy.linalg.expm(-1j * pair_terms(H, chain.sites)[0][min(i, j), max(i, j)])
        if i > j:
            swap = swap_matrix(chain.sites[:2])
            gate = swap @ gate @ swap.T
        circuit = circuit.add(gate, i, j)
        exact = scipy.linalg.expm(-1j * dense.hamiltonian(H, chain.sites)) @ exact
    result = circuit.run(psi, truncation=CUT)
    np.testing.assert_allclose(vector(result.state), exact, atol=1e-7)
    assert result.state.charge == chain.charge


@pytest.mark.parametrize("place", ["numpy", "strict"])
def test_precision_and_devices(place):
    psi = tn.MPS.product(tn.spin_sites(4, conserve=None), ["down"] * 4, dtype=np.float32)
    flip, hadamard = np.eye(4)[[0, 1, 3, 2]], np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2)
    circuit = tn.Circuit().add(hadamard, 3).add(flip, 3, 0)
    result = circuit.run(psi.to(backend_or_skip(place)), truncation=CUT)
    assert result.state.dtype == np.float32 and result.state.backend is backend_or_skip(place)
    np.testing.assert_allclose(vector(result.state)[[0, 9]], [np.sqrt(0.5)] * 2, atol=1e-6)


def test_bad_input():
    psi = tn.MPS.product(tn.spin_sites(3), ["up", "down", "up"])
    with pytest.raises(OperatorError, match=r"overlap on the sites \[1\]"):
        tn.Circuit.from_layers([[(np.eye(4), (0, 1)), (np.eye(2), (1,))]])
    with pytest.raises(OperatorError, match="one site or on two different ones"):
        tn.Circuit().add(np.eye(4), 1, 1)
    for site in (0.5, "a"):
        with pytest.raises(OperatorError, match="one site or on two different ones"):
            tn.Circuit().add(np.eye(2), site)
    with pytest.raises(OperatorError, match="square matrix of numbers"):
        tn.Circuit().add(np.zeros((0, 0)), 0)
    with pytest.raises(StateError, match="finite norm, not zero"):
        tn.Circuit().add(np.eye(2), 0).run(psi * 0.0, truncation=CUT)
    with pytest.raises(OperatorError, match="is unitary, this one"):
        tn.Circuit().add(2 * np.eye(4), 0, 1)
    with pytest.raises(OperatorError, match="square matrix of numbers"):
        tn.Circuit().add(np.eye(2)[0], 0)
    with pytest.raises(ShapeError, match=r"sites 0 to 2, found a gate on \(0, 3\)"):
        tn.Circuit().add(np.eye(4), 0, 3).run(psi, truncation=CUT)
    with pytest.raises(ShapeError, match="no size 4"):
        tn.Circuit().add(np.eye(4), 0).run(psi, truncation=CUT)
    with pytest.raises(ChargeError, match="breaks the conservation"):
        tn.Circuit().add(np.eye(2)[::-1], 0).run(psi, truncation=CUT)
    mixed = tn.MPS.product([*tn.spin_sites(2), *tn.spin_sites(1, S=1)], ["up", "up", "0"])
    with pytest.raises(ShapeError, match="need equal sites in between"):
        tn.Circuit().add(np.eye(6), 0, 2).run(mixed, truncation=CUT)
