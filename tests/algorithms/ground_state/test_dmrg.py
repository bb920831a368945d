"""DMRG against exact diagonalisation, in every symmetry and dtype, and its settings, status and statuses."""

import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import tnsim as tn
from tests.exact import dense
from tnsim.algorithms.solution import Progress
from tnsim.backend import one_thread
from tnsim.errors import BackendError, LegError, NumericalError, OperatorError, SettingsError, ShapeError, StateError
from tnsim.kernels.cpu import lanczos, leading, products
from tnsim.models import Heisenberg, RandomFieldHeisenberg, TransverseIsing
from tnsim.networks.two_site_split import split_two_site

ROOT = Path(__file__).resolve().parents[2]
SYMMETRIES = ["Sz", "parity", None]


def random_sum(L: int, *, complex_: bool, seed: int, conserve: str | None = "Sz") -> tn.OperatorSum:
    """A Hermitian sum with random couplings up to distance 3 that conserves no more than `conserve`.

    (A start state of definite Sz would never leave its sector under a sum that conserves Sz.)
    """
    rng = np.random.default_rng(seed)
    H = tn.OperatorSum()
    for i in range(L):
        H += rng.normal(), "Sz", i
        for j in range(i + 1, min(L, i + 4)):
            phase = np.exp(1j * rng.uniform(0, 2 * np.pi)) if complex_ else 1.0
            H += tn.plus_hc(phase * rng.normal(), "S+", i, "S-", j)
            H += rng.normal(), "Sz", i, "Sz", j
            if conserve != "Sz":
                H += tn.plus_hc(phase * rng.normal(), "S+", i, "S+", j)
        if conserve is None:
            H += rng.normal(), "Sx", i
    return H


def start_state(sites: tuple, dtype: str) -> tn.MPS:
    names = sorted(sites[0].states, key=lambda s: sites[0].op("Sz")[(sites[0].state(s),) * 2])
    return tn.MPS.product(sites, [names[-1] if i % 2 else names[0] for i in range(len(sites))], dtype=dtype)


def solve(sites, H, psi, chi=64, **options) -> tn.Solution:
    options = {"max_sweeps": 12, "second_start": False} | options
    return tn.DMRG(truncation=tn.Truncation(chi_max=chi), **options).solve(H, psi)


@pytest.mark.parametrize("conserve", SYMMETRIES)
@pytest.mark.parametrize(("S", "L"), [(0.5, 8), (1, 5)])
@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
def test_random_hamiltonians_against_exact_diagonalisation(conserve, S, L, complex_):
    sites = tn.spin_sites(L, S, conserve)
    H = random_sum(L, complex_=complex_, seed=L, conserve=conserve)
    psi = start_state(sites, "float64")
    result = solve(sites, H.mpo(sites), psi, noise=1e-2, noise_sweeps=4, gradient_tol=1e-7)
    exact = dense.ground_energy(dense.hamiltonian(H, sites), sites, psi.charge)
    assert result.energy == pytest.approx(exact, abs=1e-9)
    assert result.variance < 1e-8
    assert abs(result.state.norm() - 1) < 1e-12


GROUPS = [tn.Zn(3, "q"), tn.U1("N") * tn.Zn(2, "p"), tn.Zn(3) * tn.Zn(2), tn.U1("N"), tn.FermionParity()]


