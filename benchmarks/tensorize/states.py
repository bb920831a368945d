"""Activations as states: what does an operator on a state cost, and how far is a forward pass from the dense one?

`python -m benchmarks.tensorize.states`: successive randomised compression against zip-up, density matrices and the
exact product that is cut afterwards, on random chains, chains that decay, and a spin chain with charges; then networks
on states against the same networks on vectors. Runs take turns; the fastest of each counts.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tnsim import MPO, MPS, OperatorSum, RankRule, Truncation, apply, from_dense, overlap, plus_hc, spin_sites
from tnsim.networks.apply import apply_exact
from tnsim.symmetry import trivial_leg
from tnsim.tensorize import PolynomialActivation, StateLayer, StateNetwork, rows_of_state, state_of_rows
from tnsim.tensorize.vector_state import plain_site

METHODS = ("src", "zip-up", "density-matrix", "svd")


def chain(L: int, d: int, bond: int, physical: int, rate: float, rng: np.random.Generator) -> list:
    """Random cores whose bonds decay by a rate."""
    tensors = []
    for i in range(L):
        shape = (1 if i == 0 else bond, *[d] * physical, 1 if i == L - 1 else bond)
        array = rng.standard_normal(shape) / np.sqrt(bond)
        for axis in (0, len(shape) - 1):
            weights = rate ** np.arange(shape[axis])
            array = array * weights.reshape([-1 if n == axis else 1 for n in range(len(shape))])
        flows = (1, 1, -1, -1) if physical == 2 else (1, 1, -1)
        tensors.append(from_dense(array, [trivial_leg(n, flow) for n, flow in zip(shape, flows, strict=True)]))
    return tensors


def random_pair(L: int, d: int, w: int, chi: int, rate: float) -> tuple[MPO, MPS]:
    rng = np.random.default_rng(0)
    return MPO(chain(L, d, w, 2, rate, rng)), MPS(chain(L, d, chi, 1, rate, rng), [plain_site(d)] * L)


def spin_pair(L: int, chi: int, reach: int = 4) -> tuple[MPO, MPS]:
    """Random couplings up to a distance, and the state that a few products of them make of the Neel state."""
    rng, sites, H = np.random.default_rng(0), spin_sites(L, 0.5, "Sz"), OperatorSum()
    for i in range(L):
        for j in range(i + 1, min(L, i + reach)):
            H += plus_hc(0.5 * rng.normal(), "S+", i, "S-", j)
            H += rng.normal(), "Sz", i, "Sz", j
    W, psi = H.mpo(sites), MPS.product(sites, ["up", "down"] * (L // 2))
    for _ in range(8):
        psi = apply(W, psi, Truncation(chi_max=chi))
        psi = psi / psi.norm()
    return W, psi


PAIRS: dict[str, tuple[Callable[[], tuple[MPO, MPS]], int]] = {
    "random, L 20, d 2, w 8, chi 32": (lambda: random_pair(20, 2, 8, 32, 1.0), 32),
    "decaying, L 20, d 2, w 16, chi 64": (lambda: random_pair(20, 2, 16, 64, 0.85), 64),
    "decaying, L 12, d 4, w 16, chi 48": (lambda: random_pair(12, 4, 16, 48, 0.85), 48),
    "spins with charges, L 40, w 11, chi 64": (lambda: spin_pair(40, 64), 64),
    "spins with charges, L 40, w 11, chi 128": (lambda: spin_pair(40, 128), 128),
}


def distance(found: MPS, exact: MPS) -> float:
    square = found.norm() ** 2 + exact.norm() ** 2 - 2 * overlap(found, exact).real
    return float(np.sqrt(max(square, 0.0)) / exact.norm())


def one_pair(name: str, repeats: int) -> list[dict]:
    make, chi = PAIRS[name]
    H, psi = make()
    exact, rule = apply_exact(H, psi), Truncation(chi_max=chi)
    best: dict[str, float] = dict.fromkeys(METHODS, np.inf)
    errors = {method: distance(apply(H, psi, rule, method=method), exact) for method in METHODS}
    for _ in range(repeats):
        for method in METHODS:
            start = time.perf_counter()
            apply(H, psi, rule, method=method)
            best[method] = min(best[method], time.perf_counter() - start)
    return [
        {"pair": name, "method": m, "ms": 1e3 * best[m], "error": errors[m], "over best": errors[m] / errors["svd"]}
        for m in METHODS
    ]  # fmt: skip


def network(size_factors: tuple[int, ...], chi: int, method: str, rank: int) -> StateNetwork:
    """Two layers of smooth weights with some noise, a bias and a cubic activation."""
    size, rng, layers = int(np.prod(size_factors)), np.random.default_rng(0), []
    x = np.arange(size) / size
    for _ in range(2):
        W = np.cos(5 * x[:, None] * rng.uniform(0.5, 1.5) + 3 * x[None, :]) * 8 / size
        W += 0.3 * rng.standard_normal((size, size)) / size
        mpo = MPO.from_matrix(W, size_factors, size_factors, RankRule(ranks=rank))
        cubic = PolynomialActivation.near(np.tanh, degree=3, scale=2.0)
        layers.append(StateLayer(mpo=mpo, bias=0.2 * np.sin(5 * x), activation=cubic))
    return StateNetwork(layers=layers, truncation=Truncation(chi_max=chi), method=method)


def one_network(factors: tuple[int, ...], chi: int, repeats: int) -> list[dict]:
    """Forward passes of one smooth vector; the dense time is of the products with whole matrices."""
    rng, results, size = np.random.default_rng(1), [], int(np.prod(factors))
    x = np.sin(np.arange(size) / size * rng.uniform(1, 6, (1, 1)) + rng.uniform(0, 3, (1, 1)))
    for method in ("src", "zip-up"):
        net = network(factors, chi, method, 8)
        axes = net.layers[0].mpo.axes
        matrices = [layer.mpo.to_matrix() for layer in net.layers]
        psi = state_of_rows(x, axes.columns, net.truncation)
        found, exact = rows_of_state(net(psi), axes.rows), net.dense(x)
        seconds = {"states": np.inf, "dense": np.inf}
        for _ in range(repeats):
            start = time.perf_counter()
            net(psi)
            seconds["states"] = min(seconds["states"], time.perf_counter() - start)
            start, y = time.perf_counter(), x
            for layer, W in zip(net.layers, matrices, strict=True):
                y = layer.activation.dense(y @ W.T + layer.bias)
            seconds["dense"] = min(seconds["dense"], time.perf_counter() - start)
        results.append(
            {
                "network": f"2 layers of {size}, chi {chi}",
                "method": method,
                "error": float(np.linalg.norm(found - exact) / np.linalg.norm(exact)),
                "ms": 1e3 * seconds["states"],
                "dense ms": 1e3 * seconds["dense"],
                "numbers": max(step.numbers for step in net.steps),
                "largest bond": max(step.bond for step in net.steps),
            }  # fmt: skip
        )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    console = Console(width=120)
    pairs = [row for name in PAIRS for row in one_pair(name, arguments.repeats)]
    table = Table("operator on state", "method", "ms", "error", "error / exact, then cut", "time / src")
    for row in pairs:
        reference = next(r["ms"] for r in pairs if r["pair"] == row["pair"] and r["method"] == "src")
        times = f"{row['over best']:.2f}", f"{row['ms'] / reference:.2f}"
        table.add_row(row["pair"], row["method"], f"{row['ms']:.1f}", f"{row['error']:.2e}", *times)
    console.print(table)
    sizes = [((4, 4, 4, 4), 4), ((4, 4, 4, 4), 8), ((4, 4, 4, 4), 16), ((4, 4, 4, 4, 4), 8), ((4, 4, 4, 4, 4), 16)]
    networks = [row for factors, chi in sizes for row in one_network(factors, chi, arguments.repeats)]
    table = Table("network on states", "method", "error", "ms", "dense ms", "numbers in a state", "largest bond")
    for row in networks:
        times = f"{row['ms']:.1f}", f"{row['dense ms']:.2f}", str(row["numbers"]), str(row["largest bond"])
        table.add_row(row["network"], row["method"], f"{row['error']:.2e}", *times)
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps({"pairs": pairs, "networks": networks}, indent=1) + "\n")


if __name__ == "__main__":
    main()
