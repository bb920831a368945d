"""Toys on 8x8 digits that need training: healing after the cut, and convolutions in smaller ones.

`OMP_NUM_THREADS=1 python -m benchmarks.tensorize.toys` (needs scikit-learn): the 64-64-10 network of
`benchmarks.tensorize.digits`, its first matrix a chain of 912 numbers, fitted, then healed 60 epochs (ten seeds); a
small convolutional network whose second kernel becomes Tucker or polyadic, without training afterwards (three seeds).
Accuracies on 30% of the data.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional

import tnsim.tensorize as tz
from benchmarks.tensorize.digits import SPLIT, data, train

Data = tuple[torch.Tensor, torch.Tensor]


def accuracy(model: nn.Module, test: Data) -> float:
    with torch.no_grad():
        return float((model(test[0]).argmax(1) == test[1]).float().mean())


def tensors(seed: int) -> tuple[Data, Data]:
    x, y, x_test, y_test = (torch.from_numpy(part) for part in data(seed))
    return (x.float(), y), (x_test.float(), y_test)


def dense_network(seed: int) -> nn.Module:
    """The NumPy network as modules."""
    x, y, _, _ = data(seed)
    found = train(x, y, seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    with torch.no_grad():
        for layer, W, b in ((model[0], found.W1, found.b1), (model[2], found.W2, found.b2)):
            layer.weight.copy_(torch.from_numpy(W))
            layer.bias.copy_(torch.from_numpy(b))
    return model


def task(model: nn.Module, batch: Data) -> torch.Tensor:
    return functional.cross_entropy(model(batch[0]), batch[1])


def batches(train_set: Data, epochs: int, seed: int, size: int = 32) -> list[Data]:
    x, y = train_set
    generator = torch.Generator().manual_seed(seed)
    orders = (torch.randperm(len(y), generator=generator) for _ in range(epochs))
    return [(x[rows], y[rows]) for order in orders for rows in order.split(size)]


def healed(seed: int) -> dict[str, float]:
    train_set, test = tensors(seed)
    dense = dense_network(seed)
    gram = tz.Gram.collect(dense, [train_set])
    found = {"full (4096)": accuracy(dense, test)}
    chain = tz.TTLinear.from_dense(
        dense[0], (4, 16), (4, 16), 8, gram=gram["0"], index=SPLIT, fit=tz.MetricFit(max_sweeps=40)
    )
    assert chain.numbers == 912
    model = nn.Sequential(chain, nn.ReLU(), dense[2])
    found["chain (912), fit + bias"] = accuracy(model, test)
    rule = tz.Healing(rate=2e-3, loss=task, task_share=0.3, temperature=2.0)
    some = batches(train_set, 60, seed)
    tz.heal_(model, dense_network(seed), some, steps=len(some), healing=rule)
    found["chain (912), healed 60 epochs"] = accuracy(model, test)
    return found


def conv_network(seed: int, train_set: Data) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for batch in batches(train_set, 8, seed):
        optimizer.zero_grad()
        task(model, batch).backward()
        optimizer.step()
    return model


def convolutions(seed: int) -> dict[str, float]:
    train_set, test = tensors(seed)
    model = conv_network(seed, train_set)
    kernel = model[3]
    gram = tz.Gram.collect(model, [train_set])["3"]
    found = {f"full ({kernel.weight.numel()})": accuracy(model, test)}
    layers = {
        "Tucker (12, 8)": tz.TuckerConv.from_dense(kernel, (12, 8), gram=gram),
        "Tucker (8, 8)": tz.TuckerConv.from_dense(kernel, (8, 8), gram=gram),
        "polyadic, rank 32": tz.CPConv.from_dense(kernel, 32, gram=gram),
        "chain, rank 6": tz.TTConv2d.from_dense(kernel, (8, 8), (16, 18), 6, gram=gram),
    }
    for name, layer in layers.items():
        ratio = kernel.weight.numel() / layer.numbers
        model[3] = layer
        found[f"{name} ({layer.numbers}, {ratio:.1f}x)"] = accuracy(model, test)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*drawn by")
    torch.set_num_threads(1)
    rows: dict[str, list[float]] = {}
    for work, seeds in ((healed, arguments.seeds), (convolutions, 3)):
        for seed in range(seeds):
            for name, value in work(seed).items():
                rows.setdefault(name, []).append(value)
    table = Table("toy: digits", "accuracy", "sd", "seeds")
    for name, values in rows.items():
        table.add_row(name, f"{np.mean(values):.4f}", f"{np.std(values):.4f}", str(len(values)))
    Console(width=100).print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
