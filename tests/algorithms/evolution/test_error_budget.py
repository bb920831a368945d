"""One error budget for a whole run, against exact states of eight and ten sites."""

from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from scipy.linalg import expm

import tnsim as tn
from tests.algorithms.evolution.test_circuit import applied, random_circuit
from tests.devices import backend_or_skip
from tests.suites.chains import vector
from tnsim.algorithms.evolution.adaptive_steps import distance
from tnsim.algorithms.evolution.error_budget import CutShares, ErrorBudget
from tnsim.algorithms.evolution.evolution_report import EvolutionReport
from tnsim.errors import SettingsError
from tnsim.models import XXZ, HaldaneShastry, Heisenberg

CHAIN, TIME = XXZ(L=10, delta=0.5), 3.0
CUT = tn.Truncation(chi_max=32)
SCHEMES = {
    "TEBD": tn.TEBD(dt=0.1, truncation=CUT, order=2),
    "TEBD by a centre": tn.TEBD(dt=0.1, truncation=CUT, order=2, split="svd"),
    "sweeps": tn.TDVP(dt=0.2, truncation=CUT, scheme="two-site", every=5),
    "MPOs": tn.MPOEvolution(dt=0.2, truncation=CUT, every=5),
}


def sum_of(scheme):
    return CHAIN.operator_sum() if isinstance(scheme, tn.TEBD) else CHAIN.mpo()


def run(scheme, time=TIME, **settings):
    return replace(scheme, **settings).run(sum_of(scheme), CHAIN.product("neel"), time=time)


def cost(evolved) -> float:
    return float(np.sum([report.chi**3 for report in evolved.history]))


@pytest.mark.parametrize("name", SCHEMES)
def test_the_final_error_is_within_the_budget_and_not_far_below(name):
    """Without the error of the splitting, which all runs share: against the same steps with every state kept."""
    everything = run(SCHEMES[name]).state
    bonds = []
    for budget in (1e-1, 1e-2):
        evolved = run(SCHEMES[name], error_budget=budget)
        last = evolved.history[-1]
        assert evolved.status.converged and last.time == pytest.approx(TIME)
        assert 0.7 * budget < last.error_spent <= budget and last.error_left == budget - last.error_spent
        assert 0.1 * last.error_spent < distance(evolved.state, everything) < last.error_spent
        bonds.append(last.chi)
    assert bonds[0] < bonds[1] <= 32


def test_steps_that_adapt_spend_of_the_same_budget():
    """Against the exact exponential; what steps do not take of their share is left for cuts."""
    H, psi = CHAIN.mpo().to_dense(), CHAIN.product("neel")
    exact = expm(-1j * TIME * H) @ psi.to_dense()
    for budget, tolerance in ((1e-2, 2e-3), (1e-3, 2e-4)):
        evolved = run(tn.TEBD(dt=0.5, truncation=CUT, order=4, step_tol=tolerance, error_budget=budget))
        last = evolved.history[-1]
        assert evolved.status.converged and 0 < last.sum_step_err < tolerance * TIME
        assert 0.6 * budget < last.error_spent <= budget
        assert 0.05 * budget < np.linalg.norm(evolved.state.to_dense() - exact) < budget
        assert "of the budget left" in repr(evolved)


def test_bonds_are_smaller_than_with_equal_cuts_at_equal_error():
    """Few layers need less than their share; the later ones, on large bonds, take it."""
    chain, cut = XXZ(L=14, delta=0.5), tn.Truncation(chi_max=128)
    scheme, H, psi = tn.TEBD(dt=0.1, truncation=cut, order=2), chain.operator_sum(), chain.product("neel")
    everything = scheme.run(H, psi, time=4.0).state
    shared = replace(scheme, error_budget=1e-2).run(H, psi, time=4.0)
    error, uniform = distance(shared.state, everything), []
    for weight in (3e-9, 1e-8):
        evolved = replace(scheme, truncation=replace(cut, trunc_err=weight)).run(H, psi, time=4.0)
        uniform.append((distance(evolved.state, everything), cost(evolved), evolved.history[-1].chi))
    assert uniform[0][0] < error < uniform[1][0]
    errors, costs, bonds = np.log(np.array(uniform)).T
    assert cost(shared) < 0.95 * np.exp(np.interp(np.log(error), errors, costs))
    assert shared.history[-1].chi < 0.95 * np.exp(np.interp(np.log(error), errors, bonds))


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize(("L", "time"), [(2, 1.0), (8, -1.1)])
def test_backwards_by_several_steps_a_report_and_on_two_sites(name, L, time):
    """The last report is of fewer steps, and the last step may be a shorter one."""
    chain, scheme = XXZ(L=L, delta=0.5), replace(SCHEMES[name], every=3)
    H = chain.operator_sum() if isinstance(scheme, tn.TEBD) else chain.mpo()
    shared = replace(scheme, error_budget=1e-2).run(H, chain.product("neel"), time=time)
    everything = scheme.run(H, chain.product("neel"), time=time)
    last = shared.history[-1]
    assert shared.status.converged and last.time == pytest.approx(time) and last.error_spent <= 1e-2
    assert distance(shared.state, everything.state) <= last.error_spent + 1e-7
    assert L == 2 or last.error_spent > 1e-3


