"""Which layers of a network take part, and why the others do not."""

import logging
from collections.abc import Mapping
from fnmatch import fnmatch

from torch import nn

from tnsim.errors import ShapeError, suggest
from tnsim.networks.matrix_train import checked_matrix
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.nn.dense_layers import Dense, dense_layers, why_not
from tnsim.tensorize.nn.ladder import Ladder, LayerFormat

_LOG = logging.getLogger("tnsim.tensorize")


def ladders_of(
    model: nn.Module, gram: Mapping[str, Gram] | None, form: LayerFormat, skip: tuple[str, ...] = ()
) -> tuple[dict[str, Ladder], dict[str, str]]:
    """Layers that take part, with the sizes they may have, and the reasons of those that do not, both by name.

    With activations only layers that they reached take part. skip: patterns of names, as "head" or "blocks.0.*".
    Raises ShapeError where activations are of layers that the model does not have, or nothing is left.
    """
    layers = {layer.name: layer for layer in dense_layers(model)}
    if unknown := [name for name in gram or {} if name not in layers]:
        raise ShapeError(f"activations of {unknown[0]!r}, but there is no such layer. {suggest(unknown[0], layers)}")
    for pattern in skip:
        if not any(fnmatch(name, pattern) for name in layers):
            raise ShapeError(f"no layer is called {pattern!r}. {suggest(pattern, layers)}")
    out = {name: reason for name, m in model.named_modules() if isinstance(m, Dense) and (reason := why_not(m))}
    shared = _shared(model)
    for name, layer in layers.items():
        if any(fnmatch(name, pattern) for pattern in skip):
            out[name] = "left out on request"
        elif name in shared:
            out[name] = f"shares its weight with {shared[name]}"
        elif gram is not None and name not in gram:
            out[name] = "no activations"
        elif Ladder(layer, None, form).count < 2:
            out[name] = "too small to gain anything"
    for name, reason in out.items():
        _LOG.info("layer %s takes no part: %s", name, reason)
    ladders = {
        name: Ladder(layer, gram[name] if gram else None, form) for name, layer in layers.items() if name not in out
    }
    for ladder in ladders.values():
        checked_matrix(ladder.layer.matrix(), ladder.name)
    if not ladders and isinstance(model, Dense):
        raise ShapeError(
            f"the model is a single {type(model).__name__}, in whose place nothing can be put: use TTLinear.from_dense "
            "or its like, or torch.nn.Sequential(model)."
        )
    if not ladders:
        raise ShapeError(f"no layer can take part: {out or 'the model has none with a matrix'}.")
    return ladders, out


def _shared(model: nn.Module) -> dict[str, str]:
    """Layers whose weight stands in another module as well, and its name."""
    owners: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(id(parameter), []).append(name)
    return {
        name: next(other for other in names if other != name)
        for names in owners.values()
        if len(names) > 1
        for name in names
    }
