"""Corner transfer matrices and boundary MPS: error and seconds against chi, and a finite lattice beside quimb.

`python -m benchmarks.boundaries` prints a table and writes results/DATE-boundaries.json, on one thread; `--quick` stops
at small bond dimensions, `--table` rewrites the table of benchmarks/README.md. Seconds are CPU seconds; engines take
turns, and the best of their repetitions counts.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "TNSIM_THREADS"):
    os.environ.setdefault(_name, "1")

import datetime  # noqa: E402
import importlib.util  # noqa: E402
import json  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Annotated, Any  # noqa: E402

import numpy as np  # noqa: E402
import typer  # noqa: E402

import tnsim as tn  # noqa: E402
from benchmarks import markdown  # noqa: E402
from tnsim.models.classical import Ising  # noqa: E402

LN_Z = 0.929695398341610215  # per site at the critical point: ln 2 / 2 + 2 Catalan / pi
CRITICAL = float(np.log(1 + np.sqrt(2)) / 2)
RESULTS = Path(__file__).parent / "results"
# (method, chi): (tolerance, error and seconds that were aimed at)
TARGETS = {
    ("CTMRG", 16): (1e-4, None, None), ("CTMRG", 24): (1e-4, 1e-8, 3.0), ("CTMRG", 32): (1e-4, None, None),
    ("CTMRG", 48): (1e-3, 6e-10, 8.0), ("boundary MPS", 64): (2e-6, 1e-8, None),
    ("boundary MPS", 128): (4e-7, 1e-9, None),
}  # fmt: skip
# relative errors measured with independent code (dense NumPy) at the same bond dimension, at 48 not quite converged
REFERENCES = {("CTMRG", 16): 3.65e-8, ("CTMRG", 24): 7.7e-9, ("CTMRG", 32): 2.2e-9, ("CTMRG", 48): 5.7e-10}
# published: the bound of c4vCTM in the tests of TNRKit.jl (test/schemes/schemes.jl)
PUBLISHED = {("CTMRG", 24): 6e-8}
_COLUMNS = ("job", "engine", "chi", "seconds", "error", "reference", "published", "error aimed at", "seconds aimed at",
            "ratio", "note")  # fmt: skip


def _infinite(method: str, chi: int, tol: float, beta: float = CRITICAL) -> Any:
    truncation = tn.Truncation(chi_max=chi, svd_min=1e-10)
    run = (tn.CTMRG if method == "CTMRG" else tn.InfiniteBoundary)(truncation=truncation, tol=tol)
    return run.solve(Ising(beta=beta))


def critical(largest: int) -> Iterator[dict]:
    """The infinite lattice at the critical point."""
    for (method, chi), (tol, error, seconds) in TARGETS.items():
        if chi > largest:
            continue
        _infinite(method, 6, 1e-3)  # compilation, outside the timer
        clock = time.process_time()
        found = _infinite(method, chi, tol)
        yield {
            "job": "critical Ising", "engine": method, "chi": chi, "seconds": time.process_time() - clock,
            "error": abs(found.log_z / LN_Z - 1), "error aimed at": error, "seconds aimed at": seconds,
            "reference": REFERENCES.get((method, chi)), "published": PUBLISHED.get((method, chi)),
            "note": f"tol {tol:.0e}, {found.status.name}, {len(found.history)} reports",
        }  # fmt: skip


def gapped() -> Iterator[dict]:
    """Off the critical point, against Onsager."""
    for beta in (0.3, 0.4, 0.5):
        exact = Ising(beta=beta).facts["ln Z per site"].value
        for method in ("CTMRG", "boundary MPS"):
            clock = time.process_time()
            found = _infinite(method, 24, 1e-10, beta)
            yield {
                "job": f"Ising beta {beta}", "engine": method, "chi": 24, "seconds": time.process_time() - clock,
                "error": abs(found.log_z / exact - 1), "error aimed at": 1e-13 if method == "CTMRG" else 1e-12,
            }  # fmt: skip


def _tnsim(size: int, chi: int, estimate: bool = True) -> float:
    """Both directions, and both ways in each: an error estimate comes with it."""
    run = tn.BoundaryMPS(truncation=tn.Truncation(chi_max=chi, svd_min=1e-14), estimate=estimate)
    return run.solve(Ising(beta=CRITICAL).finite(size, size)).log_z


def _tnsim_once(size: int, chi: int) -> float:
    """Two boundaries that meet in the middle, as of the other engine."""
    return _tnsim(size, chi, estimate=False)


def _quimb(size: int, chi: int) -> float:
    import quimb.tensor as qtn

    network = qtn.TN2D_classical_ising_partition_function(size, size, CRITICAL)
    value = network.contract_boundary(max_bond=chi, cutoff=1e-28, strip_exponent=True, equalize_norms=1.0)
    mantissa, exponent = value if isinstance(value, tuple) else (value, 0.0)
    return float(np.log(abs(mantissa)) + exponent * np.log(10))


def finite(size: int, chis: tuple[int, ...], repeats: int) -> Iterator[dict]:
    """An open lattice at the critical point; the reference cuts next to nothing."""
    exact = _tnsim(size, 4 * max(chis))
    engines: dict[str, Callable[[int, int], float]] = {"tnsim": _tnsim_once, "tnsim four ways": _tnsim}
    if importlib.util.find_spec("quimb"):
        engines["quimb"] = _quimb
    for contract in engines.values():
        contract(4, 4)  # compilation and caches
    for chi in chis:
        best: dict[str, tuple[float, float]] = {}
        for _ in range(repeats):
            for name, contract in engines.items():
                clock = time.process_time()
                value = contract(size, chi)
                seconds = time.process_time() - clock
                best[name] = min(best.get(name, (np.inf, value)), (seconds, value))
        for name, (seconds, value) in best.items():
            yield {
                "job": f"open {size} x {size}", "engine": name, "chi": chi, "seconds": seconds,
                "error": abs(value / exact - 1), "ratio": seconds / best["tnsim"][0],
                "note": f"best of {repeats}",
            }  # fmt: skip


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.2e}" if isinstance(value, float) and value < 1e-2 else (
        f"{value:.2f}" if isinstance(value, float) else str(value)
    )  # fmt: skip


def main(
    quick: Annotated[bool, typer.Option(help="small bond dimensions, and no file")] = False,
    size: Annotated[int, typer.Option(help="rows and columns of the open lattice")] = 20,
    table: Annotated[bool, typer.Option("--table", help="only rewrite the table in benchmarks/README.md")] = False,
) -> None:
    """Run all, a line as soon as it is there."""
    if table:
        markdown.replace_by_newest("boundaries", _COLUMNS, RESULTS)
        return
    lines = []
    print("| " + " | ".join(_COLUMNS) + " |\n|" + "---|" * len(_COLUMNS))
    jobs = (finite(8 if quick else size, (8, 16, 32), 1 if quick else 3), gapped(), critical(24 if quick else 128))
    for line in (line for job in jobs for line in job):
        print("| " + " | ".join(_shown(line.get(column)) for column in _COLUMNS) + " |", flush=True)
        lines.append(line | {"load average": os.getloadavg()[0]})
        if not quick:
            target = RESULTS / f"{datetime.date.today()}-boundaries.json"
            target.write_text(json.dumps({"numpy": np.__version__, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