@pytest.mark.parametrize("group", GROUPS, ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_random_charges_of_any_group_against_exact_diagonalisation(group, seed):
    rng = np.random.default_rng(seed)
    dim, L = int(rng.integers(2, 4)), int(rng.integers(3, 6))
    charges = sorted(
        tuple(int(rng.integers(0, m)) if m else int(rng.integers(-1, 2)) for m in group.moduli) for _ in range(dim)
    )
    steps = {(x, y): group.fuse(charges[x], group.dual(charges[y]))[0] for x in range(dim) for y in range(dim)}
    number = {q: f"o{k}" for k, q in enumerate(sorted(set(steps.values())))}
    operators = {}
    for q, name in number.items():
        allowed = np.array([[steps[x, y] == q for y in range(dim)] for x in range(dim)])
        operators[name] = allowed * (rng.normal(size=(dim, dim)) + 1j * rng.normal(size=(dim, dim)))
    site = tn.Site(
        name="any", states=tuple(map(str, range(dim))), group=group, charges=tuple(charges), operators=operators
    )
    H = tn.OperatorSum()
    for i in range(L):
        H += tn.plus_hc(rng.normal(), number[group.identity], i)
        for j in range(i + 1, L):
            for q in number:
                H += tn.plus_hc(complex(*rng.normal(size=2)), number[q], i, number[group.dual(q)], j)
    sites = (site,) * L
    sectors, counts = np.unique(dense.charges(sites), axis=0, return_counts=True)
    psi = tn.MPS.random(sites, chi=4, charge=tuple(sectors[counts.argmax()].tolist()), seed=seed)
    exact = dense.ground_energy(dense.hamiltonian(H, sites), sites, psi.charge)
    result = solve(sites, H.mpo(sites), psi, noise=1e-2, noise_sweeps=4, gradient_tol=1e-7)
    assert result.energy == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("conserve", SYMMETRIES)
def test_single_precision_sweeps_are_polished_in_double(dtype, conserve):
    sites = tn.spin_sites(8, 0.5, conserve)
    H = random_sum(8, complex_=dtype == "complex64", seed=3, conserve=conserve)
    psi = start_state(sites, dtype)
    run = tn.DMRG(
        truncation=tn.Truncation(chi_max=32), float32_sweeps=4, max_sweeps=10, noise=1e-2, noise_sweeps=3
    ).solve(H.mpo(sites), psi)
    exact = dense.ground_energy(dense.hamiltonian(H, sites), sites, psi.charge)
    assert [report.dtype for report in run.history[:4]] == [dtype] * 4
    assert abs(run.history[3].energy - exact) < 1e-3
    assert run.energy == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(("chi", "float32_sweeps"), [(6, 0), (6, 4), (32, 0), (32, 4)])
def test_an_exact_level_lies_within_the_error_bound(chi, float32_sweeps):
    model = Heisenberg(L=10)
    run = tn.DMRG(
        truncation=tn.Truncation(chi_max=chi), max_sweeps=4, float32_sweeps=float32_sweeps, second_start=False
    ).solve(model.mpo(), model.product())
    levels = np.linalg.eigvalsh(dense.hamiltonian(model.operator_sum(), model.sites))
    distance = np.abs(levels - run.energy).min()
    assert distance <= run.error_bound
    # single precision cannot promise more than its rounding; double keeps what the truncation left
    assert run.error_bound == pytest.approx(max(run.variance, 0) ** 0.5, rel=0.1, abs=1e-2 if float32_sweeps else 1e-6)
    assert "an exact level lies within" in repr(run)


@pytest.mark.parametrize("backend", ["numpy", "strict"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("conserve", SYMMETRIES)
def test_every_backend_gives_the_same_run(backend, dtype, conserve):
    sites = tn.spin_sites(6, 0.5, conserve)
    H = random_sum(6, complex_=dtype == "complex128", seed=5, conserve=conserve)
    psi = start_state(sites, dtype).to(backend)
    result = solve(sites, H.mpo(sites).to(backend), psi, chi=16, max_sweeps=6, noise=1e-2, gradient_tol=1e-7)
    exact = dense.ground_energy(dense.hamiltonian(H, sites), sites, psi.charge)
    assert result.energy == pytest.approx(exact, abs=1e-9)
    assert result.state.backend.name == backend


def test_nonzero_magnetisation_of_a_random_field_chain():
    model = RandomFieldHeisenberg(L=10, W=2.0, seed=7)
    psi = model.product(["up"] * 7 + ["down"] * 3)
    result = solve(model.sites, model.mpo(), psi, noise=1e-2, noise_sweeps=3)
    exact = dense.ground_energy(dense.hamiltonian(model.operator_sum(), model.sites), model.sites, (4,))
    assert psi.charge == (4,)
    assert result.energy == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("split", ["gram", "svd"])
def test_both_splits_agree_under_truncation(split):
    model = Heisenberg(L=16)
    result = solve(model.sites, model.mpo(), model.product(), chi=12, split=split, variance_tol=1e9)
    assert {report.split for report in result.history} == {split}
    assert result.energy == pytest.approx(-6.9116981, abs=2e-6)
    assert result.energy > model.facts.energy
    assert result.history[-1].max_trunc_err > 0


@pytest.mark.parametrize("float32_sweeps", [0, 1])
def test_stopped_anywhere_and_resumed_gives_the_uninterrupted_run(float32_sweeps):
    model = Heisenberg(L=10)
    H, psi = model.mpo(), model.product()
    dmrg = tn.DMRG(
        truncation=tn.Truncation(chi_max=12), max_sweeps=4, min_sweeps=5, second_start=False,
        float32_sweeps=float32_sweeps,
    )  # fmt: skip
    whole = [numbers_of(report) for report in dmrg.sweeps(H, psi)]
    for steps in range(1, 3 * 2 * 9):
        run = dmrg.start(H, psi)
        list(run.sweeps([StopAfter(steps)]))
        assert run.stop_reason
        rest = dmrg.start(H, run.state, run.progress())
        list(rest.sweeps())
        found = [numbers_of(report) for report in rest.progress().history]
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-12, err_msg=f"stopped after {steps} updates")


def numbers_of(report):
    return [value for name, value in asdict(report).items() if name not in ("seconds", "split", "dtype")]


class StopAfter:
    """An observer that asks for a stop after some bond updates."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def bond(self, report, run) -> None:
        self.left -= 1
        if self.left == 0:
            run.request_stop("test")

    def sweep(self, report, run) -> None:
        pass


@pytest.mark.slow
def test_kernels_from_the_cache_give_the_bits_of_those_just_compiled(tmp_path):
    # a sum that a compiler may reorder differs from copy to copy of a function, and noise makes another run of a bit
    script = """
import tnsim as tn
from tnsim.models import Heisenberg
model = Heisenberg(L=16)
dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=20), max_sweeps=2)
energies = [report.energy.hex() for report in dmrg.sweeps(model.mpo(), model.product())]
"""

    def energies(**environment: str) -> list[str]:
        command, variables = [sys.executable, "-c", script + "print(*energies)"], os.environ | environment
        run = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, check=True)
        return run.stdout.split()

    one = {"OMP_NUM_THREADS": "1", "TNSIM_THREADS": "1"}
    kernels = lanczos.lowest, leading.lead_leading, products.run_rows
    if any(kernel.stats.cache_hits or not kernel.stats.cache_misses for kernel in kernels):
        cold, warm = (energies(NUMBA_CACHE_DIR=str(tmp_path), **one) for _ in range(2))
    else:  # this process has just compiled them, as the first one of CI: no need to do so again
        names: dict = {}
        with one_thread():
            exec(script, names)
        cold, warm = names["energies"], energies(**one)
    assert cold == warm
    assert len(cold) > 1 and "0x" in cold[0]


def test_an_interrupted_run_says_so():
    model = Heisenberg(L=8)
    result = tn.DMRG(truncation=tn.Truncation(chi_max=16)).solve(model.mpo(), model.product(), [StopAfter(5)])
    assert result.status.name == "interrupted"
    assert not result.status.converged
    assert result.progress.step == 5
    assert "resume" in result.status.advice


def test_one_sweep_is_never_called_converged():
    model = Heisenberg(L=20)
    result = solve(model.sites, model.mpo(), model.product(), max_sweeps=1)
    assert not result.status.converged
    assert "max_sweeps" in result.status.advice
    assert "advice" in repr(result)


def test_a_large_gradient_refuses_convergence():
    model = Heisenberg(L=20)
    # one product and a loose energy criterion: the energy settles long before the state does
    result = solve(
        model.sites, model.mpo(), model.product(), chi=64, max_sweeps=2, min_sweeps=1, energy_tol=10.0,
        entropy_tol=10.0, noise_sweeps=0, gradient_tol=1e-9, krylov_max=2,
    )  # fmt: skip
    assert not result.status.converged
    assert result.status.name == "gradient above tolerance"


def test_a_high_variance_starts_a_second_time_and_says_so():
    sites, H = three_site_flips()
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=32), noise_sweeps=0)
    psi = tn.MPS.product(sites, ["up"] * 6)
    first = replace(dmrg, second_start=False).solve(H.mpo(sites), psi)
    assert first.status.name == "high variance"
    assert not first.status.converged
    result = dmrg.solve(H.mpo(sites), psi)
    assert result.progress.restarts == 1
    assert "second start" in str(result.status.name + result.status.advice)
    assert result.energy < first.energy - 1e-3


def test_an_interrupted_second_start_is_resumed_with_the_result_of_the_first():
    sites, H = three_site_flips()
    psi, mpo = tn.MPS.product(sites, ["up"] * 6), H.mpo(sites)
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=32), noise_sweeps=0)
    whole = dmrg.solve(mpo, psi)
    first = replace(dmrg, second_start=False).solve(mpo, psi)
    for steps in (1, 17):
        part = dmrg.solve(mpo, psi, [StopAfter(10 * len(first.history) + steps)])
        assert (part.status.name, part.progress.restarts, len(part.history)) == ("interrupted", 1, steps // 10)
        assert part.first.energy == first.energy and "first start" in repr(part)
        rest = dmrg.solve(mpo, part.state, progress=part.progress, first=part.first)
        assert rest.energy == pytest.approx(whole.energy, abs=1e-12)
        assert len(rest.history) == len(whole.history) and rest.first is None
        # a first result that is better wins in the end
        better = replace(part.first, energy=whole.energy - 1.0)
        assert dmrg.solve(mpo, part.state, progress=part.progress, first=better).energy == better.energy


def test_a_run_that_max_sweeps_cut_short_is_not_started_again():
    model = Heisenberg(L=30)
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=32), max_sweeps=1, variance_tol=1e-6)
    result = dmrg.solve(model.mpo(), model.product())
    assert result.variance > 1e-4
    assert result.progress.restarts == 0
    assert not result.status.converged
    assert "max_sweeps" in result.status.advice


def three_site_flips():
    """Two neighbouring sites never see a matrix element from the state of all spins up."""
    H = tn.OperatorSum()
    for i in range(4):
        H += -1.0, "X", i, "X", i + 1, "X", i + 2
    for i in range(6):
        H += -0.5, "Z", i
    return tn.spin_sites(6, 0.5, None), H


def test_noise_frees_a_state_that_the_two_site_update_cannot_leave():
    sites, H = three_site_flips()
    psi = tn.MPS.product(sites, ["up"] * 6)
    exact = np.linalg.eigvalsh(dense.hamiltonian(H, sites))[0]
    stuck = solve(sites, H.mpo(sites), psi, noise_sweeps=0)
    freed = solve(sites, H.mpo(sites), psi, noise=0.1, noise_sweeps=4)
    assert stuck.energy > exact + 1e-3
    assert freed.energy == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("S", [0.5, 1])
def test_a_start_in_an_eigenstate_finds_the_ground_state(S):
    # the highest state of the antiferromagnet: H has nothing to show for any bond
    model = Heisenberg(L=6, S=S, conserve="none")
    exact = np.linalg.eigvalsh(dense.hamiltonian(model.operator_sum(), model.sites))[0]
    result = solve(model.sites, model.mpo(), model.product("up"), chi=27)
    assert result.status.converged
    assert result.energy == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize(("L", "S", "start"), [(2, 1, ["-1", "0"]), (6, 0.5, ["down"] * 5 + ["up"])])
def test_a_symmetry_that_the_tensors_do_not_know_keeps_nothing_from_the_ground_state(L, S, start):
    # Heisenberg conserves Sz, told or not: products with H never leave the sector of the start state
    model = Heisenberg(L=L, S=S, conserve="none")
    exact = np.linalg.eigvalsh(dense.hamiltonian(model.operator_sum(), model.sites))[0]
    result = solve(model.sites, model.mpo(), tn.MPS.product(model.sites, start))
    assert result.status.converged
    assert result.energy == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize("conserve", ["Sz", "parity", None])
def test_single_precision_in_a_space_that_is_exhausted_at_once(conserve):
    sites = tn.spin_sites(2, 0.5, conserve)
    H = Heisenberg(L=2, conserve=conserve or "none").operator_sum()
    result = solve(sites, H.mpo(sites), tn.MPS.product(sites, ["down", "up"]), float32_sweeps=3)
    assert result.energy == pytest.approx(-0.75, abs=1e-12)


def test_chi_ramp_and_stages():
    model = Heisenberg(L=16)
    H, psi = model.mpo(), model.product()
    ramped = tn.DMRG(truncation=tn.Truncation(chi_max=40), chi_ramp=(5, 10), max_sweeps=6)
    reports = list(ramped.sweeps(H, psi))
    assert [report.chi_max for report in reports[:3]] == [5, 10, 40]
    assert all(report.chi <= report.chi_max for report in reports)
    stages = [tn.DMRG(truncation=tn.Truncation(chi_max=chi), max_sweeps=2) for chi in (5, 40)]
    result = tn.run_stages(stages, H, psi)
    assert result.energy == pytest.approx(model.facts.energy, abs=1e-9)
    assert len(result.history) == 4


def test_history_counts_every_bond_once_a_sweep():
    model = Heisenberg(L=10)
    seen = []

    class Watch(StopAfter):
        def bond(self, report, run):
            seen.append((report.bond, report.direction))

    run = tn.DMRG(truncation=tn.Truncation(chi_max=8), max_sweeps=1).start(model.mpo(), model.product())
    (report,) = run.sweeps([Watch(0)])
    assert seen == [(i, 1) for i in range(9)] + [(i, -1) for i in range(8, -1, -1)]
    assert report.matvecs >= 18
    assert report.seconds > 0
    errors = run.progress().bond_trunc_errs
    assert len(errors) == 9
    assert run.progress() == Progress(sweep=1, energy=report.energy, history=(report,), bond_trunc_errs=errors)


def test_an_operator_sum_in_place_of_an_mpo_is_named():
    model = Heisenberg(L=4)
    with pytest.raises(OperatorError, match=r"found OperatorSum and MPS.*mpo\(sites\)"):
        tn.DMRG(truncation=tn.Truncation(chi_max=8)).solve(model.operator_sum(), model.product())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_sweeps", 0),
        ("energy_tol", -1.0),
        ("noise", 2.0),
        ("split", "fast"),
        ("chi_ramp", (0,)),
        ("krylov_min", 30),
    ],
)
def test_settings_out_of_range(field, value):
    with pytest.raises(SettingsError, match=field):
        tn.DMRG(truncation=tn.Truncation(chi_max=8), **{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("truncation", 8), ("max_sweeps", 2.5), ("krylov_max", "4"), ("chi_ramp", 4), ("chi_ramp", ("4",)),
     ("seed", "x"), ("noise", True), ("second_start", 1)],
)  # fmt: skip
def test_settings_of_another_type(field, value):
    with pytest.raises(SettingsError, match=f"{field} must be of type"):
        tn.DMRG(**({"truncation": tn.Truncation(chi_max=8)} | {field: value}))


def test_whole_numbers_and_lists_stand_for_floats_and_tuples():
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=np.int64(8), svd_min=0), chi_ramp=[4, 6], noise=0)
    assert dmrg.chi_ramp == (4, 6)
    assert hash(dmrg) == hash(replace(dmrg))


def test_chi_max_has_no_default():
    with pytest.raises(TypeError, match="chi_max"):
        tn.Truncation()
    with pytest.raises(SettingsError, match="at least 1"):
        tn.Truncation(chi_max=0)


def test_input_that_does_not_fit_is_refused_before_the_run():
    model, longer = Heisenberg(L=6), Heisenberg(L=8)
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=8))
    with pytest.raises(ShapeError, match="8 sites.*6"):
        dmrg.solve(longer.mpo(), model.product())
    with pytest.raises(LegError, match="physical leg"):
        dmrg.solve(model.mpo(), Heisenberg(L=6, conserve=None).product())
    with pytest.raises(BackendError, match="strict"):
        dmrg.solve(model.mpo(), model.product().to("strict"))
    lopsided = tn.OperatorSum()
    lopsided += 1.0, "S+", 0, "S-", 1
    with pytest.raises(OperatorError, match="Hermitian"):
        dmrg.solve(lopsided.mpo(model.sites[:2]), Heisenberg(L=2).product())
    with pytest.raises(StateError, match="only state"):
        dmrg.solve(model.mpo(), model.product("up"))


def test_ising_chain_of_any_length_down_to_two():
    for L in (2, 3):
        model = TransverseIsing(L=L)
        result = solve(model.sites, model.mpo(), model.product("up"), noise=1e-2)
        assert result.energy == pytest.approx(model.facts.energy, abs=1e-10)


@pytest.mark.parametrize("model", [Heisenberg(L=40), Heisenberg(L=20, S=1), TransverseIsing(L=30)], ids=repr)
def test_leading_states_of_a_ground_state_lose_hardly_more_than_the_best(model):
    settings = tn.DMRG(
        truncation=tn.Truncation(chi_max=16, svd_min=1e-8), max_sweeps=3, noise_sweeps=1, split="leading"
    )
    run = settings.start(model.mpo(), model.product())
    cut, found = run._split, []

    def compared(heff, theta, bond, rightwards):
        sweep = run.progress().sweep
        result = cut(heff, theta, bond, rightwards)
        if sweep > 0:
            best = split_two_site(heff, theta, settings.truncation, rightwards=rightwards, method="svd")
            found.append((result.trunc_err, best.trunc_err))
        return result

    run._split = compared
    for _ in run.sweeps():
        pass
    leading, best = np.array(found).T
    assert len(found) > 2 * run.bonds
    assert (leading > best - 1e-15).all() and (leading < 1.2 * best + 1e-14).all()
    assert leading.sum() < 1.03 * best.sum()


def test_leading_states_give_the_run_of_full_decompositions():
    model = Heisenberg(L=40)
    settings = {"max_sweeps": 5, "min_sweeps": 6, "noise_sweeps": 1, "second_start": False}
    leading, full = (
        solve(model.sites, model.mpo(), model.product("neel"), chi=24, split=split, **settings)
        for split in ("leading", "gram")
    )
    steps = [report.energy_change for report in leading.history[-2:]]
    assert max(map(abs, steps)) < leading.history[-1].sum_trunc_err
    # both are variational at the same chi: neither may end below the other by more than the truncation moves it
    assert leading.energy == pytest.approx(full.energy, abs=0.1 * full.history[-1].sum_trunc_err)
    assert leading.history[-1].sum_trunc_err < 1.1 * full.history[-1].sum_trunc_err
    entropies = tn.entropy(leading.state), tn.entropy(full.state)
    assert np.allclose(*entropies, atol=1e-4)


@pytest.mark.parametrize("eigensolver", ["lanczos", "davidson"])
def test_overflow_names_the_sites(eigensolver):
    model = Heisenberg(L=4)
    settings = tn.DMRG(truncation=tn.Truncation(chi_max=8), eigensolver=eigensolver)
    with pytest.raises(NumericalError, match="sites 0 and 1 in sweep 0: .* check the Hamiltonian"):
        settings.solve(model.mpo() * 1e200, model.product("neel"))
