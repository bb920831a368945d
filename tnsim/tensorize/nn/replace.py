"""Layers in the places of others in a network."""

from collections.abc import Mapping

from torch import nn

from tnsim.errors import ShapeError


def replace_layers(model: nn.Module, layers: Mapping[str, nn.Module]) -> nn.Module:
    """Put layers in the places of those of the same names (as in `model.named_modules()`), in place.

    A layer that stands in several places (shared weights) is replaced in all of them. Raises ShapeError where a name
    is unknown, and changes nothing then.
    """
    names = dict(model.named_modules(remove_duplicate=False))
    if unknown := [name for name in layers if not name or name not in names]:
        raise ShapeError(f"the model has no layer {unknown[0]!r}; it has {', '.join(list(names)[1:9])}, ...")
    by_layer = {id(names[name]): layer for name, layer in layers.items()}
    for name, old in names.items():
        if id(old) in by_layer and name:
            parent, _, child = name.rpartition(".")
            setattr(names[parent], child, by_layer[id(old)])
    return model
