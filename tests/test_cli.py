"""The command line as a user meets it."""

import re
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from tests.command_line import call, signalled
from tnsim.algorithms import DMRG
from tnsim.backend import set_threads
from tnsim.errors import FileCorruptError, FileError, SettingsError, StateError, TnsimError
from tnsim.io import RunOptions, load_run, save, save_run
from tnsim.io.settings import describe
from tnsim.kernels.cpu.ahead import compiled_before
from tnsim.models import Heisenberg, hydrogen_chain, write_fcidump
from tnsim.monitor import show_progress
from tnsim.monitor.progress import sweep_heading, sweep_line
from tnsim.networks.mps import MPS
from tnsim.networks.sites import spin_sites

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of a short chain."""
    path = tmp_path_factory.mktemp("cli") / "run.h5"
    result = call("dmrg", "heisenberg", "--L", 10, "--chi-max", 20, "--out", path)
    assert result.exit_code == 0, result.output
    return path, result.output


def test_a_run_ends_with_energy_error_variance_entanglement_and_file(finished):
    path, output = finished
    for word in ("energy error", "Bethe", "variance", "entanglement", "converged", "run.h5", "sweep", "discarded"):
        assert word in output
    record = load_run(path)
    assert record.status == "converged"
    assert abs(record.energy - record.job.model.facts.energy) < 1e-9


@pytest.mark.parametrize(
    "words",
    [
        ("hubbard", "--U", 2.0, "--mu", 0.3),
        ("hubbard", "--U", 0.0, "--N", 3, "--t2", 0.2, "--Sz", -0.5),
        ("t-v", "--V", 2.0),
        ("t-j", "--N", 3, "--J", 0.0),
        ("bose-hubbard", "--n-max", 1, "--N", 2),
        ("kondo-lattice", "--J", 0.0),
        ("ssh",),
        ("kitaev-chain", "--parity", 1),
    ],
    ids=lambda words: " ".join(map(str, words)),
)
def test_models_of_particles_run_by_their_names(words, tmp_path):
    path = tmp_path / "run.h5"
    result = call("dmrg", *words, "--L", 4, "--chi-max", 64, "--out", path)
    assert result.exit_code == 0, result.output
    record = load_run(path)
    assert record.energy == pytest.approx(record.job.model.facts.energy, abs=1e-9)
    assert record.state.sites == record.job.model.sites


@pytest.mark.parametrize(
    ("words", "sites"),
    [
        (("heisenberg", "--lattice", "square", "--Lx", 3, "--Ly", 2), 6),
        (("heisenberg", "--L", 6, "--periodic"), 6),
        (("j1j2", "--lattice", "triangular", "--Lx", 2, "--Ly", 3, "--bc-y", "periodic", "--J2", 0), 6),
        (("t-v", "--lattice", "square", "--Lx", 2, "--Ly", 3, "--bc-y", "periodic", "--V", 0, "--flux", 0.3), 6),
        (("hubbard", "--lattice", "honeycomb", "--Lx", 2, "--U", 0, "--order", "snake"), 4),
        (("kitaev-honeycomb", "--lattice", "honeycomb", "--Lx", 2, "--Ly", 2, "--bc-y", "periodic"), 8),
        (("kitaev-honeycomb", "--L", 6), 6),
        (("power-law-heisenberg", "--L", 6, "--tolerance", 1e-6), 6),
        (("xyz", "--L", 6, "--Jx", 0.5, "--hz", 0.1), 6),
    ],
    ids=lambda words: " ".join(map(str, words)) if isinstance(words, tuple) else "",
)  # fmt: skip
def test_lattices_by_flags(words, sites, tmp_path):
    path = tmp_path / "run.h5"
    result = call("dmrg", *words, "--chi-max", 40, "--out", path)
    assert result.exit_code == 0, result.output
    record = load_run(path)
    assert record.job.model.L == sites == len(record.state.sites)
    if record.job.model.facts.energy is not None:
        assert record.energy == pytest.approx(record.job.model.facts.energy, abs=1e-8)


def test_flags_of_lattices_are_checked(tmp_path):
    for words, message in [
        (("heisenberg",), "needs L, the number of sites"),
        (("heisenberg", "--Lx", 3), r"missing setting model\.lattice\.kind"),
        (("heisenberg", "--lattice", "sqare", "--Lx", 3), 'Did you mean "square"'),
        (("heisenberg", "--lattice", "square", "--Lx", 3, "--L", 5), "L = 5, but"),
    ]:
        result = call("dmrg", *words, "--chi-max", 4, "--out", tmp_path / "run.h5")
        assert isinstance(result.exception, SettingsError) and re.search(message, str(result.exception))
    assert call("dmrg", "xx", "--L", 4, "--delta", 0.5, "--chi-max", 4).exit_code == 2


def test_info_and_plot(finished, tmp_path):
    path, _ = finished
    result = call("info", path)
    assert result.exit_code == 0
    for word in ("converged", "Heisenberg(L=10", "energy", "schema 1", "numpy"):
        assert word in result.output
    picture = tmp_path / "run.png"
    assert call("plot", path, "--out", picture).exit_code == 0
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_info_schema_and_doctor_fit_80_columns(finished, monkeypatch):
    long = "a value that goes on for longer than any terminal of eighty columns can show on one line"
    monkeypatch.setattr("tnsim.cli.make_console", lambda: Console(width=80))
    monkeypatch.setattr(
        "tnsim.cli.findings", lambda: [("kernel cache", long, ""), ("disk here", "1 GiB free", "small")]
    )
    history = load_run(finished[0]).progress.history
    output = call("info", finished[0]).output
    for line in (sweep_heading(), *map(sweep_line, history)):
        assert line in output.splitlines()
        assert line in finished[1].splitlines()
    listed = call("schema").output
    assert max(map(len, listed.splitlines())) <= 80
    for row in (*describe(DMRG), *describe(RunOptions)):
        assert re.search(rf"^{re.escape(row[0])} +{re.escape(row[1])} +{re.escape(row[2])} +\S", listed, re.M), row
    checked = call("doctor").output.splitlines()
    assert checked[0].startswith("kernel cache  ok       a value that")
    assert checked[1].startswith(" " * 23)
    assert checked[2].split() == ["disk", "here", "problem", "1", "GiB", "free:", "small"]


@pytest.mark.parametrize("command", ["info", "plot"])
def test_a_damaged_file_is_skipped_for_the_version_before(finished, tmp_path, command):
    good = finished[0].read_bytes()
    path = tmp_path / "run.h5"
    path.write_bytes(good[:5000])
    result = call(command, path)
    assert isinstance(result.exception, FileError)
    assert "damaged" in str(result.exception)
    (tmp_path / "run.h5.1").write_bytes(good)
    result = call(command, path)
    assert result.exit_code == 0, result.output
    assert f"skipped: {path} is damaged" in result.output
    for word in ("run.h5.1: converged", "schema 1", "numba") if command == "info" else ("run.png",):
        assert word in result.output


def test_info_of_a_state_and_of_a_damaged_one(tmp_path):
    path = save(tmp_path / "psi.h5", MPS.product(spin_sites(2), ["up", "down"]))
    output = call("info", path).output
    assert output.startswith(f"mps in {path}")
    assert "schema 1" in output
    path.write_bytes(path.read_bytes()[:-1])
    assert isinstance(call("info", path).exception, FileCorruptError)


@pytest.mark.parametrize(
    ("out", "message"), [("run.xyz", ".png, .pdf, .svg"), (".", "folder"), ("/absent/run.png", "does not exist")]
)
def test_a_figure_that_cannot_be_written_is_refused(finished, out, message):
    result = call("plot", finished[0], "--out", out)
    assert isinstance(result.exception, TnsimError)
    assert message in str(result.exception)


def test_switches_go_both_ways(tmp_path):
    for flag, expected in (("--second-start", True), ("--no-second-start", False)):
        out = tmp_path / "run.h5"
        result = call("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--out", out, flag)
        assert result.exit_code == 0, result.output
        assert load_run(out).job.solver.second_start is expected


def test_help_shows_the_model_as_it_is_written():
    text = call("dmrg", "bilinear-biquadratic", "--help").output
    assert "[" in text.split("Options")[0]
    assert ">>>" not in text


def test_compilation_is_announced_once(finished, monkeypatch):
    assert compiled_before()
    text = StringIO()
    with show_progress(Console(file=text)):
        assert text.getvalue() == ""
    monkeypatch.setattr("tnsim.monitor.progress.compiled_before", lambda: False)
    with show_progress(Console(file=text)):
        assert "compiling the kernels" in text.getvalue()


def test_one_site_updates_from_the_command_line(tmp_path):
    out = tmp_path / "one.h5"
    result = call("dmrg", "heisenberg", "--L", 10, "--chi-max", 20, "--sites", 1, "--out", out)
    assert result.exit_code == 0, result.output
    record = load_run(out)
    assert record.status == "converged"
    assert [record.progress.history[n].expansion for n in (0, -1)] == [0.1, 0.0]
    assert abs(record.energy - record.job.model.facts.energy) < 1e-9
    wider = call("resume", out, "--chi-max", 32)
    assert wider.exit_code == 0, wider.output
    assert load_run(out).progress.history[-1].chi_max == 32


def test_a_bound_on_environments_from_the_command_line(tmp_path):
    out, scratch = tmp_path / "tight.h5", tmp_path / "scratch"
    scratch.mkdir()
    words = ("dmrg", "heisenberg", "--L", 16, "--chi-max", 16, "--out", out, "--environment-gib", 1e-5)
    result = call(*words, "--scratch", scratch)
    assert result.exit_code == 0, result.output
    assert list(scratch.iterdir()) == []
    resumed = call("resume", out, "--chi-max", 20, "--environment-gib", 2e-5, "--scratch", tmp_path)
    assert resumed.exit_code == 0, resumed.output
    assert load_run(out).job.solver.environment_gib == 2e-5
    excited = call("resume", out, "--levels", 2, "--environment-gib", 3e-5)
    assert excited.exit_code == 0, excited.output
    assert load_run(out).job.solver.environment_gib == 3e-5
    too_small = call(*words[:-1], 1e-9)
    assert isinstance(too_small.exception, SettingsError)
    assert "Raise environment_gib" in str(too_small.exception)


def test_resume_extends_a_finished_run(finished, tmp_path):
    path, _ = finished
    longer = tmp_path / "longer.h5"
    result = call("resume", path, "--chi-max", 32, "--out", longer)
    assert result.exit_code == 0, result.output
    before, after = load_run(path), load_run(longer)
    assert len(after.progress.history) > len(before.progress.history)
    assert after.progress.history[: len(before.progress.history)] == before.progress.history
    assert after.energy <= before.energy + 1e-12
    assert after.job.solver.truncation.chi_max == 32
    sweeps = len(before.progress.history) + 1
    result = call("resume", path, "--chi-max", 24, "--max-sweeps", sweeps, "--out", longer)
    assert result.exit_code == 0, result.output
    assert len(load_run(longer).progress.history) == sweeps


def test_more_threads_than_cores_are_remarked_on(tmp_path):
    result = call("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--threads", 4096, "--out", tmp_path / "run.h5")
    set_threads(None)
    assert result.exit_code == 0, result.output
    assert "4096 threads on" in result.output


def test_a_job_file_runs_the_same(finished, tmp_path):
    path, _ = finished
    job = tmp_path / "job.toml"
    job.write_text(load_run(path).job.to_toml().replace("run.h5", "again.h5"))
    result = call("run", job)
    assert result.exit_code == 0, result.output
    assert load_run(path.with_name("again.h5")).energy == pytest.approx(load_run(path).energy, abs=1e-11)


STAGED = """
[model]
name = "heisenberg"
L = 8
[[stages]]
truncation.chi_max = 4
max_sweeps = 3
[[stages]]
truncation.chi_max = 8
max_sweeps = 2
[[stages]]
truncation.chi_max = 16
[dmrg]
noise_sweeps = 1
[run]
initial = ["up", "up", "down", "down", "up", "down", "down", "up"]
checkpoint_every = "1sweeps"
"""


def test_stages_and_a_start_state_from_a_job_file(tmp_path, monkeypatch):
    job, model = tmp_path / "job.toml", Heisenberg(L=8)
    job.write_text(STAGED + f'out = "{tmp_path / "run.h5"}"')
    result = call("run", job)
    assert result.exit_code == 0, result.output
    assert result.output.count("stage 2\n") == result.output.count("stage 3\n") == 1
    whole = load_run(tmp_path / "run.h5")
    assert whole.energy == pytest.approx(model.facts.energy, abs=1e-9)
    reports = whole.progress.reports
    assert [r.chi_max for r in reports][:6] == [4] * 3 + [8] * 2 + [16]
    assert reports[0].chi == 4 and len(whole.progress.history) == len(reports) - 5
    assert call("info", tmp_path / "run.h5").output.count("\n        1    ") == 0
    for steps in (20, 14 * 3 + 5, 14 * 6 + 3):
        with monkeypatch.context() as patch:
            patch.setattr("tnsim.runner.StopOnSignals", signalled(steps))
            assert call("run", job).exit_code == 75
        record = load_run(tmp_path / "run.h5")
        assert record.status == "interrupted" and record.progress.stage == (steps > 14 * 3) + (steps > 14 * 5)
        assert call("resume", tmp_path / "run.h5").exit_code == 0
        done = load_run(tmp_path / "run.h5")
        assert [r.energy for r in done.progress.reports] == pytest.approx([r.energy for r in reports], abs=1e-12)
    longer = call("resume", tmp_path / "run.h5", "--chi-max", 12)
    assert longer.exit_code == 0 and load_run(tmp_path / "run.h5").job.solver.min_sweeps > 2, longer.output


def test_a_start_state_by_a_flag(tmp_path):
    words = ("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--out", tmp_path / "run.h5", "--initial")
    result = call(*words, "up, up, down, up")
    assert result.exit_code == 0, result.output
    assert load_run(tmp_path / "run.h5").state.charge == (2,)
    with pytest.raises(StateError, match='Did you mean "down"'):
        raise call(*words, "up,doun,up,up").exception
    with pytest.raises(StateError, match="found 4 sites and 2 states"):
        raise call(*words, "up,down").exception


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("dmrg", "heisenberg", "--L", 1, "--chi-max", 4), "L >= 2"),
        (("dmrg", "heisenberg", "--L", 4, "--chi-max", 0), "at least 1"),
        (("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--backend", "cuda"), "unknown backend"),
        (("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--initial", "nell"), "neel"),
        (("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--initial", "up"), "only state"),
        (("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--out", "/absent/folder/x.h5"), "does not exist"),
        (("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--chi-ramp", "4,x"), "found 'x'"),
        (("dmrg", "hubbard", "--L", 4, "--N", 9, "--chi-max", 4), "room for 0 to 8"),
        (("dmrg", "hubbard", "--L", 4, "--Sz", 1.5, "--chi-max", 4), "cannot have Sz = 1.5"),
        (("dmrg", "t-j", "--L", 4, "--conserve", "N,sz", "--chi-max", 4), 'Did you mean "Sz"'),
        (("info", "absent.h5"), "no file"),
        (("resume", "absent.h5"), "no run can be read"),
        (("run", "absent.toml"), "no job file"),
    ],
)
def test_bad_input_is_one_clear_error(words, message):
    result = call(*words)
    assert result.exit_code != 0
    assert isinstance(result.exception, TnsimError)
    assert message in str(result.exception)


def test_an_error_reaches_the_shell_as_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "tnsim.cli", "info", "absent.h5"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.strip() == "tnsim: there is no file absent.h5."


def test_a_file_of_another_kind_is_not_overwritten(tmp_path):
    notes = tmp_path / "notes.h5"
    notes.write_text("mine")
    result = call("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--out", notes)
    assert result.exit_code != 0
    assert "choose another --out" in str(result.exception)
    assert notes.read_text() == "mine"


def test_a_result_that_its_folder_does_not_take_goes_elsewhere(tmp_path, monkeypatch):
    wanted, here, last = tmp_path / "wanted", tmp_path / "here", tmp_path / "last"
    for folder in (wanted, here, last):
        folder.mkdir()
    full = [wanted]

    def write(path, record, **options):
        if path.parent in full:
            raise OSError(28, "No space left on device")
        return save_run(path, record, **options)

    monkeypatch.setattr("tnsim.runner.save_run", write)
    monkeypatch.setattr("tnsim.runner.gettempdir", lambda: str(last))
    monkeypatch.chdir(here)
    words = ("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--checkpoint-every", "0s", "--out", wanted / "run.h5")
    for place in (here, last):
        result = call(*words)
        assert result.exit_code == 74
        assert "No space left" in result.output
        assert "energy error" in result.output
        assert load_run(place / "run.h5").status == "converged"
        full.append(here)
    full.append(last)
    result = call(*words)
    assert result.exit_code == 74
    assert "no folder took the result" in result.output


def test_a_disk_that_may_be_too_small_is_named_before_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("tnsim.runner.disk_usage", lambda path: SimpleNamespace(free=10))
    result = call("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--out", tmp_path / "run.h5")
    assert result.exit_code == 0, result.output
    assert "0 MiB left" in result.output.split("sweep")[0]


def test_the_exact_energy_of_another_sector_is_no_error(tmp_path):
    words = ("dmrg", "tfim", "--L", 10, "--h", 2, "--conserve", "parity", "--chi-max", 20, "--out", tmp_path / "run.h5")
    own, other = call(*words).output, call(*words, "--initial", "neel").output
    assert "energy error" in own
    assert "against" in own
    assert abs(load_run(tmp_path / "run.h5.1").energy - load_run(tmp_path / "run.h5.1").job.model.facts.energy) < 1e-9
    assert "is that of charge (0,), this state has (1,)" in other


def test_the_backend_of_the_environment_is_taken(tmp_path, monkeypatch):
    words = ("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--out", tmp_path / "run.h5")
    monkeypatch.setenv("TNSIM_BACKEND", "strict")
    assert "float64 on strict" in call(*words).output
    assert "float64 on numpy" in call(*words, "--backend", "numpy").output
    monkeypatch.setenv("TNSIM_BACKEND", "elsewhere")
    assert "float64 on numpy" in call(*words, "--backend", "numpy").output


def test_sigterm_saves_and_exits_with_75(tmp_path):
    out = tmp_path / "long.h5"
    process = subprocess.Popen(
        [sys.executable, "-m", "tnsim.cli", "dmrg", "heisenberg", "--L", "60", "--chi-max", "150", "--out", str(out),
         "--energy-tol", "0", "--max-sweeps", "100", "--checkpoint-every", "0.2s"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    for _ in range(600):
        time.sleep(0.1)
        if out.exists():
            break
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output
    record = load_run(out)
    assert record.status == "interrupted"
    assert "SIGTERM" in record.advice
    result = call("resume", out, "--max-sweeps", record.progress.sweep + 1)
    assert result.exit_code == 0, result.output


def test_a_number_of_threads_that_is_none_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TNSIM_THREADS", "x")
    result = call("dmrg", "heisenberg", "--L", 4, "--chi-max", 4, "--out", tmp_path / "run.h5")
    assert isinstance(result.exception, SettingsError)
    assert "TNSIM_THREADS" in str(result.exception)
    result = call("doctor")
    assert result.exit_code == 1
    assert re.search(r"threads +problem +.*TNSIM_THREADS must be .* found 'x'", result.output)


def test_doctor_and_schema():
    result = call("doctor")
    for word in ("numpy", "BLAS", "threads", "GPU", "kernel cache"):
        assert word in result.output
    listed = call("schema").output
    for word in ("truncation.chi_max", "required", "krylov_max", "checkpoint_every", "random-field-heisenberg"):
        assert word in listed


def test_chemistry_from_a_file_and_back(tmp_path, monkeypatch):
    """A molecule from FCIDUMP; resumed beside its file, where it was moved, and not with another one."""
    monkeypatch.chdir(tmp_path)
    source, out = tmp_path / "h4.fcidump", tmp_path / "h4.h5"
    write_fcidump(source, hydrogen_chain(4, 1.5))
    words = ("--chi-max", 60, "--out", out, "--max-sweeps")
    result = call("dmrg", "chemistry", "--fcidump", "h4.fcidump", *words, 2)
    assert result.exit_code == 0, result.output
    assert load_run(out).energy == pytest.approx(-1.9961503255188, abs=1e-8)
    assert "energy of the start" in call("info", out).output
    job = tmp_path / "job.toml"
    job.write_text(load_run(out).job.to_toml())
    assert call("run", job).exit_code == 0
    (tmp_path / "elsewhere").mkdir()
    source.rename(tmp_path / "elsewhere" / "h4.fcidump")
    assert call("info", out).exit_code == 0
    assert "no FCIDUMP file" in str(call("resume", out, "--max-sweeps", 6).exception)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert call("resume", out, "--max-sweeps", 6).exit_code == 0
    write_fcidump("h4.fcidump", hydrogen_chain(4, 1.6))
    assert "is not the file that this run was made from" in str(call("resume", out, "--max-sweeps", 8).exception)
    for extra, message in [
        ((), "needs integrals: fcidump="),
        (("--fcidump", "h4.fcidump", "--electrons", 9), "room for 0 to 8"),
        (("--fcidump", "h4.fcidump", "--twice-spin", 1), "cannot have 2 Sz = 1"),
        (("--fcidump", "h4.fcidump", "--order", "random"), "unknown order"),
    ]:
        assert message in str(call("dmrg", "chemistry", *extra, *words, 2).exception)
