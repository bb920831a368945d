"""Checkpoints: atomic, rotated, resumable; killed processes, full disks and signals."""

import io
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

import tnsim as tn
from tnsim.errors import FileError
from tnsim.io import Checkpointer, Job, RunOptions, RunRecord, StopOnSignals, load_newest, load_run, save_run
from tnsim.io import checkpoint as checkpoint_module
from tnsim.models import Heisenberg
from tnsim.runner import run_job

ROOT = Path(__file__).resolve().parents[2]


def make_job(out: Path, **options) -> Job:
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=10), max_sweeps=4, min_sweeps=5)
    return Job(Heisenberg(L=10), dmrg, RunOptions(out=str(out), **options))


class StopAfter:
    def __init__(self, steps: int) -> None:
        self.left = steps

    def bond(self, report, run) -> None:
        self.left -= 1
        if self.left == 0:
            run.request_stop("test")

    def sweep(self, report, run) -> None:
        pass


def test_a_run_from_its_file_goes_on_as_if_never_stopped(tmp_path):
    job = make_job(tmp_path / "run.h5")
    H, psi = job.model.mpo(), job.model.product()
    whole = job.solver.solve(H, psi)
    for steps in (4, 13, 29):
        part = job.solver.solve(H, psi, [StopAfter(steps)])
        save_run(job.run.out, RunRecord(job, part.state, part.progress, part.status.name))
        record = load_run(job.run.out)
        rest = record.job.solver.solve(H, record.state, progress=record.progress)
        assert len(rest.history) == len(whole.history)
        for a, b in zip(rest.history, whole.history, strict=True):
            assert abs(a.energy - b.energy) < 1e-12


@pytest.mark.parametrize("ended", ["killed", "stopped"])
def test_a_second_start_goes_on_from_a_file_that_holds_the_first_result(tmp_path, monkeypatch, ended):
    monkeypatch.setattr("tnsim.algorithms.ground_state.dmrg.needs_second_start", lambda settings, solution: True)
    job = make_job(tmp_path / "run.h5", checkpoint_every="1sweeps")
    H, psi = job.model.mpo(), job.model.product()
    whole = job.solver.solve(H, psi)
    first = replace(job.solver, second_start=False).solve(H, psi)
    saver = Checkpointer(job)
    monkeypatch.setattr(saver, "_is_time", lambda seconds: True)
    part = job.solver.solve(H, psi, [saver, StopAfter(18 * (len(first.history) + 2) + 5)])
    assert part.status.name == "interrupted"
    if ended == "stopped":
        save_run(job.run.out, RunRecord(job, part.state, part.progress, part.status.name, first=part.first))
    console = Console(file=io.StringIO(), width=200)
    assert load_run(job.run.out).first.energy == first.energy
    assert run_job(job, console, load_run(job.run.out)) == 0
    done = load_run(job.run.out)
    assert done.energy == pytest.approx(whole.energy, abs=1e-12)
    assert (done.status, done.first, done.progress.restarts) == (whole.status.name, None, 1)


def test_a_run_is_described_in_two_lines(tmp_path):
    job = make_job(tmp_path / "run.h5")
    save_run(job.run.out, RunRecord(job, job.model.product(), tn.Progress(), "converged", energy=-4.25))
    first, second = repr(load_run(job.run.out)).splitlines()
    assert first == f"Run of {job.model}: converged, energy -4.250000000000, 0 sweeps"
    assert second.startswith("MPS on 10 sites")


