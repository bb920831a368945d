"""A compressed network in one sealed file, and back into the architecture that it came from. Nothing is pickled."""

import copy
import hashlib
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tnsim.errors import FileError, ShapeError, suggest
from tnsim.networks.mpo import MPO
from tnsim.tensorize.artifact import ChainFile, save_chains
from tnsim.tensorize.nn.arrays import array_of
from tnsim.tensorize.nn.chain_module import ChainModule
from tnsim.tensorize.nn.dense_layers import Dense, DenseLayer
from tnsim.tensorize.nn.quantized import QuantizedCores
from tnsim.tensorize.nn.recipes import made_anew, recipes_of
from tnsim.tensorize.nn.replace import replace_layers
from tnsim.tensorize.quantize import QuantizedChain

_LOG = logging.getLogger("tnsim.tensorize")
# entries of a state_dict that the chain itself brings along
_OF_CHAIN = ("cores.", "row_places", "column_places")


def weights_hash(model: nn.Module) -> str:
    """SHA-256 of names, types, shapes and numbers of all parameters and buffers: what a file is keyed by."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_model(
    path: str | Path,
    model: nn.Module,
    *,
    dense: nn.Module | None = None,
    source: str | Path | None = None,
    notes: Mapping[str, Any] | None = None,
    key: bytes | None = None,
) -> Path:
    """Write a network whose layers are chains: these (few bits stay few), and all other numbers as they are.

    Rings, other graphs, sums of Tucker forms and factored convolutions are written with what makes them anew.
    dense: the network it was made from; `load` then asks for it by the hash of its weights. source: its checkpoint;
    the file's path and SHA-256 are kept as the way back. key: to sign with, see `save_chains`.
    """
    model = _read_whole(model)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, ChainModule)}
    inner = [f"{name}.{word}" for name in layers for word in _OF_CHAIN]
    rest = {k: v for k, v in model.state_dict().items() if not any(k.startswith(word) for word in inner)}
    about = dict(notes or {}) | {
        "dense_weights_sha256": "" if dense is None else weights_hash(dense),
        "fallback": "" if source is None else str(Path(source).resolve()),
        "layers": {name: type(layer).__name__ for name, layer in layers.items()},
        "recipes": recipes_of(model),
    }
    chains = {name: _stored(layer) for name, layer in layers.items()}
    arrays = {name: array_of(tensor.cpu()) for name, tensor in rest.items()}
    return save_chains(path, chains, arrays=arrays, source=source, notes=about, key=key)


def load(
    path: str | Path,
    like: nn.Module,
    *,
    check: bool = True,
    lazy: bool = False,
    key: bytes | None = None,
) -> nn.Module:
    """The network of a file, in the architecture of `like`, which is not touched.

    like: the dense network; where the file was made from another one (any bit of its weights differs), FileError,
    unless check=False (an architecture with any weights then). lazy: cores are read when a layer is first called.
    key: what the file was signed with. Raises what `ChainFile` raises, and ShapeError where the layers do not fit.
    """
    file = ChainFile(path, key=key)
    made_from = file.notes.get("dense_weights_sha256", "")
    if check and made_from and weights_hash(like) != made_from:
        raise FileError(
            f"{path} was not made from this model as it is now (its weights differ): compress it again, or load with "
            "check=False where only the architecture is meant."
        )
    model = copy.deepcopy(like)
    places = dict(model.named_modules(remove_duplicate=False))
    for name in file:
        _check_place(file, name, places)
    _put_others(model, file, places)
    replace_layers(model, {name: LazyLayer(file, name, places[name]) for name in file})
    if not lazy:
        replace_layers(model, {name: module.read() for name, module in _waiting(model)})
    _fill(model, file)
    return model


class LazyLayer(nn.Module):
    """Stands for a layer of a file until it is first called: then cores are read, once, and the time is logged."""

    def __init__(self, file: ChainFile, name: str, dense: nn.Module) -> None:
        super().__init__()
        self._file, self._name, self._dense = file, name, (dense,)
        self.layer: nn.Module | None = None

    def read(self) -> nn.Module:
        """The layer on its chain."""
        start = time.perf_counter()
        dense: Any = self._dense[0]
        small = self._file.quantized(self._name)
        layer: Any = DenseLayer(self._name, dense).with_chain(self._file[self._name])
        if small is not None:
            layer.cores = QuantizedCores(small, dense.weight.dtype, dense.weight.device)
        own = [name for name in layer.state_dict() if not name.startswith(_OF_CHAIN)]
        found = {name: torch.from_numpy(self._file.array(f"{self._name}.{name}")) for name in own}
        layer.load_state_dict(found, strict=False)
        _LOG.info("layer %s: cores read in %.1f ms", self._name, 1e3 * (time.perf_counter() - start))
        return layer

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The layer's output; its cores are read before the first."""
        if self.layer is None:
            # the model may have been moved, or put into another mode, since it was loaded
            self.layer = self.read().to(input.device).train(self.training)
        return self.layer(input)


