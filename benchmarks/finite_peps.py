"""Seconds and errors of measuring finite PEPS: norm and all bonds of 10 x 10 Heisenberg states, beside quimb.

`python -m benchmarks.finite_peps --json result.json` runs everything on one thread. States come from a simple update;
both engines measure the same tensors. Of 10 x 10 sites quantum Monte Carlo has -0.6286561(2) a site (A. W. Sandvik,
arXiv:2601.20189), finite PEPS optimised by gradients -0.628601(2) (W.-Y. Liu et al., Phys. Rev. B 95, 195154 (2017)).
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "TNSIM_THREADS"):
    os.environ.setdefault(_name, "1")

import importlib.util  # noqa: E402
import json  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Annotated, Any  # noqa: E402

import numpy as np  # noqa: E402
import typer  # noqa: E402

from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement  # noqa: E402
from tnsim.algorithms.peps.updates.cooling import Cooling  # noqa: E402
from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate  # noqa: E402
from tnsim.linalg import Truncation  # noqa: E402
from tnsim.models import Heisenberg, Lattice  # noqa: E402
from tnsim.networks.peps import PEPS, PlaneTerms  # noqa: E402


def ground_state(terms: PlaneTerms, D: int) -> PEPS:
    """By imaginary time in three lengths of steps, from the Neel state."""
    states = [["up" if (i + j) % 2 else "down" for j in range(terms.shape[1])] for i in range(terms.shape[0])]
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=D), imaginary=True)
    cooling = Cooling(update=update, dts=(0.2, 0.05, 0.02), tol=2e-4, max_steps=200)
    return cooling.solve(terms, PEPS.product(terms.sites, states)).state.psi


def _timed(job: Any) -> tuple[Any, float, float]:
    """The result, wall seconds, and seconds of the processor."""
    wall, busy = time.perf_counter(), time.process_time()
    found = job()
    return found, time.perf_counter() - wall, time.process_time() - busy


def with_tnsim(psi: PEPS, terms: PlaneTerms, chi: int, norm_chi: int) -> Iterator[dict]:
    """All bonds from rows, and from rows and columns; the norm."""
    for directions in ("rows", "both"):
        run = BoundaryMeasurement(truncation=Truncation(chi_max=chi), directions=directions)
        run.measure(psi, terms)  # plans and compilation, outside the timer
        found, wall, busy = _timed(lambda run=run: run.measure(psi, terms))
        yield {"engine": "tnsim", "what": f"energy, {directions}", "chi": chi, "seconds": wall, "cpu": busy,
               "value": found.energy_per_site, "pair_error": found.pair_error}  # fmt: skip
    run = BoundaryMeasurement(truncation=Truncation(chi_max=norm_chi), directions="rows")
    run.norm(psi)
    found, wall, busy = _timed(lambda: run.norm(psi))
    yield {"engine": "tnsim", "what": "norm", "chi": norm_chi, "seconds": wall, "cpu": busy, "value": found.log}


def with_quimb(psi: PEPS, terms: PlaneTerms, chi: int, norm_chi: int) -> Iterator[dict]:
    """The same tensors; quimb counts rows upwards, and has no legs that leave the lattice."""
    import quimb.tensor as qtn

    m, n = psi.shape
    rows = []
    for i in range(m - 1, -1, -1):
        outer = [[k for k, out in enumerate((i == 0, j == n - 1, i == m - 1, j == 0)) if out] for j in range(n)]
        rows.append([np.squeeze(np.asarray(psi.tensor(i, j).array), tuple(outer[j])) for j in range(n)])
    state = qtn.PEPS(rows, shape="urdlp")
    pairs = {((m - 1 - t.first[0], t.first[1]), (m - 1 - t.second[0], t.second[1])): t.matrix for t in terms.pairs}
    state.compute_local_expectation(dict([next(iter(pairs.items()))]), max_bond=4, normalized=True)
    found, wall, busy = _timed(lambda: state.compute_local_expectation(pairs, max_bond=chi, normalized=True))
    yield {"engine": "quimb", "what": "energy", "chi": chi, "seconds": wall, "cpu": busy, "value": found.real / (m * n)}
    found, wall, busy = _timed(lambda: state.compute_norm(max_bond=norm_chi))
    value = float(np.log(abs(found)))
    yield {"engine": "quimb", "what": "norm", "chi": norm_chi, "seconds": wall, "cpu": busy, "value": value}


def _show(line: dict[str, Any]) -> str:
    return "  ".join(f"{k} {v:.8g}" if k == "value" else f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}"
                     for k, v in line.items())  # fmt: skip


def main(
    size: Annotated[int, typer.Option(help="rows and columns")] = 10,
    chi: Annotated[int, typer.Option(help="states of the boundaries for energies")] = 32,
    norm_chi: Annotated[int, typer.Option(help="states of the boundaries for the norm")] = 64,
    smallest: Annotated[int, typer.Option(help="smallest bond dimension D")] = 2,
    largest: Annotated[int, typer.Option(help="largest bond dimension D")] = 4,
    output: Annotated[Path | None, typer.Option("--json", help="where the numbers go")] = None,
) -> None:
    """Run all, a line as soon as it is there."""
    terms = PlaneTerms.of(Heisenberg(lattice=Lattice("square", size, size), conserve=None))
    engines = [with_tnsim, *([with_quimb] if importlib.util.find_spec("quimb") else [])]
    lines = []
    for D in range(smallest, largest + 1):
        psi, wall, busy = _timed(lambda D=D: ground_state(terms, D))
        print(f"D {D}: simple update in {wall:.1f} s", flush=True)
        for engine in engines:
            for line in engine(psi, terms, chi, norm_chi):
                lines.append({"D": D, **line})
                print(_show(lines[-1]), flush=True)
    if output is not None:
        output.write_text(json.dumps({"size": size, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
