"""Several levels from the command line: files, interruptions at any bond, and more levels later."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tnsim as tn
from tests.command_line import call, signalled
from tests.exact import sparse
from tnsim.algorithms.ground_state.convergence import is_converged
from tnsim.errors import SettingsError
from tnsim.io import StopOnSignals, load_run, save_run
from tnsim.models import Heisenberg

WORDS = ("dmrg", "heisenberg", "--L", 10, "--chi-max", 32, "--energy-tol", 1e-11)


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    model = Heisenberg(L=10)
    return sparse.ground_energies(model.operator_sum(), model.sites, (0,), 4)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("levels") / "run.h5"
    result = call(*WORDS, "--levels", 3, "--out", path)
    assert result.exit_code == 0, result.output
    return path, result.output


def energies(path: Path) -> list[float]:
    return [level.energy for level in load_run(path).levels]


def test_levels_are_shown_and_kept_in_the_file(finished, exact):
    path, output = finished
    for word in ("level 0", "level 2", "ExcitedStates(converged): 3 levels", "energy error"):
        assert word in output
    assert "second start" not in output
    record = load_run(path)
    np.testing.assert_allclose(energies(path), exact[:3], rtol=0, atol=1e-9)
    assert record.energy == record.levels[0].energy
    assert record.status == "converged"
    assert [level.status.converged for level in record.levels] == [True] * 3
    assert max(record.levels[2].overlaps) < 1e-7
    assert [len(level.history) > 1 for level in record.levels] == [True] * 3
    model = record.job.model
    for level in record.levels:
        assert tn.expect(level.state, model.mpo()) == pytest.approx(level.energy, abs=1e-12)
    info = call("info", path).output
    assert "ExcitedStates(converged): 3 levels" in info


def test_levels_are_drawn_beside_convergence_and_entanglement(finished):
    pytest.importorskip("matplotlib")
    record = load_run(finished[0])
    axes = record.plot().axes
    assert [axis.get_title() for axis in axes] == ["convergence", "entanglement profile", "levels"]
    gaps = np.array(energies(finished[0])) - energies(finished[0])[0]
    np.testing.assert_allclose(axes[2].get_lines()[0].get_ydata(), gaps)


def test_more_levels_are_found_later(finished, exact, tmp_path):
    longer = tmp_path / "four.h5"
    result = call("resume", finished[0], "--levels", 4, "--out", longer)
    assert result.exit_code == 0, result.output
    assert "level 3" in result.output
    assert "level 2\n" not in result.output
    np.testing.assert_allclose(energies(longer), exact, rtol=0, atol=1e-9)
    assert energies(longer)[:3] == energies(finished[0])


def test_a_ground_state_run_grows_levels(exact, tmp_path):
    path = tmp_path / "run.h5"
    assert call(*WORDS, "--out", path).exit_code == 0
    assert load_run(path).levels == ()
    result = call("resume", path, "--levels", 2)
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(energies(path), exact[:2], rtol=0, atol=1e-9)


def test_other_settings_need_a_new_run_but_memory_is_free(finished, tmp_path):
    result = call("resume", finished[0], "--chi-max", 64)
    assert isinstance(result.exception, SettingsError)
    assert "start a new one with other chi_max" in str(result.exception)
    result = call("resume", finished[0], "--environment-gib", 1.0, "--out", tmp_path / "again.h5")
    assert result.exit_code == 0, result.output
    assert energies(tmp_path / "again.h5") == energies(finished[0])


@pytest.mark.parametrize("steps", [4, 70, 115])
def test_a_signal_at_any_bond_is_resumed(finished, tmp_path, monkeypatch, steps):
    path = tmp_path / "run.h5"
    with monkeypatch.context() as patch:
        patch.setattr("tnsim.runner.StopOnSignals", signalled(steps))
        result = call(*WORDS, "--levels", 3, "--out", path)
    assert result.exit_code == 75, result.output
    assert load_run(path).status == "interrupted"
    result = call("resume", path)
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(energies(path), energies(finished[0]), rtol=0, atol=1e-11)
    assert load_run(path).status == "converged"


def test_a_signal_between_two_levels_is_resumed(finished, tmp_path, monkeypatch):
    class Signalled(StopOnSignals):
        def sweep(self, report, run) -> None:
            # behind the last bond of level 1
            if len(run.lower) == 1 and is_converged(run.settings, run.progress()):
                self.received = "SIGTERM"

    path = tmp_path / "run.h5"
    with monkeypatch.context() as patch:
        patch.setattr("tnsim.runner.StopOnSignals", Signalled)
        result = call(*WORDS, "--levels", 3, "--out", path)
    assert result.exit_code == 75, result.output
    assert load_run(path).status == "interrupted"
    assert len(load_run(path).levels) == 2
    result = call("resume", path)
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(energies(path), energies(finished[0]), rtol=0, atol=1e-11)


def test_a_killed_process_loses_no_level(finished, tmp_path):
    # what its last checkpoint looks like: two levels found, the third under way
    record = load_run(finished[0])
    dmrg = replace(record.job.solver, seed=record.job.solver.seed + 2)
    lower = [level.state for level in record.levels[:2]]
    run = dmrg.start(record.job.model.mpo(), record.job.model.product(), orthogonal_to=lower)
    run.sweep()
    job = replace(record.job, run=replace(record.job.run, out=str(tmp_path / "run.h5")))
    save_run(job.run.out, replace(record, job=job, state=run.state, progress=run.progress(), status="running",
                                  energy=None, variance=None, levels=record.levels[:2]))  # fmt: skip
    result = call("resume", job.run.out)
    assert result.exit_code == 0, result.output
    assert "level 1\n" not in result.output
    np.testing.assert_allclose(energies(Path(job.run.out)), energies(finished[0]), rtol=0, atol=1e-11)


def test_checkpoints_hold_the_levels_found_so_far(tmp_path, monkeypatch):
    seen = []

    def note(path, record, **options):
        seen.append((record.status, len(record.levels)))
        return save_run(path, record, **options)

    monkeypatch.setattr("tnsim.io.checkpoint.save_run", note)
    monkeypatch.setattr("tnsim.io.Checkpointer._is_time", lambda self, seconds: True)
    words = ("--levels", 2, "--checkpoint-every", "1sweeps", "--out", tmp_path / "run.h5")
    assert call(*WORDS, *words).exit_code == 0
    assert ("running", 0) in seen
    assert ("running", 1) in seen


def test_a_job_file_asks_for_levels(exact, tmp_path):
    job = tmp_path / "job.toml"
    job.write_text(
        f'[model]\nname = "heisenberg"\nL = 10\n[dmrg]\ntruncation.chi_max = 32\n[run]\nlevels = 2\nout = '
        f'"{tmp_path / "run.h5"}"\n'
    )
    assert call("run", job).exit_code == 0
    np.testing.assert_allclose(energies(tmp_path / "run.h5"), exact[:2], rtol=0, atol=1e-8)
    job.write_text(job.read_text().replace("levels = 2", "levels = 0"))
    assert "at least 1" in str(call("run", job).exception)


@pytest.mark.parametrize("levels", [2, 0, -3])
def test_levels_that_were_found_are_not_dropped(finished, levels, tmp_path):
    result = call("resume", finished[0], "--levels", levels, "--out", tmp_path / "fewer.h5")
    assert "one for 3 levels" in str(result.exception)
    assert not (tmp_path / "fewer.h5").exists()


def test_a_sector_with_too_few_states_is_refused_before_the_first_run(tmp_path):
    out = tmp_path / "run.h5"
    result = call("dmrg", "heisenberg", "--L", 2, "--chi-max", 16, "--levels", 3, "--out", out)
    assert "holds 2 states" in str(result.exception)
    assert "level 0" not in result.output
    assert not out.exists()


def test_a_parity_on_the_command_line(tmp_path):
    """The lowest even state of six spins is a triplet: its distance from the ground state is no error."""
    model = Heisenberg(L=6)
    plain = tn.DMRG(truncation=tn.Truncation(chi_max=8)).excited(model.mpo(), model.product(), n=4)
    signs = [tn.overlap(level.state, tn.reflected(level.state, "Flip")).real for level in plain]
    even = [energy for energy, sign in zip(plain.energies, signs, strict=True) if sign > 0]
    words = ("dmrg", "heisenberg", "--L", 6, "--chi-max", 8, "--reflection", "Flip")
    result = call(*words, "--parity", 1, "--out", tmp_path / "even.h5")
    assert result.exit_code == 0, result.output
    assert "this run took parity 1 alone" in " ".join(result.output.split())
    assert abs(load_run(tmp_path / "even.h5").energy - even[0]) < 1e-9
    result = call(*words)
    assert result.exit_code != 0 and "needs parity = 1" in str(result.exception)
