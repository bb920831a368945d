"""What the layers of a network see, gathered while batches pass through it."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tnsim.errors import ShapeError
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.nn.arrays import array_of
from tnsim.tensorize.nn.dense_layers import DenseLayer, dense_layers
from tnsim.tensorize.nn.tt_conv import padding_of

_LOG = logging.getLogger("tnsim.tensorize")
# tokens of a table beyond which their covariance would be larger than the table is worth
_TOKENS_MAX = 4096


def collect_grams(model: nn.Module, batches: Iterable[Any]) -> dict[str, Gram]:
    """Mean and covariance of the inputs of every linear layer, convolution (patches) and embedding (tokens), by name.

    batches: what the model is called with (see `call_model`). The model runs in evaluation mode without gradients, and
    is left as it was. Layers that no batch reaches, and tables of more than 4096 tokens, are left out (and logged).
    """
    layers = list(dense_layers(model))
    counts: dict[str, torch.Tensor] = {}
    grams: dict[str, Gram] = {}
    seen = 0
    with evaluation(model), torch.no_grad():
        watch = {layer.module: _watch(layer, grams, counts) for layer in layers}
        hooks = [module.register_forward_pre_hook(act, with_kwargs=True) for module, act in watch.items()]
        try:
            for batch in batches:
                call_model(model, batch)
                seen += 1
        finally:
            for hook in hooks:
                hook.remove()
    if not seen:
        raise ShapeError("no batch was given: activations come from at least one.")
    grams |= {name: Gram.from_counts(array_of(count), name=name) for name, count in counts.items()}
    for layer in layers:
        if layer.name not in grams:
            _LOG.warning("layer %s: no activations were gathered (not called, or too many tokens)", layer.name)
    return grams


def call_model(model: nn.Module, batch: Any) -> Any:
    """model(batch); of a tuple or list its first entry (the others are targets), of a dict its entries by name."""
    if isinstance(batch, dict):
        return model(**batch)
    return model(batch[0] if isinstance(batch, (tuple, list)) else batch)


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and afterwards every module in the mode it had."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _watch(layer: DenseLayer, grams: dict[str, Gram], counts: dict[str, torch.Tensor]) -> Callable[..., None]:
    name, module = layer.name, layer.module

    def count_tokens(_: nn.Module, args: tuple, named: dict) -> None:
        if module.num_embeddings <= _TOKENS_MAX:
            found = torch.bincount(input_of(args, named).reshape(-1), minlength=module.num_embeddings)
            counts[name] = counts[name] + found if name in counts else found

    def gather(_: nn.Module, args: tuple, named: dict) -> None:
        x = input_of(args, named)
        rows = patches(module, x) if isinstance(module, nn.Conv2d) else x
        gram = grams.setdefault(name, Gram(layer.shape[1], name=name))
        gram.update_(array_of(rows))

    return count_tokens if layer.is_embedding else gather


def input_of(args: tuple, named: dict[str, Any]) -> torch.Tensor:
    """The one input of a layer, as a hook is told of it."""
    return args[0] if args else named["input"]


def patches(conv: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
    """What the kernel of a convolution acts on, one place a row."""
    images = images if images.ndim == 4 else images[None]
    pads, mode = padding_of(conv)
    if any(pads):
        images = functional.pad(images, pads, mode)
    return functional.unfold(images, conv.kernel_size, conv.dilation, 0, conv.stride).transpose(1, 2)
