"""TDVP: exact answers, order, conservation, ground states in imaginary time, every device, and what is refused."""

import numpy as np
import pytest
from scipy.linalg import expm

import tnsim as tn
from tests.devices import BACKENDS
from tests.suites.evolutions import chain, check_decay, check_place, check_refused, distance
from tnsim.algorithms.evolution.tdvp import SCHEMES
from tnsim.errors import NumericalError, SettingsError, ShapeError
from tnsim.models import HaldaneShastry, Heisenberg
from tnsim.networks.canonical import isometry_error
from tnsim.networks.global_expansion import expand_basis

ALL = tn.Truncation(chi_max=16, svd_min=1e-13)


def tdvp(**settings) -> tn.TDVP:
    return tn.TDVP(**{"dt": 0.1, "truncation": ALL, **settings})


@pytest.mark.parametrize(("scheme", "conserve"), [("hybrid", "Sz"), ("two-site", None), ("one-site", "Sz")])
def test_with_all_states_kept_it_is_exact(scheme, conserve):
    H, psi, matrix = chain(conserve=conserve)
    start = (psi * 1.5).to_dense()
    real = tdvp(scheme=scheme).run(H, psi * 1.5, time=0.3)
    assert distance(real.state, expm(-0.3j * matrix) @ start) < 1e-8
    assert real.status.converged and abs(real.history[-1].energy_drift) < 1e-10
    imaginary = tdvp(scheme=scheme, imaginary=True).run(H, psi, time=0.2)
    exact = expm(-0.2 * matrix) @ psi.to_dense()
    assert distance(imaginary.state, exact / np.linalg.norm(exact)) < 1e-8
    assert imaginary.history[-1].log_norm == pytest.approx(np.log(np.linalg.norm(exact)), abs=1e-8)
    exact = exact / np.linalg.norm(exact)
    assert imaginary.energy == pytest.approx((exact.conj() @ matrix @ exact).real, abs=1e-8)


def test_order():
    # the end of smaller and smaller steps at a fixed bond dimension: the order is that towards it
    H, psi, _ = chain(6, chi=3)
    ends = [
        tdvp(dt=0.2 / n, scheme="one-site", krylov_tol=1e-13, every=n).run(H, psi, time=0.2).state.to_dense()
        for n in (4, 8, 48)
    ]
    errors = [np.linalg.norm(end - ends[-1]) for end in ends[:-1]]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)


def test_one_site_conserves_norm_and_energy_at_a_small_bond_dimension():
    H, psi, matrix = chain(6, chi=3)
    evolved = tdvp(dt=0.4, scheme="one-site", every=5).run(H, psi, time=20)
    assert max(abs(report.energy_drift) for report in evolved.history) < 1e-8
    assert abs(evolved.state.norm() - 1) < 1e-10 and evolved.state.bond_dimensions == psi.bond_dimensions
    assert distance(evolved.state, expm(-20j * matrix) @ psi.to_dense()) > 0.1  # the bond dimension is felt
    back = tdvp(dt=0.4, scheme="one-site", every=50).run(H, evolved.state, time=-20)
    assert abs(tn.overlap(back.state, psi)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("scheme", "expansion"), [("hybrid", 0), ("two-site", 0), ("one-site", 2)])
