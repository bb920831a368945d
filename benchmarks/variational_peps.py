"""PEPS by gradient: energies and seconds beside published ones, and how often D = 2 comes to its minimum.

`python -m benchmarks.variational_peps` prints a table and writes results/DATE-variational-peps.json, on one thread;
`--quick` stops at D = 2, `--only symmetric` runs one job, `--only minima` ten seeds at D = 3, which nothing else does;
`--curve` follows the magnetisation of the transverse-field Ising model alone through its transition. Seconds are wall
seconds and, beside them, those of the processor; energies are those at 3/2 chi.
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
from tnsim.models import J1J2, Heisenberg, TransverseIsing  # noqa: E402

RESULTS = Path(__file__).parent / "results"
SQUARE = tn.Lattice("square", 2, 2)
# J. Hasik's stored states (j1j2_ipeps_states), energies at the largest chi
CHI = {2: 16, 3: 40, 4: 48}
OPTIMA = {2: -0.6602310934799586, 3: -0.6681274, 4: -0.66896732}
# of J1-J2 at J2 = 0.5
FRUSTRATED = {2: -0.470392, 3: -0.491058}
# H. W. J. Blote, Y. Deng, Phys. Rev. E 66, 066110 (2002)
CRITICAL = 3.04438
# an independent NumPy program, chi = 16 at D = 2 and 27 at D = 3, where its energy at the critical field stood still
# before its minimum
ISING = {
    2: {2.0: -2.51130578, 2.5: -2.81079892, CRITICAL: -3.23357342, 3.1: -3.28395043, 3.5: -3.65693759},
    3: {2.0: -2.51130680, 2.5: -2.81081364, CRITICAL: -3.23424, 3.1: -3.28476802, 3.5: -3.65715327},
}
FIELDS = (2.0, 2.5, 2.8, 2.9, 2.95, 3.0, 3.02, CRITICAL, 3.06, 3.1, 3.5)
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
        solver = tn.SymmetricVariationalPEPS(D=D, environment=tn.EnvironmentSettings(chi_max=CHI[D]))
        yield _line("Heisenberg, one symmetric tensor", D, CHI[D], lambda s=solver: s.solve(model), OPTIMA[D])


def frustrated(largest: int) -> Iterator[dict]:
    """The J1-J2 model at J2 = 0.5 on one symmetric tensor."""
    model = J1J2(lattice=SQUARE, conserve=None, J2=0.5)
    for D in range(2, largest + 1):
        chi = {2: 16, 3: 27}[D]
        solver = tn.SymmetricVariationalPEPS(D=D, noise=0.3, environment=tn.EnvironmentSettings(chi_max=chi))
        yield _line("J1-J2 at 0.5, one symmetric tensor", D, chi, lambda s=solver: s.solve(model), FRUSTRATED[D])


def seeds(count: int) -> Iterator[dict]:
    """How many seeds come to the minimum of D = 2 within 1e-8, from where."""
    model = Heisenberg(lattice=SQUARE, conserve=None)
    update = tn.SimpleUpdate(dt=0.1, truncation=tn.Truncation(chi_max=2), imaginary=True)
    cooling = tn.Cooling(update=update, dts=(0.1, 0.03), tol=1e-4)
    starts: dict[str, dict] = {
        "from D = 1": {}, "from simple update": {"cooling": cooling}, "from a random tensor": {},
        "from the best of three random tensors": {"attempts": 3, "compare_after": 15, "noise": 1.0},
    }  # fmt: skip
    for name, how in starts.items():
        reached, slowest, seconds = 0, 0.0, time.perf_counter()
        for seed in range(count):
            environment = tn.EnvironmentSettings(chi_max=16)
            solver = tn.SymmetricVariationalPEPS(D=2, seed=seed, environment=environment, **how)
            start = tn.InfinitePEPS.random(model.sites[:1], 2, [[0]], seed=100 + seed) if "random" in name else None
            found, _, own = _timed(lambda s=solver, start=start: s.solve(model, start))
            reached += abs(found.energy - OPTIMA[2]) < 1e-8
            slowest = max(slowest, own)
        yield {
            "job": f"Heisenberg, seeds {name}", "D": 2, "chi": 16, "seconds": time.perf_counter() - seconds,
            "processor": slowest, "note": f"{reached} of {count} within 1e-8; processor seconds of the slowest",
        }  # fmt: skip


def minima(count: int) -> Iterator[dict]:
    """Where seeds of D = 3 end: at 3/2 chi the lowest known minimum lies at -0.66811, the next one at -0.66804."""
    model, environment = Heisenberg(lattice=SQUARE, conserve=None), tn.EnvironmentSettings(chi_max=CHI[3])
    for seed in range(count):
        solver = tn.SymmetricVariationalPEPS(D=3, seed=seed, environment=environment)
        yield _line(f"Heisenberg, seed {seed}", 3, CHI[3], lambda s=solver: s.solve(model), OPTIMA[3])


def curve(D: int) -> Iterator[dict]:
    """Magnetisations from the ordered side up, each field from the state of the one before; where they vanish."""
    psi, moments = None, []
    for h in FIELDS:
        model, settings = TransverseIsing(lattice=SQUARE, conserve=None, h=h), tn.EnvironmentSettings(chi_max=CHI[D])
        solver = tn.SymmetricVariationalPEPS(D=D, environment=settings, antiferromagnetic=False)
        found, seconds, processor = _timed(lambda s=solver, m=model, start=psi: s.solve(m, start))
        psi, reference = found.state, ISING[D].get(h)
        order, along = (2 * abs(tn.symmetric_mean(found, name, settings)) for name in ("Sx", "Sz"))
        moments.append((h, order))
        yield {
            "job": f"Ising, h = {h}", "D": D, "chi": CHI[D], "seconds": seconds, "processor": processor,
            "energy": found.energy, "reference": reference,
            "difference": None if reference is None else found.energy - reference,
            "note": f"order {order:.4f}, along the field {along:.4f}, {found.status.name}",
        }  # fmt: skip
    place = vanishing(moments)
    yield {
        "job": "Ising, transition", "D": D, "chi": CHI[D], "energy": place, "reference": CRITICAL,
        "difference": place - CRITICAL, "note": f"{100 * (place / CRITICAL - 1):+.2f}% from the critical field",
    }  # fmt: skip


def vanishing(moments: list[tuple[float, float]]) -> float:
    """The field where the square of the magnetisation, which is linear near it at any finite D, comes to zero.

    From the last two fields with a magnetisation, and at most the first one without.

    >>> vanishing([(2.0, 0.9), (2.5, 0.5), (2.8, 0.3), (3.0, 0.1), (3.5, 1e-5)])
    3.025
    """
    ordered = [(h, m**2) for h, m in moments if m > 0.05]
    (h, m), (last, least) = ordered[-2:]
    bound = next((field for field, _ in moments if field > last), np.inf)
    return round(min(last + least * (last - h) / (m - least), bound), 5)


def cells(largest: int) -> Iterator[dict]:
    """The Heisenberg model on the checkerboard cell: any tensors, at D = 3 from the minimum over a symmetric one."""
    model = Heisenberg(lattice=SQUARE, conserve=None)
    start = tn.InfinitePEPS.product(model.sites[:2], ["up", "down"], [[0, 1], [1, 0]])
    for D in range(2, largest + 1):
        chi = {2: 12, 3: 28}[D]
        environment = tn.EnvironmentSettings(chi_max=chi, tol=1e-8, svd_min=1e-5, gradient_tol=1e-4)
        one = tn.SymmetricVariationalPEPS(D=D, environment=tn.EnvironmentSettings(chi_max=chi))
        # at D = 2 the minimum of the cell is another one, and lower; at D = 3 it falls for hundreds of iterations
        few = tn.MinimizationSettings(max_iterations=300 if D == 2 else 40)
        solver = tn.VariationalPEPS(
            D=D, noise=0.3, environment=environment, symmetric=one if D > 2 else None, minimization=few
        )
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


def main(
    quick: Annotated[bool, typer.Option(help="D = 2 only, five seeds, and no file")] = False,
    only_curve: Annotated[bool, typer.Option("--curve", help="the magnetisation of the Ising model alone")] = False,
    only: Annotated[
        str, typer.Option(help="one job: symmetric, frustrated, seeds, minima, cells or finite, and no file")
    ] = "",
) -> None:
    """Run all, a line as soon as it is there."""
    lines = []
    largest = 2 if quick else 3
    jobs = {
        "symmetric": symmetric(2 if quick else 4), "frustrated": frustrated(largest),
        "seeds": seeds(5 if quick else 20), "minima": minima(10),
        "curve": (line for D in range(2, largest + 1) for line in curve(D)), "cells": cells(largest),
        "finite": () if quick else finite(),
    }  # fmt: skip
    if only and only not in jobs:
        raise typer.BadParameter(f"{only!r} is none of {', '.join(jobs)}.")
    chosen = ["curve"] if only_curve else [only] if only else [job for job in jobs if job != "minima"]
    print("| " + " | ".join(_COLUMNS) + " |\n|" + "---|" * len(_COLUMNS))
    name = "ising-curve" if only_curve else "variational-peps"
    for line in (line for job in chosen for line in jobs[job]):
        print("| " + " | ".join(_shown(line.get(column)) for column in _COLUMNS) + " |", flush=True)
        lines.append(line | {"load average": os.getloadavg()[0]})
        if not (quick or only):
            target = RESULTS / f"{datetime.date.today()}-{name}.json"
            target.write_text(json.dumps({"numpy": np.__version__, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
