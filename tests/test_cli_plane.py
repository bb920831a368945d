"""Contractions in the plane on the command line."""

import numpy as np
import pytest

import tnsim as tn
from tests.command_line import call
from tnsim.errors import FileForeignError, SettingsError
from tnsim.io.plane_job import METHODS, plane_job
from tnsim.models.classical import Ising


@pytest.mark.parametrize("method", METHODS)
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
    ]
    for words, error, text in cases:
        found = call(*words, "--out", path)
        assert found.exit_code != 0 and isinstance(found.exception, error) and text in str(found.exception)
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
