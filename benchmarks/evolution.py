"""Time evolution beside TeNPy and quimb: seconds of a step on full bonds, and errors of the magnetisation.

`python -m benchmarks.evolution` runs everything on one thread and writes a file a job to benchmarks/results;
`--largest 100` stops at that bond dimension. The start state of the timed steps is made once and handed to all.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "TNSIM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ["TENPY_OPTIMIZE"] = "3"

import importlib.metadata  # noqa: E402
import importlib.util  # noqa: E402
import json  # noqa: E402
import statistics  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from concurrent.futures import ProcessPoolExecutor  # noqa: E402
from dataclasses import asdict, replace  # noqa: E402
from datetime import date  # noqa: E402
from multiprocessing import get_context  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Annotated, Any  # noqa: E402

import numpy as np  # noqa: E402
import typer  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import tnsim as tn  # noqa: E402
from benchmarks import markdown  # noqa: E402
from benchmarks.evolution_engines import ENGINES, INFINITE, SVD_MIN, Case, tnsim_model  # noqa: E402
from tnsim.models.exact.quenches import MajoranaState, ising_matrix  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results"
ERROR_TIME = 0.5  # from the product state: bonds stay below chi, so the error is that of the splitting
BOND_DIMENSIONS = (100, 300)
PACKAGES = {"tnsim": "tnsim", "tenpy": "physics-tenpy", "quimb": "quimb"}
INFINITE_STAGES = ((0.1, 100), (0.03, 100), (0.01, 200))
INFINITE_ENERGY = 0.25 - np.log(2)
_PREPARING_STEP, _LONGEST = 0.1, 12.0
COLUMNS = ("engine", "order", "chi", "seconds", "ratio", "cpu_seconds", "cpu_ratio", "error", "error_seconds")


def jobs(largest: int, L: int) -> dict[str, tuple[Case, tuple[str, ...]]]:
    """Name of a job, its case and the engines."""
    chis = [chi for chi in BOND_DIMENSIONS if chi <= largest] or [largest]
    found = {}
    for chi in chis:
        xxz = Case(model="xxz", L=L, conserve="Sz", chi=chi, scheme="tebd", steps={2: 8, 4: 3})
        if chi <= BOND_DIMENSIONS[0]:
            found[f"xxz-{chi}"] = xxz, ("tnsim", "tnsim:2threads", "tenpy", "tenpy:qr", "quimb")
            ising = Case(model="tfim", L=L, conserve=None, chi=chi, scheme="tebd", steps={2: 8, 4: 3})
            found[f"tfim-{chi}"] = ising, ("tnsim", "tnsim:2threads", "tenpy", "tenpy:qr", "quimb")
            wide = replace(ising, model="xxz-3/2", L=min(L, 20), steps={2: 2})
            found[f"qr-{chi}"] = wide, ("tnsim", "tnsim:svd", "tnsim:qr", "tenpy", "tenpy:qr")
            tdvp = replace(xxz, scheme="tdvp", steps={2: 2})
            found[f"tdvp-{chi}"] = tdvp, ("tnsim", "tnsim:hybrid", "tenpy", "tenpy:defaults")
        else:
            found[f"xxz-{chi}"] = replace(xxz, steps={2: 2, 4: 1}), ("tnsim", "tnsim:2threads", "tenpy")
    return found


# -- what runs in processes of their own -------------------------------------------------------------------


def prepare(case: Case, folder: Path) -> dict[str, Any]:
    """The quench by tnsim until half the bonds are full: state.h5, and state.npz with dense tensors for peers."""
    model, psi, now = tnsim_model(case), tnsim_model(case).product(case.start), 0.0
    cut = tn.Truncation(chi_max=case.chi, svd_min=SVD_MIN)
    run = tn.TEBD(dt=_PREPARING_STEP, order=2, truncation=cut).propagator(model.operator_sum(), psi)
    while np.median(run.state.bond_dimensions) < case.chi and now < _LONGEST:
        run.advance(now, _PREPARING_STEP, 2)
        now += 2 * _PREPARING_STEP
    psi = run.state / run.state.norm()
    tn.save(folder / "state.h5", psi)
    up_first = np.argsort(-model.sites[0].op(case.operator).diagonal().real)
    np.savez(folder / "state.npz", **{str(i): t.to_dense()[:, up_first] for i, t in enumerate(psi.tensors)})
    np.save(folder / "magnetization.npy", np.real(tn.expect(psi, case.operator)))
    return {"time": now, "bonds": list(psi.bond_dimensions)}


def reference(case: Case, folder: Path) -> str:
    """Magnetisation at ERROR_TIME: exact for free fermions, else order 4 with a quarter of dt and twice the bonds."""
    if case.model == "tfim":
        free = MajoranaState.of(np.eye(case.L)).evolved(ising_matrix(case.L, 1.0, 1.0), ERROR_TIME)
        np.save(folder / "reference.npy", free.magnetization())
        return "free fermions"
    model, cut = tnsim_model(case), tn.Truncation(chi_max=2 * case.chi, svd_min=1e-12)
    fine = tn.TEBD(dt=case.dt / 4, truncation=cut, order=4, split="svd", every=10**6)
    psi = fine.run(model.operator_sum(), model.product(case.start), time=ERROR_TIME).state
    np.save(folder / "reference.npy", np.real(tn.expect(psi, case.operator)))
    return "tnsim, order 4, dt / 4, singular values to 1e-12"


def measure(engine: str, case: Case, folder: Path, errors: bool) -> list[dict[str, Any]]:
    """A line an order: seconds of a step from the prepared state, error after ERROR_TIME from the product state."""
    name, _, variant = engine.partition(":")
    _warm_up(ENGINES[name](case, variant), folder)
    lines = []
    for order, steps in case.steps.items():
        peer, line = ENGINES[name](case, variant), {"engine": engine, "order": order, "steps": steps}
        if errors and (folder / "reference.npy").exists():
            peer.start()
            peer.prepare(order)
            clock = time.perf_counter()
            peer.advance(order, round(ERROR_TIME / case.dt))
            line["error_seconds"] = time.perf_counter() - clock
            line["error"] = _distance(peer, folder / "reference.npy")
        peer.load(folder)
        peer.prepare(order)
        clock, cpu = time.perf_counter(), time.process_time()
        peer.advance(order, steps)
        line["seconds"] = (time.perf_counter() - clock) / steps
        line["cpu_seconds"] = (time.process_time() - cpu) / steps
        bonds = peer.bonds()
        lines.append(line | {"chi": int(max(bonds)), "median_chi": float(np.median(bonds)), "notes": peer.notes})
    return lines


def _warm_up(peer: Any, folder: Path) -> None:
    """Compilation, caches, and whether the state came over: no step at all leaves the magnetisation."""
    peer.load(folder)
    peer.prepare(2)
    difference = _distance(peer, folder / "magnetization.npy")
    if difference > 1e-6:
        raise RuntimeError(f"the prepared state came over with a magnetisation that differs by {difference:.1e}")
    peer.advance(2, 1)


def _distance(peer: Any, path: Path) -> float:
    return float(np.abs(peer.magnetization() - np.load(path)).max())


def measure_infinite(engine: str, chi: int, errors: bool) -> list[dict[str, Any]]:
    """Imaginary time from the Neel state; the error is that of the energy per site."""
    INFINITE[engine](min(chi, 8), ((0.1, 10),))[0]()  # compilation and caches
    work, result = INFINITE[engine](chi, INFINITE_STAGES)
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - cpu
    energy, found = result()
    line = {"engine": engine, "order": 2, "chi": found, "seconds": seconds, "cpu_seconds": cpu_seconds}
    return [line | {"energy": energy, "error": abs(energy - INFINITE_ENERGY)}]


def in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's answer from a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


# -- the table ---------------------------------------------------------------------------------------------


def lines_of(engines: tuple[str, ...], repeats: int, function: Callable[..., Any], *arguments: Any) -> list[dict]:
    """Lines of all engines that are installed, which run in turn: medians, and ratios to tnsim."""
    known = [engine for engine in engines if importlib.util.find_spec(engine.partition(":")[0])]
    if len(known) < len(engines):
        print(f"not installed: {', '.join(sorted(set(engines) - set(known)))}")
    rounds = []
    for number in range(repeats):
        rounds.append([line for e in known for line in in_process(function, e, *arguments, number == 0)])
    lines = [_median(*same) for same in zip(*rounds, strict=True)]
    ours = {line["order"]: line for line in lines if line["engine"] == "tnsim"}
    for line in lines:
        name, base = line["engine"].partition(":")[0], ours[line["order"]]
        line["version"] = tn.__version__ if name == "tnsim" else importlib.metadata.version(PACKAGES[name])
        line["ratio"] = line["seconds"] / base["seconds"]
        line["cpu_ratio"] = line["cpu_seconds"] / base["cpu_seconds"]
    return lines


def _median(first: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """The first of some runs with the medians of all."""
    runs = (first, *others)
    return first | {name: statistics.median(run[name] for run in runs) for name in ("seconds", "cpu_seconds")}


def quenches(largest: int, L: int, only: str, repeats: int) -> Iterator[dict[str, Any]]:
    """Result of one job after the other; those of the same quench share the state that was made for it."""
    with tempfile.TemporaryDirectory() as place:
        for name, (case, engines) in jobs(largest, L).items():
            if only and not name.startswith(only):
                continue
            folder = Path(place, f"{case.model.replace('/', '-')}-{case.chi}")
            made = folder / "made.json"
            if not made.exists():
                folder.mkdir()
                exact = case.chi <= BOND_DIMENSIONS[0] and case.spin == 0.5
                source = in_process(reference, case, folder) if exact else "none"
                made.write_text(json.dumps(in_process(prepare, case, folder) | {"reference": source}))
            lines = lines_of(engines, repeats, measure, case, folder)
            yield {
                "job": f"evolution-{name}",
                "case": asdict(case),
                "start": json.loads(made.read_text()),
                "rows": lines,
            }


def infinite(largest: int, repeats: int) -> dict[str, Any]:
    """The ground state of the Heisenberg chain per site by iTEBD."""
    chi = min(BOND_DIMENSIONS[0], largest)
    lines = lines_of(tuple(INFINITE), repeats, measure_infinite, chi)
    return {"job": f"evolution-itebd-{chi}", "stages": INFINITE_STAGES, "exact": INFINITE_ENERGY, "rows": lines}


def exponents(results: list[dict[str, Any]]) -> dict[str, float]:
    """Power of chi in the seconds of a step, by engine and order, where a quench ran at two bond dimensions."""
    points: dict[str, dict[int, float]] = {}
    for result in results:
        if result["job"].startswith("evolution-xxz"):
            for line in result["rows"]:
                points.setdefault(f"{line['engine']}, order {line['order']}", {})[line["chi"]] = line["seconds"]
    logs = {name: (np.log(list(found)), np.log(list(found.values()))) for name, found in points.items()}
    return {name: float(np.polyfit(x, y, 1)[0]) for name, (x, y) in logs.items() if len(x) > 1}


def show(result: dict[str, Any], console: Console) -> None:
    """A table of one job."""
    columns = [name for name in COLUMNS if any(name in line for line in result["rows"])]
    table = Table(*columns, title=result["job"])
    for line in result["rows"]:
        cells = [line.get(name, "") for name in columns]
        table.add_row(*(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells))
    console.print(table)


def write_table(folder: Path) -> None:
    """The newest file of every job as Markdown between the markers of benchmarks/README.md."""
    newest = {}
    for path in sorted(folder.glob("*-evolution-*.json")):
        content = json.loads(path.read_text())
        newest[content["job"]] = content
    parts = []
    for job, content in newest.items():
        load = "" if content["load"] is None else f", load average {content['load']:.1f} on {content['cores']} cores"
        parts += [f"**{job}** ({content['date']}{load})", "", *markdown.table(content["rows"], COLUMNS), ""]
    parts += [f"{name}: seconds ~ chi^{power:.2f}" for name, power in exponents(list(newest.values())).items()]
    markdown.replace_between("evolution", parts)


def main(
    largest: Annotated[int, typer.Option(min=2, help="largest bond dimension; below 100 the only one")] = 300,
    L: Annotated[int, typer.Option("--L", min=4, help="sites of the quenches")] = 50,
    only: Annotated[str, typer.Option(help="jobs whose name begins so: xxz, tfim, qr, tdvp, itebd, xxz-300")] = "",
    repeats: Annotated[int, typer.Option(min=1, help="runs of every engine, in turn; medians are quoted")] = 3,
    output: Annotated[Path, typer.Option(help="folder of the result files")] = RESULTS,
    table: Annotated[bool, typer.Option("--table", help="only rewrite the table in benchmarks/README.md")] = False,
) -> None:
    """Run all, a table and a file as soon as a job is done."""
    if table:
        write_table(output)
        return
    names = [*jobs(largest, L), "itebd"]
    if not any(name.startswith(only[:5]) for name in names):
        raise typer.BadParameter(f"no job begins with {only!r}; they are {', '.join(names)}", param_hint="--only")
    console, results = Console(width=110), []
    output.mkdir(parents=True, exist_ok=True)

    def keep(result: dict[str, Any]) -> None:
        setting = {"date": date.today().isoformat(), "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None}
        setting |= {"cores": os.cpu_count(), "repeats": repeats}
        results.append(result | setting)
        show(result, console)
        path = output / f"{setting['date']}-{result['job']}.json"
        path.write_text(json.dumps(results[-1], indent=1) + "\n")

    for result in quenches(largest, L, only, repeats):
        keep(result)
    if "itebd".startswith(only[:5]):
        keep(infinite(largest, repeats))
    for name, power in exponents(results).items():
        console.print(f"{name}: seconds ~ chi^{power:.2f}")


if __name__ == "__main__":
    typer.run(main)
