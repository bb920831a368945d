"""The second process that compiles on first use."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tnsim as tn
from tnsim.kernels.cpu import ahead, compiled, davidson, lanczos, leading, products, sectors, split
from tnsim.kernels.cpu.team import TEAM
from tnsim.models import Heisenberg

ROOT = Path(__file__).resolve().parents[2]
MODULES = lanczos, davidson, leading, split, products


def compilations() -> dict[str, int]:
    """How often every kernel that is compiled ahead was compiled, and not loaded, in this process."""
    kernels = [sectors.split_rows, sectors.project_rows] + [
        kernel
        for module in MODULES
        for kernel in vars(module).values()
        if hasattr(kernel, "signatures") and kernel.py_func.__module__ == module.__name__
    ]
    return {
        f"{kernel.py_func.__module__}.{kernel.__name__}": sum(kernel.stats.cache_misses.values()) for kernel in kernels
    }


def ground_state(eigensolver: str = "lanczos") -> float:
    model = Heisenberg(L=8)
    solver = tn.DMRG(truncation=tn.Truncation(chi_max=16), max_sweeps=6, eigensolver=eigensolver)
    return solver.solve(model.mpo(), model.product("neel")).energy


@pytest.fixture
def nothing_compiled(monkeypatch):
    monkeypatch.setattr(ahead, "compiled_before", lambda *_: False)
    yield
    for process in ahead._running:
        process.wait()
    ahead.wait()


@pytest.mark.parametrize(("threads", "eigensolver"), [(1, "lanczos"), (2, "lanczos"), (1, "davidson")])
def test_a_run_needs_no_kernel_that_was_not_compiled_ahead(threads, eigensolver):
    """A signature that differs in a single type would be compiled twice, and in vain."""
    code = f"""
import tests.kernels.test_ahead as test
import tnsim.backend as backend
backend.set_threads({threads})
test.ahead.compile_kernels("d", {threads}, {eigensolver!r})
test.ahead.compile_plans()
before = test.compilations()
test.ground_state({eigensolver!r})
after = test.compilations()
print([name for name in after if after[name] > before[name]])
"""

    def compiled() -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    # a worker that compiles the same kernel beside us may drop our entry from the index of its files, but not twice
    assert compiled().endswith("[]\n") or compiled().endswith("[]\n")


def test_the_lead_waits_for_what_it_needs_and_helpers_for_the_end(nothing_compiled):
    ahead.start(np.dtype("d"), 2)
    (process,) = ahead._running
    assert TEAM.held
    process.wait()
    ahead.wait()
    assert process.returncode == 0
    assert not ahead._running
    assert not TEAM.held


def test_nobody_waits_for_what_only_helpers_need(monkeypatch):
    monkeypatch.setattr(ahead, "_in_cache", lambda kernel: kernel is lanczos.lowest)
    ahead.start(np.dtype("d"), 1)
    assert not ahead._running
    ahead.start(np.dtype("d"), 2)
    (process,) = ahead._running
    ahead.wait()
    assert process.stdout is None
    ahead.wait(to_the_end=True)
    assert process.returncode == 0
    assert not TEAM.held


def test_runs_beside_each_other_wait_together(monkeypatch):
    class Slow:
        stdout = None

        def kill(self):
            pass

        def poll(self):
            time.sleep(0.1)
            return 0

    monkeypatch.setattr(ahead, "compile_plans", lambda: None)
    ahead._running.append(Slow())
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: ahead.wait(), range(3))) == [None] * 3
    assert not ahead._running


def test_what_is_on_disk_is_older_than_no_source(tmp_path, monkeypatch):
    """A kernel holds the kernels that it calls, so a change in any of their files makes it again."""
    folder = tmp_path / "cpu"
    folder.mkdir()
    monkeypatch.setattr(compiled, "__file__", str(folder / "compiled.py"))
    (folder / "called.py").write_text("a = 1")
    before = compiled._stamp()
    assert compiled._stamp() == before
    (folder / "called.py").write_text("a = 2")
    assert compiled._stamp() != before
    assert products.run_rows._cache._cache_file._source_stamp == compiled._STAMP


def test_a_second_process_that_fails_costs_the_run_nothing(nothing_compiled, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert ground_state() == pytest.approx(Heisenberg(L=8).facts.energy, abs=1e-9)
    monkeypatch.setattr(sys, "executable", "/no/such/program")
    assert ground_state() == pytest.approx(Heisenberg(L=8).facts.energy, abs=1e-9)


def test_one_core_compiles_alone(nothing_compiled, monkeypatch):
    monkeypatch.setattr(ahead.os, "sched_getaffinity", lambda _: {0}, raising=False)
    ahead.start(np.dtype("d"), 1)
    assert not ahead._running