@pytest.mark.parametrize("place", ["numpy", "strict"])
def test_every_backend(place):
    backend, chain = backend_or_skip(place), XXZ(L=4, delta=0.5)
    psi = chain.product("neel").to(backend)
    for scheme in SCHEMES.values():
        H = chain.operator_sum() if isinstance(scheme, tn.TEBD) else chain.mpo().to(backend)
        evolved = replace(scheme, error_budget=0.1, every=2).run(H, psi, time=0.4)
        assert evolved.state.backend is backend and 0 < evolved.history[-1].error_spent <= 0.1
    flip = np.eye(4)[[0, 2, 1, 3]]
    result = tn.Circuit().add(flip, 0, 3).add(flip, 1, 2).run(psi, truncation=CUT, error_budget=0.1)
    assert result.state.backend is backend and result.status.converged and result.error <= 0.1


def test_a_file_from_before_there_were_budgets(tmp_path, monkeypatch):
    """It is read, goes on without a budget, and says why it cannot have one."""
    H, psi, scheme = CHAIN.operator_sum(), CHAIN.product("neel"), SCHEMES["TEBD"]
    new = ("clipped", "error_spent", "error_left")
    monkeypatch.setattr(
        "tnsim.io.evolved.asdict",
        lambda report: {name: value for name, value in asdict(report).items() if name not in new},
    )
    tn.save(tmp_path / "old.h5", scheme.run(H, psi, time=0.2))
    old = tn.load(tmp_path / "old.h5")
    assert scheme.run(H, old.state, time=0.3, resume=old).status.converged
    with pytest.raises(SettingsError, match="so what it spent is not known"):
        replace(scheme, error_budget=1e-3).run(H, old.state, time=0.4, resume=old)


def test_what_is_not_spent_is_carried_over():
    shares = CutShares(CUT)
    assert shares.rule(5, 3) == CUT  # no budget: the truncation alone
    shares.allow(0.6)
    assert shares.rule(4, 3).trunc_err == pytest.approx(0.2**2 / 4)
    shares.spend(0.0)
    assert shares.rule(4, 2).trunc_err == pytest.approx(0.3**2 / 4)
    shares.spend(0.1**2)
    assert shares.rule(1, 1).trunc_err == pytest.approx(0.5**2) and shares.error == pytest.approx(0.1)
    shares.spend(1.0)
    assert 0 < shares.rule(1, 1).trunc_err < 1e-30  # nothing is left


@pytest.mark.parametrize("settings", [{}, {"step_tol": 1e-4}, {"every": 3}])
@pytest.mark.parametrize("name", ["TEBD", "sweeps"])
def test_resume_goes_on_with_the_same_budget_also_from_a_file(name, settings, tmp_path):
    evolution = replace(SCHEMES[name], error_budget=1e-2, **settings)
    if name == "TEBD" and "step_tol" in settings:  # steps that adapt would enlarge what cold and warm cuts differ by
        evolution = replace(evolution, split="svd")
    H, psi, found = sum_of(evolution), CHAIN.product("neel"), []
    run = evolution.start(H, psi, time=TIME)
    for report in run.steps():
        if report.time > 1.0 and not found:
            tn.save(tmp_path / "half.h5", run.so_far())
            found.append(report)
    half, whole = tn.load(tmp_path / "half.h5"), run.so_far()
    assert half.history[-1] == found[0]
    again = evolution.run(H, half.state, time=TIME, resume=half)
    for one, other in zip(again.history, whole.history, strict=True):
        assert one.error_spent == pytest.approx(other.error_spent, rel=1e-7) and one.chi == other.chi
    assert again.status == whole.status and distance(again.state, whole.state) < 1e-9