def test_a_quench_of_free_fermions(scheme, expansion):
    L, time = 12, 1.5
    H = tn.OperatorSum()
    for i in range(L - 1):
        H += tn.plus_hc(0.5, "S+", i, "S-", i + 1)
    sites = tn.spin_sites(L)
    psi = tn.MPS.product(sites, ["up", "down"] * (L // 2))
    settings = tdvp(dt=0.05, truncation=tn.Truncation(chi_max=16), scheme=scheme, expansion=expansion)
    evolved = settings.run(H.mpo(sites), psi, time=time, observe={"Sz": lambda state: tn.expect(state, "Sz")})
    for k in (10, 30):
        hop = np.abs(expm(-0.05j * k * (np.eye(L, k=1) + np.eye(L, k=-1)) / 2)) ** 2
        exact = hop @ (np.arange(L) % 2 == 0) - 0.5
        np.testing.assert_allclose(evolved["Sz"][k], exact, atol=1e-4)
    assert evolved.history[-1].chi == 16 and evolved.sum_trunc_err < 1e-6


@pytest.mark.parametrize("scheme", SCHEMES)
def test_long_range_terms_need_an_expansion_from_a_product_state(scheme):
    model = HaldaneShastry(L=8)
    H, psi = model.mpo(), model.product()
    exact = expm(-0.4j * H.to_dense()) @ psi.to_dense()
    errors = [distance(tdvp(scheme=scheme, expansion=n).run(H, psi, time=0.4).state, exact) for n in (0, 1, 2)]
    assert errors[0] > 0.02 and errors[1] < 0.1 * errors[0] and errors[2] < 1e-8


def test_an_expansion_gives_the_same_state_on_orthonormal_bonds():
    H, psi, _ = chain(6, chi=2)
    others = [tn.apply(H, psi), tn.apply(H @ H, psi), psi * 0.0]
    grown = expand_basis(psi * 0.7, others, chi_max=6)
    assert distance(grown, 0.7 * psi.to_dense()) < 1e-13
    assert max(isometry_error(tensor, left=False) for tensor in grown.tensors[1:]) < 1e-12
    assert grown.bond_dimensions == (1, 6, 6, 6, 4, 2, 1)
    assert expand_basis(psi, [psi * 2.0], chi_max=6).bond_dimensions == psi.bond_dimensions
    with pytest.raises(ShapeError, match="own sites and of its charge"):
        expand_basis(psi, [tn.MPS.random(psi.sites, chi=2, charge=2)], chi_max=6)


@pytest.mark.parametrize(("conserve", "scheme"), [("Sz", "hybrid"), ("none", "two-site")])
def test_imaginary_time_leads_to_the_ground_state(conserve, scheme):
    model = Heisenberg(L=8, conserve=conserve)
    settings = tdvp(dt=0.5, imaginary=True, scheme=scheme, every=8)
    evolved = settings.run(model.mpo(), model.product(), time=20)
    assert evolved.energy == pytest.approx(model.facts.energy, abs=1e-7)
    assert evolved.state.dtype == np.float64 and evolved.state.norm() == pytest.approx(1)
    assert np.all(np.diff([report.energy for report in evolved.history]) < 1e-12)
    # what the norm lost is the energy: log |exp(-H t) psi| falls by E a unit of time
    slope = (evolved.history[-1].log_norm - evolved.history[-2].log_norm) / 4
    assert slope == pytest.approx(-model.facts.energy, abs=1e-6)


@pytest.mark.parametrize("place", BACKENDS)
@pytest.mark.parametrize("kind", ["complex64", "complex128"])
def test_every_backend_and_precision(place, kind):
    if place == "cuda-host" and kind == "complex64":
        pytest.skip("one precision is enough where kernels are compiled for the test")
    for scheme in ("one-site", "two-site"):
        tolerance = 2e-5 if kind == "complex64" else 1e-8
        check_place(tdvp(scheme=scheme, expansion=1), place, kind, L=5, chi=4, time=0.2, tolerance=tolerance)


@pytest.mark.parametrize("L", [1, 2])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_short_chains(L, scheme):
    H, psi, matrix = chain(L, conserve=None, chi=2)
    evolved = tdvp(scheme=scheme).run(H, psi, time=0.25)
    assert distance(evolved.state, expm(-0.25j * matrix) @ psi.to_dense()) < 1e-9


def test_an_operator_that_is_not_hermitian_needs_to_be_said():
    check_decay(tdvp(), tdvp(non_hermitian=True), time=0.4, tolerance=1e-8)


def test_resumed_is_the_same():
    H, psi, _ = chain(6, chi=4)
    cut = tn.Truncation(chi_max=5)
    whole = tdvp(truncation=cut).run(H, psi, time=0.4)
    half = tdvp(truncation=cut).run(H, psi, time=0.2)
    again = tdvp(truncation=cut).run(H, half.state, time=0.4, resume=half)
    assert distance(again.state, whole.state.to_dense()) < 1e-12
    np.testing.assert_array_equal(again.times, whole.times)
    assert again.sum_trunc_err == pytest.approx(whole.sum_trunc_err, rel=1e-6) and whole.sum_trunc_err > 0
    # what truncation leaves of the norm is kept
    assert whole.state.norm() ** 2 == pytest.approx(1 - whole.sum_trunc_err, rel=1e-4)
    assert whole.history[-1].norm_drift == pytest.approx(whole.state.norm() - 1, abs=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scheme": "onesite"}, 'Did you mean "one-site"'),
        ({"krylov_tol": 0.0}, "krylov_tol"),
        ({"krylov_max": 1}, "krylov_max"),
        ({"expansion": -1}, "expansion"),
        ({"expansion_tol": 0.0}, "expansion_tol"),
        ({"dt": 0.0}, "dt must be positive"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(SettingsError, match=message):
        tdvp(**settings)


def test_bad_input():
    check_refused(tdvp())
    H, psi, _ = chain(4)
    with pytest.raises(NumericalError, match="NaN"):
        tdvp().run(tn.MPO([tensor * float("nan") for tensor in H.tensors], H.sites), psi, time=0.1)
