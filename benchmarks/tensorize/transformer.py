"""What does a trained transformer lose when its matrices become chains, and what do the alternatives lose?

`OMP_NUM_THREADS=1 python -m benchmarks.tensorize.transformer`: a character model (6 blocks, width 128, 1.2 million
numbers) on the text of Python's documentation, trained once (1000 steps, a quarter of an hour of one core) and kept in
the cache folder; then about ten minutes for every ratio. Sizes are chosen by the loss on a validation text; the losses
shown, in nats a character, are of a test text that nothing has seen before. All 36 matrices of the blocks take part.
One model, one seed, one corpus: shape only.
"""

import argparse
import copy
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import tnsim.tensorize as tz
from benchmarks.tensorize.char_transformer import corpus, loss, mean_loss, trained, windows
from tnsim.tensorize.functional_error import functional_error
from tnsim.tensorize.nn.dense_layers import DenseLayer

STREAM = tz.ResidualStream(
    writers=("token", "place", "blocks.*.o", "blocks.*.f2"),
    norms={
        "blocks.*.ln1": ("blocks.*.q", "blocks.*.k", "blocks.*.v"),
        "blocks.*.ln2": ("blocks.*.f1",),
        "norm": ("head",),
    },
)
OUTSIDE = ("token", "place", "head")


