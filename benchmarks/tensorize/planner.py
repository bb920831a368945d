"""Is the plan that the planner picks near the best there is, and how does it compare with the dense product?

`python -m benchmarks.tensorize.planner`: twelve shapes; the plan picked from the few that are timed, against every plan
timed afterwards in turn, and against NumPy's product with the whole matrix. Milliseconds.
"""

import argparse
import json
import time
from math import prod
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tnsim import MPO, from_dense
from tnsim.symmetry import trivial_leg
from tnsim.tensorize import Planner

# factors (of rows and columns alike), rank, rows of the batch
SHAPES = [
    ((64, 64), 4, 256), ((64, 64), 8, 1), ((64, 64), 8, 256), ((64, 64), 16, 256), ((64, 64), 32, 256),
    ((16, 16, 16), 8, 1), ((16, 16, 16), 8, 64), ((8, 8, 8, 8), 8, 256), ((8, 8, 8, 8), 32, 1), ((32, 32), 8, 1),
    ((32, 32), 8, 256), ((32, 32), 16, 32),
]  # fmt: skip


def chain(factors: tuple[int, ...], rank: int) -> MPO:
    """Random cores in single precision."""
    rng = np.random.default_rng(0)
    bonds = (1, *[rank] * (len(factors) - 1), 1)
    cores = []
    for k, f in enumerate(factors):
        shape = (bonds[k], f, f, bonds[k + 1])
        legs = [trivial_leg(d, flow) for d, flow in zip(shape, (1, 1, -1, -1), strict=True)]
        cores.append(from_dense(rng.standard_normal(shape).astype(np.float32), legs))
    return MPO(cores)


def fastest(act, rows: np.ndarray, repeats: int) -> float:
    """Milliseconds of the fastest call."""
    act(rows)
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        act(rows)
        best = min(best, time.perf_counter() - start)
    return 1e3 * best


def one_shape(factors: tuple[int, ...], rank: int, count: int, repeats: int) -> dict:
    mpo, size = chain(factors, rank), prod(factors)
    rng = np.random.default_rng(1)
    rows, W = (rng.standard_normal(shape).astype(np.float32) for shape in ((count, size), (size, size)))
    planner = Planner(remember=False, seconds=2.0)
    picked = planner.plan(mpo, count)
    every = {plan: 1e3 * seconds for seconds, plan in planner.measure(mpo, count, 10**6)}
    best = min(every, key=lambda plan: every[plan])
    return {
        "shape": f"{'x'.join(map(str, factors))} r{rank} B{count}",
        "plan": str(picked),
        "ms": every[picked],
        "best": str(best),
        "best ms": every[best],
        "plans": len(every),
        "dense ms": fastest(lambda x: x @ W.T, rows, repeats),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    table = Table("shape", "picked", "ms", "best ms", "of plans", "picked / best", "dense ms", "dense / picked")
    results = [one_shape(*shape, arguments.repeats) for shape in SHAPES]
    for r in results:
        times = f"{r['ms']:.3f}", f"{r['best ms']:.3f}", str(r["plans"]), f"{r['ms'] / r['best ms']:.2f}"
        table.add_row(r["shape"], r["plan"], *times, f"{r['dense ms']:.3f}", f"{r['dense ms'] / r['ms']:.2f}")
    Console(width=160).print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
