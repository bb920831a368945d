"""Evolutions in files: whole ones, checkpoints, and going on from them."""

import signal

import numpy as np
import pytest
from typer.testing import CliRunner

import tnsim as tn
from tests.suites.chains import vector
from tnsim.cli import app
from tnsim.errors import FileCorruptError, FileError
from tnsim.io import EvolutionCheckpointer, StopOnSignals
from tnsim.models import XXZ

MODEL = XXZ(L=6, delta=0.5)
START = MODEL.product("neel")
RECORD = {"Sz": lambda state: tn.expect(state, "Sz"), "echo": lambda state: tn.overlap(START, state)}
EVOLUTION = tn.TEBD(dt=0.1, truncation=tn.Truncation(chi_max=6))


def evolve(psi, time: float, **options) -> tn.Evolved:
    return EVOLUTION.run(MODEL.operator_sum(), psi, time=time, observe=RECORD, **options)


def test_an_evolution_comes_back_and_goes_on(tmp_path):
    half = evolve(START, 0.5)
    found = tn.load(tn.save(tmp_path / "half.h5", half))
    assert found.status == half.status and found.history == half.history and repr(found) == repr(half)
    for name in RECORD:
        np.testing.assert_array_equal(found[name], half[name])
    np.testing.assert_array_equal(vector(found.state), vector(half.state))
    here, there = (evolve(start.state, 1.0, resume=start) for start in (half, found))
    np.testing.assert_array_equal(vector(here.state), vector(there.state))
    np.testing.assert_array_equal(here["echo"], there["echo"])
    assert len(there.times) == 11


def test_infinite_evolution(tmp_path):
    model = XXZ(L=2)
    evolved = EVOLUTION.run(model.infinite_sum(), model.infinite_product("neel"), time=0.3)
    found = tn.load(tn.save(tmp_path / "infinite.h5", evolved))
    assert found.history == evolved.history and isinstance(found.state, tn.InfiniteMPS)


class Interrupt:
    """A signal in the middle of an evolution."""

    def step(self, report, run) -> None:
        if report.step == 3:
            signal.raise_signal(signal.SIGTERM)


def test_a_signal_stops_and_the_checkpoint_goes_on(tmp_path):
    path = tmp_path / "run.h5"
    saver = EvolutionCheckpointer(path, seconds=0.0)
    saver._is_time = lambda: True  # the first reports take longer to save than to make
    with StopOnSignals() as signals:
        stopped = evolve(START, 1.0, observers=(Interrupt(), signals, saver))
    assert stopped.status.name == "interrupted" and "SIGTERM" in stopped.status.advice
    found = tn.load(path)
    assert found.times[-1] == pytest.approx(0.3) and (tmp_path / "run.h5.1").exists()
    whole = evolve(START, 1.0)
    np.testing.assert_allclose(vector(evolve(found.state, 1.0, resume=found).state), vector(whole.state), atol=1e-13)


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        EvolutionCheckpointer(tmp_path / "missing" / "run.h5")
    words = EVOLUTION.run(MODEL.operator_sum(), START, time=0.1, observe={"word": lambda state: "up"})
    with pytest.raises(FileError, match="record 'word' holds"):
        tn.save(tmp_path / "words.h5", words)
    assert not list(tmp_path.iterdir())
    path = tn.save(tmp_path / "run.h5", evolve(START, 0.1))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(FileCorruptError):
        tn.load(path)


def test_a_full_disk_is_no_end(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError("no space left")

    monkeypatch.setattr("tnsim.io.evolved.write_evolved", full)
    saver = EvolutionCheckpointer(tmp_path / "run.h5", seconds=0.0)
    with pytest.warns(UserWarning, match="the run goes on"):
        assert evolve(START, 0.2, observers=[saver]).status.converged


def test_the_command_line_describes_and_draws_it(tmp_path):
    pytest.importorskip("matplotlib")
    path = tn.save(tmp_path / "run.h5", evolve(START, 0.3))
    shown = CliRunner().invoke(app, ["info", str(path)])
    assert shown.exit_code == 0 and "evolution in" in shown.stdout and "time = 0.3 after 3 steps" in shown.stdout
    assert CliRunner().invoke(app, ["plot", str(path)]).exit_code == 0
    assert (tmp_path / "run.png").read_bytes()[:4] == b"\x89PNG"
