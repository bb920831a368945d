"""Infinite chains on the command line: runs, files, signals, and what they do not take."""

import math
from io import StringIO

import pytest
from rich.console import Console

import tnsim as tn
from tests.command_line import call
from tnsim.errors import SettingsError, TnsimError
from tnsim.io import StopOnSignals, load_run
from tnsim.models import Heisenberg
from tnsim.monitor import show_progress

WORDS = {
    "vumps": ("vumps", "heisenberg", "--chi-max", 8, "--gradient-tol", 1e-6),
    "idmrg": ("idmrg", "heisenberg", "--chi-max", 8, "--energy-tol", 1e-9),
}


@pytest.fixture(scope="module", params=WORDS)
def finished(request, tmp_path_factory):
    """A finished run of two sites a cell: its algorithm, its file, what it printed."""
    path = tmp_path_factory.mktemp(request.param) / "run.h5"
    result = call(*WORDS[request.param], "--out", path)
    assert result.exit_code == 0, result.output
    return request.param, path, result.output


def test_a_run_ends_with_its_error_per_site_and_a_file(finished):
    algorithm, path, output = finished
    record = load_run(path)
    settings = {"vumps": tn.VUMPS, "idmrg": tn.IDMRG}[algorithm]
    assert record.job.algorithm == algorithm and isinstance(record.job.solver, settings)
    assert record.status == "converged" and record.job.model == Heisenberg(L=2)
    model = Heisenberg(L=2)
    direct = record.job.solver.solve(model.infinite_mpo(), model.infinite_product())
    assert record.energy == pytest.approx(direct.energy, abs=1e-12)
    error = record.energy - (0.25 - math.log(2))
    assert 0 < error < 1e-3 and f"{error:+.2e}  against -0.4431471805599 (Hulthen" in output
    assert f"energy per site  {record.energy:.13f}" in output and "at the end of the cell" in output
    state = tn.load(path)
    assert tn.fidelity(state, record.state) == pytest.approx(1, abs=1e-10)
    assert tn.expect(state, model.infinite_mpo()) == pytest.approx(2 * record.energy, abs=1e-6)


