"""Cutting a two-site tensor: full decompositions, and the leading states alone."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.suites.chains import FEW_CHAINS, PLACES, Chain, random_state, tolerance
from tnsim.errors import BackendError, NumericalError
from tnsim.kernels.cpu import CpuKernels
from tnsim.kernels.cpu.split import choose
from tnsim.networks.canonical import canonicalize
from tnsim.networks.effective import TwoSiteHamiltonian
from tnsim.networks.environments import Environments
from tnsim.networks.gated_state import GatedState
from tnsim.networks.two_site_gate import TwoSites, two_site_gate
from tnsim.networks.two_site_split import TwoSiteSplit, choose_method, split_two_site
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
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_a_state_that_fits_is_split_without_loss(chain, place, dtype, rightwards, noise):
    heff, first, _, theta = two_sites(chain, place, dtype, BOND if rightwards else BOND + 1)
    cut = split_two_site(heff, theta, tn.Truncation(chi_max=64), rightwards=rightwards, method="leading", noise=noise)
    assert cut.bond.dim == first.legs[2].dim or noise > 0
    assert product_error(heff, theta, cut) < tolerance(dtype)
    assert isometry_error(cut, rightwards) < tolerance(dtype)


@pytest.mark.parametrize("char", "fdFD")
@pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)
@pytest.mark.parametrize("rightwards", [True, False])
@pytest.mark.parametrize("chi", [1, 2, 4])
def test_leading_states_are_nearly_the_best_and_their_loss_is_told(chain, char, rightwards, chi):
    dtype = np.dtype(char)
    heff, _, _, theta = two_sites(chain, "numpy", dtype, BOND if rightwards else BOND + 1)
    rng = np.random.default_rng(3)
    changed = theta + (1e-3 * rng.normal(size=theta.shape)).astype(dtype)
    changed /= np.linalg.norm(changed)
    cut, best = (
        split_two_site(heff, changed, tn.Truncation(chi_max=chi), rightwards=rightwards, method=method)
        for method in ("leading", "svd")
    )
    assert cut.method == "leading" and cut.bond.dim == best.bond.dim == chi
    assert product_error(heff, changed, cut) ** 2 == pytest.approx(cut.trunc_err, abs=tolerance(dtype))
    assert isometry_error(cut, rightwards) < tolerance(dtype)
    assert best.trunc_err - tolerance(dtype) <= cut.trunc_err < 1.2 * best.trunc_err + tolerance(dtype)


@pytest.mark.parametrize(("place", "dtype"), PLACES)
@pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)
@pytest.mark.parametrize("rightwards", [True, False])
def test_cuts_by_qr_alone(chain, place, dtype, rightwards):
    """Once a bond is full, QR looks for a few states more than it had: near the best, and what is lost is told."""
    heff, first, _, theta = two_sites(chain, place, dtype, BOND if rightwards else BOND + 1)
    whole = split_two_site(heff, theta, tn.Truncation(chi_max=64), rightwards=rightwards, method="qr")
    assert whole.method == "qr" and whole.bond.dim == first.legs[2].dim
    assert product_error(heff, theta, whole) < tolerance(dtype) and isometry_error(whole, rightwards) < tolerance(dtype)
    heff.known = whole.bond
    for chi in (2, 4):
        cut, best = (
            split_two_site(heff, theta, tn.Truncation(chi_max=chi), rightwards=rightwards, method=method)
            for method in ("qr", "svd")
        )
        assert cut.bond.dim == best.bond.dim == chi and isometry_error(cut, rightwards) < tolerance(dtype)
        assert product_error(heff, theta, cut) ** 2 == pytest.approx(cut.trunc_err, abs=tolerance(dtype))
        assert best.trunc_err - tolerance(dtype) <= cut.trunc_err < 1.2 * best.trunc_err + tolerance(dtype)


@pytest.mark.parametrize("method", ["leading", "qr", "gram", "svd"])
def test_nothing_but_zeros_is_said(method):
    heff, _, _, theta = two_sites(FEW_CHAINS[0], "numpy", np.dtype("d"), BOND)
    with pytest.raises(NumericalError, match="nothing but zeros in the two-site tensor"):
        split_two_site(heff, 0.0 * theta, tn.Truncation(chi_max=4), rightwards=True, method=method)


@pytest.mark.parametrize("place", ["numpy", "strict"])
@pytest.mark.parametrize("rightwards", [True, False])
def test_a_cut_by_qr_that_loses_much_has_norm_one_and_tells_its_loss(place, rightwards):
    psi = canonicalize(tn.MPS.random(tn.spin_sites(12, 0.5, None), chi=16, seed=0), 5).to(backend_or_skip(place).name)
    pair = TwoSites(*psi.tensors[5:7])
    theta = np.random.default_rng(4).normal(size=pair.plan.size)
    theta = pair.backend.asarray(theta / np.linalg.norm(theta))
    cut, best = (
        split_two_site(pair, theta, tn.Truncation(chi_max=16), rightwards=rightwards, method=method)
        for method in ("qr", "svd")
    )
    assert (cut.second if rightwards else cut.first).norm() == pytest.approx(1, abs=1e-13)
    assert product_error(pair, theta, cut) ** 2 == pytest.approx(cut.trunc_err, abs=1e-13)
    assert best.trunc_err < cut.trunc_err < 1.3 * best.trunc_err


def test_qr_takes_a_few_rows_and_loses_little():
    rng = np.random.default_rng(2)
    for rows, cols in ((80, 80), (60, 120), (120, 60)):
        u, v = (np.linalg.qr(rng.normal(size=(n, min(rows, cols))))[0] for n in (rows, cols))
        values = np.exp(-0.2 * np.arange(min(rows, cols)))
        theta, blocks = ((u * values) @ v.T).reshape(-1), np.array([(0, rows, cols)])
        theta /= np.linalg.norm(theta)
        least = (values[20:] ** 2).sum() / (values**2).sum()
        for rightwards in (True, False):
            _, weights, ranks, lost = CpuKernels.sketched(theta, blocks, rightwards, np.array([24]))
            assert least < choose(weights, ranks, lost, 20, 1, 0.0, 0.0, 0.0)[2] < 1.2 * least


@pytest.mark.parametrize(("rows", "cols"), [(60, 60), (40, 90), (90, 40)])
@pytest.mark.parametrize("rightwards", [True, False])
def test_the_weight_outside_the_leading_rows_is_near_the_least_and_is_told(rows, cols, rightwards):
    """Weights over 15 decades in five sectors, in random directions: harder than a ground state, see test_dmrg.py."""
    rng = np.random.default_rng(7)
    parts, blocks, start = [], [], 0
    for sector in range(5):
        u, v = (np.linalg.qr(rng.normal(size=(n, min(rows, cols))))[0] for n in (rows, cols))
        values = np.exp(-0.45 * np.arange(min(rows, cols)) - 0.5 * sector)
        parts.append(((u * values) @ v.T).reshape(-1))
        blocks.append((start, rows, cols))
        start += rows * cols
    theta, blocks = np.concatenate(parts), np.array(blocks)
    theta /= np.linalg.norm(theta)
    exact = np.concatenate([np.linalg.svd(theta[a : a + m * n].reshape(m, n))[1] ** 2 for a, m, n in blocks])
    for kept in (10, 30, 60):
        _, weights, ranks, lost = CpuKernels.leading(theta, blocks, rightwards, None, 0.0, kept + kept // 8 + 8, 1)
        dims, chosen, trunc_err, held = choose(weights, ranks, lost, kept, 1, 0.0, 0.0, 0.0)
        least = np.sort(exact)[::-1][kept:].sum()
        assert dims.sum() == kept
        assert least - 1e-15 <= trunc_err < 1.25 * least + 1e-14
        assert chosen.sum() == pytest.approx(1, abs=1e-13)
        assert held == pytest.approx(1 - trunc_err, abs=1e-13)


@pytest.mark.parametrize("trunc_err", [1e-10, 1e-6, 1e-3])
def test_the_discarded_weight_stays_below_trunc_err(trunc_err):
    rng = np.random.default_rng(5)
    for rows, cols in rng.integers(2, 40, (100, 2)):
        values = np.exp(-rng.uniform(0.2, 1.5) * np.arange(min(rows, cols)))
        u, v = (np.linalg.qr(rng.normal(size=(n, len(values))))[0] for n in (rows, cols))
        theta, blocks = ((u * values) @ v.T).reshape(-1), np.array([(0, rows, cols)])
        _, weights, ranks, lost = CpuKernels.leading(theta / np.linalg.norm(theta), blocks, True, None, 0.0, 99, 1)
        assert (np.diff(weights) <= 0).all()
        assert choose(weights, ranks, lost, 99, 1, 1e-8, trunc_err, 0.0)[2] <= trunc_err * (1 + 1e-9)


def test_the_method_goes_by_what_the_cut_asks_for():
    plain, double, single = tn.Truncation(chi_max=8), np.dtype("d"), np.dtype("f")
    fine, whole = tn.Truncation(chi_max=8, svd_min=1e-12), tn.Truncation(chi_max=8, degeneracy_tol=1e-6)
    assert [choose_method("auto", plain, dtype) for dtype in (double, single)] == ["leading", "leading"]
    assert [choose_method("auto", plain, dtype, spectrum=True) for dtype in (double, single)] == ["gram", "svd"]
    assert [choose_method("auto", cut, double) for cut in (fine, whole)] == ["svd", "gram"]
    assert choose_method("svd", plain, double) == "svd"


def test_mixed_precisions_are_refused_before_a_kernel_sees_them():
    """Rows of one dtype on buffers of another would read past their ends."""
    heff, first, second, _ = two_sites(FEW_CHAINS[0], "numpy", np.dtype("d"), BOND)
    with pytest.raises(BackendError, match="float64.*float32 and float64.*astype"):
        heff.join(first.astype(np.float32), second)
    left, right = heff.left, heff.right
    with pytest.raises(BackendError, match="one dtype, found float64 and float32"):
        TwoSiteHamiltonian(
            left.environment, left.plan.operator, right.plan.operator, right.environment.astype(np.float32)
        )


@pytest.mark.parametrize("method", ["leading", "qr", "gram", "svd"])
def test_nan_is_said_with_the_sites(method):
    """LAPACK would say that a decomposition failed, or nothing at all."""
    psi = random_state(FEW_CHAINS[0], np.dtype("D"))
    state = GatedState(psi, tn.Truncation(chi_max=4), split=method)
    state.tensors[BOND] = state.tensors[BOND] * np.nan
    gate = two_site_gate(np.eye(4), psi.sites[BOND : BOND + 2])
    with pytest.raises(NumericalError, match=f"sites {BOND} and {BOND + 1}: .*check the Hamiltonian"):
        state.on_bond(BOND, gate, rightwards=True)
