"""Contractions in the plane on the command line."""

import re

import numpy as np
import pytest
from scipy.special import iv

import tnsim as tn
from tests.command_line import call
from tnsim.errors import FileForeignError, SettingsError
from tnsim.io.plane_job import CUBIC_STEPS, METHODS, plane_job
from tnsim.models.classical import Ising


@pytest.mark.parametrize("method", [method for method in METHODS if method not in CUBIC_STEPS])
def test_every_method_runs_resumes_and_draws(method, tmp_path):
    path = tmp_path / "plane.h5"
    done = call(
        "plane", "ising", "--beta", 0.35, "--method", method, "--chi-max", 4, "--max-steps", 6, "--out", path
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    for word in ("Ising(beta=0.35", "ln Z per site", "advice", "Onsager", str(path)):
        assert word in done.output
    again = call("resume", path, "--max-steps", 400)
    assert again.exit_code == 0 and f"resuming {path} after step 6" in again.output, again.output
    found = tn.load(path)
    assert found.status.converged
    assert found.log_z == pytest.approx(Ising(beta=0.35).facts["ln Z per site"].value, abs=2e-4)
    about = call("info", path)
    assert about.exit_code == 0 and "plane in" in about.output and "converged" in about.output
    assert call("plot", path).exit_code == 0 and (tmp_path / "plane.png").exists()
    assert (tmp_path / "plane.h5.1").exists()


@pytest.mark.parametrize("method", CUBIC_STEPS)
def test_three_dimensions(method, tmp_path):
    """Against the high-temperature series: ln Z per site = ln 2 + 3 ln cosh beta + 3 t^4 + 22 t^6 + ..."""
    path, beta = tmp_path / "cubic.h5", 0.1
    words = ("plane", "cubic-ising", "--beta", beta, "--conserve", "parity", "--method", method, "--chi-max", 4)
    done = call(*words, "--max-steps", 4, "--out", path)
    assert done.exit_code == 0 and "CubicIsing(beta=0.1" in done.output, done.output
    assert call("resume", path, "--max-steps", 60).exit_code == 0
    found, t = tn.load(path), np.tanh(beta)
    assert found.status.converged
    series = np.log(2) + 3 * np.log(np.cosh(beta)) + 3 * t**4 + 22 * t**6
    assert found.log_z == pytest.approx(series, abs=1e-4)
    assert call("info", path).exit_code == 0 and call("plot", path).exit_code == 0


def test_the_xy_model_by_two_methods(tmp_path):
    """At small beta: ln I_0(beta) a bond, and loops of four of them."""
    beta, found = 0.5, []
    for method in ("btrg", "hosrg"):
        path = tmp_path / f"{method}.h5"
        words = ("plane", "xy", "--beta", beta, "--modes", 2, "--conserve", "charge", "--method", method)
        done = call(*words, "--chi-max", 11, "--out", path)
        assert done.exit_code == 0 and "XY(beta=0.5" in done.output, done.output
        found.append(tn.load(path).log_z)
    ratio = iv(1, beta) / iv(0, beta)
    assert found[0] == pytest.approx(found[1], abs=1e-5)
    assert found[0] == pytest.approx(2 * np.log(iv(0, beta)) + 2 * ratio**4, abs=1e-3)


def test_a_job_file_and_plaquettes(tmp_path):
    path = tmp_path / "hard.h5"
    (tmp_path / "job.toml").write_text(
        f'[model]\nname = "hard-squares"\n[plane]\nmethod = "ctmrg"\nchi_max = 8\nplaquettes = true\n'
        f'[run]\nout = "{path}"\n'
    )
    done = call("run", tmp_path / "job.toml")
    assert done.exit_code == 0, done.output
    assert np.exp(tn.load(path).log_z) == pytest.approx(1.503048082475332, rel=1e-11)


def test_what_cannot_be_asked_for(tmp_path):
    path = tmp_path / "plane.h5"
    cases = [
        (("plane", "ising", "--beta", 0.3, "--method", "ctmgr"), SettingsError, 'Did you mean "ctmrg"'),
        (
            ("plane", "ising", "--beta", 0.3, "--method", "trg", "--start", "free"),
            SettingsError,
            "of ctmrg and boundary",
        ),
        (("plane", "ising", "--beta", 0.3, "--chi-max", 0), SettingsError, "chi_max"),
        (("plane", "ising", "--beta", "inf"), SettingsError, "zero temperature"),
        (("plane", "dimers", "--plaquettes"), SettingsError, "no plaquettes"),
        (("plane", "cubic-ising", "--beta", 0.2), SettingsError, "three dimensions.*take one of hotrg-3d, atrg-3d"),
        (("plane", "ising", "--beta", 0.2, "--method", "atrg-3d"), SettingsError, "two dimensions.*one of ctmrg, "),
        (("plane", "ising", "--beta", 0.2, "--method", "atrg", "--measure", "spin"), SettingsError, "hosrg and hotrg-"),
    ]
    for words, error, text in cases:
        found = call(*words, "--out", path)
        assert found.exit_code != 0 and isinstance(found.exception, error)
        assert re.search(text, str(found.exception)), found.exception
    tn.save(path, tn.from_dense(np.ones(2)))
    found = call("plane", "ising", "--beta", 0.3, "--out", path)
    assert isinstance(found.exception, FileForeignError) and "holds a tensor" in str(found.exception)
    with pytest.raises(SettingsError, match='Did you mean "potts"'):
        plane_job({"model": {"name": "pots"}, "plane": {}})
    with pytest.raises(SettingsError, match=r"unknown table \[dmrg\]"):
        plane_job({"model": {"name": "ising", "beta": 0.3}, "plane": {}, "dmrg": {}})


def test_resume_takes_what_fits(tmp_path):
    path = tmp_path / "plane.h5"
    assert call("plane", "ising", "--beta", 0.3, "--method", "trg", "--chi-max", 4, "--out", path).exit_code == 0
    for words, text in ((("--chi-max", 8), "cannot go on"), (("--levels", 2), "not with")):
        found = call("resume", path, *words)
        assert isinstance(found.exception, SettingsError) and text in str(found.exception)
    tn.save(path, tn.CTMRG(truncation=tn.Truncation(chi_max=4)).solve(Ising(beta=0.3)))
    assert "not written by tnsim plane" in str(call("resume", path).exception)
