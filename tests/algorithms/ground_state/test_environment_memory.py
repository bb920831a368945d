"""Environments within a budget: the same run, the budget kept, files removed, and what is refused."""

import warnings
from pathlib import Path

import numpy as np
import pytest

import tnsim as tn
from tests.algorithms.ground_state.test_dmrg import StopAfter, numbers_of
from tests.devices import backend_or_skip
from tnsim.errors import SettingsError
from tnsim.models import Heisenberg
from tnsim.networks.environment_store import GIB, EnvironmentStore
from tnsim.networks.scratch_folder import ScratchFolder

CHI = 24
# one environment at this bond dimension takes about 7 kB, and a chain of 24 sites holds about 100 kB of them
SMALL, MEDIUM = 12e3 / GIB, 60e3 / GIB


def settings(tmp_path: Path, gib: float, **options) -> tn.DMRG:
    options = {"max_sweeps": 4, "min_sweeps": 9, "second_start": False} | options
    return tn.DMRG(truncation=tn.Truncation(chi_max=CHI), environment_gib=gib, scratch=str(tmp_path), **options)


class Watch:
    """Largest memory that waits, and whether files were there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.peak, self.files = folder, 0, 0

    def bond(self, report, run) -> None:
        entries = run.store._entries
        self.peak = max(self.peak, sum(entries[place].bytes for place in run.store._waiting()))
        self.files = max(self.files, len(list(self.folder.rglob("*.bin"))))

    def sweep(self, report, run) -> None:
        pass


@pytest.mark.parametrize(
    ("place", "gib", "on_disk", "sites"),
    [("numpy", gib, gib == SMALL, sites) for gib in (SMALL, MEDIUM) for sites in (1, 2)]
    + [("strict", SMALL, True, 2), ("strict", MEDIUM, False, 1)]
    + [pytest.param("cupy", gib, gib == SMALL, 2, marks=pytest.mark.gpu) for gib in (SMALL, MEDIUM)],
)
def test_a_run_within_a_budget_is_the_run_without(tmp_path, place, gib, on_disk, sites):
    backend, model = backend_or_skip(place), Heisenberg(L=24)
    H, psi = model.mpo().to(backend), model.product().to(backend)
    free, watch = Watch(tmp_path), Watch(tmp_path)
    whole = settings(tmp_path, 0.0, sites=sites, max_sweeps=2).solve(H, psi, [free])
    tight = settings(tmp_path, gib, sites=sites, max_sweeps=2).solve(H, psi, [watch])
    assert free.peak > 80e3
    assert watch.peak <= gib * GIB
    assert (watch.files > 0) == on_disk
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_allclose(
        [report.energy for report in tight.history], [report.energy for report in whole.history], rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("sites", [1, 2])
def test_resumed_within_a_budget_gives_the_uninterrupted_run(tmp_path, sites):
    model = Heisenberg(L=24)
    H, psi = model.mpo(), model.product()
    dmrg = settings(tmp_path, SMALL, sites=sites, max_sweeps=3)
    whole = [numbers_of(report) for report in dmrg.sweeps(H, psi)]
    for steps in (7, 23, 60, 80):
        run = dmrg.start(H, psi)
        list(run.sweeps([StopAfter(steps)]))
        rest = dmrg.start(H, run.state, run.progress())
        list(rest.sweeps())
        found = [numbers_of(report) for report in rest.progress().history]
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-12, err_msg=f"stopped after {steps} updates")
    assert list(tmp_path.iterdir()) == []


def test_files_go_after_an_exception_and_with_the_run(tmp_path):
    model = Heisenberg(L=24)
    H, psi = model.mpo(), model.product()

    class Fail(Watch):
        def bond(self, report, run) -> None:
            super().bond(report, run)
            if report.sweep == 1 and report.bond == 12:
                raise RuntimeError("observer")

    watch = Fail(tmp_path)
    with pytest.raises(RuntimeError, match="observer"):
        settings(tmp_path, SMALL).solve(H, psi, [watch])
    assert watch.files > 0
    assert list(tmp_path.iterdir()) == []
    run = settings(tmp_path, SMALL).start(H, psi)
    run.sweep()
    run.sweep()
    assert len(list(tmp_path.iterdir())) == 1
    del run
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_after_its_files_were_removed(tmp_path):
    model = Heisenberg(L=24)
    run = settings(tmp_path, SMALL).start(model.mpo(), model.product())
    whole = settings(tmp_path, 0.0).start(model.mpo(), model.product())
    energies = []
    for one in (run, whole):
        one.sweep()
        one.store.close()
        energies.append([one.sweep().energy, one.sweep().energy])
    assert energies[0] == pytest.approx(energies[1], abs=1e-9)


def test_a_disk_that_refuses_costs_time_only(tmp_path, monkeypatch):
    model = Heisenberg(L=24)
    H, psi = model.mpo(), model.product()
    whole = settings(tmp_path, 0.0, max_sweeps=2).solve(H, psi)

    def full(path, array):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tnsim.networks.scratch_folder._write", full)
    with pytest.warns(UserWarning, match="disk refuses environments.*No space left.*made again") as caught:
        tight = settings(tmp_path, SMALL, max_sweeps=2).solve(H, psi)
    assert len([w for w in caught if "environments" in str(w.message)]) == 1
    assert tight.energy == pytest.approx(whole.energy, abs=1e-9)


def test_a_file_that_is_lost_or_cut_short_is_made_again(tmp_path):
    model = Heisenberg(L=24)
    run = settings(tmp_path, SMALL).start(model.mpo(), model.product())
    run.sweep()
    run.sweep()
    for file in tmp_path.rglob("*.bin"):
        file.write_bytes(b"short")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = run.sweep()
    run.store.close()
    whole = settings(tmp_path, 0.0, max_sweeps=3).solve(model.mpo(), model.product())
    assert report.energy == pytest.approx(whole.history[-1].energy, abs=1e-9)


def test_a_budget_below_one_environment_is_refused_with_what_to_change(tmp_path):
    model = Heisenberg(L=24)
    dmrg = settings(tmp_path, 1e3 / GIB)
    words = (
        r"environment_gib = .* is less than one environment: the left one of site \d+ at chi_max = 24 takes about .*"
    )
    with pytest.raises(SettingsError, match=words + r"Raise environment_gib \(0 sets no limit\), or lower chi_max"):
        dmrg.start(model.mpo(), model.product())
    store = EnvironmentStore(4, budget=4.0)
    with pytest.raises(SettingsError, match="the right one of site 2 takes about"):
        store.put("right", 2, tn.from_dense(np.ones((1, 1, 1))))


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="scratch folder .*nowhere.* name another one"):
        settings(tmp_path / "nowhere", SMALL).start(Heisenberg(L=24).mpo(), Heisenberg(L=24).product())
    with pytest.raises(SettingsError, match="environment_gib must lie between"):
        settings(tmp_path, -1.0)


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
def test_scratch_arrays_come_back_bit_for_bit(tmp_path, dtype):
    scratch, array = ScratchFolder(str(tmp_path)), np.arange(1000).astype(dtype) * 1.1
    scratch.write("x", array)
    np.testing.assert_array_equal(scratch.read("x", 1000, dtype).result(), array)
    scratch.write("x", -array)
    np.testing.assert_array_equal(scratch.read("x", 1000, dtype).result(), -array)
    with pytest.raises(OSError, match="cut short"):
        scratch.read("x", 1001, dtype).result()
    scratch.close()
    assert list(tmp_path.iterdir()) == []
    scratch.write("y", array).result()
    assert len(list(tmp_path.rglob("y"))) == 1
    scratch.close()
