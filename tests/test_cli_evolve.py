"""Time evolution on the command line."""

from pathlib import Path

import numpy as np
import pytest
from numba import njit
from typer.testing import CliRunner

import tnsim as tn
from tnsim.cli import app
from tnsim.errors import FileForeignError, OperatorError, SettingsError
from tnsim.io.evolution_job import EvolutionJob
from tnsim.io.evolved import load_job
from tnsim.models import XXZ


def call(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def flags(out: Path) -> tuple:
    return (
        "evolve", "xxz", "--L", 6, "--delta", 0.5, "--initial", "neel", "--chi-max", 8, "--dt", 0.1, "--measure", "Sz",
        "--time", 0.3, "--out", out,
    )  # fmt: skip


def test_evolve_and_resume(tmp_path):
    path = tmp_path / "evolved.h5"
    done = call(*flags(path))
    assert done.exit_code == 0, done.output
    for word in ("XXZ(L=6", "TEBD(dt=0.1", "discarded", "Evolved(finished): time = 0.3", str(path)):
        assert word in done.output
    again = call("resume", path, "--time", 0.5)
    assert again.exit_code == 0 and f"resuming {path} at time 0.3" in again.output
    found = tn.load(path)
    model = XXZ(L=6, delta=0.5)
    whole = tn.TEBD(dt=0.1, truncation=tn.Truncation(chi_max=8)).run(
        model.operator_sum(), model.product("neel"), time=0.5, observe={"Sz": lambda state: tn.expect(state, "Sz")}
    )
    np.testing.assert_allclose(found["Sz"], whole["Sz"], atol=1e-13)
    assert (tmp_path / "evolved.h5.1").exists() and call("info", path).exit_code == 0


def test_compilation_is_announced_where_it_is_needed(tmp_path, monkeypatch):
    path = tmp_path / "evolved.h5"
    call(*flags(path))  # all kernels are there
    assert "compiling" not in call(*flags(path)).output
    operator = EvolutionJob.operator

    def compiled_first(job):
        for _ in range(2):
            assert njit(lambda x: x + 1)(1) == 2
        return operator(job)

    monkeypatch.setattr(EvolutionJob, "operator", compiled_first)
    lines = call(*flags(path)).output.splitlines()
    assert [line.split(":")[0] for line in lines if "compiling" in line] == ["compiling kernels"]


def test_a_budget_out_of_reach_is_reached_with_larger_bonds(tmp_path):
    """The error is among the lines, and the advice of the status works on the command line too."""
    path = tmp_path / "evolved.h5"
    words = [word if word != 0.3 else 1.5 for word in flags(path)]
    stopped = call(*words, "--error-budget", 1e-3, "--chi-max", 4)
    assert stopped.exit_code == 0 and "Evolved(error budget out of reach)" in stopped.output, stopped.output
    assert "drift     error   chi" in stopped.output and "raise chi_max = 4 and resume from here" in stopped.output
    again = call("resume", path, "--chi-max", 8)
    assert again.exit_code == 0 and "of the budget left" in again.output, again.output
    last = tn.load(path).history[-1]
    assert last.time == pytest.approx(1.5) and 0 < last.error_spent <= 1e-3


def test_a_damaged_evolution_leaves_the_version_before(tmp_path):
    path = tmp_path / "evolved.h5"
    assert call(*flags(path)).exit_code == 0 and call("resume", path, "--time", 0.5).exit_code == 0
    content = bytearray(path.read_bytes())
    content[3000] ^= 255
    path.write_bytes(bytes(content))
    about = call("info", path)
    assert about.exit_code == 0 and "skipped" in about.output and "time = 0.3" in about.output
    assert call("plot", path).exit_code == 0
    again = call("resume", path, "--time", 0.4)
    assert again.exit_code == 0 and f"resuming {path}.1 at time 0.3" in again.output
    np.testing.assert_allclose(tn.load(path).times, [0.0, 0.1, 0.2, 0.3, 0.4])


def test_a_start_by_site(tmp_path):
    done = call(*flags(tmp_path / "evolved.h5"), "--initial", "up,up,up,down,down,down", "--time", 0.1)
    assert done.exit_code == 0, done.output
    assert tn.load(tmp_path / "evolved.h5")["Sz"][0].tolist() == [0.5, 0.5, 0.5, -0.5, -0.5, -0.5]


def test_settings_of_the_scheme_have_their_names_before_those_of_a_lattice(tmp_path):
    path = tmp_path / "evolved.h5"
    done = call(*flags(path), "--order", 2)
    assert done.exit_code == 0 and "order=2" in done.output and "lattice" not in done.output, done.output
    words = ("evolve", "xxz", "--lattice", "square", "--Lx", 2, "--Ly", 2, "--initial", "neel", "--chi-max", 4)
    done = call(*words, "--dt", 0.1, "--time", 0.1, "--order", 1, "--lattice-order", "snake", "--out", path)
    assert done.exit_code == 0 and "order=1" in done.output and "snake" in done.output, done.output


def test_a_job_file_of_another_scheme(tmp_path):
    job, path = tmp_path / "job.toml", tmp_path / "evolved.h5"
    job.write_text(f"""
        [model]
        name = "long-range-ising"
        L = 4
        [tdvp]
        dt = 0.1
        [tdvp.truncation]
        chi_max = 4
        [run]
        time = 0.2
        out = "{path.as_posix()}"
    """)
    done = call("run", job)
    assert done.exit_code == 0, done.output
    assert "TDVP(dt=0.1" in done.output and tn.load(path).times[-1] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--dt", 0), "dt must be positive"),
        (("--order", 3), "order must be one of 1, 2, 4"),
        (("--time", "inf"), "time must be finite"),
        (("--keep", 0), "keep >= 1"),
    ],
)
def test_bad_settings(tmp_path, change, words):
    failed = call(*flags(tmp_path / "evolved.h5"), *change)
    assert isinstance(failed.exception, SettingsError) and words in str(failed.exception)