def test_info_and_plot(finished, tmp_path):
    algorithm, path, _ = finished
    result = call("info", path)
    assert result.exit_code == 0, result.output
    assert "InfiniteMPS with a cell of 2 sites" in result.output and "energy per site -0.44" in result.output
    assert "bulk energy per site" in result.output and "\n  energy  " not in result.output
    picture = tmp_path / "run.png"
    assert call("plot", path, "--out", picture).exit_code == 0
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    tn.save(tmp_path / "psi.h5", load_run(path).state)
    assert "InfiniteMPS with a cell of 2 sites" in call("info", tmp_path / "psi.h5").output
    assert call("plot", tmp_path / "psi.h5").exit_code == 0
    assert (tmp_path / "psi.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    tn.save(tmp_path / "H.h5", Heisenberg(L=2).infinite_mpo())
    assert "InfiniteMPO with a cell of 2 sites, bond dimensions 5 5" in call("info", tmp_path / "H.h5").output


@pytest.mark.parametrize("sweeps", [1, 12])
def test_a_signal_after_any_sweep_is_resumed(finished, tmp_path, monkeypatch, sweeps):
    algorithm, whole, _ = finished

    class Signalled(StopOnSignals):
        def sweep(self, report, run) -> None:
            self.received = "SIGTERM" if report.sweep + 1 == sweeps else ""
            super().sweep(report, run)

    path = tmp_path / "run.h5"
    with monkeypatch.context() as patch:
        patch.setattr("tnsim.runner.StopOnSignals", Signalled)
        assert call(*WORDS[algorithm], "--out", path).exit_code == 75
    record = load_run(path)
    assert record.status == "interrupted" and len(record.progress.history) == sweeps
    result = call("resume", path)
    assert result.exit_code == 0, result.output
    done = load_run(path)
    assert done.status == "converged" and done.progress.history[:sweeps] == record.progress.history
    assert done.energy == pytest.approx(load_run(whole).energy, abs=2e-6)


def test_checkpoints_come_by_sweeps_and_by_seconds(tmp_path, monkeypatch):
    for every in ("3sweeps", "0.0001s"):
        seen = []

        def note(path, record, *, keep, seen=seen):
            seen.append((record.status, record.progress.sweep))

        with monkeypatch.context() as patch:
            patch.setattr("tnsim.io.checkpoint.save_run", note)
            words = (*WORDS["vumps"], "--max-sweeps", 10, "--checkpoint-every", every, "--out", tmp_path / "run.h5")
            assert call(*words).exit_code == 0
        assert seen and {status for status, _ in seen} == {"running"}
        assert every == "0.0001s" or [sweep for _, sweep in seen] == [3, 6, 9]


def test_a_larger_bond_dimension_goes_on(finished, tmp_path):
    algorithm, path, _ = finished
    out = tmp_path / "more.h5"
    result = call("resume", path, "--chi-max", 12, "--out", out)
    assert result.exit_code == 0, result.output
    before, after = load_run(path), load_run(out)
    assert after.energy < before.energy - 1e-5 and max(after.state.bond_dimensions) == 12
    assert after.job.solver.truncation.chi_max == 12


def test_a_ladder_by_a_job_file_and_by_flags(tmp_path):
    job = tmp_path / "job.toml"
    job.write_text(f"""
[model]
name = "heisenberg"
lattice = {{ kind = "ladder", Lx = 2, Ly = 2 }}
[idmrg]
truncation.chi_max = 6
max_sweeps = 20
[run]
out = "{tmp_path / "run.h5"}"
initial = ["up", "down", "down", "up"]
""")
    result = call("run", job)
    assert result.exit_code == 0, result.output
    record = load_run(tmp_path / "run.h5")
    assert record.state.L == 4 and record.energy == pytest.approx(-0.578043, abs=0.01)
    flags = ("idmrg", "heisenberg", "--lattice", "ladder", "--Lx", 2, "--Ly", 2, "--chi-max", 6, "--max-sweeps", 20)
    assert call(*flags, "--out", tmp_path / "flags.h5").exit_code == 0
    assert load_run(tmp_path / "flags.h5").energy == pytest.approx(record.energy, abs=1e-6)


def test_particles_at_the_filling_of_the_model(tmp_path):
    """One in three of free fermions: -2 sin(pi / 3) / pi a site. A run goes on with the same charges."""
    words = ("vumps", "t-v", "--L", 3, "--N", 1, "--V", 0, "--chi-max", 4, "--max-sweeps", 20)
    result = call(*words, "--out", tmp_path / "run.h5")
    assert result.exit_code == 0, result.output
    exact = -2 * math.sin(math.pi / 3) / math.pi
    first = load_run(tmp_path / "run.h5")
    assert exact < first.energy < exact + 1e-2
    assert tn.expect(first.state, "N").sum() == pytest.approx(1, abs=1e-10)
    assert call("resume", tmp_path / "run.h5", "--chi-max", 6, "--max-sweeps", 40).exit_code == 0
    assert exact < load_run(tmp_path / "run.h5").energy < first.energy - 1e-4


def test_a_strip_is_not_compared_with_the_plane(tmp_path):
    """A chain of the honeycomb lattice alone: the exact energy of the plane is none of it."""
    words = ("vumps", "kitaev-honeycomb", "--chi-max", 4, "--max-sweeps", 3, "--out", tmp_path / "run.h5")
    result = call(*words)
    assert result.exit_code == 0 and "energy per site" in result.output and "energy error" not in result.output


def test_a_terminal_shows_the_sweeps():
    model, text = Heisenberg(L=2), StringIO()
    with show_progress(Console(file=text, force_terminal=True, width=80)) as display:
        settings = tn.VUMPS(truncation=tn.Truncation(chi_max=4), max_sweeps=5)
        settings.solve(model.infinite_mpo(), model.infinite_product(), [display])
    assert "sweep 5/5" in text.getvalue() and "E -0.4" in text.getvalue()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("vumps", "heisenberg", "--chi-max", 4, "--levels", 2), "levels = 2 are for"),
        (("vumps", "heisenberg", "--chi-max", 4, "--lattice", "square", "--Lx", 3, "--Ly", 3, "--bc-x", "periodic"),
         "is closed along x"),
        (("vumps", "heisenberg", "--L", 3, "--chi-max", 4), "does not repeat in a cell of 3"),
        (("idmrg", "heisenberg", "--chi-max", 4, "--initial", "nell"), 'Did you mean "neel"'),
        (("vumps", "random-field-heisenberg", "--chi-max", 4), "does not repeat every 2 sites"),
        (("vumps", "heisenberg", "--chi-max", 0), "at least 1"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error(words, message, tmp_path):
    result = call(*words, "--out", tmp_path / "run.h5")
    assert isinstance(result.exception, TnsimError) and message in str(result.exception), result.exception


def test_settings_that_an_algorithm_does_not_have(finished):
    algorithm, path, _ = finished
    result = call("resume", path, "--scratch", "/tmp")
    assert isinstance(result.exception, SettingsError) and f"[{algorithm}] has no setting scratch" in str(
        result.exception
    )