class Bench:
    """The model, its text, and every figure that was measured."""

    def __init__(self, steps: int) -> None:
        texts = corpus()
        self.model = trained(steps)
        self.calibration = windows(texts.training, 12, 100)
        self.healing = windows(texts.training, 80, 200)
        self.validation, self.test = windows(texts.validation, 8, 1), windows(texts.test, 20, 1)
        self.figures: dict[str, Any] = {}
        self.figures["dense loss"] = self.measure(self.model)
        self.gram = self.activations(self.model)

    def measure(self, model: torch.nn.Module) -> float:
        return mean_loss(model, self.test)

    def evaluate(self, model: torch.nn.Module) -> float:
        return mean_loss(model, self.validation)

    def activations(self, model: torch.nn.Module) -> dict[str, tz.Gram]:
        return {k: v for k, v in tz.Gram.collect(model, self.calibration).items() if k not in OUTSIDE}

    def put(self, name: str, value: Any) -> None:
        self.figures[name] = value
        logging.info("%s: %s", name, value)

    def entropies(self) -> None:
        """Profile at 4x, and what one shared rotation of the residual stream does to errors and entropies."""
        form = tz.LayerFormat(formats=("chain",))
        turned = tz.rotate_residual(self.model, STREAM, self.calibration)
        for name, model in (("naive basis", self.model), ("rotated", turned)):
            found = tz.profile(model, self.activations(model), ratio=4.0, form=form)
            for kind in ("q", "k", "v", "o", "f1", "f2"):
                rows = [row for row in found.layers if row.name.endswith(f".{kind}")]
                self.put(f"{name}, {kind}: error at 4x", float(np.mean([row.error for row in rows])))
                self.put(f"{name}, {kind}: chain entropy", float(np.mean([row.chain.entropy for row in rows])))
            self.put(f"{name}: noise entropy of f1", found.layers[4].chain.noise_entropy)
            self.put(f"{name}: mean error at 4x", float(np.mean([row.error for row in found.layers])))

    def budgets(self, ratios: list[float]) -> None:
        """Uniform chains, uniform SVD, and the common price, before and after healing."""
        for ratio in ratios:
            for name, strategy, formats in (
                ("common price, both", "lagrange", ("chain", "svd")),
                ("uniform chains", "uniform", ("chain",)),
                ("uniform SVD", "uniform", ("svd",)),
            ):
                found = self.compress(self.model, self.gram, ratio, strategy, formats)
                self.put(f"{ratio:g}x {name}", self.measure(found.model))
                if name == "common price, both":
                    self.after(ratio, found)

    def compress(self, model: Any, gram: Any, ratio: float, strategy: str, formats: tuple[str, ...]) -> tz.Tensorized:
        plan = tz.Allocation(
            strategy=strategy, form=tz.LayerFormat(formats=formats), skip=OUTSIDE, compare=strategy == "lagrange"
        )
        start = time.perf_counter()
        found = tz.tensorize(model, tz.Budget(ratio=ratio), gram, self.evaluate, 10.0, allocation=plan)
        logging.info("%s at %gx in %.0f s: %s", strategy, ratio, time.perf_counter() - start, found.report)
        return found

    def after(self, ratio: float, found: tz.Tensorized) -> None:
        """The alternatives, healing, and cores in few bits."""
        for row in found.report.alternatives:
            self.put(
                f"{ratio:g}x on the validation text, {row.name} ({row.how})",
                [row.numbers, row.bytes, row.loss, row.seconds],
            )
        for rule in ("int8", "int4", "fp8"):
            small = copy.deepcopy(found.model)
            self.put(f"{ratio:g}x common price, both, {rule}", self.measure(tz.quantize_chains_(small, rule)))
        start = time.perf_counter()
        found.heal(self.healing, steps=80, healing=tz.Healing(rate=1.5e-3, loss=loss, task_share=0.5))
        self.put(f"{ratio:g}x common price, both, healed 80 steps", self.measure(found.model))
        self.put(f"{ratio:g}x healing, seconds", time.perf_counter() - start)

    def control(self) -> None:
        """The dense model after as many steps of the same training."""
        model = copy.deepcopy(self.model)
        tz.heal_(model, self.model, self.healing, steps=80, healing=tz.Healing(rate=1.5e-3, loss=loss))
        self.put("dense, 80 steps more", self.measure(model))

    def few_bits(self) -> None:
        """Quantised cores of chains at 2x: errors of the outputs, mean over the 36 layers, and bytes."""
        plan = tz.Allocation(strategy="uniform", form=tz.LayerFormat(formats=("chain",)), skip=OUTSIDE, compare=False)
        found = tz.tensorize(self.model, tz.Budget(ratio=2), self.gram, self.evaluate, 10.0, allocation=plan)
        dense = {name: DenseLayer(name, module) for name, module in self.model.named_modules() if name in self.gram}
        rules = {
            "int8": tz.Quantization(),
            "int4, a scale a bond": tz.Quantization(bits=4),
            "int4, a scale a row": tz.Quantization(bits=4, scales="row"),
            "fp8": tz.Quantization(kind="float"),
        }
        for name, rule in rules.items():
            rows = []
            for layer, chain in found.chains().items():
                matrix, mpo = dense[layer].matrix(), chain.to_mpo().astype(np.float64)
                small = rule.quantize(chain.to_mpo())
                few = small.to_mpo().astype(np.float64)
                gram = self.gram[layer]
                cut, both = (functional_error(matrix, m, gram, centered=True) for m in (mpo, few))
                alone = functional_error(np.asarray(mpo.to_matrix()), few, gram, centered=True)
                rows.append((cut, alone, both, tz.quadrature(cut, alone), small.bytes, chain.numbers))
            cut, alone, both, predicted, size, numbers = np.array(rows).mean(axis=0)
            figures = {
                "cut": cut,
                "rounding": alone,
                "total": both,
                "quadrature": predicted,
                "bits": 8 * size / numbers,
            }
            self.put(f"2x chains, {name}", {k: float(v) for k, v in figures.items()})
            small_model = tz.quantize_chains_(copy.deepcopy(found.model), rule)
            self.put(f"2x chains, {name}, loss", self.measure(small_model))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ratios", type=float, nargs="*", default=[3.0, 8.0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--parts", nargs="*", default=["entropies", "few_bits", "control", "budgets"])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    bench = Bench(arguments.steps)
    for part in arguments.parts:
        if part == "budgets":
            bench.budgets(arguments.ratios)
        else:
            getattr(bench, part)()
        if arguments.json:
            arguments.json.write_text(json.dumps(bench.figures, indent=1) + "\n")
    table = Table("what", "figure", title=f"load average {os.getloadavg()[0]:.1f}")
    for name, value in bench.figures.items():
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
