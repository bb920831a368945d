"""PEPS by gradient: energies and seconds beside published ones, and how often D = 2 comes to its minimum.

`python -m benchmarks.variational_peps` prints a table and writes results/DATE-variational-peps.json, on one thread;
`--quick` stops at D = 2. Seconds are wall seconds and, beside them, those of the processor.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "TNSIM_THREADS"):
    os.environ.setdefault(_name, "1")

import datetime  # noqa: E402
import json  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Annotated, Any  # noqa: E402

import numpy as np  # noqa: E402
import typer  # noqa: E402

import tnsim as tn  # noqa: E402
from tnsim.models import Heisenberg, TransverseIsing  # noqa: E402

RESULTS = Path(__file__).parent / "results"
SQUARE = tn.Lattice("square", 2, 2)
# J. Hasik's stored states (j1j2_ipeps_states), energies at the largest chi
OPTIMA = {2: -0.6602310934799586, 3: -0.6681274, 4: -0.66896732}
# an independent NumPy program, D = 2, chi = 16; the critical field is 3.04438 (Blote, Deng, PRE 66, 066110)
ISING = {2.0: -2.51130578, 2.5: -2.81079892, 3.04438: -3.23357342, 3.1: -3.28395043, 3.5: -3.65693759}
_COLUMNS = ("job", "D", "chi", "seconds", "processor", "energy", "reference", "difference", "note")


def _timed(run: Callable[[], tn.MinimizedState]) -> tuple[tn.MinimizedState, float, float]:
    wall, own = time.perf_counter(), time.process_time()
    found = run()
    return found, time.perf_counter() - wall, time.process_time() - own


def _line(job: str, D: int, chi: int, run: Callable[[], tn.MinimizedState], reference: float, note: str = "") -> dict:
    found, seconds, processor = _timed(run)
    count = f"{found.history[-1].evaluations} evaluations at D, {found.status.name}"
    return {
        "job": job, "D": D, "chi": chi, "seconds": seconds, "processor": processor, "energy": found.energy,
        "reference": reference, "difference": found.energy - reference, "note": f"{count}{', ' * bool(note)}{note}",
    }  # fmt: skip


def symmetric(largest: int) -> Iterator[dict]:
    """The Heisenberg model on one symmetric tensor, from bonds of 1 each time."""
    model = Heisenberg(lattice=SQUARE, conserve=None)
    for D in range(2, largest + 1):
        chi = {2: 16, 3: 27, 4: 32}[D]
        solver = tn.SymmetricVariationalPEPS(D=D, environment=tn.EnvironmentSettings(chi_max=chi))
        yield _line("Heisenberg, one symmetric tensor", D, chi, lambda s=solver: s.solve(model), OPTIMA[D])


def seeds(count: int) -> Iterator[dict]:
    """How many seeds come to the minimum of D = 2 within 1e-8."""
    model, reached, slowest, seconds = Heisenberg(lattice=SQUARE, conserve=None), 0, 0.0, time.perf_counter()
    for seed in range(count):
        solver = tn.SymmetricVariationalPEPS(D=2, seed=seed, environment=tn.EnvironmentSettings(chi_max=16))
        found, _, own = _timed(lambda s=solver: s.solve(model))
        reached += abs(found.energy - OPTIMA[2]) < 1e-8
        slowest = max(slowest, own)
    yield {
        "job": "Heisenberg, seeds", "D": 2, "chi": 16, "seconds": time.perf_counter() - seconds, "processor": slowest,
        "note": f"{reached} of {count} seeds within 1e-8; processor seconds of the slowest",
    }  # fmt: skip


def ising() -> Iterator[dict]:
    """The transverse-field Ising model through its transition."""
    for h, energy in ISING.items():
        model = TransverseIsing(lattice=SQUARE, conserve=None, h=h)
        settings = tn.EnvironmentSettings(chi_max=16)
        solver = tn.SymmetricVariationalPEPS(D=2, environment=settings, antiferromagnetic=False)
        yield _line(f"Ising, h = {h}", 2, 16, lambda s=solver, m=model: s.solve(m), energy)


def cells(largest: int) -> Iterator[dict]:
    """The Heisenberg model on the checkerboard cell, any tensors; less is reached than with a symmetric one."""
    model = Heisenberg(lattice=SQUARE, conserve=None)
    start = tn.InfinitePEPS.product(model.sites[:2], ["up", "down"], [[0, 1], [1, 0]])
    for D in range(2, largest + 1):
        chi = {2: 12, 3: 16}[D]
        environment = tn.EnvironmentSettings(chi_max=chi, tol=1e-8, svd_min=1e-5, gradient_tol=1e-4)
        solver = tn.VariationalPEPS(D=D, noise=0.3, environment=environment)
        reference = {2: -0.662514, 3: -0.6680}[D]
        note = "reference: PEPSKit.jl's documentation" if D == 2 else "reference: what was aimed at"
        yield _line("Heisenberg, two tensors", D, chi, lambda s=solver: s.solve(model, start), reference, note)


def finite() -> Iterator[dict]:
    """The Ising model on 4 x 4 sites against exact diagonalisation."""
    model = TransverseIsing(lattice=tn.Lattice("square", 4, 4), conserve=None, h=2.0)
    terms = tn.PlaneTerms.of(model)
    start = tn.PEPS.random(terms.sites, 1, seed=1)
    for D, chi in ((2, 16), (3, 27)):
        solver = tn.VariationalPEPS(D=D, noise=0.2, environment=tn.EnvironmentSettings(chi_max=chi))
        yield _line("Ising h = 2, 4 x 4", D, chi, lambda s=solver: s.solve(terms, start), -35.907257620409)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2e}" if abs(value) < 1e-2 else f"{value:.10f}" if value < 0 else f"{value:.2f}"
    return "" if value is None else str(value)


def main(quick: Annotated[bool, typer.Option(help="D = 2 only, five seeds, and no file")] = False) -> None:
    """Run all, a line as soon as it is there."""
    lines = []
    print("| " + " | ".join(_COLUMNS) + " |\n|" + "---|" * len(_COLUMNS))
    jobs = [symmetric(2 if quick else 4), seeds(5 if quick else 20), ising(), cells(2 if quick else 3)]
    for line in (line for job in (jobs if quick else [*jobs, finite()]) for line in job):
        print("| " + " | ".join(_shown(line.get(column)) for column in _COLUMNS) + " |", flush=True)
        lines.append(line | {"load average": os.getloadavg()[0]})
        if not quick:
            target = RESULTS / f"{datetime.date.today()}-variational-peps.json"
            target.write_text(json.dumps({"numpy": np.__version__, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
