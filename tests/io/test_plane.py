"""Contractions in the plane in files: what goes in comes out, resumed runs end where uninterrupted ones do."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tnsim.algorithms.plane.atrg import ATRG
from tnsim.algorithms.plane.atrg_3d import ATRG3D
from tnsim.algorithms.plane.boundary_mps import BoundaryMPS
from tnsim.algorithms.plane.coarse_graining import CoarseGraining
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.algorithms.plane.hosrg import HOSRG
from tnsim.algorithms.plane.hotrg import HOTRG
from tnsim.algorithms.plane.hotrg_3d import HOTRG3D
from tnsim.algorithms.plane.infinite_boundary import InfiniteBoundary
from tnsim.algorithms.plane.trg import BTRG, TRG
from tnsim.errors import FileCorruptError, FileError, SettingsError
from tnsim.io.plane import PlaneCheckpointer
from tnsim.io.tree import get_tree, put_tree
from tnsim.linalg import Truncation
from tnsim.models.classical import CubicIsing, Ising, TriangularIsing
from tnsim.models.exact.ising_2d import CRITICAL

T, SMALL = Truncation(chi_max=6), Truncation(chi_max=3)
RUNS = [
    pytest.param(CTMRG(truncation=T, tol=1e-9), Ising(beta=0.43), 3, id="corner"),
    pytest.param(CTMRG(truncation=T), Ising(beta=0.35, conserve="parity"), 1, id="corner-parity"),
    pytest.param(CTMRG(truncation=T, symmetric=False, check_every=5), TriangularIsing(beta=0.2), 2, id="four-corners"),
    pytest.param(InfiniteBoundary(truncation=T), Ising(beta=0.35), 6, id="boundary"),
    pytest.param(InfiniteBoundary(truncation=T), Ising(beta=0.3, Jy=0.5, conserve="parity"), 3, id="boundary-parity"),
    *[
        pytest.param(CoarseGraining(step=step(chi_max=4)), Ising(beta=0.4), 5, id=step.__name__)
        for step in (TRG, BTRG, HOTRG, HOSRG, ATRG)
    ],
    *[
        pytest.param(CoarseGraining(step=step(chi_max=3), max_steps=12), CubicIsing(beta=0.1), 5, id=step.__name__)
        for step in (HOTRG3D, ATRG3D)
    ],
]


class StopAfter:
    """An observer that asks a run to stop after so many reports."""

    def __init__(self, reports: int) -> None:
        self.left = reports

    def step(self, report, run) -> None:
        self.left -= 1
        if self.left == 0:
            run.request_stop("stopped by a test")


@pytest.mark.parametrize(("run", "model", "reports"), RUNS)
def test_a_resumed_run_ends_where_the_uninterrupted_one_does(run, model, reports, tmp_path):
    whole = run.solve(model)
    stopped = run.solve(model, [StopAfter(reports)])
    assert stopped.status.name == "interrupted" and len(stopped.history) == reports
    tn.save(tmp_path / "run.h5", stopped)
    found = tn.load(tmp_path / "run.h5")
    assert type(found) is type(stopped) and repr(found) == repr(stopped)
    # texts, because NaN differs from itself
    assert list(map(str, map(vars, found.history))) == list(map(str, map(vars, stopped.history)))
    resumed = run.solve(model, resume=found)
    assert resumed.history[:reports] == found.history and resumed.status.name == whole.status.name
    assert resumed.log_z == pytest.approx(whole.log_z, abs=1e-12)
    assert found.plot(tmp_path / "run.svg") is not None


@pytest.mark.parametrize("reports", [1, 5, 8, 13])
@pytest.mark.parametrize("estimate", [True, False])
def test_a_finite_network_goes_on_from_any_row(reports, estimate, tmp_path):
    """Six rows and five columns: 6, 3, 5 and 2 of them from the four sides; 3 and 3 without an estimate."""
    run, network = BoundaryMPS(truncation=T, estimate=estimate), Ising(beta=0.5, Jy=0.4).finite(6, 5)
    whole, total = run.solve(network), 16 if estimate else 6
    assert [report.step for report in whole.history] == list(range(1, total + 1))
    if reports > total:
        return
    path = tmp_path / "rows.h5"
    stopped = run.solve(network, [PlaneCheckpointer(path, seconds=0.0), StopAfter(reports)])
    assert stopped.status.name == "interrupted" and np.isnan(stopped.log_z) and len(stopped.history) == reports
    assert "resume it" in repr(stopped) and "rows" in repr(stopped)
    saved = tn.load(path)
    assert saved.status.name == "running" and saved.history == stopped.history[: len(saved.history)]
    tn.save(path, stopped)
    found = tn.load(path)
    assert found.history == stopped.history
    assert run.solve(network, resume=saved).values == pytest.approx(whole.values, abs=1e-12)
    resumed = run.solve(network, resume=found)
    assert resumed.values == pytest.approx(whole.values, abs=1e-12) and resumed.status.name == whole.status.name
    assert run.solve(network, resume=resumed).values == resumed.values
    tn.save(path, resumed)
    assert tn.load(path).plot(tmp_path / "rows.svg") is not None and repr(tn.load(path)) == repr(resumed)
    # the last row alone does not tell two networks apart
    upper = Ising(beta=0.6, Jy=0.4).finite(6, 5).rows[:1]
    shared = tn.FiniteNetwork([*upper, *network.rows[1:]], log_scale=network.log_scale)
    others = Ising(beta=0.6, Jy=0.4).finite(6, 5), Ising(beta=0.5, Jy=0.4).finite(6, 4)
    for other in (*others, Ising(beta=0.5, Jy=0.4).finite(7, 5), shared):
        with pytest.raises(SettingsError, match="another network"):
            run.solve(other, resume=found)
    with pytest.raises(SettingsError, match="goes on from a BoundarySum"):
        run.solve(network, resume=CTMRG(truncation=T, max_steps=1).solve(Ising(beta=0.3)))


def test_checkpoints_are_written_while_a_run_goes_on(tmp_path):
    path = tmp_path / "run.h5"
    run = CTMRG(truncation=T, tol=1e-9)
    run.solve(Ising(beta=0.43), [PlaneCheckpointer(path, seconds=0.0), StopAfter(3)])
    found = tn.load(path)
    assert found.status.name == "running" and found.history[-1].step in (20, 40, 60)


def test_a_killed_run_goes_on_from_its_checkpoint(tmp_path):
    """kill -9 in the middle of a critical run."""
    path = tmp_path / "run.h5"
    words = ("ising", "--beta", CRITICAL, "--method", "ctmrg", "--chi-max", 10, "--tol", 1e-9, "--out", path,
             "--checkpoint-seconds", 0.01)  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "tnsim.cli", "plane", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for _ in range(600):
        if path.exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    found = tn.load(path)
    assert found.status.name == "running"
    run = CTMRG(truncation=Truncation(chi_max=10), tol=1e-9)
    whole = run.solve(Ising(beta=CRITICAL))
    assert run.solve(Ising(beta=CRITICAL), resume=found).log_z == pytest.approx(whole.log_z, abs=1e-12)


def test_results_from_a_device_come_back_on_the_host_and_go_on_there(tmp_path):
    network = Ising(beta=0.35).network(backend=backend_or_skip("strict"))
    for run in (CTMRG(truncation=T), InfiniteBoundary(truncation=T)):
        stopped = run.solve(network, [StopAfter(1)])
        tn.save(tmp_path / "run.h5", stopped)
        found = tn.load(tmp_path / "run.h5")
        assert run.solve(network, resume=found).log_z == pytest.approx(run.solve(network).log_z, abs=1e-12)


def test_what_does_not_fit_is_refused(tmp_path):
    one, four = CTMRG(truncation=T), CTMRG(truncation=T, symmetric=False)
    result = one.solve(Ising(beta=0.3))
    with pytest.raises(SettingsError, match="not made with symmetric=False"):
        four.solve(Ising(beta=0.3), resume=result)
    with pytest.raises(SettingsError, match="another network"):
        one.solve(Ising(beta=0.4), resume=result)
    boundary = InfiniteBoundary(truncation=T)
    with pytest.raises(SettingsError, match="another network"):
        boundary.solve(TriangularIsing(beta=0.3).network(), resume=boundary.solve(Ising(beta=0.3, conserve="parity")))
    steps = CoarseGraining(step=TRG(chi_max=4), max_steps=2).solve(Ising(beta=0.3))
    with pytest.raises(SettingsError, match="not made by steps like HOTRG"):
        CoarseGraining(step=HOTRG(chi_max=4)).solve(Ising(beta=0.3), resume=steps)
    with pytest.raises(SettingsError, match="another network"):
        CoarseGraining(step=TRG(chi_max=4)).solve(Ising(beta=0.4), resume=steps)
    for run, before in ((one, steps), (boundary, result), (CoarseGraining(step=TRG(chi_max=4)), result)):
        with pytest.raises(SettingsError, match="goes on from a .*, found a"):
            run.solve(Ising(beta=0.3), resume=before)
    for other in (Ising(beta=0.3 + 1e-8), Ising(beta=0.3).network(dtype=np.float32)):
        with pytest.raises(SettingsError, match="another network"):
            one.solve(other, resume=result)
        with pytest.raises(SettingsError, match="another network"):
            one.certify(other, result)
    tn.save(tmp_path / "run.h5", result)
    content = bytearray((tmp_path / "run.h5").read_bytes())
    content[5000] ^= 255
    (tmp_path / "run.h5").write_bytes(bytes(content))
    with pytest.raises(FileCorruptError):
        tn.load(tmp_path / "run.h5")


def test_a_tree_holds_numbers_text_and_named_classes_only(tmp_path):
    import h5py

    with h5py.File(tmp_path / "tree.h5", "w") as file:
        value = {"a": (1, 2.5, "x", None, True, 1 + 2j, np.arange(3)), "b": {}, "nan": float("nan")}
        put_tree(file, "value", value, {})
        found = get_tree(file, "value", {})
        assert found["a"][:6] == value["a"][:6] and found["b"] == {} and np.isnan(found["nan"])
        np.testing.assert_array_equal(found["a"][6], value["a"][6])
        with pytest.raises(FileError, match="StopAfter cannot be saved"):
            put_tree(file, "other", StopAfter(1), {})
        with pytest.raises(FileError, match="only numbers"):
            put_tree(file, "text", np.array(["a"]), {})


@pytest.mark.parametrize(
    "run",
    [
        CTMRG(truncation=SMALL, tol=1e-8),
        CTMRG(truncation=SMALL, tol=1e-8, symmetric=False),
        InfiniteBoundary(truncation=SMALL, tol=1e-7),
        InfiniteBoundary(truncation=SMALL, tol=1e-6, method="power"),
    ],
    ids=lambda run: f"{type(run).__name__} {getattr(run, 'method', run.truncation.chi_max)}",
)
def test_a_finished_run_goes_on_with_larger_bonds(run):
    model, wider = Ising(beta=0.35), replace(run, truncation=replace(SMALL, chi_max=6))
    small = run.solve(model)
    whole, resumed = wider.solve(model), wider.solve(model, resume=small)
    exact = model.facts["ln Z per site"].value
    assert resumed.status.converged and resumed.history[: len(small.history)] == small.history
    assert resumed.history[-1].chi == 6
    assert resumed.log_z == pytest.approx(whole.log_z, abs=0.2 * abs(small.log_z - exact))


def test_a_finite_sum_with_larger_bonds_is_made_anew():
    """Boundaries that were cut cannot grow: none of them is taken over."""
    network = Ising(beta=CRITICAL).finite(8, 8)
    small, large = (BoundaryMPS(truncation=Truncation(chi_max=chi)) for chi in (2, 16))
    before = small.solve(network)
    resumed = large.solve(network, resume=before)
    assert before.status.name == "truncated" and resumed.status.converged
    assert resumed.values == large.solve(network).values and resumed.history[0].step == 1
