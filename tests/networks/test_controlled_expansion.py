"""New states of a bond against the dense two-site product with H."""

import numpy as np
import pytest

import tnsim as tn
from tests.algorithms.ground_state.test_dmrg import random_sum
from tests.devices import BACKENDS, backend_or_skip
from tnsim.networks.canonical import canonicalize
from tnsim.networks.controlled_expansion import CenterBond, new_directions
from tnsim.networks.environments import Environments

BOND = 2


def center_bond(conserve, dtype: str, place: str, toward_right: bool) -> CenterBond:
    sites = tn.spin_sites(6, 1, conserve)
    H = random_sum(6, complex_=dtype in "FD", seed=2, conserve=conserve).mpo(sites).astype(dtype).to(place)
    charge = None if conserve is None else (0,)
    psi = tn.MPS.random(sites, chi=6, charge=charge, seed=4, dtype=dtype).to(place)
    tensors = list(canonicalize(psi, BOND if toward_right else BOND + 1).tensors)
    environments = Environments(tensors, H.site_operators)
    return CenterBond(
        environments.left(BOND), *tensors[BOND : BOND + 2], tuple(H.tensors[BOND : BOND + 2]),
        environments.right(BOND + 1), toward_right,
    )  # fmt: skip


def dense(tensor) -> np.ndarray:
    return tensor.backend.to_host(tensor.to_dense())


def as_rows(tensor, axis: int) -> np.ndarray:
    """States of a bond as rows."""
    array = np.moveaxis(dense(tensor), axis, 0)
    return array.reshape(len(array), -1)


def remainder(bond: CenterBond) -> np.ndarray:
    """H |two sites> outside of the site that the bond grows into; its columns belong to that site."""
    left, a, b, right = map(dense, (bond.left, bond.first, bond.second, bond.right))
    w1, w2 = map(dense, bond.operators)
    # half by half: NumPy's path through all six takes a second
    half = np.einsum("bok,ksm,oxsp->bxmp", left, a, w1, optimize=True)
    other = np.einsum("mtr,pytq,cqr->mpyc", b, w2, right, optimize=True)
    product = np.tensordot(half, other, 2)
    isometry = as_rows(bond.second, 0) if bond.toward_right else as_rows(bond.first, 2)
    matrix = product.reshape(left.shape[0] * w1.shape[1], -1)
    matrix = matrix if bond.toward_right else matrix.T
    return matrix - matrix @ isometry.conj().T @ isometry


@pytest.mark.parametrize("place", BACKENDS)
@pytest.mark.parametrize("dtype", ["d", "D", "f"])
@pytest.mark.parametrize("conserve", ["Sz", "parity", None])
@pytest.mark.parametrize("toward_right", [True, False])
@pytest.mark.parametrize("share", [0.3, 10.0])
def test_new_states_span_what_the_hamiltonian_reaches(place, dtype, conserve, toward_right, share):
    bond = center_bond(conserve, dtype, backend_or_skip(place).name, toward_right)
    rest, axis = remainder(bond), 0 if toward_right else 2
    tolerance = 1e-10 if dtype in "dD" else 1e-4
    found = new_directions(bond, share, np.random.default_rng(0))
    assert found is not None
    rows, isometry = as_rows(found, axis), as_rows(bond.second if toward_right else bond.first, axis)
    assert abs(rows @ rows.conj().T - np.eye(len(rows))).max() < tolerance
    assert abs(rows @ isometry.conj().T).max() < tolerance
    # all of them lie in what was to be reached, and with enough of them nothing is left out
    _, values, basis = np.linalg.svd(rest)
    basis = basis[: np.count_nonzero(values > 1e-3 * values[0] * (dtype == "f") + 1e-8)]
    assert abs(rows - rows @ basis.conj().T @ basis).max() < 100 * tolerance
    size = np.linalg.norm(rest)
    left_over = np.linalg.norm(rest - rest @ rows.conj().T @ rows)
    assert left_over < (tolerance if share > 1 else 0.9) * size


def test_an_eigenstate_gets_nothing_but_noise():
    sites = tn.spin_sites(6)
    H = tn.OperatorSum()
    for i in range(6):
        H += 0.3 * i, "Sz", i
    tensors = list(tn.MPS.product(sites, ["up", "down"] * 3).tensors)
    operator = H.mpo(sites)
    environments = Environments(tensors, operator.site_operators)
    eigenstate = CenterBond(
        environments.left(0), *tensors[:2], tuple(operator.tensors[:2]), environments.right(1), True
    )  # fmt: skip
    assert new_directions(eigenstate, 1.0, np.random.default_rng(0)) is None
    noisy = new_directions(eigenstate, 1.0, np.random.default_rng(0), noise=1e-3)
    assert noisy is not None
    assert noisy.legs[0].dim == 1
