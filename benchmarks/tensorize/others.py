"""What else can be a chain? Five small examples, each by a measure of its own, beside an SVD of the same size.

`python -m benchmarks.tensorize.others` (needs scikit-learn for one data set): a stream of a sensor, an image, a joint
distribution, an ensemble of networks, an operator; deterministic, some seconds. Numbers of the SVD are never fewer.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.tensorize.digits import data, train
from tnsim import MPO, IndexOrder
from tnsim.models import Heisenberg


@dataclass(frozen=True)
class Example:
    """matrix: what is compressed, and how the SVD sees it; factors and rank of the chain; judge: of what comes back."""

    name: str
    matrix: np.ndarray
    out_factors: tuple[int, ...]
    in_factors: tuple[int, ...]
    rank: int
    measure: str
    judge: Callable[[np.ndarray], float]
    index: IndexOrder = IndexOrder()

    def figures(self) -> dict:
        chain = MPO.from_matrix(self.matrix, self.out_factors, self.in_factors, self.rank, index=self.index)
        numbers = sum(tensor.size for tensor in chain.tensors)
        flat = self.folded()
        u, s, v = np.linalg.svd(flat, full_matrices=False)
        rank = min(len(s), -(-numbers // sum(flat.shape)))
        svd = ((u[:, :rank] * s[:rank]) @ v[:rank]).reshape(self.matrix.shape)
        return {
            "example": self.name,
            "size": self.matrix.size,
            "chain numbers": numbers,
            "SVD numbers": rank * sum(flat.shape),
            "measure": self.measure,
            "chain": self.judge(np.asarray(chain.to_matrix())),
            "SVD": self.judge(svd),
        }

    def folded(self) -> np.ndarray:
        """A column as a table with rows of half its length in digits."""
        if self.matrix.shape[1] > 1:
            return self.matrix
        return self.matrix.reshape(2 ** (len(self.out_factors) // 2), -1)


def distance(target: np.ndarray) -> Callable[[np.ndarray], float]:
    """Relative, in the norm."""
    return lambda found: float(np.linalg.norm(found - target) / np.linalg.norm(target))


def stream() -> Example:
    """4096 samples: two oscillations, one of slowly growing pitch, a drift, and 1% of noise."""
    t = np.arange(4096) / 4096
    x = np.sin(2 * np.pi * 40 * t) + 0.5 * np.sin(2 * np.pi * (90 * t + 3 * t**2)) + t
    x = (x + 0.01 * np.random.default_rng(0).standard_normal(4096))[:, None]
    return Example("stream of a sensor", x, (2,) * 12, (1,) * 12, 6, "relative error", distance(x))


def image() -> Example:
    """64 x 64 grey values: a ramp, a disc and a slanted bar with sharp edges."""
    y, x = np.mgrid[:64, :64] / 64
    grey = 0.3 * x + 0.4 * ((x - 0.4) ** 2 + (y - 0.6) ** 2 < 0.06) + 0.3 * (abs(x - 2 * y + 0.3) < 0.15)

    def psnr(found: np.ndarray) -> float:
        return float(-10 * np.log10(((found - grey) ** 2).mean() / grey.max() ** 2))

    return Example("image", grey, (2,) * 6, (2,) * 6, 10, "PSNR, dB", psnr)


def distribution() -> Example:
    """12 spins of an Ising chain in a field at temperature 1, weights of all 4096 configurations."""
    spins = 1 - 2 * ((np.arange(4096)[:, None] >> np.arange(11, -1, -1)) & 1)
    p = np.exp(0.8 * (spins[:, 1:] * spins[:, :-1]).sum(axis=1) + 0.2 * spins.sum(axis=1))
    p = (p / p.sum())[:, None]
    return Example(
        "joint distribution", p, (2,) * 12, (1,) * 12, 2, "total variation", lambda q: float(abs(q - p).sum() / 2)
    )


def ensemble() -> Example:
    """First matrices of eight networks from one start, each trained on another half of the digits."""
    x, y, _, _ = data(0)
    halves = (np.random.default_rng(n).permutation(len(y))[: len(y) // 2] for n in range(8))
    W = np.concatenate([train(x[rows], y[rows], 0, epochs=10).W1 for rows in halves])
    index = IndexOrder(order="o0 i0 | o1 i1 | o2 i2")
    return Example("ensemble of networks", W, (8, 8, 8), (1, 8, 8), 16, "relative error", distance(W), index)


def operator() -> Example:
    """The Hamiltonian of eight spins, from its matrix."""
    H = np.asarray(Heisenberg(L=8).mpo().to_dense()).real.reshape(256, 256)
    return Example("operator", H, (2,) * 8, (2,) * 8, 5, "relative error", distance(H))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = [make().figures() for make in (stream, image, distribution, ensemble, operator)]
    table = Table("what", "numbers", "chain", "ratio", "SVD", "measure", "chain: measure", "SVD: measure")
    for r in rows:
        sizes = str(r["size"]), str(r["chain numbers"]), f"{r['size'] / r['chain numbers']:.1f}x", str(r["SVD numbers"])
        table.add_row(r["example"], *sizes, r["measure"], f"{r['chain']:.3g}", f"{r['SVD']:.3g}")
    Console(width=130).print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
