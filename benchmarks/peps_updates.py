"""Updates of PEPS: energies and seconds against D beside reference values, and a finite lattice beside quimb.

`python -m benchmarks.peps_updates` prints a table and writes results/DATE-peps-updates.json, on one thread; `--quick`
stops at small D. Engines take turns on the finite lattice, and the best of their repetitions counts.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "TNSIM_THREADS"):
    os.environ.setdefault(_name, "1")

import datetime  # noqa: E402
import importlib.util  # noqa: E402
import json  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Annotated, Any  # noqa: E402

import numpy as np  # noqa: E402
import typer  # noqa: E402

import tnsim as tn  # noqa: E402
from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement  # noqa: E402
from tnsim.models import Heisenberg, TransverseIsing  # noqa: E402

RESULTS = Path(__file__).parent / "results"
AB = [[0, 1], [1, 0]]
# simple update with steps down to 0.001, a NumPy program; the optima at D are J. Hasik's (j1j2_ipeps_states)
SIMPLE = {2: -0.65923, 3: -0.66327, 4: -0.66748}
OPTIMA = {2: -0.6602311, 3: -0.6681274, 4: -0.6689673}
# full update, to 1e-4, of another code: PEPSKit.jl, examples/heisenberg_evol/fullupdate.jl
FULL = {4: -0.66875}
# lengths of steps of full update, and how many of each
SCHEDULE = ((0.1, 15), (0.05, 20), (0.02, 10))
_COLUMNS = ("job", "engine", "D", "seconds", "energy", "reference", "difference", "seconds aimed at", "note")


def _cut(D: int) -> tn.Truncation:
    return tn.Truncation(chi_max=D, svd_min=1e-10)


def _measured(state: tn.WeightedPEPS, terms: tn.PlaneTerms, chi: int) -> float:
    """By corner transfer matrices."""
    ctmrg = tn.CTMRG(truncation=_cut(chi), symmetric=False, tol=1e-8, check_every=4)
    return tn.measure_infinite(ctmrg.solve(state.psi).environment, terms).energy


def _line(job: str, engine: str, D: int, seconds: float, energy: float, reference: float, **rest: Any) -> dict:
    return {
        "job": job, "engine": engine, "D": D, "seconds": seconds, "energy": energy, "reference": reference,
        "difference": energy - reference,
    } | rest  # fmt: skip


def infinite(largest: int) -> Iterator[dict]:
    """The Heisenberg model on the checkerboard cell, by all updates; energies at a chi of 4 D^2."""
    terms = tn.PlaneTerms.infinite_of(Heisenberg(lattice=tn.Lattice("square", 2, 2), conserve=None), AB)
    psi = tn.InfinitePEPS.product([terms.site(0, 0)] * 2, ["up", "down"], AB)
    for D in range(2, largest + 1):
        update = tn.SimpleUpdate(dt=0.1, truncation=_cut(D), imaginary=True)
        cooling = tn.Cooling(update=update)
        replace(cooling, dts=(0.1,), max_steps=10).solve(terms, psi)  # compilation, outside the timer
        clock = time.perf_counter()
        simple = cooling.solve(terms, psi)
        seconds = time.perf_counter() - clock
        steps = f"{simple.history[-1].step} steps, {simple.status.name}"
        energy = _measured(simple.state, terms, 4 * D * D)
        job, aim = "Heisenberg, infinite", {"seconds aimed at": 5.0}
        yield _line(job, "simple", D, seconds, energy, SIMPLE[D], note=steps, **aim)
        yield _line(job, "belief propagation of simple", D, 0.0, simple.energy, SIMPLE[D], note="an estimate")
        near = tn.NeighbourhoodUpdate(dt=0.05, truncation=_cut(D), imaginary=True, every=20)
        clock = time.perf_counter()
        found = near.run(terms, simple.state, time=3.0)
        seconds, energy = time.perf_counter() - clock, _measured(found.state, terms, 4 * D * D)
        note = f"60 steps of 0.05 after simple update, {found.status.name}; reference: the optimum"
        yield _line(job, "neighbourhood", D, seconds, energy, OPTIMA[D], note=note)
        yield _full(D)


def _full(D: int) -> dict:
    """Full update with charges, after simple update, in steps that become shorter."""
    terms = tn.PlaneTerms.infinite_of(Heisenberg(lattice=tn.Lattice("square", 2, 2)), AB)
    psi = tn.InfinitePEPS.product([terms.site(0, 0)] * 2, ["up", "down"], AB)
    update = tn.SimpleUpdate(dt=0.1, truncation=_cut(D), imaginary=True)
    state: Any = tn.Cooling(update=update, dts=(0.1, 0.02), tol=1e-4).solve(terms, psi).state
    clock = time.perf_counter()
    for dt, steps in SCHEDULE:
        whole = tn.FullUpdate(
            dt=dt, truncation=_cut(D), environment=_cut(D * D + 4), imaginary=True, every=steps, env_tol=1e-5
        )
        found = whole.run(terms, state, time=steps * dt)
        state = found.state
    seconds, energy = time.perf_counter() - clock, _measured(state, terms, 2 * D * D + 4)
    which = "full update of PEPSKit.jl" if D in FULL else "the optimum"
    note = f"{sum(steps for _, steps in SCHEDULE)} steps after simple update, {found.status.name}; reference: {which}"
    return _line("Heisenberg, infinite", "full", D, seconds, energy, FULL.get(D, OPTIMA[D]), note=note)


def finite(quick: bool) -> Iterator[dict]:
    """4 x 4 sites against exact diagonalisation: energies per site."""
    lattice = tn.Lattice("square", 4, 4)
    ising = tn.PlaneTerms.of(TransverseIsing(lattice=lattice, h=2.0, conserve="parity"))
    jobs = [("Ising h = 2, 4 x 4", ising, [["up"] * 4] * 4, 3, 16, -35.907257620409)]
    if not quick:
        neel = [["up" if (i + j) % 2 else "down" for j in range(4)] for i in range(4)]
        jobs.append(("Heisenberg, 4 x 4", tn.PlaneTerms.of(Heisenberg(lattice=lattice)), neel, 4, 32, -9.189207065193))
    for job, terms, states, D, chi, exact in jobs:
        psi: Any = tn.PEPS.product(terms.sites, states)
        measure = BoundaryMeasurement(truncation=_cut(3 * chi))
        clock = time.perf_counter()
        update = tn.SimpleUpdate(dt=0.1, truncation=_cut(D), imaginary=True)
        psi = tn.Cooling(update=update, tol=1e-4).solve(terms, psi).state
        seconds = time.perf_counter() - clock
        yield _line(job, "simple", D, seconds, measure.measure(psi.psi, terms).energy / 16, exact / 16)
        for dt in (0.1,) if quick else (0.1, 0.05, 0.02):
            clock = time.perf_counter()
            full = tn.FullUpdate(dt=dt, truncation=_cut(D), environment=_cut(chi), imaginary=True, every=40)
            psi = full.run(terms, psi, time=40 * dt).state
            seconds = time.perf_counter() - clock
            energy = measure.measure(psi.psi, terms).energy / 16
            yield _line(job, "full", D, seconds, energy, exact / 16, note=f"40 steps of {dt} more")


def _step(size: int, D: int) -> Callable[[], None]:
    terms = tn.PlaneTerms.of(Heisenberg(lattice=tn.Lattice("square", size, size), conserve=None))
    psi = tn.PEPS.product(terms.sites, [["up" if (i + j) % 2 else "down" for j in range(size)] for i in range(size)])
    update = tn.SimpleUpdate(dt=0.05, truncation=_cut(D), imaginary=True).propagator(terms, psi)
    update.advance(0.0, 0.05, 10)  # up to D, with all plans made
    return lambda: update.advance(0.0, 0.05, 1)


def _quimb_step(size: int, D: int) -> Callable[[], None]:
    import quimb as qu
    import quimb.tensor as qtn

    psi = qtn.PEPS.rand(size, size, bond_dim=D, seed=1)
    evolution = qtn.SimpleUpdate(
        psi, qtn.LocalHam2D(size, size, H2=qu.ham_heis(2)), D=D, second_order_reflect=True, compute_energy_every=None,
        progbar=False,
    )  # fmt: skip
    evolution.sweep(0.05)
    return lambda: evolution.sweep(0.05)


def steps(size: int, largest: int, repeats: int) -> Iterator[dict]:
    """A step of second order on an open lattice, beside quimb."""
    engines: dict[str, Callable[[int, int], Callable[[], None]]] = {"tnsim": _step}
    if importlib.util.find_spec("quimb"):
        engines["quimb"] = _quimb_step
    for D in range(2, largest + 1):
        made = {name: make(size, D) for name, make in engines.items()}
        best = dict.fromkeys(made, np.inf)
        for _ in range(repeats):
            for name, step in made.items():
                clock = time.perf_counter()
                step()
                best[name] = min(best[name], time.perf_counter() - clock)
        for name, seconds in best.items():
            note = f"best of {repeats}, {seconds / best['tnsim']:.2f} times tnsim"
            yield {
                "job": f"simple update step, {size} x {size}",
                "engine": name,
                "D": D,
                "seconds": seconds,
                "note": note,
            }


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2e}" if abs(value) < 1e-2 else f"{value:.6f}" if value < 0 else f"{value:.2f}"
    return "" if value is None else str(value)


def main(quick: Annotated[bool, typer.Option(help="small bond dimensions, and no file")] = False) -> None:
    """Run all, a line as soon as it is there."""
    lines = []
    print("| " + " | ".join(_COLUMNS) + " |\n|" + "---|" * len(_COLUMNS))
    jobs = (steps(6 if quick else 10, 2 if quick else 4, 2 if quick else 5), infinite(2 if quick else 4), finite(quick))
    for line in (line for job in jobs for line in job):
        print("| " + " | ".join(_shown(line.get(column)) for column in _COLUMNS) + " |", flush=True)
        lines.append(line | {"load average": os.getloadavg()[0]})
        if not quick:
            target = RESULTS / f"{datetime.date.today()}-peps-updates.json"
            target.write_text(json.dumps({"numpy": np.__version__, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