def _waiting(model: nn.Module) -> Iterator[tuple[str, LazyLayer]]:
    yield from [(name, module) for name, module in model.named_modules() if isinstance(module, LazyLayer)]


def _read_whole(model: nn.Module) -> nn.Module:
    """The model, or where layers of it wait in a file or came from there late, a copy with them in their places."""
    if not any(True for _ in _waiting(model)):
        return model
    model = copy.deepcopy(model)
    return replace_layers(model, {name: module.layer or module.read() for name, module in _waiting(model)})


def _put_others(model: nn.Module, file: ChainFile, places: Mapping[str, nn.Module]) -> None:
    """Layers that are no chains; their numbers are those of `_fill`."""
    recipes: Mapping[str, Any] = file.notes.get("recipes", {})
    for name in recipes:
        if name not in places:
            raise _unknown_place(file, name, places)
    layers = {name: made_anew(name, recipe, places[name], file.array, file.arrays) for name, recipe in recipes.items()}
    replace_layers(model, layers)


def _fill(model: nn.Module, file: ChainFile) -> None:
    """All numbers that belong to no chain, into a model whose layers are in place."""
    inside = tuple(f"{name}." for name in file)
    outer = {name: torch.from_numpy(file.array(name)) for name in file.arrays if not name.startswith(inside)}
    own = {name: t for name, t in model.state_dict().items() if not name.startswith(inside)}
    for name in own.keys() ^ outer.keys():
        where = "the file" if name in outer else "the model"
        raise ShapeError(f"{name!r} is in {where} {file.path} only: `like` has another architecture.")
    for name, tensor in own.items():
        if tuple(tensor.shape) != tuple(outer[name].shape):
            raise ShapeError(
                f"{name!r} has shape {tuple(tensor.shape)} in the model, {tuple(outer[name].shape)} in the file."
            )
        with torch.no_grad():
            tensor.copy_(outer[name].reshape(tensor.shape))


def _check_place(file: ChainFile, name: str, places: Mapping[str, nn.Module]) -> None:
    if name not in places:
        raise _unknown_place(file, name, places)
    if not isinstance(places[name], Dense):
        kind = type(places[name]).__name__
        raise ShapeError(f"the layer {name!r} of the model is a {kind}: `like` is the dense model.")
    here, there = DenseLayer(name, places[name]).shape, tuple(file.layout[name]["shape"])
    if here != there:
        raise ShapeError(f"the layer {name!r} is {here} in the model, {there} in {file.path}.")


def _unknown_place(file: ChainFile, name: str, places: Mapping[str, nn.Module]) -> ShapeError:
    return ShapeError(f"{file.path} holds a layer {name!r} that the model does not have. {suggest(name, places)}")


def _stored(layer: ChainModule) -> MPO | QuantizedChain:
    """The chain of a layer as it goes to a file; on the host."""
    if not isinstance(layer.cores, QuantizedCores):
        chain = layer.to_mpo()
        return chain if chain.backend.name == "numpy" else chain.to("numpy")
    small, buffers = layer.cores, dict(layer.cores.named_buffers())
    count = range(len(small))
    mpo = layer.to_mpo()
    return QuantizedChain(
        codes=tuple(_host(buffers[f"codes{k}"]) for k in count),
        # with the axis of real and imaginary parts
        scales=tuple(_host(buffers[f"scales{k}"]).astype(np.float32)[..., None] for k in count),
        bits=small.bits,
        legs=tuple(tensor.legs for tensor in mpo.tensors),
        dtype=mpo.dtype,
        axes=layer.axes,
        kind=small.kind,
    )


def _host(tensor: torch.Tensor) -> np.ndarray:
    return np.asarray(array_of(tensor.cpu()))
