"""Gates in centre blocks, and sums as matrices of pairs, against Kronecker products."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact import dense
from tests.exact.evolution import random_local
from tests.networks.test_gates import on_chain, random_unitary
from tests.suites.chains import CHAINS, FEW_CHAINS, PLACES, random_state, tolerance, vector
from tnsim.errors import ChargeError, OperatorError, ShapeError
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mps import MPS
from tnsim.networks.pair_terms import cell_terms, pair_terms
from tnsim.networks.two_site_gate import TwoSites, two_site_gate
from tnsim.networks.two_site_split import split_two_site


def with_gate(psi: MPS, gate: np.ndarray, bond: int, *, rightwards: bool, method: str = "gram") -> MPS:
    """The state under a gate, cut without loss."""
    psi = canonicalize(psi, bond)
    pair = TwoSites(*psi.tensors[bond : bond + 2])
    theta = pair.transform(pair.join(*psi.tensors[bond : bond + 2]), two_site_gate(gate, psi.sites[bond : bond + 2]))
    cut = split_two_site(pair, theta, tn.Truncation(chi_max=64), rightwards=rightwards, method=method)
    tensors = [*psi.tensors[:bond], cut.first, cut.second, *psi.tensors[bond + 2 :]]
    return MPS(tensors, psi.sites, bond + rightwards) * psi.norm()


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)
@pytest.mark.parametrize("rightwards", [True, False])
def test_gates_are_kronecker_products(chain, rightwards):
    psi = random_state(chain, np.complex128)
    for bond in range(psi.L - 1):
        gate = random_unitary(psi.sites[bond : bond + 2], seed=bond)
        result = with_gate(psi, gate, bond, rightwards=rightwards)
        np.testing.assert_allclose(vector(result), on_chain(psi.sites, gate, bond, 2) @ vector(psi), atol=1e-12)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
@pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)
@pytest.mark.parametrize("method", ["leading", "svd"])
def test_gates_on_every_device(chain, device, dtype, method):
    psi = random_state(chain, dtype).to(backend_or_skip(device))
    gate = random_unitary(psi.sites[1:3], seed=3, real=dtype.kind == "f")
    result = with_gate(psi, gate, 1, rightwards=True, method=method)
    assert result.dtype == dtype and result.backend is psi.backend
    expected = on_chain(psi.sites, gate, 1, 2) @ vector(psi)
    np.testing.assert_allclose(vector(result), expected, atol=10 * tolerance(dtype))


@pytest.mark.parametrize(
    ("gate", "error", "words"),
    [
        (np.ones((4, 4)), ChargeError, "breaks the conservation"),
        (np.eye(3), ShapeError, r"has shape \(4, 4\), found \(3, 3\)"),
    ],
)
def test_bad_gates_are_refused(gate, error, words):
    with pytest.raises(error, match=words):
        two_site_gate(gate, tn.spin_sites(2))


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)
def test_pairs_add_up_to_the_sum(chain):
    H = random_local(chain) + tn.OperatorSum().add(0.7, "Id", 1)
    pairs, hermitian = pair_terms(H, chain.sites)
    total = sum(on_chain(chain.sites, matrix, i, 2) for (i, _), matrix in pairs.items())
    np.testing.assert_allclose(total, dense.hamiltonian(H, chain.sites), atol=1e-13)
    assert hermitian and not pair_terms(H * 1j, chain.sites)[1]


@pytest.mark.parametrize("chain", CHAINS[:-1], ids=lambda chain: chain.name)
def test_matrices_of_a_cell(chain):
    """Terms of a cell of two, one of them over its end; a term on a site is shared by the bonds on its two sides."""
    first, _ = chain.neutral
    raise_, lower = chain.ladder
    H = tn.OperatorSum().add(0.3, first, 0, first, 1).add(0.2, first, 1).add(0.7, "Id", 0)
    H += tn.plus_hc(0.4, raise_, 2, lower, 1)
    matrices, hermitian = cell_terms(H, chain.sites[:2])
    total = sum(on_chain(chain.sites[:3], matrix, i, 2) for (i, _), matrix in matrices.items())
    np.testing.assert_allclose(total, dense.hamiltonian(H, chain.sites[:3]), atol=1e-13)
    assert hermitian
    edge, _ = cell_terms(tn.OperatorSum().add(1.0, first, 2), chain.sites[:2])
    half = tn.OperatorSum().add(0.5, first, 0).add(0.5, first, 2)
    total = sum(on_chain(chain.sites[:3], matrix, i, 2) for (i, _), matrix in edge.items())
    np.testing.assert_allclose(total, dense.hamiltonian(half, chain.sites[:3]), atol=1e-13)


def test_cells_take_neighbours_only():
    sites = tn.spin_sites(2)
    with pytest.raises(OperatorError, match=r"found one on the sites \[0, 2\]"):
        cell_terms(tn.OperatorSum().add(1.0, "Sz", 0, "Sz", 2), sites)
    with pytest.raises(OperatorError, match="found an exponential"):
        cell_terms(tn.OperatorSum().add_exponential(1.0, "Sz", "Sz", 0.5), sites)


def test_real_sums_have_real_pairs():
    assert pair_terms(random_local(CHAINS[1], real=True), CHAINS[1].sites)[0][0, 1].dtype == np.float64


def test_pairs_that_are_no_neighbours_and_exponentials():
    H = tn.OperatorSum().add_exponential(1.0, "Sz", "Sz", 0.5)
    pairs, _ = pair_terms(H, tn.spin_sites(3))
    assert sorted(pairs) == [(0, 1), (0, 2), (1, 2)]
    np.testing.assert_allclose(pairs[0, 2], 0.25 * np.kron(*[np.diag([-0.5, 0.5])] * 2))


def test_what_is_no_pair_is_refused():
    with pytest.raises(OperatorError, match=r"sites \[0, 1, 2\] cannot become a gate"):
        pair_terms(tn.OperatorSum().add(1.0, "Sz", 0, "Sz", 1, "Sz", 2), tn.spin_sites(3))
    with pytest.raises(ShapeError, match="at least 2 sites, found 1"):
        pair_terms(tn.OperatorSum().add(1.0, "Sz", 0), tn.spin_sites(1))