def test_the_last_versions_are_kept_and_the_newest_valid_one_is_found(tmp_path):
    job = make_job(tmp_path / "run.h5")
    psi = job.model.product()
    path = Path(job.run.out)
    for energy in range(5):
        save_run(path, RunRecord(job, psi, tn.Progress(), energy=float(energy)), keep=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.h5", "run.h5.1", "run.h5.2"]
    assert [load_run(tmp_path / name).energy for name in ("run.h5", "run.h5.1", "run.h5.2")] == [4.0, 3.0, 2.0]
    path.write_bytes(path.read_bytes()[:5000])
    record, used, skipped = load_newest(path)
    assert record.energy == 3.0
    assert used.name == "run.h5.1"
    assert len(skipped) == 1
    assert "run.h5" in skipped[0]
    for name in ("run.h5.1", "run.h5.2"):
        (tmp_path / name).write_bytes(b"gone")
    with pytest.raises(FileError, match="no run can be read"):
        load_newest(path)


def test_a_full_disk_keeps_the_old_checkpoint_and_the_run_goes_on(tmp_path, monkeypatch):
    job = make_job(tmp_path / "run.h5", checkpoint_every="1sweeps")
    H, psi = job.model.mpo(), job.model.product()
    save_run(job.run.out, RunRecord(job, psi, tn.Progress(), energy=-1.0))
    before = Path(job.run.out).read_bytes()

    def refuse(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = job.solver.solve(H, psi, [Checkpointer(job)])
    assert any("No space left" in str(w.message) for w in caught)
    assert len(result.history) == 4
    assert Path(job.run.out).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5"]


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is moved."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(checkpoint_module.time, "monotonic", lambda: clock.now)
    return clock


class Tick(StopAfter):
    """Lets every bond update take so many seconds, and stops the run after some of them."""

    def __init__(self, clock, seconds: float, steps: int) -> None:
        super().__init__(steps)
        self.clock, self.seconds = clock, seconds

    def bond(self, report, run) -> None:
        self.clock.now += self.seconds
        super().bond(report, run)


def test_checkpoints_by_time_fall_inside_sweeps(tmp_path, clock):
    job = make_job(tmp_path / "run.h5", checkpoint_every="2s")
    job.solver.solve(job.model.mpo(), job.model.product(), [Tick(clock, 1.0, 7), Checkpointer(job)])
    assert [load_run(tmp_path / name).progress.step for name in ("run.h5", "run.h5.1", "run.h5.2")] == [6, 4, 2]


@pytest.mark.parametrize("every", ["0.05s", "1sweeps"])
def test_saving_takes_a_tenth_of_the_time_at_most(tmp_path, clock, monkeypatch, every):
    job = make_job(tmp_path / "run.h5", checkpoint_every=every)
    saved = []

    def slow_save(*args, **kwargs):
        saved.append(clock.now)
        clock.now += 0.1

    monkeypatch.setattr(checkpoint_module, "save_run", slow_save)
    dmrg = replace(job.solver, max_sweeps=30, min_sweeps=31)
    dmrg.solve(job.model.mpo(), job.model.product(), [Tick(clock, 0.01, 10**6), Checkpointer(job)])
    assert 0.05 * clock.now < 0.1 * len(saved) < 0.11 * clock.now
    assert min(later - earlier for earlier, later in pairwise(saved)) > 0.999


def test_the_interval_counts_from_the_end_of_a_save(tmp_path, clock, monkeypatch):
    job = make_job(tmp_path / "run.h5", checkpoint_every="20s")
    saved = []

    def slow_save(*args, **kwargs):
        saved.append(clock.now)
        clock.now += 2.0

    monkeypatch.setattr(checkpoint_module, "save_run", slow_save)
    job.solver.solve(job.model.mpo(), job.model.product(), [Tick(clock, 1.0, 60), Checkpointer(job)])
    assert saved == [20.0, 42.0, 64.0]


def test_a_second_writer_of_the_same_file_is_named(tmp_path):
    job = make_job(tmp_path / "run.h5", checkpoint_every="0")
    psi = job.model.product()
    save_run(job.run.out, RunRecord(job, psi, tn.Progress()))
    first, run = Checkpointer(job), job.solver.start(job.model.mpo(), psi)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert first.save(run)
        assert first.save(run)
        second = Checkpointer(job)
        assert second.save(run)
    for saver in (first, second):
        with pytest.warns(UserWarning, match=r"another process wrote .*run\.h5"):
            assert saver.save(run)
    (tmp_path / "run.h5").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert first.save(run)


def test_signals_finish_the_bond_and_stop():
    model = Heisenberg(L=8)

    class Send(StopAfter):
        def bond(self, report, run):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGTERM)

    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=8))
    with StopOnSignals() as stopper:
        result = dmrg.solve(model.mpo(), model.product(), [Send(3), stopper])
    assert result.status.name == "interrupted"
    assert "SIGTERM" in result.status.advice
    assert result.progress.step in (3, 4)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


_LOOP = """
import sys
import tnsim as tn
from tnsim.io import Job, RunOptions, RunRecord, save_run
from tnsim.models import Heisenberg
job = Job(Heisenberg(L=30), tn.DMRG(truncation=tn.Truncation(chi_max=20)), RunOptions(out=sys.argv[1]))
psi = tn.MPS.random(job.model.sites, chi=40, charge=0, seed=0)
for count in range(100000):
    save_run(job.run.out, RunRecord(job, psi, tn.Progress(), energy=float(count)))
    print(count, flush=True)
"""


def test_kill_9_never_loses_an_acknowledged_checkpoint(tmp_path):
    path = tmp_path / "run.h5"
    for round_ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", _LOOP, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.15 + 0.07 * round_)
        process.kill()
        acknowledged = process.stdout.read().split()
        process.wait()
        record, used, skipped = load_newest(path)
        assert used == path
        assert not skipped
        assert record.energy >= float(acknowledged[-1] if acknowledged else 0)
