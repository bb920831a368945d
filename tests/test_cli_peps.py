"""PEPS on the command line."""

import tomllib

import numpy as np
import pytest

import tnsim as tn
from tests.command_line import call
from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement
from tnsim.algorithms.peps.ground_state import PEPSGroundState, unmeasured
from tnsim.errors import SettingsError
from tnsim.io.peps import write_peps
from tnsim.io.peps_job import peps_job
from tnsim.linalg import Truncation

QUICK = ("--dts", "0.1", "--tol", 1e-3, "--max-steps", 40, "--every", 20)


def test_an_infinite_state_is_found_measured_and_drawn(tmp_path):
    path = tmp_path / "ipeps.h5"
    done = call("ipeps", "heisenberg", "--D", 2, "--chi", 6, *QUICK, "--certify", "--out", path)
    assert done.exit_code == 0, done.output
    for word in ("Heisenberg(", "energy per site", "at chi = 9", "two sides", "Sandvik", str(path)):
        assert word in done.output
    found = tn.load(path)
    assert found.energy == pytest.approx(-0.656, abs=5e-3) and found.measurement.order == pytest.approx(0.41, abs=0.02)
    assert call("info", path).exit_code == 0 and call("plot", path).exit_code == 0
    assert (tmp_path / "ipeps.png").exists()
    refused = call("resume", path, "--chi-max", 12, "--memory-gib", 1e-5)
    assert "GiB at chi = 12" in str(refused.exception)
    for flag, value in (("--iterations", 5), ("--stall-tol", 1e-9)):
        refused = call("resume", path, flag, value)
        assert f"{flag} belongs to a minimisation, {path} holds a simple update" in str(refused.exception)
    again = call("resume", path, "--chi-max", 12, "--memory-gib", 1)
    assert again.exit_code == 0 and f"resuming {path} after step" in again.output, again.output
    assert tn.load(path).energy == pytest.approx(found.energy, abs=1e-4)


def test_a_variational_state_is_the_published_one(tmp_path):
    """J. Hasik's state of D = 2, and its energy in corners with ket and bra apart."""
    path = tmp_path / "least.h5"
    done = call(
        "ipeps", "heisenberg", "--conserve", "none", "--D", 2, "--chi", 16, "--update", "variational", "--out", path
    )
    assert done.exit_code == 0 and "iteration" in done.output, done.output
    found = tn.load(path)
    assert found.energy == pytest.approx(-0.6602310934799586, abs=1e-10)
    assert found.measurement.order == pytest.approx(0.39112, abs=1e-5)
    assert call("resume", path, "--chi-max", 20).exit_code == 0 and call("plot", path).exit_code == 0


def test_a_variational_state_begins_with_a_simple_update(tmp_path):
    path = tmp_path / "cooled.h5"
    words = ("--conserve", "none", "--D", 2, "--chi", 16, "--update", "variational", "--cooled", "--dts", "0.1,0.03")
    done = call("ipeps", "heisenberg", *words, "--tol", 1e-4, "--out", path)
    assert done.exit_code == 0, done.output
    found = tn.load(path)
    assert found.energy == pytest.approx(-0.6602310934799586, abs=1e-9)
    assert {report.D for report in found.prepared.history} == {2}


def test_cells_and_finite_lattices_are_minimised_too(tmp_path):
    """2 x 2 sites: the minimum at D = 2, above the exact -1/2; on the plane, a step after a simple update."""
    path = tmp_path / "finite.h5"
    words = ("--lattice", "square", "--Lx", 2, "--Ly", 2, "--conserve", "none", "--D", 2, "--chi", 4)
    done = call("peps", "heisenberg", *words, "--update", "gradient", "--iterations", 20, "--out", path)
    assert "iteration" in done.output, done.output
    first = tn.load(path)
    assert first.energy == pytest.approx(-(1 + 8**0.5) / 8, abs=1e-4)
    assert first.status.name == "max_iterations reached" and "--iterations" in first.status.advice
    assert call("resume", path, "--iterations", 25).exit_code in (0, 1)
    more = tn.load(path).prepared.history
    assert more[:20] == first.prepared.history and len(more) > 20 and more[-1].energy <= more[19].energy
    path = tmp_path / "cell.h5"
    words = ("--conserve", "none", "--D", 2, "--chi", 4, "--update", "gradient", "--iterations", 1)
    done = call("ipeps", "heisenberg", *words, "--cooled", *QUICK, "--out", path)
    assert "iteration" in done.output, done.output
    found = tn.load(path)
    assert -0.664 < found.energy < -0.655 and {report.D for report in found.prepared.history} == {2}
    assert call("info", path).exit_code == 0


def test_a_minimisation_that_crawled_goes_on_with_a_smaller_tolerance(tmp_path):
    path = tmp_path / "finite.h5"
    words = ("--lattice", "square", "--Lx", 3, "--Ly", 2, "--conserve", "none", "--D", 2, "--chi", 8)
    call("peps", "heisenberg", *words, "--update", "gradient", "--stall-tol", 10, "--out", path)
    first = tn.load(path).prepared
    assert first.optimizer.iteration == 21 and "fell by less than 1.0e+01 in 20 iterations" in first.status.advice
    # nothing to do with the same one
    call("resume", path)
    assert tn.load(path).prepared.history == first.history
    call("resume", path, "--stall-tol", 1e-7)
    more = tn.load(path).prepared
    assert more.history[: len(first.history)] == first.history and more.optimizer.value < first.optimizer.value


