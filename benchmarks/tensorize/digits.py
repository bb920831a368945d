"""How much accuracy does a small network keep whose first matrix becomes a chain? A toy: 64-64-10 on 8x8 digits.

`python -m benchmarks.tensorize.digits` (needs scikit-learn, for the data only): ten seeds, no training after the cut.
Accuracies on 30% of the data, mean and standard deviation; rows of one size stand beside each other.
"""

import argparse
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from tnsim import MPO, IndexOrder
from tnsim.tensorize import Gram, MetricFit, Quantization, corrected_bias

SPLIT = IndexOrder(order="split")
CHAIN = {"4.49x": ((4, 16), (4, 16), 8, SPLIT), "10.7x": ((4, 4, 4), (4, 4, 4), 4, IndexOrder())}


@dataclass(frozen=True)
class Network:
    """Two layers: weights (out, in) and biases."""

    W1: np.ndarray
    b1: np.ndarray
    W2: np.ndarray
    b2: np.ndarray

    def scores(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x @ self.W1.T + self.b1, 0) @ self.W2.T + self.b2

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        return float((self.scores(x).argmax(axis=1) == y).mean())

    def with_first(self, W1: np.ndarray, b1: np.ndarray) -> "Network":
        return Network(W1, b1, self.W2, self.b2)


def data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training and test images (0 to 1) and labels, 30% for the test."""
    digits = load_digits()
    x, x_test, y, y_test = train_test_split(digits.data / 16, digits.target, test_size=0.3, random_state=seed)
    return x, y, x_test, y_test


def train(x: np.ndarray, y: np.ndarray, seed: int, epochs: int = 60, rate: float = 2e-3) -> Network:
    """Adam on the cross entropy with weight decay 1e-3, batches of 32."""
    rng = np.random.default_rng(seed)
    sizes = [(64, 64), (64,), (10, 64), (10,)]
    p = [rng.uniform(-1, 1, s) / 8 for s in sizes]
    first, second = [np.zeros(s) for s in sizes], [np.zeros(s) for s in sizes]
    step = 0
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(y)), len(y) // 32):
            step += 1
            for k, g in enumerate(_gradients(p, x[rows], y[rows])):
                first[k] = 0.9 * first[k] + 0.1 * g
                second[k] = 0.999 * second[k] + 0.001 * g * g
                change = first[k] / (1 - 0.9**step) / (np.sqrt(second[k] / (1 - 0.999**step)) + 1e-8)
                p[k] = p[k] - rate * change
    return Network(*p)


def _gradients(p: list[np.ndarray], x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    W1, b1, W2, b2 = p
    hidden = np.maximum(x @ W1.T + b1, 0)
    scores = hidden @ W2.T + b2
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    share[np.arange(len(y)), y] -= 1
    share /= len(y)
    back = (share @ W2) * (hidden > 0)
    plain = [back.T @ x, back.sum(axis=0), share.T @ hidden, share.sum(axis=0)]
    return [g + 1e-3 * part for g, part in zip(plain, p, strict=True)]


def svd(W: np.ndarray, rank: int, gram: Gram | None) -> np.ndarray:
    """The nearest matrix of a rank, of the weights or (with a Gram) of what comes out."""
    root = np.eye(len(W)) if gram is None else _root(gram.covariance)
    u, _, _ = np.linalg.svd(W @ root)
    return u[:, :rank] @ (u[:, :rank].T @ W)


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T


def one_seed(seed: int) -> dict[str, float]:
    """Accuracies by what was done to the first matrix."""
    x, y, x_test, y_test = data(seed)
    network = train(x, y, seed)
    W, b, gram = network.W1, network.b1, Gram.collect([x])
    found = {"full (4096)": network.accuracy(x_test, y_test)}

    def put(name: str, matrix: np.ndarray, bias: np.ndarray) -> None:
        found[name] = network.with_first(matrix, bias).accuracy(x_test, y_test)

    for ratio, (outs, ins, rank, index) in CHAIN.items():
        plain = MPO.from_matrix(W, outs, ins, rank, index=index)
        size = sum(tensor.size for tensor in plain.tensors)
        put(f"chain {ratio} ({size}), plain", plain.to_matrix(), b)
        put(f"chain {ratio} ({size}), plain + bias", plain.to_matrix(), corrected_bias(W, plain, gram, b))
        for metric in ("diagonal", "kronecker", "full"):
            fit = MetricFit(metric=metric, max_sweeps=40).solve(W, plain, gram)
            put(f"chain {ratio} ({size}), {metric} fit + bias", fit.mpo.to_matrix(), b + fit.bias_shift)
        small = Quantization().quantize(fit.mpo).to_mpo()
        put(f"chain {ratio} ({size}), full fit + bias, int8", small.to_matrix(), corrected_bias(W, small, gram, b))
    for rank in (7, 3):
        flat = svd(W, rank, None)
        put(f"SVD rank {rank} ({128 * rank}), plain", flat, b)
        put(f"SVD rank {rank} ({128 * rank}), plain + bias", flat, b + (W - flat) @ gram.mean)
        flat = svd(W, rank, gram)
        put(f"SVD rank {rank} ({128 * rank}), of the outputs + bias", flat, b + (W - flat) @ gram.mean)
    outs, ins, rank, index = CHAIN["4.49x"]
    start = MPO.from_matrix(W, outs, ins, rank, index=index)
    for count in (16, 64, 256):
        few = Gram.collect([x[:count]])
        fit = MetricFit(max_sweeps=40).solve(W, start, few)
        put(f"chain 4.49x (912), full fit + bias, {count} samples", fit.mpo.to_matrix(), b + fit.bias_shift)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*drawn by")
    runs = [one_seed(seed) for seed in range(arguments.seeds)]
    table = Table("first matrix (numbers)", "accuracy", "sd", title=f"toy: digits, {arguments.seeds} seeds")
    rows = {name: [run[name] for run in runs] for name in runs[0]}
    for name, values in rows.items():
        table.add_row(name, f"{np.mean(values):.3f}", f"{np.std(values):.3f}")
    Console(width=100).print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
