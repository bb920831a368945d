"""Entropies, spectra, density matrices and mutual information against dense vectors."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.suites.chains import CHAINS, FEW_CHAINS, PLACES, Chain, random_state, relative, tolerance
from tnsim.errors import OperatorError, SettingsError, ShapeError

on_every_device = pytest.mark.parametrize(("device", "dtype"), PLACES)
few_chains = pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)


@pytest.fixture(params=CHAINS, ids=lambda chain: chain.name)
def chain(request: pytest.FixtureRequest) -> Chain:
    return request.param


def weights(psi: tn.MPS, bond: int) -> np.ndarray:
    rows = int(np.prod([site.dim for site in psi.sites[: bond + 1]]))
    values = np.linalg.svd(relative(psi).reshape(rows, -1), compute_uv=False) ** 2
    return values[values > 1e-14]


def in_front(psi: tn.MPS, sites: list[int]) -> np.ndarray:
    """The amplitudes with the chosen fermions exchanged in front of the others: a sign for each that is passed."""
    parities = np.meshgrid(*(np.array(site.parities) for site in psi.sites), indexing="ij")
    passed = sum(
        (parities[i] * parities[k] for i in sites for k in range(i) if k not in sites), np.zeros_like(parities[0])
    )
    return relative(psi).reshape(passed.shape) * (-1.0) ** passed


def dense_density(psi: tn.MPS, sites: list[int]) -> np.ndarray:
    tensor = in_front(psi, sites)
    others = [i for i in range(psi.L) if i not in sites]
    dim = int(np.prod([psi.sites[i].dim for i in sites]))
    matrix = tensor.transpose([*sites, *others]).reshape(dim, -1)
    return matrix @ matrix.conj().T


@on_every_device
@few_chains
def test_entropies_on_every_device(chain, device, dtype):
    psi = random_state(chain, dtype).to(backend_or_skip(device))
    values = tn.entropy(psi)
    expected = [-(p * np.log(p)).sum() for p in (weights(psi, bond) for bond in range(psi.L - 1))]
    np.testing.assert_allclose(values, expected, atol=20 * tolerance(dtype))


def test_renyi_entropies(chain):
    psi = random_state(chain, np.complex128)
    spectra = [weights(psi, bond) for bond in range(psi.L - 1)]
    for n in (0.5, 2, 3):
        expected = [np.log((p**n).sum()) / (1 - n) for p in spectra]
        np.testing.assert_allclose(tn.entropy(psi, n), expected, atol=1e-6 if n < 1 else 1e-11)
    np.testing.assert_allclose(tn.entropy(psi, np.inf), [-np.log(p.max()) for p in spectra], atol=1e-11)
    np.testing.assert_allclose(tn.entropy(psi, 1.0001), tn.entropy(psi), atol=1e-3)
    np.testing.assert_allclose(tn.entropy(psi, base=2), tn.entropy(psi) / np.log(2))


def test_a_singlet_has_one_bit():
    sites = tn.spin_sites(2)
    singlet = tn.MPS.product(sites, ["up", "down"]) - tn.MPS.product(sites, ["down", "up"])
    assert tn.entropy(singlet, base=2) == pytest.approx([1])
    assert tn.entropy(singlet, 0) == pytest.approx([np.log(2)])
    assert tn.mutual_information(singlet, 0, 1, base=2) == pytest.approx(2)
    assert tn.entanglement_spectrum(singlet, 0).by_charge() == {
        (-1,): pytest.approx([np.sqrt(0.5)]), (1,): pytest.approx([np.sqrt(0.5)])
    }  # fmt: skip


def test_the_spectrum_holds_charges_and_all_values(chain):
    psi = random_state(chain, np.complex128)
    for bond, spectrum in enumerate(tn.entanglement_spectrum(psi)):
        found = np.sort(np.concatenate(list(spectrum.by_charge().values())) ** 2)[::-1]
        expected = weights(psi, bond)
        np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-13)
        np.testing.assert_allclose(tn.entanglement_spectrum(psi, bond).values, spectrum.values)
    for bond in (psi.L, -1):
        with pytest.raises(ShapeError, match=f"bonds 0 to {psi.L - 2}, found {bond}"):
            tn.entanglement_spectrum(psi, bond)


@on_every_device
@few_chains
def test_density_matrices_on_every_device(chain, device, dtype):
    psi = random_state(chain, dtype).to(backend_or_skip(device))
    for sites in ([1], [1, 2], [0, 3], [0, 1, 3]):
        rho = tn.reduced_density_matrix(psi, sites)
        np.testing.assert_allclose(rho, dense_density(psi, sites), atol=10 * tolerance(dtype))


def test_density_matrices_of_any_sites(chain):
    psi = random_state(chain, np.complex128)
    last = psi.L - 1
    for sites in ([0], [last], [1, 2, 3], [0, 2, 3], [0, 2, last], [0, 1, last], [*range(last)]):
        rho = tn.reduced_density_matrix(tn.canonicalize(psi, 2), sites)
        np.testing.assert_allclose(rho, dense_density(psi, sites), atol=1e-13)
        assert np.trace(rho) == pytest.approx(1)


def test_density_matrices_of_long_blocks_stay_cheap():
    psi = tn.MPS.random(tn.spin_sites(24), chi=12, charge=0, seed=5)
    rho = tn.reduced_density_matrix(psi, range(8, 16))
    assert rho.shape == (256, 256)
    np.testing.assert_allclose(rho, rho.conj().T, atol=1e-15)
    assert np.linalg.eigvalsh(rho).min() > -1e-14


def test_mutual_information(chain):
    psi = random_state(chain, np.complex128)

    def dense_entropy(sites):
        p = np.linalg.eigvalsh(dense_density(psi, sites))
        p = p[p > 1e-15]
        return -(p * np.log(p)).sum()

    for i, j in ((0, 3), (2, 1)):
        expected = dense_entropy([i]) + dense_entropy([j]) - dense_entropy(sorted([i, j]))
        assert tn.mutual_information(psi, i, j) == pytest.approx(expected, abs=1e-10)


def test_bad_requests_are_refused():
    psi = tn.MPS.product(tn.spin_sites(4), ["up", "down"] * 2)
    with pytest.raises(SettingsError, match="order n >= 0, found -1"):
        tn.entropy(psi, -1)
    with pytest.raises(SettingsError, match="larger than 1, found 1"):
        tn.entropy(psi, base=1)
    for sites in ([], [2, 1], [0, 0], [-1], [3, 4]):
        with pytest.raises(ShapeError, match="ascending sites from 0 to 3"):
            tn.reduced_density_matrix(psi, sites)
    with pytest.raises(ShapeError, match="found 2 twice"):
        tn.mutual_information(psi, 2, 2)
    with pytest.raises(OperatorError, match="found 7"):
        tn.mutual_information(psi, 2, 7)
