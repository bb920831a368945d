"""Error and time against chi: CTMRG on the critical infinite lattice, and an open one beside quimb.

`python -m benchmarks.two_dimensions --json result.json` runs everything on one thread; `--largest 24` stops at that
bond dimension. The exponents are those of fits over the bond dimensions from 16 on. Coarse-graining has a benchmark of
its own, `benchmarks.coarse_graining`.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "TNSIM_THREADS"):
    os.environ.setdefault(_name, "1")

import importlib.util  # noqa: E402
import json  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Annotated, Any  # noqa: E402

import numpy as np  # noqa: E402
import typer  # noqa: E402

import tnsim as tn  # noqa: E402
from tnsim.models.classical import Ising  # noqa: E402

LN_Z = 0.929695398341610215  # per site at the critical point: ln 2 / 2 + 2 Catalan / pi
CRITICAL = float(np.log(1 + np.sqrt(2)) / 2)
# relative errors measured with independent code (dense NumPy) at the same bond dimension
REFERENCES = {("CTMRG", 8): 5.7e-7, ("CTMRG", 16): 3.65e-8, ("CTMRG", 24): 7.7e-9, ("CTMRG", 32): 2.2e-9}
# bounds in the tests of TNRKit.jl
TNRKIT = {("CTMRG", 24): 6e-8}


def _infinite(chi: int) -> float:
    """ln Z per site; CTMRG breaks the symmetry, so it runs without it."""
    run = tn.CTMRG(truncation=tn.Truncation(chi_max=chi), tol=1e-5)
    return run.solve(Ising(beta=CRITICAL)).log_z


def infinite(largest: int) -> Iterator[dict]:
    """One line a method and bond dimension."""
    for method, chi in sorted({*REFERENCES, *TNRKIT}):
        if chi > largest:
            continue
        _infinite(4)  # compilation, outside the timer
        clock = time.perf_counter()
        value = _infinite(chi)
        seconds = time.perf_counter() - clock
        yield {
            "method": method, "chi": chi, "symmetry": "none", "seconds": seconds,
            "error": abs(value / LN_Z - 1), "reference": REFERENCES.get((method, chi)),
            "TNRKit bound": TNRKIT.get((method, chi)),
        }  # fmt: skip


def exponents(lines: list[dict]) -> dict[str, float]:
    """Power of chi in the seconds, for every method without symmetry and enough bond dimensions."""
    found = {}
    for method in {line["method"] for line in lines}:
        mine = [line for line in lines if (line["method"], line["symmetry"]) == (method, "none") and line["chi"] >= 16]
        if len(mine) > 1:
            x, y = np.log([line["chi"] for line in mine]), np.log([line["seconds"] for line in mine])
            found[method] = float(np.polyfit(x, y, 1)[0])
    return found


def _with_tnsim(size: int, chi: int) -> float:
    run = tn.BoundaryMPS(truncation=tn.Truncation(chi_max=chi, svd_min=1e-14))
    return run.solve(Ising(beta=CRITICAL).finite(size, size)).log_z


def _with_quimb(size: int, chi: int) -> float:
    import quimb.tensor as qtn

    network = qtn.TN2D_classical_ising_partition_function(size, size, CRITICAL)
    value = network.contract_boundary(max_bond=chi, cutoff=1e-28, strip_exponent=True, equalize_norms=1.0)
    mantissa, exponent = value if isinstance(value, tuple) else (value, 0.0)
    return float(np.log(abs(mantissa)) + exponent * np.log(10))


def finite(size: int, chis: tuple[int, ...]) -> Iterator[dict]:
    """An open lattice at the critical point; the reference is ours at a bond dimension that cuts next to nothing."""
    exact = _with_tnsim(size, 4 * max(chis))
    engines: dict[str, Callable[[int, int], float]] = {"tnsim": _with_tnsim}
    if importlib.util.find_spec("quimb"):
        engines["quimb"] = _with_quimb
    for chi in chis:
        for name, contract in engines.items():
            contract(4, 4)  # compilation and caches
            clock = time.perf_counter()
            value = contract(size, chi)
            yield {
                "engine": name, "chi": chi, "seconds": time.perf_counter() - clock, "error": abs(value / exact - 1),
            }  # fmt: skip


def _show(line: dict[str, Any]) -> str:
    return "  ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in line.items()
        if value is not None
    )


def main(
    largest: Annotated[int, typer.Option(help="largest bond dimension on the infinite lattice")] = 32,
    size: Annotated[int, typer.Option(help="rows and columns of the open lattice")] = 20,
    output: Annotated[Path | None, typer.Option("--json", help="where the numbers go")] = None,
) -> None:
    """Run all, a line as soon as it is there."""
    lines = []
    for line in infinite(largest):
        print(_show(line), flush=True)
        lines.append(line)
    powers = exponents(lines)
    print(_show({f"{method} seconds ~ chi^": power for method, power in powers.items()}))
    table = []
    for line in finite(size, (4, 8, 12)):
        print(_show(line), flush=True)
        table.append(line)
    if output is not None:
        output.write_text(json.dumps({"infinite": lines, "exponents": powers, "open": table}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
