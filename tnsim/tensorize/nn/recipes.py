"""Layers that are no chains in files: what it takes to make them anew, beside their numbers."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import nn

from tnsim.errors import FileError, ShapeError
from tnsim.tensorize.nn.factored_conv import CPConv, FactoredConv, TuckerConv
from tnsim.tensorize.nn.graph_linear import BlockTermLinear, GraphLinear, RingLinear
from tnsim.tensorize.nn.new_chain import like

_CONVOLUTIONS: dict[str, type[FactoredConv]] = {kind.__name__: kind for kind in (TuckerConv, CPConv)}
_GRAPHS: dict[str, type[GraphLinear]] = {kind.__name__: kind for kind in (GraphLinear, RingLinear, BlockTermLinear)}


def recipes_of(model: nn.Module) -> dict[str, dict[str, Any]]:
    """By name, what JSON can say of every layer that is a graph or a factored convolution."""
    found: dict[str, dict[str, Any]] = {}
    for name, layer in model.named_modules():
        if isinstance(layer, FactoredConv):
            found[name] = {"kind": type(layer).__name__}
        elif isinstance(layer, GraphLinear):
            kind = type(layer).__name__
            graph = ", ".join(" ".join(node) for node in layer.nodes)
            found[name] = {"kind": kind if kind in _GRAPHS else "GraphLinear", "graph": graph, "sizes": layer.sizes}
    return found


def made_anew(
    name: str, recipe: Mapping[str, Any], dense: Any, array: Callable[[str], np.ndarray], arrays: tuple[str, ...]
) -> nn.Module:
    """The layer of a recipe in the place of a dense one, its numbers still to be filled in.

    array(name): one of the `arrays` of the file. Raises ShapeError where the dense layer has other sizes, FileError for
    a kind of layer that this version does not know.
    """
    kind = str(recipe["kind"])
    if kind in _GRAPHS:
        return _graph(name, _GRAPHS[kind], recipe, dense, f"{name}.bias" in arrays)
    if kind in _CONVOLUTIONS:
        if not isinstance(dense, nn.Conv2d):
            raise ShapeError(f"the layer {name!r} of the model is a {type(dense).__name__}, a {kind} in the file.")
        kernels = [np.array(array(f"{name}.{n}.weight")) for n in range(3)]
        layer = _CONVOLUTIONS[kind].from_kernels(dense, kernels, has_bias=f"{name}.2.bias" in arrays)
        return like(layer, dense.weight, dense.training)
    raise FileError(f"the layer {name!r} is a {kind}, which this version of tnsim does not know.")


def _graph(name: str, kind: type[GraphLinear], recipe: Mapping[str, Any], dense: Any, bias: bool) -> nn.Module:
    layer = kind.__new__(kind)
    GraphLinear.__init__(layer, recipe["graph"], recipe["sizes"], bias)
    here = (dense.out_features, dense.in_features) if isinstance(dense, nn.Linear) else type(dense).__name__
    if here != (layer.out_features, layer.in_features):
        there = (layer.out_features, layer.in_features)
        raise ShapeError(f"the layer {name!r} is {here} in the model, {there} in the file.")
    return like(layer, dense.weight, dense.training)
