"""Progress on a terminal: lines that fit, a bar with energy, weight, chi and time."""

import re
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

import tnsim as tn
from tnsim.models import Heisenberg
from tnsim.monitor import show_progress
from tnsim.monitor.progress import LineProgress, LiveProgress, sweep_heading, sweep_line

REPORT = tn.SweepReport(
    sweep=3, energy=-44.12773989, energy_change=-2e-9, max_trunc_err=1e-12, sum_trunc_err=2e-11, gradient=1e-6,
    entropy=0.74831, entropy_change=1e-7, chi=200, chi_max=200, noise=0.0, matvecs=412, seconds=3.25,
)  # fmt: skip
NAN = float("nan")


@pytest.fixture(autouse=True)
def compiled(monkeypatch):
    monkeypatch.setattr("tnsim.monitor.progress.compiled_before", lambda: True)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"energy": -99999.123456789012, "seconds": 86400.0, "chi": 10000, "matvecs": 99999, "sweep": 9998},
        {"energy": -1.5e20, "energy_change": -1e-99, "entropy": -1e-17},
        {"energy": NAN, "energy_change": NAN, "max_trunc_err": NAN, "gradient": NAN, "entropy": NAN},
    ],
)
def test_a_line_of_a_sweep_fits_its_heading(changes):
    line, heading = sweep_line(replace(REPORT, **changes)), sweep_heading()
    assert len(line) <= 79
    assert len(heading) == 79
    assert len(line.split()) == len(re.split(r" (?!psi)", re.sub(" +", " ", heading)))


def watched(console: Console) -> tn.Solution:
    model = Heisenberg(L=8)
    with show_progress(console) as display:
        if isinstance(display, LiveProgress):
            display.every = 0.0
        dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=8), max_sweeps=3)
        return dmrg.solve(model.mpo(), model.product(), [display])


def shown(text: str) -> list[str]:
    """The lines a terminal draws, without colours and movements of the cursor."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))


def test_a_file_gets_a_heading_and_a_line_for_each_sweep():
    text = StringIO()
    result = watched(Console(file=text, width=80))
    assert text.getvalue().splitlines() == [sweep_heading(), *map(sweep_line, result.history)]


def test_a_terminal_of_80_columns_shows_the_bar_and_the_same_lines():
    text = StringIO()
    result = watched(Console(file=text, force_terminal=True, width=80))
    lines = shown(text.getvalue())
    assert max(map(len, lines)) <= 80
    for line in (sweep_heading(), *map(sweep_line, result.history)):
        assert line in [drawn.rstrip() for drawn in lines]
    bars = [line for line in lines if line.startswith("sweep 3/3")]
    pattern = r"sweep 3/3 [━╸╺ ]+ E -\d\.\d{6} w \d\.\de[+-]\d\d chi \d+ \d:\d\d:\d\d left ≤ \S+"
    assert bars
    assert [line for line in bars if not re.fullmatch(pattern, line.rstrip())] == []


def test_the_widest_bar_fits_80_columns():
    text = StringIO()
    bar = LiveProgress(Console(file=text, force_terminal=True, width=80), every=0.0)
    with bar:
        bar._bar.update(
            bar._task, total=1000, completed=10, sweep="100/100", energy="-138.940086", weight="1.0e-10", chi="10000",
            refresh=True,
        )  # fmt: skip
    line = next(line for line in shown(text.getvalue()) if line.startswith("sweep 100/100"))
    assert "…" not in line
    assert "E -138.940086 w 1.0e-10 chi 10000" in line


def test_a_long_sweep_gives_a_sign_of_life():
    text = StringIO()
    model = Heisenberg(L=6)
    with LineProgress(Console(file=text), heartbeat=0.0) as display:
        tn.DMRG(truncation=tn.Truncation(chi_max=8), max_sweeps=1).solve(model.mpo(), model.product(), [display])
    assert re.search(r"  sweep 1, bond 3/5 rightwards: energy -\d\.\d+, chi \d", text.getvalue())


def test_a_second_start_is_announced():
    text = StringIO()
    lines = LineProgress(Console(file=text, width=80))
    for restarts, sweep, converged in ((0, 0, True), (0, 1, True), (1, 0, False), (1, 0, True)):
        first = SimpleNamespace(status=tn.Status("", converged, ""))
        run = SimpleNamespace(progress=lambda restarts=restarts: tn.Progress(restarts=restarts), first=first)
        lines.sweep(replace(REPORT, sweep=sweep), run)
    assert text.getvalue().splitlines()[3].startswith("second start, from a random state: the variance")
    assert text.getvalue().splitlines()[5].startswith("second start: the first one ended in a product state")
    assert text.getvalue().count("second start") == 2