def test_bad_input(tmp_path):
    path = tmp_path / "evolved.h5"
    unknown = call(*flags(path), "--measure", "Sy Q")
    assert isinstance(unknown.exception, OperatorError) and not path.exists()
    both = tmp_path / "both.toml"
    both.write_text('[model]\nname = "xxz"\n[tebd]\ndt = 0.1\n[tdvp]\ndt = 0.1\n')
    assert "has one table of tebd, tdvp, mpo" in str(call("run", both).exception)
    both.write_text('[model]\nname = "xxz"\n[tebd]\ndt = 0.1\n[dmrg]\nsites = 1\n')
    assert r"unknown table [dmrg] beside [tebd]" in str(call("run", both).exception)
    assert call(*flags(path)).exit_code == 0
    assert "with another --chi-max, not with ['levels']" in str(call("resume", path, "--levels", 2).exception)
    tn.save(path, tn.load(path).state)
    assert isinstance(call(*flags(path)).exception, FileForeignError)
    by_hand = tn.TEBD(dt=0.1, truncation=tn.Truncation(chi_max=2)).run(
        XXZ(L=4).operator_sum(), XXZ(L=4).product("neel"), time=0.1
    )
    tn.save(path, by_hand)
    assert "was not written by tnsim evolve" in str(call("resume", path, "--time", 1).exception)


def test_a_file_with_settings_of_another_version_says_how_to_go_on(tmp_path, monkeypatch):
    """A budget that has been replaced since: its name is told, and the state is still good."""
    path = tmp_path / "evolved.h5"
    call(*flags(path))
    text = load_job(path)
    old = text.replace("[tebd]", "[tebd]\ntrunc_budget = 1e-3")
    assert old != text
    monkeypatch.setattr("tnsim.evolution_runner.load_job", lambda file: old)
    error = call("resume", path, "--time", 0.5).exception
    assert isinstance(error, SettingsError) and "unknown setting tebd.trunc_budget" in str(error)
    assert "go on in Python" in str(error) and "resume=found" in str(error)
    found, model = tn.load(path), XXZ(L=6, delta=0.5)
    evolution = tn.TEBD(dt=0.1, truncation=tn.Truncation(chi_max=8))
    observe = {name: lambda state: tn.expect(state, "Sz") for name in found.records}
    again = evolution.run(model.operator_sum(), found.state, time=0.4, observe=observe, resume=found)
    assert again.status.converged and again.times[-1] == pytest.approx(0.4)
