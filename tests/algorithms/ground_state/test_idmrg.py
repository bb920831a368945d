"""iDMRG against exact infinite energies, and against VUMPS from its own state."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tnsim.errors import OperatorError, SettingsError, ShapeError
from tnsim.models import J1J2, XX, Heisenberg, MajumdarGhosh, TransverseIsing
from tnsim.models.exact.free_fermions import infinite_ising_energy
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import spin_sites


def solve(H, psi, chi, **options):
    return tn.IDMRG(truncation=tn.Truncation(chi_max=chi), **options).solve(H, psi)


@pytest.mark.parametrize(("cell", "h"), [(2, 1.5), (3, 1.5), (4, 2.0), (5, 3.0)])
def test_ising_off_criticality(cell, h):
    model = TransverseIsing(L=cell, h=h)
    result = solve(model.infinite_mpo(), model.infinite_product("up"), 16)
    assert result.status.converged, result
    assert result.energy == pytest.approx(infinite_ising_energy(1.0, h), abs=1e-12)
    assert result.history[-1].energy == pytest.approx(result.energy, abs=1e-11)


@pytest.mark.parametrize(("model", "chi", "exact"), [
    (Heisenberg(L=2, S=1), 30, -1.401484038971), (Heisenberg(L=4), 24, 0.25 - np.log(2)), (XX(L=2), 24, -1 / np.pi),
])  # fmt: skip
def test_vumps_agrees(model, chi, exact):
    """Both stand above the exact energy, VUMPS below iDMRG by no more than truncation stirs."""
    result = solve(model.infinite_mpo(), model.infinite_product(), chi)
    assert result.status.converged, result
    settings = tn.VUMPS(truncation=tn.Truncation(chi_max=chi), gradient_tol=1e-6)
    polished = settings.solve(model.infinite_mpo(), result.state)
    assert polished.status.converged
    assert exact < polished.energy <= result.energy + 1e-11
    assert result.energy - polished.energy < result.history[-1].max_trunc_err
    assert tn.fidelity(result.state, polished.state) == pytest.approx(1, abs=1e-3)


def test_terms_over_several_sites():
    """Next neighbours in a cell of three, and the dimers of Majumdar and Ghosh."""
    result = solve(MajumdarGhosh(L=4).infinite_mpo(), MajumdarGhosh(L=4).infinite_product(), 12)
    assert result.energy == pytest.approx(-3 / 8, abs=1e-10)
    model = J1J2(L=2, J2=0.3)
    dimerised = solve(model.infinite_mpo(), model.infinite_product(), 24)
    longer = solve(J1J2(L=4, J2=0.3).infinite_mpo(), J1J2(L=4, J2=0.3).infinite_product(), 24)
    assert dimerised.energy == pytest.approx(longer.energy, abs=1e-5)


def test_a_complex_operator():
    H = OperatorSum()
    for i in range(2):
        H += plus_hc(0.5 * np.exp(0.4j), "S+", i, "S-", i + 1)
    twisted = solve(InfiniteMPO.from_sum(H, spin_sites(2)), XX(L=2).infinite_product(), 12)
    plain = solve(XX(L=2).infinite_mpo(), XX(L=2).infinite_product(), 12)
    assert twisted.state.dtype == np.complex128
    assert twisted.energy == pytest.approx(plain.energy, abs=1e-6)


def test_the_device_path_gives_the_same_energy():
    backend = backend_or_skip("strict")
    model = TransverseIsing(L=2, h=2.0)
    result = solve(model.infinite_mpo().to(backend), model.infinite_product("up").to(backend), 6)
    assert result.state.backend is backend
    assert result.energy == pytest.approx(infinite_ising_energy(1.0, 2.0), abs=1e-8)


class Stopper:
    """Asks for a stop after some cells."""

    def __init__(self, after: int) -> None:
        self.after, self.bonds, self.sweeps = after, 0, 0

    def bond(self, report, run) -> None:
        self.bonds += 1

    def sweep(self, report, run) -> None:
        self.sweeps += 1
        if self.sweeps == self.after:
            run.request_stop("stopped by the test")


def test_a_stopped_run_goes_on():
    model = TransverseIsing(L=3, h=1.5)
    settings = tn.IDMRG(truncation=tn.Truncation(chi_max=12))
    observer = Stopper(3)
    first = settings.solve(model.infinite_mpo(), model.infinite_product("up"), [observer])
    assert not first.status.converged and observer.bonds >= 6 and len(first.history) == 3
    second = settings.solve(model.infinite_mpo(), first.state, progress=first.progress)
    assert second.status.converged and second.history[:3] == first.history
    assert second.energy == pytest.approx(infinite_ising_energy(1.0, 1.5), abs=1e-11)


def test_too_few_cells_are_a_result_with_advice():
    model = Heisenberg(L=2)
    short = solve(model.infinite_mpo(), model.infinite_product(), 12, max_sweeps=2)
    assert short.status.advice.startswith("after so few cells no change of the energy is known")
    result = solve(model.infinite_mpo(), model.infinite_product(), 12, max_sweeps=4)
    assert result.status.name == "max_sweeps reached" and "VUMPS" in repr(result)
    assert result.energy > 0.25 - np.log(2)
    settings = tn.IDMRG(truncation=tn.Truncation(chi_max=4), max_sweeps=3)
    assert len(list(settings.sweeps(model.infinite_mpo(), model.infinite_product()))) == 3


def test_input_that_does_not_fit_is_refused():
    settings = tn.IDMRG(truncation=tn.Truncation(chi_max=8))
    model = TransverseIsing(L=2)
    with pytest.raises(ShapeError, match="at least 2 sites, found 1"):
        settings.solve(model.infinite_mpo(1), model.infinite_product("up", 1))
    lopsided = InfiniteMPO.from_sum(OperatorSum().add(1.0, "S+", 0, "S-", 1), spin_sites(2))
    with pytest.raises(OperatorError, match="iDMRG needs a Hermitian operator"):
        settings.solve(lopsided, Heisenberg(L=2).infinite_product())
    for wrong in ({"min_sweeps": 1}, {"max_sweeps": 0}, {"energy_tol": -1.0}, {"krylov_min": 30}):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            tn.IDMRG(truncation=tn.Truncation(chi_max=8), **wrong)
