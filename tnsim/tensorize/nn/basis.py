"""Another basis for what flows through a network, in which its weights are easier to cut; its outputs stay the same."""

import copy
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import nn

from tnsim.errors import NumericalError, ShapeError, check_fields, suggest
from tnsim.tensorize.hidden_order import hidden_order
from tnsim.tensorize.nn.arrays import array_of, tensor_of
from tnsim.tensorize.nn.collect import call_model, collect_grams, evaluation
from tnsim.tensorize.nn.replace import replace_layers

_LOG = logging.getLogger("tnsim.tensorize")
Writer: TypeAlias = nn.Linear | nn.Embedding
# relative change of the outputs that rounding may cause
_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-3}


@dataclass(frozen=True, kw_only=True)
class ResidualStream:
    """What writes into a residual stream (its outputs are added up), and which layers read each norm of it.

    Names as in `model.named_modules()`; a `*` stands for any one part, the same in a norm and its readers.

    >>> stream = ResidualStream(writers=("token", "blocks.*.o"), norms={"blocks.*.ln": ("blocks.*.q",)})
    >>> stream.readers("blocks.3.ln")
    ('blocks.3.q',)
    """

    writers: tuple[str, ...] = field(metadata={"help": "linear layers and embeddings"})
    norms: Mapping[str, tuple[str, ...]] = field(metadata={"help": "LayerNorm or RMSNorm: the linear layers behind it"})

    def __post_init__(self) -> None:
        check_fields(self)

    def readers(self, norm: str) -> tuple[str, ...]:
        """The linear layers that act on what a norm gives."""
        for pattern, readers in self.norms.items():
            parts, wanted = norm.split("."), pattern.split(".")
            if len(parts) == len(wanted) and all(w in ("*", p) for p, w in zip(parts, wanted, strict=True)):
                stars = [p for p, w in zip(parts, wanted, strict=True) if w == "*"]
                return tuple(_filled(reader, stars) for reader in readers)
        return ()


def _filled(pattern: str, stars: Sequence[str]) -> str:
    given = iter(stars)
    return ".".join(next(given) if part == "*" else part for part in pattern.split("."))


def rotate_residual(
    model: nn.Module, stream: ResidualStream, batches: Iterable[Any], rotation: torch.Tensor | None = None
) -> nn.Module:
    """A copy of a model whose residual stream stands in another basis, its outputs the same to rounding.

    Scales and shifts of the norms go into the layers behind them, the removal of the mean into the writers, so that
    all norms become plain RMSNorm, which no rotation changes. rotation: orthogonal, (old, new); without, the
    principal axes of what the readers see on the batches, that of most variance first. Raises NumericalError where
    the outputs on the first batch change: then the stream has other writers or readers than were named.
    Source: S. Ashkboos et al., arXiv:2401.15024 (2024), sections 3.1 and 3.2.
    """
    batches = list(batches)
    turned = copy.deepcopy(model)
    modules = dict(turned.named_modules())
    writers = [_writer(name, modules) for name in _matching(stream.writers, modules)]
    norms = {name: [_known(r, modules) for r in stream.readers(name)] for name in _matching(stream.norms, modules)}
    with torch.no_grad():
        _without_means(writers, [modules[name] for name in norms])
        plain = {name: _folded(modules[name], [modules[r] for r in readers]) for name, readers in norms.items()}
        replace_layers(turned, plain)
        if rotation is None:
            rotation = principal_axes(turned, [readers[0] for readers in norms.values()], batches)
        _turn(writers, [modules[r] for readers in norms.values() for r in readers], rotation)
    _check_same(model, turned, batches[0])
    return turned


def _matching(patterns: Iterable[str], modules: Mapping[str, nn.Module]) -> list[str]:
    found = []
    for pattern in patterns:
        wanted = pattern.split(".")
        names = [
            name
            for name in modules
            if len(parts := name.split(".")) == len(wanted)
            and all(w in ("*", p) for p, w in zip(parts, wanted, strict=True))
        ]
        if not names:
            raise ShapeError(f"no layer is called {pattern!r}. {suggest(pattern, modules)}")
        found += names
    return found


def _known(name: str, modules: Mapping[str, nn.Module]) -> str:
    if not isinstance(modules.get(name), nn.Linear):
        raise ShapeError(f"{name!r} is no linear layer of the model. {suggest(name, modules)}")
    return name


def _writer(name: str, modules: Mapping[str, nn.Module]) -> Writer:
    writer = modules[name]
    if not isinstance(writer, Writer):
        raise ShapeError(
            f"{name!r} is a {type(writer).__name__}: what writes into a stream is a linear layer or an embedding."
        )
    return writer