def test_a_ceiling_that_is_too_low_is_told_while_the_budget_still_holds():
    """The run stops early, goes on from there with larger bonds, and ends within its budget."""
    low = replace(SCHEMES["TEBD"], truncation=replace(CUT, chi_max=12), error_budget=3e-3)
    H, psi = CHAIN.operator_sum(), CHAIN.product("neel")
    stopped = low.run(H, psi, time=TIME)
    last = stopped.history[-1]
    assert stopped.status.name == "error budget out of reach" and not stopped.status.converged
    assert last.chi == 12 and last.time < TIME and last.error_spent < 3e-3
    assert "raise chi_max = 12 and resume from here" in stopped.status.advice
    assert f"at time {TIME:g}" in stopped.status.advice
    ended = replace(low, truncation=CUT).run(H, stopped.state, time=TIME, resume=stopped)
    assert ended.status.converged and ended.history[-1].error_spent <= 3e-3
    assert distance(ended.state, run(SCHEMES["TEBD"]).state) < 3e-3
    again, reports = stopped, len(stopped.history)
    while again.status.name == "error budget out of reach":  # whoever resumes with the ceiling as it is gets on
        again = low.run(H, again.state, time=TIME, resume=again)
        reports += 1
        assert len(again.history) == reports
    assert again.status.name == "error budget spent" and "earlier state" in again.status.advice
    assert again.history[-1].error_left < 0 and last.time < again.history[-1].time < TIME


def test_a_cutoff_that_is_too_coarse_is_told():
    coarse = replace(SCHEMES["TEBD"], truncation=tn.Truncation(chi_max=64, svd_min=1e-3), error_budget=1e-3)
    status = run(coarse).status
    assert not status.converged and "lower svd_min = 1.0e-03" in status.advice


def test_a_budget_below_the_cutoff_is_held_once_that_is_lowered_as_advised():
    fine = replace(SCHEMES["TEBD by a centre"], error_budget=1e-7)
    status = run(fine, time=1.5).status
    assert not status.converged and "lower svd_min = 1.0e-08" in status.advice
    evolved = run(fine, time=1.5, truncation=replace(CUT, svd_min=1e-12))
    assert evolved.status.converged and 1e-8 < evolved.history[-1].error_spent <= 1e-7


def told(budget: float, *reports: tuple[float, int, float], fresh: int = 9, **cut) -> str:
    """Advice after reports of (time, largest bond, error spent)."""
    truncation = tn.Truncation(**{"chi_max": 16, **cut})
    settings = tn.TEBD(dt=0.1, truncation=truncation, error_budget=budget)
    others = {field.name: None if "energy" in field.name else 0.0 for field in fields(EvolutionReport)}
    history = [EvolutionReport(**others | {"time": time, "chi": chi, "error_spent": e}) for time, chi, e in reports]
    status = ErrorBudget(settings, 2.0).trouble(history, fresh)
    return status.advice if status else ""


def test_advice_names_what_cut():
    """A bond that was full at any time; both, where the cutoff alone may spend such a budget; and nothing to change
    where the budget was spent before."""
    assert told(1e-2, (0.0, 1, 0.0), (1.0, 16, 4e-3)) == ""
    ceiling = told(1e-2, (0.0, 1, 0.0), (0.5, 16, 1e-3), (1.0, 12, 9e-3))
    assert "raise chi_max = 16 and resume from here" in ceiling and "svd_min" not in ceiling
    cutoff = told(1e-2, (0.0, 1, 0.0), (1.0, 15, 2e-2), svd_min=1e-3)
    assert "lower svd_min = 1.0e-03 and resume from an earlier state" in cutoff and "chi_max" not in cutoff
    both = told(1e-7, (0.0, 1, 0.0), (1.0, 16, 2e-7))
    assert "raise chi_max = 16, lower svd_min = 1.0e-08 and resume" in both
    for reports, fresh in ((((0.0, 1, 0.0), (0.5, 8, 2e-2), (1.0, 8, 2e-2)), 9), (((0.0, 1, 0.0), (0.5, 8, 2e-2)), 0)):
        late = told(1e-2, *reports, fresh=fresh)
        assert "before time 0.5" in late and "or raise error_budget = 1.0e-02" in late
        assert "chi_max" not in late and "svd_min" not in late


def test_terms_of_long_range_by_walks():
    ring = HaldaneShastry(L=8)
    H, psi = ring.operator_sum(), ring.product()
    evolution = tn.TEBD(dt=0.1, truncation=CUT, order=2)
    shared = replace(evolution, error_budget=0.05).run(H, psi, time=1.0)
    everything = evolution.run(H, psi, time=1.0)
    last = shared.history[-1]
    assert 0.6 * 0.05 < last.error_spent <= 0.05 and last.chi < everything.history[-1].chi
    assert 1e-3 < distance(shared.state, everything.state) < last.error_spent


