"""Overlaps with fixed states at two sites, and the effective Hamiltonian in their complement, against dense vectors."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tests.suites.chains import FEW_CHAINS, PLACES, random_state, tolerance
from tnsim.linalg.lanczos import Krylov
from tnsim.models import Heisenberg
from tnsim.networks.canonical import canonicalize
from tnsim.networks.effective import TwoSiteHamiltonian
from tnsim.networks.environments import Environments
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS, overlap
from tnsim.networks.overlap_environments import OverlapEnvironments, restrict


def local(psi: MPS, bond: int, H: MPO | None = None) -> TwoSiteHamiltonian:
    """An operator (the identity unless given) between the environments of a bond."""
    operators = (H or MPO.identity(psi.sites, dtype=psi.dtype).to(psi.backend)).site_operators
    environments = Environments(psi.tensors, operators)
    return TwoSiteHamiltonian(
        environments.left(bond), operators[bond], operators[bond + 1], environments.right(bond + 1)
    )


@pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)
@pytest.mark.parametrize(("place", "dtype"), PLACES)
def test_two_sites_hold_the_whole_overlap(chain, place, dtype):
    backend = backend_or_skip(place)
    psi, phi = (random_state(chain, dtype, seed=seed, chi=4 + seed).to(backend) for seed in (1, 2))
    expected = complex(overlap(phi, psi))
    for bond in range(psi.L - 1):
        centred = canonicalize(psi, bond)
        heff = local(centred, bond)
        environments = OverlapEnvironments(centred.tensors, phi)
        seen = heff.join(environments.left_site(bond), environments.right_site(bond + 1))
        theta = heff.join(centred.tensors[bond], centred.tensors[bond + 1])
        assert complex(backend.read(backend.vdot(seen, theta))) == pytest.approx(expected, abs=10 * tolerance(dtype))


def test_environments_follow_replaced_tensors():
    chain = FEW_CHAINS[1]
    psi, phi = (random_state(chain, np.float64, seed=seed) for seed in (1, 2))
    tensors = psi.tensors.copy()
    environments = OverlapEnvironments(tensors, phi)
    kept = environments.right(2), environments.left(2)
    tensors[3] = tensors[3] * 2.0
    assert environments.left(2) is kept[1]
    assert environments.right(3) is environments.right(3)
    doubled = environments.right(2)
    np.testing.assert_allclose(doubled.data, 2 * kept[0].data)
    tensors[0] = tensors[0] * 3.0
    np.testing.assert_allclose(environments.left(2).data, 3 * kept[1].data)
    assert environments.right(2) is doubled


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_a_random_vector_stands_in_where_nothing_is_left(dtype):
    chain = FEW_CHAINS[1]
    psi = canonicalize(random_state(chain, dtype), 2)
    heff = local(psi, 2)
    theta = heff.join(psi.tensors[2], psi.tensors[3])
    start, rows = restrict(heff, theta, [2.0 * theta], seed=0)
    assert rows.shape == (1, heff.plan.size)
    assert np.linalg.norm(start) > 0.1
    assert abs(np.vdot(theta, start)) < 1e-12
    without, nothing = restrict(heff, theta, [], seed=0)
    assert without is theta
    assert nothing is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("count", [1, 4])
def test_the_compiled_solver_finds_the_lowest_pair_of_the_complement(dtype, count):
    model = Heisenberg(L=6)
    psi = canonicalize(MPS.random(model.sites, chi=12, charge=0, seed=1, dtype=dtype), 2)
    heff = local(psi, 2, model.mpo())
    theta = heff.join(psi.tensors[2], psi.tensors[3])
    matrix = np.array([heff.apply(unit) for unit in np.eye(len(theta), dtype=dtype)]).T
    rows = np.linalg.eigh(matrix)[1][:, :count].T.copy()
    start = theta - (rows.conj() @ theta) @ rows
    ritz = heff.lowest(start, Krylov(k_max=20, tolerance=1e-7), rows)
    accuracy = 1e4 * float(np.finfo(dtype).eps)
    assert np.abs(rows.conj() @ ritz.vector).max() < accuracy
    assert ritz.energy == pytest.approx(np.linalg.eigvalsh(matrix)[count], abs=accuracy)
    assert np.abs(rows.conj() @ ritz.residual).max() < accuracy