def _without_means(writers: Sequence[Writer], norms: Sequence[nn.Module]) -> None:
    """LayerNorm removes the mean of the stream: each writer can do that for its own part."""
    if not any(isinstance(norm, nn.LayerNorm) for norm in norms):
        return
    if not all(isinstance(norm, nn.LayerNorm) for norm in norms):
        raise ShapeError("a stream has one kind of norm, found LayerNorm and others.")
    for writer in writers:
        if isinstance(writer, nn.Embedding):
            writer.weight -= writer.weight.mean(1, keepdim=True)
        else:
            writer.weight -= writer.weight.mean(0, keepdim=True)
            if writer.bias is not None:
                writer.bias.sub_(writer.bias.mean())


def _folded(norm: nn.Module, readers: Sequence[nn.Linear]) -> nn.RMSNorm:
    """A norm without scale and shift, which the readers take over."""
    if not isinstance(norm, (nn.LayerNorm, nn.RMSNorm)):
        raise ShapeError(f"a norm is LayerNorm or RMSNorm, found {type(norm).__name__}.")
    width, shift = norm.normalized_shape[-1], getattr(norm, "bias", None)
    for reader in readers:
        if shift is not None:
            moved = reader.weight @ shift
            reader.bias = nn.Parameter(moved if reader.bias is None else reader.bias + moved)
        if norm.weight is not None:
            reader.weight *= norm.weight
    return nn.RMSNorm(width, eps=norm.eps, elementwise_affine=False)


def principal_axes(model: nn.Module, readers: Sequence[str], batches: Iterable[Any]) -> torch.Tensor:
    """Axes of what layers see on the batches, the sum over them, that of most variance first; the columns."""
    grams = collect_grams(model, batches)
    moments = [tensor_of(grams[name].second_moment) for name in readers]
    return torch.linalg.eigh(torch.stack(moments).sum(0)).eigenvectors.flip(1)


def _turn(writers: Sequence[Writer], readers: Sequence[nn.Linear], rotation: torch.Tensor) -> None:
    q = rotation.double()
    one = torch.eye(len(q), dtype=q.dtype, device=q.device)
    if not torch.allclose(q.T @ q, one, atol=1e-5):
        raise ShapeError("the rotation of a stream is an orthogonal matrix, this one is not.")
    for layer in readers:
        layer.weight.copy_(layer.weight.double() @ q)
    for writer in writers:
        if isinstance(writer, nn.Embedding):
            writer.weight.copy_(writer.weight.double() @ q)
        else:
            writer.weight.copy_(q.T @ writer.weight.double())
            if writer.bias is not None:
                writer.bias.copy_(q.T @ writer.bias.double())


def permute_hidden(
    model: nn.Module, pairs: Sequence[tuple[str, str]], batch: Any, *, tries: int = 0, seed: int = 0
) -> nn.Module:
    """A copy of a model with hidden units in another order, its outputs the same to rounding.

    pairs: (layer whose outputs are the units, layer whose inputs they are), with nothing but a function of single
    numbers between them. Units are sorted along the leading singular vector; then `tries` random exchanges are kept
    where a chain of the weights keeps more. Raises NumericalError where outputs change on the batch.
    """
    changed = copy.deepcopy(model)
    modules = dict(changed.named_modules())
    for first_name, second_name in pairs:
        first, second = (modules[_known(name, modules)] for name in (first_name, second_name))
        if first.out_features != second.in_features:
            sizes = f"{first_name} has {first.out_features} outputs, {second_name} {second.in_features} inputs"
            raise ShapeError(f"{sizes}: a pair shares its hidden units.")
        both = torch.cat([first.weight, second.weight.T], dim=1).detach().double()
        order = torch.from_numpy(hidden_order(array_of(both.cpu()), tries=tries, seed=seed)).to(first.weight.device)
        with torch.no_grad():
            first.weight.copy_(first.weight[order])
            second.weight.copy_(second.weight[:, order])
            if first.bias is not None:
                first.bias.copy_(first.bias[order])
    _check_same(model, changed, batch)
    return changed


def _check_same(model: nn.Module, changed: nn.Module, batch: Any) -> None:
    with evaluation(model), evaluation(changed), torch.no_grad():
        before, after = call_model(model, batch), call_model(changed, batch)
    error = float((after - before).norm() / before.norm().clamp(min=1e-300))
    _LOG.info("in the new basis outputs differ by %.1e", error)
    if not error <= _ROUNDING.get(before.dtype, 0.05):
        raise NumericalError(
            f"the outputs change by {error:.1e} in the new basis: are all writers and readers of the stream named, or "
            "is there more than a function of single numbers between the hidden units?"
        )
