"""Updates of PEPS: energies and seconds against D beside reference values, and a finite lattice beside quimb.

`python -m benchmarks.peps_updates` prints a table and writes results/DATE-peps-updates.json, on one thread; `--quick`
stops at small D, `--large` adds full update on 10 x 10 sites, `--only limits` runs one job and writes no file. Engines
take turns on the finite lattice, and the best of their repetitions counts.
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
# neighbourhood update, to 1e-3, of the same code: examples/heisenberg_evol/ntupdate.jl
NEIGHBOURHOOD = {4: -0.66884}
# lengths of steps of full and of neighbourhood update, and how many of each
SCHEDULE = ((0.1, 15), (0.05, 20), (0.02, 10))
NEAR = ((0.1, 20), (0.02, 30))
# lengths of steps of full update that are followed to their ends; steps of 0.05 from the minimum at D
LENGTHS, FROM_MINIMUM = (0.25, 0.1, 0.05, 0.02), {2: 60, 3: 120}
# open lattices, per site: exact diagonalisation; quantum Monte Carlo (A. W. Sandvik, arXiv:2601.20189)
ISING, SMALL, LARGE = -35.907257620409 / 16, -9.189207065193 / 16, -0.6286561
ENGINES = {tn.SimpleUpdate: "simple", tn.NeighbourhoodUpdate: "neighbourhood", tn.FullUpdate: "full"}
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
        yield from _charged(D)


def _charged(D: int) -> Iterator[dict]:
    """Neighbourhood and full update with charges, both after simple update, in steps that become shorter."""
    terms = tn.PlaneTerms.infinite_of(Heisenberg(lattice=tn.Lattice("square", 2, 2)), AB)
    psi = tn.InfinitePEPS.product([terms.site(0, 0)] * 2, ["up", "down"], AB)
    update = tn.SimpleUpdate(dt=0.1, truncation=_cut(D), imaginary=True)
    start: Any = tn.Cooling(update=update, dts=(0.1, 0.02), tol=1e-4).solve(terms, psi).state
    near = [tn.NeighbourhoodUpdate(dt=dt, truncation=_cut(D), imaginary=True, every=steps) for dt, steps in NEAR]
    whole = [
        tn.FullUpdate(dt=dt, truncation=_cut(D), environment=_cut(D * D + 4), imaginary=True, every=steps, env_tol=1e-5)
        for dt, steps in SCHEDULE
    ]
    for name, updates, known in (("neighbourhood", near, NEIGHBOURHOOD), ("full", whole, FULL)):
        state, clock = start, time.perf_counter()
        for each in updates:
            found = each.run(terms, state, time=each.dt * each.every)
            state = found.state
        seconds, energy = time.perf_counter() - clock, _measured(state, terms, 2 * D * D + 4)
        which = "that of PEPSKit.jl" if D in known else "the optimum"
        note = (
            f"{sum(each.every for each in updates)} steps after simple update, {found.status.name}; reference: {which}"
        )
        yield _line("Heisenberg, infinite", name, D, seconds, energy, known.get(D, OPTIMA[D]), note=note)


def limits(largest: int) -> Iterator[dict]:
    """Where full update ends: by the length of its steps at D = 2, and from the minimum over one symmetric tensor at D.

    Without charges, so that no sector that simple update has chosen is kept; CPU seconds, without those of the minimum.
    """
    model = Heisenberg(lattice=tn.Lattice("square", 2, 2), conserve=None)
    terms = tn.PlaneTerms.infinite_of(model, AB)
    yield from _lengths(terms)
    for D in range(2, largest + 1):
        environment = tn.EnvironmentSettings(chi_max=16 if D == 2 else 27)
        minimum = tn.SymmetricVariationalPEPS(D=D, environment=environment).solve(model).state
        began, steps = _measured(tn.WeightedPEPS.plain(minimum), terms, 4 * D * D), FROM_MINIMUM[D]
        clock = time.process_time()
        update = replace(_whole(D, 2 * D * D, 0.05), every=steps, env_tol=1e-5)
        state = update.run(terms, minimum, time=0.05 * steps).state
        seconds, energy = time.process_time() - clock, _measured(state, terms, 4 * D * D)
        note = f"{steps} steps of 0.05 from the minimum, which is measured at {began:.6f}"
        yield _line("full update, from the minimum", "full", D, seconds, energy, OPTIMA[D], note=note)


def _lengths(terms: tn.PlaneTerms) -> Iterator[dict]:
    """Each length of steps until the energy stands still, the first one after simple update."""
    neel = tn.InfinitePEPS.product([terms.site(0, 0)] * 2, ["up", "down"], AB)
    state: Any = tn.Cooling(update=_simple(2, 0.1), dts=(0.1, 0.02), tol=1e-4).solve(terms, neel).state
    for dt in LENGTHS:
        clock = time.process_time()
        found = tn.Cooling(update=_whole(2, 8, dt), dts=(dt,), tol=2e-6, max_steps=300).solve(terms, state)
        state, seconds = found.state, time.process_time() - clock
        energy, note = _measured(state, terms, 16), f"{found.history[-1].step} steps of {dt} more, {found.status.name}"
        yield _line("full update, by length of steps", "full", 2, seconds, energy, OPTIMA[2], note=note)


def finite(quick: bool, large: bool) -> Iterator[dict]:
    """Open lattices: 4 x 4 sites beside exact diagonalisation, 10 x 10 beside quantum Monte Carlo."""
    ising = tn.PlaneTerms.of(TransverseIsing(lattice=tn.Lattice("square", 4, 4), h=2.0, conserve="parity"))
    start = tn.PEPS.product(ising.sites, [["up"] * 4] * 4)
    yield from _cooled("Ising h = 2, 4 x 4", ising, start, ISING, [(_simple(3, 0.1), None), (_whole(3, 16, 0.1), 20)])
    if quick:
        return
    # steps shorter than 0.05 lower the energy of a neighbourhood update on 10 x 10 sites by 1e-5: others go on
    whole: list = [(_whole(4, 10, 0.2), 4)] if large else []
    for size, reference, routes in (
        (4, SMALL, [(_near(4, 0.1), 20), (_whole(4, 12, 0.1), 8), (None, 15)]),
        (10, LARGE, [(_near(4, 0.2), 20), (_near(4, 0.05), 10), *whole, (None, 8)]),
    ):
        conserve = "Sz" if size == 4 else None  # on 10 x 10 sites all is quicker without charges
        terms = tn.PlaneTerms.of(Heisenberg(lattice=tn.Lattice("square", size, size), conserve=conserve))
        neel = [["up" if (i + j) % 2 else "down" for j in range(size)] for i in range(size)]
        stages = [(_simple(4, 0.1), None), *routes]
        yield from _cooled(f"Heisenberg, {size} x {size}", terms, tn.PEPS.product(terms.sites, neel), reference, stages)


def _simple(D: int, dt: float) -> tn.SimpleUpdate:
    return tn.SimpleUpdate(dt=dt, truncation=_cut(D), imaginary=True)


def _near(D: int, dt: float) -> tn.NeighbourhoodUpdate:
    return tn.NeighbourhoodUpdate(dt=dt, truncation=_cut(D), imaginary=True, every=100)


def _whole(D: int, chi: int, dt: float) -> tn.FullUpdate:
    return tn.FullUpdate(dt=dt, truncation=_cut(D), environment=_cut(chi), imaginary=True, every=100)


def _cooled(job: str, terms: tn.PlaneTerms, psi: Any, reference: float, stages: list) -> Iterator[dict]:
    """A line after each stage: an update and its steps, or no update and iterations of a minimisation; energies per
    site from boundaries of chi, and how they move at 3/2 chi."""
    for update, count in stages:
        clock = time.perf_counter()
        if update is None:
            psi, note = _minimised(terms, psi, count), f"{count} iterations by gradient after it"
        elif count is None:
            psi = tn.Cooling(update=update, dts=(update.dt,), tol=1e-3, max_steps=200).solve(terms, psi).state.psi
            note = f"steps of {update.dt}"
        else:
            psi = update.run(terms, psi, time=count * update.dt).state.psi
            note = f"{count} steps of {update.dt} more"
        seconds, D = time.perf_counter() - clock, psi.bond_dimension
        energies = [
            BoundaryMeasurement(truncation=_cut(chi), directions="rows").measure(psi, terms).energy_per_site
            for chi in (2 * D * D, 3 * D * D)
        ]
        note += f"; chi {2 * D * D}, at 3/2 of it {energies[1] - energies[0]:+.0e}"
        name = ENGINES.get(type(update), "gradient")
        yield _line(job, name, D, seconds, energies[0], reference, note=note)


def _minimised(terms: tn.PlaneTerms, psi: tn.PEPS, iterations: int) -> tn.PEPS:
    limits = tn.MinimizationSettings(max_iterations=iterations)
    settings = tn.EnvironmentSettings(chi_max=5 * psi.bond_dimension**2 // 4)
    solver = tn.VariationalPEPS(D=psi.bond_dimension, environment=settings, restarts=0, minimization=limits)
    return solver.solve(terms, psi).state


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


def main(
    quick: Annotated[bool, typer.Option(help="small bond dimensions, and no file")] = False,
    large: Annotated[bool, typer.Option(help="10 x 10 sites by full update, too, before the gradient")] = False,
    only: Annotated[str, typer.Option(help="one job: steps, infinite, limits or finite, and no file")] = "",
) -> None:
    """Run all, a line as soon as it is there."""
    lines = []
    jobs = {
        "steps": steps(6 if quick else 10, 2 if quick else 4, 2 if quick else 5),
        "infinite": infinite(2 if quick else 4), "limits": limits(2 if quick else 3), "finite": finite(quick, large),
    }  # fmt: skip
    if only and only not in jobs:
        raise typer.BadParameter(f"{only!r} is none of {', '.join(jobs)}.")
    print("| " + " | ".join(_COLUMNS) + " |\n|" + "---|" * len(_COLUMNS))
    for line in (line for job in ([only] if only else list(jobs)) for line in jobs[job]):
        print("| " + " | ".join(_shown(line.get(column)) for column in _COLUMNS) + " |", flush=True)
        lines.append(line | {"load average": os.getloadavg()[0]})
        if not (quick or only):
            target = RESULTS / f"{datetime.date.today()}-peps-updates.json"
            target.write_text(json.dumps({"numpy": np.__version__, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
