"""TDVP of infinite states: exact quenches, order, conservation, ground states, long range, and what is refused."""

import numpy as np
import pytest
from scipy.special import j0

import tnsim as tn
from tests.devices import BACKENDS, backend_or_skip
from tnsim.errors import OperatorError, SettingsError, ShapeError
from tnsim.models import TransverseIsing
from tnsim.models.exact.free_fermions import infinite_ising_energy


def xx(conserve="Sz", L: int = 2):
    """Exchange in the plane, its operator, and the Neel state."""
    sites, H = tn.spin_sites(L, conserve=conserve), tn.OperatorSum()
    for i in range(L):
        H += tn.plus_hc(0.5, "S+", i, "S-", i + 1)
    return tn.InfiniteMPO.from_sum(H, sites), tn.InfiniteMPS.product(sites, ["up", "down"] * (L // 2))


def tdvp(chi: int = 24, **settings) -> tn.TDVP:
    return tn.TDVP(**{"dt": 0.1, "truncation": tn.Truncation(chi_max=chi), **settings})


@pytest.mark.parametrize(("conserve", "L"), [("Sz", 2), (None, 2), ("Sz", 4)])
def test_a_quench_of_free_fermions(conserve, L):
    H, psi = xx(conserve, L)
    evolved = tdvp().run(H, psi, time=1.0, observe={"Sz": lambda state: tn.expect(state, "Sz")})
    exact = 0.5 * np.outer(j0(2 * evolved.times), [1, -1] * (L // 2))
    np.testing.assert_allclose(evolved["Sz"], exact, atol=3e-5)
    assert abs(evolved.history[-1].energy_drift) < 1e-8 and evolved.status.converged
    assert 8 < evolved.history[-1].chi <= 24 and evolved.sum_trunc_err == 0


def test_order():
    H, psi = xx()
    start = tdvp(6).run(H, psi, time=0.8).state
    assert start.bond_dimensions == (6, 6)
    ends = [
        tn.expect(tdvp(dt=0.4 / n, scheme="one-site", krylov_tol=1e-12, every=n).run(H, start, time=0.4).state, "Sz")
        for n in (4, 8, 32)
    ]
    errors = [np.abs(end - ends[-1]).max() for end in ends[:-1]]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)


def test_against_gates_with_a_field_and_backwards():
    model = TransverseIsing(L=2, h=0.7)
    psi = tn.InfiniteMPS.product(model.sites, ["up", "up"])
    forth = tdvp(20, dt=0.05, every=16).run(model.infinite_mpo(), psi, time=0.8)
    gates = tn.TEBD(dt=0.05, truncation=tn.Truncation(chi_max=20), every=16).run(model.infinite_sum(), psi, time=0.8)
    for name in ("X", "Z"):
        np.testing.assert_allclose(tn.expect(forth.state, name), tn.expect(gates.state, name), atol=2e-5)
    assert forth.energy == pytest.approx(gates.energy, abs=1e-6)
    assert forth.history[-1].entropy == pytest.approx(gates.history[-1].entropy, abs=1e-3)
    back = tdvp(20, dt=0.05, every=16).run(model.infinite_mpo(), forth.state, time=-0.8)
    np.testing.assert_allclose(tn.expect(back.state, "Z"), [1.0, 1.0], atol=1e-5)


def test_imaginary_time_leads_to_the_ground_state():
    model = TransverseIsing(L=2, h=1.5)
    H, psi = model.infinite_mpo(), tn.InfiniteMPS.product(model.sites, [[0.6, 0.8], [0.3, 0.9]])
    evolved = tdvp(10, dt=0.2, imaginary=True, every=5).run(H, psi, time=6.0)
    exact = infinite_ising_energy(1.0, 1.5)
    assert exact - 1e-9 < evolved.energy < exact + 1e-5
    assert evolved.state.dtype == np.float64
    assert np.all(np.diff([report.energy for report in evolved.history]) < 1e-10)
    slope = evolved.history[-1].log_norm - evolved.history[-2].log_norm
    assert slope == pytest.approx(-evolved.energy, abs=1e-4)


def test_exponentially_decaying_terms():
    # the finite chain is so long that its middle does not know of its ends yet
    sites, H, finite = tn.spin_sites(2), tn.OperatorSum(), tn.OperatorSum()
    H.add_exponential(1.0, "Sz", "Sz", decay=0.5)
    for i in range(2):
        H += tn.plus_hc(0.5, "S+", i, "S-", i + 1)
    finite.add_exponential(1.0, "Sz", "Sz", decay=0.5)
    for i in range(15):
        finite += tn.plus_hc(0.5, "S+", i, "S-", i + 1)
    evolved = tdvp().run(tn.InfiniteMPO.from_sum(H, sites), tn.InfiniteMPS.product(sites, ["up", "down"]), time=0.4)
    chain = tn.spin_sites(16)
    other = tdvp(expansion=1).run(finite.mpo(chain), tn.MPS.product(chain, ["up", "down"] * 8), time=0.4)
    np.testing.assert_allclose(tn.expect(evolved.state, "Sz"), tn.expect(other.state, "Sz")[6:8], atol=1e-4)


@pytest.mark.parametrize("place", BACKENDS)
@pytest.mark.parametrize("kind", ["complex64", "complex128"])
def test_every_backend_and_precision(place, kind):
    if place == "cuda-host":
        pytest.skip("its kernels are slow to compile, and those of evolutions are tested with finite states")
    backend = backend_or_skip(place)
    H, psi = xx()
    evolved = tdvp(6, krylov_tol=1e-6).run(H.to(backend), psi.astype(kind).to(backend), time=0.2)
    assert evolved.state.dtype == kind and evolved.state.backend is backend
    np.testing.assert_allclose(tn.expect(evolved.state, "Sz")[0], 0.5 * j0(0.4), atol=1e-5)


def test_bad_input():
    H, psi = xx()
    for settings in ({"scheme": "two-site"}, {"expansion": 1}):
        with pytest.raises(SettingsError, match='evolves by "one-site"'):
            tdvp(**settings).run(H, psi, time=0.1)
    with pytest.raises(ShapeError, match="same cell"):
        tdvp().run(H, psi.repeated(2), time=0.1)
    with pytest.raises(OperatorError, match="InfiniteMPO and an InfiniteMPS"):
        tdvp().run(H, tn.MPS.product(psi.sites, ["up", "down"]), time=0.1)
    with pytest.raises(OperatorError, match="InfiniteMPO and an InfiniteMPS"):
        tdvp().run(H.open_chain(1), psi, time=0.1)
    decaying = tn.InfiniteMPO.from_sum(tn.OperatorSum().add(1j, "Sz", 0), psi.sites)
    with pytest.raises(OperatorError, match="non_hermitian=True"):
        tdvp().run(decaying, psi, time=0.1)
