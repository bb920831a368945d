"""How fast is a chain as a layer, beside nn.Linear, tltorch and torchTT in one process?

`OMP_NUM_THREADS=1 python -m benchmarks.tensorize.layers` (needs tensorly-torch, tensorly and torchTT): forward and
training step in single precision, one thread. The engines take turns, so that what else the machine does strikes all of
them; in its turn each is called again and again for some milliseconds, the first call not counted, so that none pays
for what another left in the cache. Median milliseconds, and how many times faster than nn.Linear; below a step, the
numbers that autograd keeps between forward and backward. `--planner`: instead, a sweep of 48 shapes: the plan picked
against the best of all plans and nn.Linear.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import tnsim.tensorize as tz
from tnsim.tensorize.nn.tuning import measured_plans

# features, factors, rank, rows of the batch
SHAPES = [
    (4096, (64, 64), 8, 1), (4096, (64, 64), 4, 256), (4096, (64, 64), 8, 256), (4096, (64, 64), 16, 256),
    (4096, (64, 64), 32, 256), (4096, (16, 16, 16), 8, 1), (4096, (8, 8, 8, 8), 8, 256), (1024, (32, 32), 8, 1),
    (1024, (32, 32), 8, 256), (1024, (32, 32), 16, 256),
]  # fmt: skip
STEPS = [(4096, (64, 64), 8, 256), (1024, (32, 32), 8, 256)]
SWEEP = [
    (features, factors, rank, rows)
    for features, choices in ((256, [(16, 16)]), (1024, [(32, 32), (8, 8, 16)]), (2048, [(32, 64)]))
    for factors in choices
    for rank in (4, 8, 16, 64)
    for rows in (1, 16, 256)
    if rank <= factors[0] ** 2
]


def engines(features: int, factors: tuple[int, ...], rank: int, rows: int) -> dict[str, Callable[[torch.Tensor], Any]]:
    """Layers by name, each a module; torchTT takes rows in the shape of the factors."""
    import tltorch
    import torchtt.nn

    chain = tz.TTLinear(features, features, chi=rank, factors=(factors, factors))
    tz.tune_plans_(chain.eval(), torch.randn(rows, features), tz.Planner(seconds=2.0, remember=False))
    peer = tltorch.FactorizedLinear(
        in_tensorized_features=factors, out_tensorized_features=factors, factorization="blocktt", rank=rank
    )
    shaped = torchtt.nn.LinearLayerTT(list(factors), list(factors), [1, *[rank] * (len(factors) - 1), 1])
    dense = nn.Linear(features, features)
    return {
        "nn.Linear": dense,
        "tnsim": chain,
        "tltorch": peer,
        "torchTT": lambda x: shaped(x.reshape(len(x), *factors)).reshape(len(x), -1),
    }


def in_turn(acts: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each."""
    found: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(rounds + 1):
        for name, act in acts.items():
            times = one_turn(act)
            if number:
                found[name] += times
    return {name: float(np.median(times)) for name, times in found.items()}


def one_turn(act: Callable[[], Any], most: int = 20, milliseconds: float = 10.0) -> list[float]:
    """Of each call after the first, of which there is one at least."""
    act()
    times: list[float] = []
    while not times or (len(times) < most and sum(times) < milliseconds):
        start = time.perf_counter()
        act()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def forward(features: int, factors: tuple[int, ...], rank: int, rows: int, rounds: int) -> dict[str, Any]:
    x = torch.randn(rows, features)
    layers = engines(features, factors, rank, rows)
    with torch.no_grad():
        times = in_turn({name: lambda layer=layer: layer(x) for name, layer in layers.items()}, rounds)
    return {"job": f"forward {label(factors, rank, rows)}", "plan": str(layers["tnsim"].plan), "ms": times}