def test_a_finite_state_is_found_and_measured(tmp_path):
    path = tmp_path / "peps.h5"
    words = ("--lattice", "square", "--Lx", 3, "--Ly", 2, "--D", 2, "--chi", 16)
    done = call("peps", "tfim", "--h", 2.0, *words, *QUICK, "--out", path)
    assert done.exit_code == 0, done.output
    found = tn.load(path)
    exact = np.linalg.eigvalsh(peps_job(_table()).model.mpo().to_dense())[0] / 6
    assert exact - 1e-9 <= found.energy <= exact * 0.99
    assert call("plot", path).exit_code == 0


def _table(**changes) -> dict:
    model = {"name": "tfim", "h": 2.0, "lattice": {"kind": "square", "Lx": 3, "Ly": 2}}
    return {"model": model, "peps": {"D": 2, "dts": "0.1", "max_steps": 40, "every": 5, "tol": 1e-9} | changes}


def test_a_stopped_cooling_goes_on_from_its_file(tmp_path):
    job = peps_job(_table())
    whole = job.search().solve(job.terms, job.start())

    class Stop:
        def step(self, report, run):
            if report.step == 20:
                run.request_stop("enough")

    half = job.search().solve(job.terms, job.start(), [Stop()])
    assert half.energy is None and half.status.name == "interrupted" and "not measured" in repr(half)
    path = tmp_path / "half.h5"
    write_peps(path, half, job=job.to_toml())
    done = call("resume", path)
    assert done.exit_code == 0 and "after step 20" in done.output, done.output
    assert tn.load(path).energy == pytest.approx(whole.energy, abs=1e-9)
    assert unmeasured(half.prepared).energy is None
    assert call("plot", tn.save(tmp_path / "half2.h5", half)).exit_code == 0


def test_jobs_are_read_back():
    job = peps_job(_table(update="neighbourhood"))
    assert peps_job(tomllib.loads(job.to_toml())) == job


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (_table(D=0), "D is at least 1"),
        (_table(memory_gib=float("nan")), "memory_gib is above 0"),
        (_table(update="magic"), "unknown update"),
        (_table(dts="0.1,x"), "such as 0.1,0.01"),
        (_table(dts="-0.1"), "above 0"),
        (
            {
                "model": {"name": "hubbard", "lattice": {"kind": "square", "Lx": 2, "Ly": 2}},
                "ipeps": {"D": 2, "update": "variational"},
            },
            "of fermions take update = gradient",
        ),
        ({"model": _table()["model"], "ipeps": {"D": 2, "cell": "2by2"}}, "rows x columns"),
        ({"model": _table()["model"], "ipeps": {"D": 2}, "plane": {}}, "beside"),
        ({"model": _table()["model"], "ipeps": {"D": 2, "update": "variational", "cell": "2x2"}}, "one tensor"),
        (_table(update="variational"), "unknown update"),
    ],
)
def test_bad_jobs_are_refused(table, words):
    with pytest.raises(SettingsError, match=words):
        peps_job(table)


def test_memory_is_asked_for_before_anything_starts():
    table = {"model": _table()["model"], "ipeps": {"D": 8, "chi": 400, "memory_gib": 0.5}}
    wide = {"name": "tfim", "h": 2.0, "lattice": {"kind": "square", "Lx": 10, "Ly": 10}}
    large = _table(D=8, chi=400, memory_gib=0.5) | {"model": wide}
    for job, what in ((peps_job(table), "an environment takes"), (peps_job(large), "boundaries take")):
        with pytest.raises(SettingsError, match=rf"{what} about [0-9.]+ GiB at chi = 400 and bonds of 8, "):
            job.search().solve(job.terms, job.start())
    job = peps_job(table)
    with pytest.raises(SettingsError, match="BoundaryMeasurement as its contraction"):
        job.search().solve(peps_job(_table()).terms, job.start())
    with pytest.raises(SettingsError, match="CTMRG as its contraction"):
        search = PEPSGroundState(
            preparation=job.settings.preparation(), contraction=BoundaryMeasurement(truncation=Truncation(chi_max=4))
        )
        search.solve(job.terms, job.start())


def test_energies_against_bonds_are_drawn(tmp_path):
    job = peps_job(_table())
    found = job.search().solve(job.terms, job.start())
    path = tmp_path / "line.png"
    other = peps_job(_table(D=3))
    tn.plot_energies([found, other.search().solve(other.terms, other.start())], path=path)
    assert path.exists()
    with pytest.raises(SettingsError, match="two measured results"):
        tn.plot_energies([found])
    with pytest.raises(SettingsError, match="against D or length"):
        tn.plot_energies([found, found], against="chi")


def test_a_start_that_does_not_fit_the_cell_says_what_does(tmp_path):
    """The usual start of the t-J model has two holes, wherever they fall in a checkerboard; what is advised starts."""
    path = tmp_path / "t-j.h5"
    refused = call("ipeps", "t-j", "--D", 2, "--out", path)
    assert "--cell 2x2 --initial empty,up,down,up" in str(refused.exception) and not path.exists()
    for cell in ("3x1", "1x1"):
        refused = call("ipeps", "heisenberg", "--cell", cell, "--D", 2, "--out", path)
        assert "Take --cell checkerboard, or pass the states of all" in str(refused.exception)
    advised = "--cell", "2x2", "--initial", "empty,up,down,up"
    done = call(
        "ipeps", "t-j", "--D", 2, "--chi", 6, *advised, "--dts", 0.1, "--tol", 1e-2, "--max-steps", 4, "--out", path
    )
    assert done.exit_code in (0, 1) and path.exists(), done.output
