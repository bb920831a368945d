"""Cutting a two-site tensor: the full decompositions, and the QR that follows the basis of the other site."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.suites.chains import FEW_CHAINS, PLACES, Chain, random_state, tolerance
from tnsim.networks.canonical import canonicalize
from tnsim.networks.effective import TwoSiteHamiltonian
from tnsim.networks.environments import Environments
from tnsim.networks.two_site_split import TwoSiteSplit, follow_two_site, split_two_site
from tnsim.tensor import contract

BOND = 2


def two_sites(chain: Chain, place: str, dtype: np.dtype, center: int):
    """The effective Hamiltonian of two sites, their tensors and their normalised product."""
    psi = canonicalize(random_state(chain, dtype, chi=5, norm=1.0).to(backend_or_skip(place).name), center)
    H = tn.OperatorSum()
    for i in range(psi.L):
        H += 1.0, chain.neutral[0], i
    environments = Environments(list(psi.tensors), H.mpo(chain.sites).site_operators)
    heff = TwoSiteHamiltonian(
        environments.left(BOND), *environments.operators[BOND : BOND + 2], environments.right(BOND + 1)
    )
    first, second = psi.tensors[BOND : BOND + 2]
    theta = heff.join(first, second)
    return heff, first, second, theta * (1 / float(heff.backend.read(heff.backend.norm(theta))))


def product_error(heff: TwoSiteHamiltonian, theta, cut: TwoSiteSplit) -> float:
    """Distance of theta, normalised, from the product of the two site tensors (of norm 1)."""
    rest = theta - heff.join(cut.first, cut.second) * float(np.sqrt(1 - cut.trunc_err))
    return float(heff.backend.read(heff.backend.norm(rest)))


def isometry_error(cut: TwoSiteSplit, rightwards: bool) -> float:
    site = cut.first if rightwards else cut.second
    gram = contract("x s a, x s b -> a b", site.conj(), site) if rightwards else contract(
        "a s x, b s x -> a b", site, site.conj()
    )  # fmt: skip
    dense = site.backend.to_host(gram.to_dense())
    return float(abs(dense - np.eye(len(dense))).max())


@pytest.mark.parametrize(("place", "dtype"), PLACES)
@pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)
@pytest.mark.parametrize("rightwards", [True, False])
def test_following_an_unchanged_state_loses_nothing(chain, place, dtype, rightwards):
    heff, first, second, theta = two_sites(chain, place, dtype, BOND if rightwards else BOND + 1)
    canonical = second if rightwards else first
    cut = follow_two_site(heff, theta, canonical, rightwards=rightwards, largest=tolerance(dtype))
    assert cut is not None and cut.method == "qr"
    assert cut.bond.dim == first.legs[2].dim
    assert product_error(heff, theta, cut) < tolerance(dtype)
    assert isometry_error(cut, rightwards) < tolerance(dtype)


@pytest.mark.parametrize("char", "dD")
@pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)
@pytest.mark.parametrize("rightwards", [True, False])
def test_following_a_changed_state_is_nearly_optimal_and_says_what_it_lost(chain, char, rightwards):
    heff, first, second, theta = two_sites(chain, "numpy", np.dtype(char), BOND if rightwards else BOND + 1)
    rng = np.random.default_rng(3)
    changed = theta + 1e-4 * rng.normal(size=theta.shape).astype(theta.dtype)
    changed /= np.linalg.norm(changed)
    canonical = second if rightwards else first
    cut = follow_two_site(heff, changed, canonical, rightwards=rightwards, largest=1e-6)
    best = split_two_site(heff, changed, tn.Truncation(chi_max=cut.bond.dim), rightwards=rightwards, method="svd")
    assert product_error(heff, changed, cut) ** 2 == pytest.approx(cut.trunc_err, abs=1e-14)
    assert best.trunc_err <= cut.trunc_err * (1 + 1e-6) + 1e-14
    assert cut.trunc_err < 1.05 * best.trunc_err + 1e-14
    if cut.trunc_err > 1e-12:
        assert follow_two_site(heff, changed, canonical, rightwards=rightwards, largest=cut.trunc_err / 2) is None


def test_a_bond_with_a_charge_that_the_pair_has_not_is_not_followed():
    heff, _, second, theta = two_sites(FEW_CHAINS[1], "numpy", np.dtype("d"), BOND)
    bond = second.legs[0]
    foreign = tn.Leg(bond.group, ((-40,), *bond.charges[1:]), bond.dims, bond.flow)
    stranger = tn.zeros((foreign, *second.legs[1:]), charge=second.charge)
    assert follow_two_site(heff, theta, stranger, rightwards=True, largest=1.0) is None
