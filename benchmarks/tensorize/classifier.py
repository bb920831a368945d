"""How well do matrix-product states tell digits apart, and how much of them can be dropped? A toy: 8x8 digits.

`python -m benchmarks.tensorize.classifier` (needs scikit-learn, for the data only): accuracies on 30% of the data, by
gradients of all cores at chi 8 and 16 and by two-site sweeps at chi 10, before and after singular values below a share
of the norm of the weights are dropped. Seconds are of the training.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.tensorize.digits import data
from tnsim.tensorize import GradientTraining, MPSClassifier, SweepTraining

TRAININGS = {
    "gradients, chi 8": ({"chi": 8}, GradientTraining()),
    "gradients, chi 16": ({"chi": 16}, GradientTraining()),
    "sweeps, chi 10, (1, x)": ({"chi": 2}, SweepTraining(chi_max=10, sweeps=2)),
    "sweeps, chi 10, (cos, sin)": ({"chi": 2, "kind": "angle"}, SweepTraining(chi_max=10, sweeps=2)),
}
THRESHOLDS = (0.0, 1e-2, 3e-2, 1e-1)


def one_seed(seed: int) -> list[dict]:
    x, y, x_test, y_test = data(seed)
    rows = []
    for name, (start, training) in TRAININGS.items():
        began = time.perf_counter()
        found = training.solve(MPSClassifier.new((8, 8), 10, seed=seed, **start), x, y)
        seconds = time.perf_counter() - began
        for threshold in THRESHOLDS:
            kept = found.dropped(threshold) if threshold else found
            rows.append(
                {
                    "training": name,
                    "dropped below": threshold,
                    "numbers": kept.numbers,
                    "accuracy": kept.accuracy(x_test, y_test),
                    "seconds": seconds,
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    runs = [one_seed(seed) for seed in range(arguments.seeds)]
    table = Table("training", "dropped below", "numbers", "accuracy, seed by seed", "mean", "seconds")
    for rows in zip(*runs, strict=True):
        first, values = rows[0], [row["accuracy"] for row in rows]
        numbers, seconds = (np.mean([row[name] for row in rows]) for name in ("numbers", "seconds"))
        each = " ".join(f"{value:.3f}" for value in values)
        words = first["training"], f"{first['dropped below']:g}", f"{numbers:.0f}", each
        table.add_row(*words, f"{np.mean(values):.3f}", f"{seconds:.1f}")
    Console(width=110).print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    main()
