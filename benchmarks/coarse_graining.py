"""Coarse-graining against chi: errors, seconds and the power of chi in them, beside what others have published.

`python -m benchmarks.coarse_graining` runs on one thread and writes results/DATE-coarse-graining.json; `--largest 24`
stops at that bond dimension, `--parts conformal,energy` runs only those tables, `--plot errors.png` draws the first
one, `--table` rewrites the tables of benchmarks/README.md. Seconds are CPU seconds of a whole run to convergence (about
2^40 sites); the power of chi is fitted to the median of single steps.
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
from benchmarks import markdown  # noqa: E402
from tnsim.models.classical import CubicIsing, Ising  # noqa: E402
from tnsim.models.classical.cubic import CRITICAL as CUBIC_CRITICAL  # noqa: E402
from tnsim.models.classical.cubic import CRITICAL_FREE_ENERGY  # noqa: E402

RESULTS = Path(__file__).parent / "results"
LN_Z = 0.929695398341610215  # per site at the critical point: ln 2 / 2 + 2 Catalan / pi
CRITICAL = float(np.log(1 + np.sqrt(2)) / 2)
STEPS: dict[str, Callable] = {
    "TRG": tn.TRG, "BTRG": tn.BTRG, "ATRG": tn.ATRG, "HOTRG": tn.HOTRG, "HOSRG": tn.HOSRG,
    "LoopTNR": tn.LoopTNR,
}  # fmt: skip
CHIS = {
    "TRG": (8, 16, 24, 32, 48, 64), "BTRG": (8, 16, 24, 32, 48, 64), "ATRG": (8, 16, 24),
    "HOTRG": (8, 12, 16, 20, 24, 32), "HOSRG": (8, 12, 16, 20, 24), "LoopTNR": (4, 8, 12, 16),
}  # fmt: skip
CUBIC_CHIS = {"HOTRG3D": (4, 6, 8, 10), "ATRG3D": (4, 8, 12, 16, 20)}
# relative errors measured with independent code (dense NumPy) at the same bond dimension
REFERENCES = {
    ("TRG", 16): 4.6e-6, ("TRG", 24): 1.1e-6, ("TRG", 32): 5.3e-7, ("TRG", 48): 1.5e-7, ("TRG", 64): 7.0e-8,
    ("BTRG", 8): 1.1e-5, ("BTRG", 16): 3.3e-7, ("BTRG", 24): 5.6e-8, ("BTRG", 32): 1.4e-8, ("BTRG", 48): 2.5e-9,
    ("BTRG", 64): 7.0e-10, ("HOTRG", 8): 1.4e-5, ("HOTRG", 12): 1.7e-6, ("HOTRG", 16): 5.6e-7, ("HOTRG", 20): 1.6e-7,
    ("HOTRG", 24): 1.0e-7,
}  # fmt: skip
# published: bounds in the tests of TNRKit.jl (test/schemes/schemes.jl; HOSRG: its ctm_HOTRG, HOTRG with corners as the
# environment; in three dimensions against f = -3.508358), and its README for BTRG 16
PUBLISHED = {
    ("TRG", 24): 2e-6, ("ATRG", 24): 3e-6, ("BTRG", 16): 3.1e-7, ("BTRG", 24): 6e-8, ("HOTRG", 16): 6e-7,
    ("LoopTNR", 8): 1e-6, ("HOSRG", 8): 2e-5, ("HOTRG3D", 8): 1e-3, ("ATRG3D", 12): 5e-3,
}  # fmt: skip
# (error, seconds) that were asked for
TARGETS = {
    ("TRG", 24): (1.3e-6, 1), ("TRG", 64): (8e-8, 40), ("BTRG", 16): (3.5e-7, 0.4), ("BTRG", 32): (1.6e-8, 4),
    ("BTRG", 64): (8e-10, 60), ("HOTRG", 16): (6e-7, 1), ("HOTRG", 24): (1.2e-7, 8), ("HOTRG", 32): (None, 60),
    ("ATRG", 24): (3e-6, None), ("LoopTNR", 8): (5e-7, 5), ("LoopTNR", 16): (1e-8, 120),
    ("HOTRG3D", 8): (1e-3, 30), ("ATRG3D", 12): (5e-3, 60),
}  # fmt: skip


def _timed(run: tn.CoarseGraining, model: Any) -> tuple[Any, float, float]:
    """The result of a run, its CPU seconds, and the median of those of steps at the full bond dimension."""
    clock, steps, last = time.process_time(), [], []
    for report in run.steps(model):
        now = time.process_time()
        steps.append((report.chi, now - clock))
        last, clock = [*last[-1:], report], now
        if report.step > 3 and max(abs(r.log_z_change) for r in last) <= run.tol:
            break
    full = [seconds for chi, seconds in steps if chi == run.step.chi_max]
    return last[-1], sum(seconds for _, seconds in steps), float(np.median(full)) if full else float("nan")


def free_energies(largest: int, methods: str) -> Iterator[dict]:
    """ln Z per site of the critical square lattice: one line a method, symmetry and bond dimension."""
    for method in methods.split(","):
        chis = CHIS[method]
        for conserve in (None, "parity"):
            model = Ising(beta=CRITICAL, conserve=conserve)
            tn.CoarseGraining(step=STEPS[method](chi_max=4), max_steps=8).solve(model)  # compiled before the timer
            for chi in (chi for chi in chis if chi <= largest):
                if conserve is None and chi > 32:
                    continue  # blocks only: the exponent is that of smaller ones
                found, seconds, step = _timed(tn.CoarseGraining(step=STEPS[method](chi_max=chi)), model)
                error, limit = TARGETS.get((method, chi), (None, None))
                yield {
                    "method": method, "chi": chi, "symmetry": conserve or "none", "error": abs(found.log_z / LN_Z - 1),
                    "seconds": seconds, "seconds a step": step, "reference": REFERENCES.get((method, chi)),
                    "published": PUBLISHED.get((method, chi)), "target error": error, "target seconds": limit,
                }  # fmt: skip


def exponents(lines: list[dict]) -> dict[str, float]:
    """Power of chi in the seconds of a step, from the bond dimensions from 16 on (LoopTNR: 8)."""
    found = {}
    for method in STEPS:
        for symmetry in ("none", "parity"):
            least = 8 if method == "LoopTNR" else 16
            mine = [x for x in lines if (x["method"], x["symmetry"]) == (method, symmetry) and x["chi"] >= least]
            if len(mine) > 2:
                x, y = np.log([line["chi"] for line in mine]), np.log([line["seconds a step"] for line in mine])
                found[f"{method}, {symmetry}"] = float(np.polyfit(x, y, 1)[0])
    return found


def conformal(largest: int) -> Iterator[dict]:
    """Largest distance of 1/8, 1 and c = 1/2 over eight steps (exact 0.125, 1, 0.5)."""
    for method, chi, first in (("BTRG", 16, 5), ("HOTRG", 16, 5), ("LoopTNR", 8, 10), ("LoopTNR", 16, 13)):
        if chi > largest:
            continue
        run = tn.CoarseGraining(step=STEPS[method](chi_max=chi), max_steps=first + 7, width=2, levels=5)
        history = run.solve(Ising(beta=CRITICAL, conserve="parity")).history[first:]
        yield {
            "method": method, "chi": chi, "steps": f"{first} to {first + 7}",
            "1/8": max(abs(r.dimensions[1] - 1 / 8) for r in history),
            "1": max(abs(r.dimensions[2] - 1) for r in history),
            "9/8": max(abs(r.dimensions[3] - 9 / 8) for r in history),
            "c": max(abs(r.central_charge - 1 / 2) for r in history),
        }  # fmt: skip


def energies(largest: int) -> Iterator[dict]:
    """Relative errors of the energy by differentiation and by an impurity, beside that of ln Z."""
    for beta in (0.4, 0.5):
        for chi in (chi for chi in (8, 12, 16, 24) if chi <= largest):
            model = Ising(beta=beta, conserve="parity")
            run = tn.CoarseGraining(step=tn.HOTRG(chi_max=chi, derivatives=2), measure=("energy",))
            clock, found = time.process_time(), run.solve(model)
            exact = model.facts["energy per site"].value
            yield {
                "beta": beta, "chi": chi, "seconds": time.process_time() - clock,
                "ln Z": abs(found.log_z / model.facts["ln Z per site"].value - 1),
                "differentiated": abs(-found.derivatives[0] / exact - 1),
                "impurity": abs(found.means["energy"] / exact - 1),
            }  # fmt: skip


def cubic(largest: int) -> Iterator[dict]:
    """Free energy and critical temperature of the cubic lattice (4.5115; 4.511544 by 16 states, Xie 2012)."""
    for step in (tn.HOTRG3D, tn.ATRG3D):
        for chi in (chi for chi in CUBIC_CHIS[step.__name__] if chi <= largest):
            run = tn.CoarseGraining(step=step(chi_max=chi), max_steps=24)
            clock, found = time.process_time(), run.solve(CubicIsing(beta=CUBIC_CRITICAL, conserve="parity"))
            seconds, free = time.process_time() - clock, -found.log_z / CUBIC_CRITICAL
            error, limit = TARGETS.get((step.__name__, chi), (None, None))
            line = {
                "method": step.__name__, "chi": chi, "seconds": seconds, "error": abs(free / CRITICAL_FREE_ENERGY - 1),
                "published": PUBLISHED.get((step.__name__, chi)), "target error": error, "target seconds": limit,
            }  # fmt: skip
            yield line | ({"T_c": _critical_temperature(chi)} if step is tn.HOTRG3D and chi <= 6 else {})


def _critical_temperature(chi: int) -> float:
    """Where the number of phases jumps from 1 to 2, to 1e-4, by bisection."""
    ordered, disordered = 4.3, 4.7
    while disordered - ordered > 1e-4:
        middle = (ordered + disordered) / 2
        model = CubicIsing(beta=1 / middle, conserve="parity")
        *_, last = tn.CoarseGraining(step=tn.HOTRG3D(chi_max=chi), max_steps=50).steps(model)
        ordered, disordered = (middle, disordered) if last.phases > 1.5 else (ordered, middle)
    return (ordered + disordered) / 2


PARTS: dict[str, Callable[..., Iterator[dict]]] = {
    "free": free_energies, "conformal": conformal, "energy": energies, "cubic": cubic
}  # fmt: skip


def _show(line: dict[str, Any]) -> str:
    shown = ((key, f"{x:.3g}" if isinstance(x, float) else x) for key, x in line.items() if x is not None)
    return "  ".join(f"{key} {value}" for key, value in shown)


def _draw(lines: list[dict], path: Path) -> None:
    curves: dict[str, dict[int, float]] = {}
    for line in lines:
        if line["symmetry"] == "parity":
            curves.setdefault(line["method"], {})[line["chi"]] = line["error"]
    published: dict[str, dict[int, float]] = {}
    for (method, chi), error in PUBLISHED.items():
        published.setdefault(method, {})[chi] = error
    tn.plot_errors(curves, published=published, path=path)


_TITLES = {
    "free": "ln Z per site of the square lattice at the critical point: relative error",
    "conformal": "largest distance from 1/8, 1, 9/8 and c = 1/2 over eight steps, two tensors side by side",
    "energy": "HOTRG off the critical point: relative errors of ln Z, of the energy differentiated and by an impurity",
    "cubic": "the cubic lattice at its critical point: relative error of the free energy, and T_c from the phases",
}  # fmt: skip


def write_tables() -> None:
    """The newest results as Markdown between the markers of benchmarks/README.md."""
    newest = max(RESULTS.glob("*-coarse-graining.json"))
    tables, parts = json.loads(newest.read_text()), []
    for part, title in _TITLES.items():
        if lines := tables.get(part):
            parts += [f"**{title}**", "", *markdown.table(lines, list({key: 0 for line in lines for key in line})), ""]
    powers = ", ".join(f"{name}: {power:.2f}" for name, power in tables.get("exponents", {}).items())
    parts += [f"Seconds of a step ~ chi to the power of: {powers}.", "", f"{newest.name}, CPU seconds, load average "
              f"{tables['load average']:.1f} on {os.cpu_count()} cores."]  # fmt: skip
    markdown.replace_between("coarse-graining", parts)


def main(
    largest: Annotated[int, typer.Option(help="largest bond dimension")] = 32,
    methods: Annotated[str, typer.Option(help="of the table of free energies, with commas")] = ",".join(CHIS),
    parts: Annotated[str, typer.Option(help="tables to make, with commas")] = ",".join(PARTS),
    output: Annotated[Path | None, typer.Option("--json", help="where the numbers go, if not to results/")] = None,
    table: Annotated[bool, typer.Option("--table", help="only rewrite the tables in benchmarks/README.md")] = False,
    plot: Annotated[Path | None, typer.Option(help="where a figure of the errors goes")] = None,
) -> None:
    """Run all, a line as soon as it is there."""
    if table:
        write_tables()
        return
    tables: dict[str, Any] = {"job": "coarse-graining", "load average": os.getloadavg()[0]}
    for part in parts.split(","):
        print(f"{part}: {PARTS[part].__doc__}")
        tables[part] = []
        for line in PARTS[part](*((largest, methods) if part == "free" else (largest,))):
            print(_show(line), flush=True)
            tables[part].append(line)
        if part == "free":
            tables["exponents"] = exponents(tables[part])
            print(_show({f"{name}: seconds ~ chi^": power for name, power in tables["exponents"].items()}))
    if plot is not None and "free" in tables:
        _draw(tables["free"], plot)
    target = output or RESULTS / f"{datetime.date.today()}-coarse-graining.json"
    target.write_text(json.dumps(tables, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