def test_a_sum_that_depends_on_time():
    def driven(time):
        return CHAIN.operator_sum() * float(1 + 0.3 * np.sin(time))

    evolution, psi = replace(SCHEMES["TEBD"], order=4, every=5), CHAIN.product("neel")
    shared = replace(evolution, error_budget=1e-2).run(driven, psi, time=1.5)
    everything = evolution.run(driven, psi, time=1.5)
    assert 0.6e-2 < shared.history[-1].error_spent <= 1e-2
    assert 1e-3 < distance(shared.state, everything.state) < 1e-2


def test_two_threads_share_the_budget():
    """Both halves of a chain side by side, two layers at a time."""
    tn.set_threads(2)
    try:
        shared = run(SCHEMES["TEBD by a centre"], error_budget=1e-2)
    finally:
        tn.set_threads(None)
    everything = run(SCHEMES["TEBD by a centre"]).state
    assert 0.6e-2 < shared.history[-1].error_spent <= 1e-2
    assert distance(shared.state, everything) < 1e-2


def test_thermal_states_spread_it_over_all_temperatures():
    H, sites = Heisenberg(L=6).operator_sum(), Heisenberg(L=6).sites
    cooling = tn.TEBD(dt=0.1, truncation=tn.Truncation(chi_max=32), imaginary=True, order=2, error_budget=1e-2)
    thermal = tn.Purification(cooling=cooling).run(H, [0.5, 1.0, 2.0], sites=sites)
    spent = {round(2 * report.time, 9): report.error_spent for report in thermal.evolved.history}
    assert thermal.status.converged and len(thermal.betas) == 3
    assert all(spent[beta] <= 1e-2 * beta / 2.0 for beta in thermal.betas) and spent[2.0] > 5e-3
    exact = tn.Purification(cooling=replace(cooling, error_budget=np.inf)).run(H, [2.0], sites=sites)
    assert abs(thermal.energies[-1] - exact.energies[-1]) < 1e-2
    assert distance(thermal.state, exact.state) < 1e-2
    assert thermal.evolved.history[-1].chi < 0.7 * exact.evolved.history[-1].chi


def test_circuits():
    psi, circuit = tn.MPS.product(tn.spin_sites(10, conserve=None), ["down"] * 10), random_circuit(10, 4, seed=1)
    exact, bonds = applied(circuit, vector(psi), 10), []
    for budget in (0.9, 0.5, 0.1):
        result = circuit.run(psi, truncation=tn.Truncation(chi_max=32), error_budget=budget)
        error = np.linalg.norm(vector(result.state) - exact)
        assert result.status.converged and 0.02 * budget < error < result.error <= budget
        bonds.append(sum(result.state.bond_dimensions))
    assert bonds[0] < bonds[1] < bonds[2]
    low = circuit.run(psi, truncation=tn.Truncation(chi_max=8), error_budget=0.1)
    assert low.status.name == "error budget spent" and "raise chi_max = 8" in low.status.advice
    assert np.linalg.norm(vector(low.state) - exact) < low.error
    with pytest.raises(SettingsError, match="error_budget lies between 0 and 1"):
        circuit.run(psi, truncation=CUT, error_budget=0.0)


@pytest.mark.parametrize("budget", [0.0, -1.0, 1.0, float("nan")])
def test_what_is_no_error_of_a_state(budget):
    with pytest.raises(SettingsError, match="error_budget lies between 0 and 1"):
        replace(SCHEMES["TEBD"], error_budget=budget)


def test_bad_input():
    psi, scheme = CHAIN.product("neel"), SCHEMES["TEBD"]
    with pytest.raises(SettingsError, match="chooses the trunc_err of every cut"):
        replace(scheme, error_budget=1e-3, truncation=replace(CUT, trunc_err=1e-9))
    with pytest.raises(SettingsError, match="leaves nothing of error_budget = 0.001"):
        run(scheme, error_budget=1e-3, step_tol=1e-3)
    krylov = tn.KrylovEvolution(dt=0.1, truncation=CUT, error_budget=1e-3)
    hybrid = tn.TDVP(dt=0.1, truncation=CUT, error_budget=1e-3)
    for other, what in ((krylov, CHAIN.mpo()), (hybrid, CHAIN.mpo())):
        with pytest.raises(SettingsError, match="needs a scheme whose cuts say how far"):
            other.run(what, psi, time=0.2)
    with pytest.raises(SettingsError, match="needs a scheme whose cuts say how far"):
        cell = Heisenberg(L=2)
        replace(scheme, error_budget=1e-3).run(cell.infinite_sum(), cell.infinite_product("neel"), time=0.2)
