"""Projectors of CTMRG beside full decompositions: seconds a step, steps, and the energy at the fixed point.

`python -m benchmarks.projectors` prints a table and writes results/DATE-projectors.json, on one thread; `--quick` takes
D = 2 and writes no file, `--table` rewrites the table of benchmarks/README.md. All kinds contract one PEPS of the
Heisenberg model on one symmetric tensor. Seconds are CPU seconds; steps are timed at the end of each run, kinds in
turn, and the median counts.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "TNSIM_THREADS"):
    os.environ.setdefault(_name, "1")

import contextlib  # noqa: E402
import datetime  # noqa: E402
import json  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Annotated, Any  # noqa: E402
from unittest import mock  # noqa: E402

import numpy as np  # noqa: E402
import typer  # noqa: E402

import tnsim as tn  # noqa: E402
from benchmarks import markdown  # noqa: E402
from tnsim.algorithms.peps.infinite.infinite_density import pair_density  # noqa: E402
from tnsim.algorithms.peps.variational.symmetric_energy import SymmetricTerms  # noqa: E402
from tnsim.algorithms.peps.variational.symmetric_environment import SymmetricEnvironment  # noqa: E402
from tnsim.algorithms.peps.variational.symmetric_variational import half_turn  # noqa: E402
from tnsim.models import Heisenberg  # noqa: E402
from tnsim.networks.square_network import FLOWS, InfiniteNetwork  # noqa: E402
from tnsim.tensor import Tensor, bra, contract, fuse, split  # noqa: E402

RESULTS = Path(__file__).parent / "results"
MODEL = Heisenberg(lattice=tn.Lattice("square", 2, 2), conserve=None)
# of four corners and of one; svd: of every ring in full, where "full" projects at random as soon as that is cheaper
KINDS = (("four", "svd"), ("four", "full"), ("four", "half"), ("four", "randomized"), ("four", "qr"),
         ("one", "eigh"), ("one", "qr"))  # fmt: skip
# what others are compared with
FIRST = {"four": "svd", "one": "eigh"}
_COLUMNS = ("corners", "projector", "seconds a step", "times as fast", "steps", "seconds", "in all, times as fast",
            "energy", "difference", "note")  # fmt: skip


def symmetric_state(D: int, chi: int) -> tn.InfinitePEPS:
    """Ten iterations by gradient after simple update, one tensor that all symmetries of the square leave alone."""
    update = tn.SimpleUpdate(dt=0.1, truncation=tn.Truncation(chi_max=D, svd_min=1e-10), imaginary=True)
    solver = tn.SymmetricVariationalPEPS(
        D=D, environment=tn.EnvironmentSettings(chi_max=chi), attempts=1, restarts=0,
        cooling=tn.Cooling(update=update, dts=(0.1, 0.03), tol=1e-4),
        minimization=tn.MinimizationSettings(max_iterations=10),
    )  # fmt: skip
    found = solver.solve(MODEL).state
    return tn.InfinitePEPS(found.tensors[:1], [[0]], found.kinds[:1])


class Contraction:
    """One kind of projector on a state: a run to its fixed point, and steps from there."""

    def __init__(self, psi: tn.InfinitePEPS, corners: str, projector: str, chi: int, tol: float) -> None:
        self.corners, self.projector, self.steps = corners, projector, []
        self._psi, self._truncation = psi, tn.Truncation(chi_max=chi, svd_min=1e-10)
        self._kind = "full" if projector == "svd" else projector
        ctmrg = tn.CTMRG(
            truncation=self._truncation, symmetric=corners == "one", projector=self._kind, tol=tol, max_steps=300,
        )  # fmt: skip
        network: Any = doubled(psi.tensors[0]) if corners == "one" else psi
        clock = time.process_time()
        with self._decomposed():
            self.solution = ctmrg.solve(network)
        self.seconds = time.process_time() - clock
        self.environment: Any = self.solution.environment

    def _decomposed(self) -> contextlib.AbstractContextManager:
        """No random projection where full decompositions are asked for."""
        if self.projector != "svd":
            return contextlib.nullcontext()
        return mock.patch("tnsim.linalg.product_svd._WORTH", float("inf"))

    def step(self) -> None:
        """One step with what is compared after it, timed."""
        clock = time.process_time()
        with self._decomposed():
            self.environment, _ = self.environment.grown(self._truncation, self._kind)
        assert len(self.environment.marks)
        self.steps.append(time.process_time() - clock)

    @property
    def energy(self) -> float:
        """Per site."""
        site, environment = self._psi.tensors[0], self.solution.environment
        terms = SymmetricTerms.of(tn.PlaneTerms.infinite_of(MODEL, [[0]]), half_turn(self._psi.kinds[0]))
        if self.corners == "one":
            edge = split(environment.edge, 1, (site.legs[0].dual, site.legs[0]))
            return float(terms.energy(SymmetricEnvironment(environment.corner, edge), site).item())
        pairs = (pair_density(environment, (0, 0), place) for place in ((0, 1), (1, 0)))
        return float(sum(np.trace(rho @ terms.nearest) for rho in pairs)) / 2


def doubled(site: Tensor) -> InfiniteNetwork:
    """Ket and bra as one tensor, for one corner, which starts from bonds that are traced as four do."""
    double = contract("n e s w p, N E S W p -> n N e E s S w W", site, bra(site))
    traced = np.eye(site.shape[0]).ravel()
    return InfiniteNetwork([[fuse(double, [(0, 1), (2, 3), (4, 5), (6, 7)], FLOWS)]], edges={"free": traced})


def compared(D: int, chi: int, tol: float, repeats: int) -> Iterator[dict]:
    """All kinds on one state."""
    psi = symmetric_state(D, 2 * D * D)
    for corners, projector in KINDS:  # compilation and plans, outside the timer
        Contraction(psi, corners, projector, D * D, 1e-2).step()
    runs = [Contraction(psi, corners, projector, chi, tol) for corners, projector in KINDS]
    for _ in range(repeats):
        for run in runs:
            run.step()
    first = {run.corners: run for run in runs if FIRST[run.corners] == run.projector}
    for run in runs:
        base, step = first[run.corners], float(np.median(run.steps))
        yield {
            "corners": run.corners, "projector": run.projector, "D": D, "chi": chi, "seconds a step": step,
            "times as fast": float(np.median(base.steps)) / step, "steps": run.solution.history[-1].step,
            "seconds": run.seconds, "in all, times as fast": base.seconds / run.seconds,
            "energy": f"{run.energy:.12f}", "difference": run.energy - first["four"].energy,
            "note": run.solution.status.name,
        }  # fmt: skip


def main(
    quick: Annotated[bool, typer.Option(help="D = 2, and no file")] = False,
    chi: Annotated[int, typer.Option(help="bond dimension of the environments")] = 48,
    repeats: Annotated[int, typer.Option(help="steps of each kind that are timed")] = 9,
    table: Annotated[bool, typer.Option("--table", help="only rewrite the table in benchmarks/README.md")] = False,
) -> None:
    """Run all, and print the table."""
    if table:
        markdown.replace_by_newest("projectors", _COLUMNS, RESULTS)
        return
    lines = [
        line | {"load average": os.getloadavg()[0]}
        for line in compared(2 if quick else 4, 16 if quick else chi, 1e-10, repeats)
    ]
    print("\n".join(markdown.table(lines, _COLUMNS)))
    if not quick:
        target = RESULTS / f"{datetime.date.today()}-projectors.json"
        target.write_text(json.dumps({"numpy": np.__version__, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
