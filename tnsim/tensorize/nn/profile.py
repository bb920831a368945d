"""How compressible each layer of a network is: entropies beside those of noise, errors, and what they cost the loss."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from torch import nn

from tnsim.backend import backend_of
from tnsim.errors import SettingsError
from tnsim.measure import gaussian_entropy
from tnsim.measure.entanglement import entropy_of_weights
from tnsim.networks.matrix_index import IndexOrder, balanced_factors
from tnsim.networks.mpo import MPO
from tnsim.tensorize.cut_profile import cut_profile
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.nn.candidates import ladders_of
from tnsim.tensorize.nn.ladder import Ladder, LayerFormat
from tnsim.tensorize.nn.model_file import weights_hash
from tnsim.tensorize.nn.trial import Trial

_LOG = logging.getLogger("tnsim.tensorize")
_WITH = {True: "with", False: "without"}


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Entropy in nats, and that of a Gaussian matrix of the same shape."""

    entropy: float
    noise_entropy: float

    def __str__(self) -> str:
        return f"{self.entropy:.2f} ({self.noise_entropy:.2f})"


@dataclass(frozen=True, kw_only=True)
class LayerProfile:
    """chain: the middle cut of a chain; matrix: between outputs and inputs; outputs: that of W C^(1/2), which tells
    of the outputs on the data; error: relative, of the outputs, at the ratio of the profile; change: of the loss then.
    """

    name: str
    shape: tuple[int, int]
    chain: Cut
    matrix: Cut
    outputs: Cut | None
    form: str
    error: float
    change: float | None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """All layers, in the order of the model. joint: change of the loss with all of them replaced: errors do not add.

    weights_sha256: of the weights that were judged, see `weights_hash`.
    """

    ratio: float
    weights_sha256: str
    layers: tuple[LayerProfile, ...] = field(repr=False)
    joint: float | None

    @property
    def sum_of_changes(self) -> float:
        return sum(row.change or 0.0 for row in self.layers)

    def measured_changes(self, model: nn.Module, *, on_data: bool) -> dict[str, tuple[float, float]]:
        """(change of the loss, error) of every layer measured; SettingsError where the weights have changed.

        on_data: whether errors are wanted of outputs on activations. Of a profile that knows the other kind none are
        given: errors of weights and of outputs cannot be compared.
        """
        if weights_hash(model) != self.weights_sha256:
            raise SettingsError(
                "this profile was made from other weights than the model holds now: make it anew with profile(model)."
            )
        if any((row.outputs is not None) != on_data for row in self.layers):
            _LOG.warning("a profile %s activations is of no use here: layers are measured anew", _WITH[not on_data])
            return {}
        return {row.name: (row.change, row.error) for row in self.layers if row.change is not None}

    def __rich__(self) -> Table:
        title = f"entropy (noise) in nats; error at {self.ratio:g}x"
        if self.joint is not None:
            title += f"; loss, layers alone {self.sum_of_changes:+.3g}, together {self.joint:+.3g}"
        names = "layer", "shape", "chain cut", "matrix cut", "outputs", "form", "error", "loss, alone"
        table = Table(*names, title=title)
        for row in self.layers:
            cuts = ("-" if cut is None else str(cut) for cut in (row.chain, row.matrix, row.outputs))
            alone = "-" if row.change is None else f"{row.change:+.3g}"
            table.add_row(row.name, "x".join(map(str, row.shape)), *cuts, row.form, f"{row.error:.3f}", alone)
        return table

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and words."""
        return asdict(self) | {"sum_of_changes": self.sum_of_changes}

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> "Profile":
        """What `to_json` gave. Raises SettingsError where that is no profile of a model."""
        try:
            rows = tuple(_row(row) for row in table["layers"])
            return cls(ratio=table["ratio"], weights_sha256=table["weights_sha256"], layers=rows, joint=table["joint"])
        except (KeyError, TypeError) as error:
            raise SettingsError("this is no profile of a model: make one with profile(model).to_json().") from error

    def plot(self, path: str | Path | None = None) -> Any:
        """Entropies beside those of noise, and errors; needs the extra `plot`."""
        return import_module("tnsim.plotting").plot_profile(self, path=path)


def profile(
    model: nn.Module,
    gram: Mapping[str, Gram] | None = None,
    *,
    evaluate: Callable[[Any], Any] | None = None,
    ratio: float = 4.0,
    form: LayerFormat | None = None,
) -> Profile:
    """Judge every layer that can become a chain, at one ratio; with `evaluate`, measure each alone and all together.

    Cost of two SVDs and one fit a layer, and one evaluation. Raises as `tensorize` does, and NumericalError where
    `evaluate` fails.
    """
    ladders, _ = ladders_of(model, gram, form or LayerFormat())
    trial = Trial(model, ladders, evaluate, None)
    rungs = {name: ladder.nearest(ratio) for name, ladder in ladders.items()}
    rows = []
    for name, ladder in ladders.items():
        rung = rungs[name]
        change = trial.loss({name: rung}) - trial.dense_loss if evaluate is not None else None
        rows.append(
            LayerProfile(
                name=name,
                shape=ladder.layer.shape,
                chain=_chain_cut(ladder),
                matrix=_matrix_cut(ladder.matrix),
                outputs=_matrix_cut(ladder.outputs_matrix) if ladder.gram is not None else None,
                form=rung.form if rung else "dense",
                error=rung.error if rung else 0.0,
                change=change,
            )  # fmt: skip
        )
    joint = trial.loss(rungs) - trial.dense_loss if evaluate is not None else None
    return Profile(ratio=ratio, weights_sha256=weights_hash(model), layers=tuple(rows), joint=joint)


def _row(row: Mapping[str, Any]) -> LayerProfile:
    cuts = {name: None if row[name] is None else Cut(**row[name]) for name in ("chain", "matrix", "outputs")}
    return LayerProfile(**{**row, **cuts, "shape": tuple(row["shape"])})


def _chain_cut(ladder: Ladder) -> Cut:
    factors = (balanced_factors(size, 2, pad=True) for size in ladder.layer.shape)
    whole = cut_profile(MPO.from_matrix(ladder.matrix, *factors, index=IndexOrder(pad=True)))[0]
    return Cut(entropy=whole.entropy, noise_entropy=whole.noise_entropy)


def _matrix_cut(matrix: Any) -> Cut:
    values = np.linalg.svd(backend_of(matrix).to_host(matrix), compute_uv=False)
    return Cut(entropy=entropy_of_weights(values**2), noise_entropy=gaussian_entropy(*matrix.shape))