def step(features: int, factors: tuple[int, ...], rank: int, rows: int, rounds: int) -> dict[str, Any]:
    """Forward, backward to parameters and input."""
    x = torch.randn(rows, features, requires_grad=True)
    layers = engines(features, factors, rank, rows)
    chain = layers["tnsim"]
    chain.train()

    def act(layer: Callable[[torch.Tensor], Any]) -> None:
        layer(x).pow(2).sum().backward()
        x.grad = None

    times = in_turn({name: lambda layer=layer: act(layer) for name, layer in layers.items()}, rounds)
    kept = {name: kept_numbers(layer, x) for name, layer in layers.items()}
    return {"job": f"step {label(factors, rank, rows)}", "plan": str(chain.plan), "ms": times, "kept": kept}


def kept_numbers(layer: Callable[[torch.Tensor], Any], x: torch.Tensor) -> int:
    """Numbers that autograd keeps for the backward pass beside the parameters, each memory once."""
    saved: dict[int, int] = {}
    own = {p.untyped_storage().data_ptr() for p in layer.parameters()} if isinstance(layer, nn.Module) else set()

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes() // tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        layer(x).sum()
    return sum(saved.values())


def label(factors: tuple[int, ...], rank: int, rows: int) -> str:
    return f"{'x'.join(map(str, factors))} r{rank} B{rows}"


def sweep(rounds: int) -> list[dict[str, Any]]:
    """The plan picked (whole matrix allowed, as in evaluation) against all plans, and nn.Linear."""
    rows_of = []
    planner = tz.Planner(seconds=1.0, remember=False)
    for features, factors, rank, rows in SWEEP:
        layer = tz.TTLinear(features, features, chi=rank, factors=(factors, factors)).eval()
        dense, x = nn.Linear(features, features), torch.randn(rows, features)
        every = measured_plans([core.detach() for core in layer.cores], rows, planner, 10**6)
        best = every[0][1]
        tz.tune_plans_(layer, x, planner)
        fastest = tz.TTLinear.from_mpo(layer.to_mpo(), layer.bias).eval()
        fastest.plan = best
        with torch.no_grad():
            acts = {"nn.Linear": lambda: dense(x), "tnsim": lambda: layer(x), "best": lambda: fastest(x)}  # noqa: B023
            times = in_turn(acts, rounds)
        rows_of.append({"job": label(factors, rank, rows), "plan": str(layer.plan), "best": str(best), "ms": times})
    return rows_of


def markdown(results: list[dict[str, Any]]) -> str:
    """The table of the README: milliseconds, and how many times faster than nn.Linear."""
    names = list(results[0]["ms"])
    lines = [f"| job | {names[0]} ms | {' | '.join(names[1:])} |", "|---" + "|---:" * len(names) + "|"]
    for row in results:
        ms, first = row["ms"], row["ms"][names[0]]
        cells = [f"{ms[name]:.3g} ({first / ms[name]:.2g}x)" for name in names[1:]]
        lines.append(f"| {row['job']} | {first:.3g} | {' | '.join(cells)} |")
        if "kept" in row:
            lines.append(f"| numbers kept for its backward pass | {' | '.join(str(row['kept'][n]) for n in names)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--planner", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", action="store_true", help="print the table of the README")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if arguments.planner:
        results = sweep(arguments.rounds)
    else:
        results = [forward(*shape, arguments.rounds) for shape in SHAPES]
        results += [step(*shape, arguments.rounds) for shape in STEPS]
    names = list(results[0]["ms"])
    table = Table("job", *(f"{name} ms" for name in names), *(f"x {name}" for name in names[1:]), "plan")
    for row in results:
        ms = row["ms"]
        ratios = (f"{ms[names[0]] / ms[name]:.2f}" for name in names[1:])
        table.add_row(row["job"], *(f"{ms[name]:.3f}" for name in names), *ratios, row["plan"])
        if "kept" in row:
            table.add_row("  numbers kept", *(str(row["kept"][name]) for name in names))
    console = Console(width=170)
    if arguments.markdown:
        console.print(markdown(results), markup=False, soft_wrap=True)
    console.print(table, f"load average {os.getloadavg()[0]:.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
