"""A smaller dense network, made from the one that is there without training: what compression has to beat."""

import copy
import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from tnsim.tensorize.gram import Gram
from tnsim.tensorize.nn.arrays import tensor_of

_LOG = logging.getLogger("tnsim.tensorize")
_ELEMENTWISE = (nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.ELU, nn.Softplus, nn.Dropout)


def smaller_dense(
    model: nn.Module, numbers: int, loss: Callable[[nn.Module], float], gram: Mapping[str, Gram] | None = None
) -> tuple[nn.Module, str] | None:
    """A dense model with at most so many weights in linear layers and convolutions, and how it was made; None if none.

    Whole blocks are left out where the model has a list of alike ones, each time the one whose loss of accuracy is
    least (Men et al., arXiv:2403.03853, drop blocks by a score; here the loss is measured). Otherwise hidden units
    between two linear layers of a Sequential, those of least effect, their mean moved to the next bias.
    """
    work = copy.deepcopy(model)
    if found := _blocks(work):
        return _without_blocks(work, found, numbers, loss)
    if pairs := _hidden_pairs(work):
        return _narrower(work, pairs, numbers, gram or {})
    return None


def weights(model: nn.Module) -> int:
    """Numbers in the weights of linear layers, convolutions and embeddings."""
    layers = (m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.Embedding)))
    return sum({id(m.weight): m.weight.numel() for m in layers}.values())


def _blocks(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """(holder, name) of the longest list of at least two blocks of one class with weights of their own."""
    best: list[tuple[nn.Module, str]] = []
    for module in model.modules():
        if not isinstance(module, (nn.ModuleList, nn.Sequential)):
            continue
        children = dict(module.named_children())
        kinds = {type(child) for child in children.values()}
        if len(children) > max(1, len(best)) and len(kinds) == 1 and not kinds & {nn.Linear, nn.Conv2d}:
            best = [(module, name) for name in children]
    return best


def _without_blocks(
    model: nn.Module, blocks: list[tuple[nn.Module, str]], numbers: int, loss: Callable[[nn.Module], float]
) -> tuple[nn.Module, str]:
    """Blocks that are left out pass on what they get."""
    left, count = list(blocks), len(blocks)
    while weights(model) > numbers and len(left) > 1:
        losses = []
        for holder, name in left:
            block = getattr(holder, name)
            setattr(holder, name, nn.Identity())
            losses.append(loss(model))
            setattr(holder, name, block)
        holder, name = left.pop(losses.index(min(losses)))
        setattr(holder, name, nn.Identity())
        _LOG.info("smaller dense model: block %s left out, loss %.5g", name, min(losses))
    return model, f"{len(left)} of {count} blocks"


def _hidden_pairs(model: nn.Module) -> list[tuple[str, nn.Linear, nn.Linear]]:
    """Linear layers with nothing but an elementwise activation between them."""
    pairs: list[Any] = []
    for name, module in model.named_modules():
        children = list(module.named_children()) if isinstance(module, nn.Sequential) else []
        linear = [n for n, (_, child) in enumerate(children) if isinstance(child, nn.Linear)]
        for a, b in zip(linear, linear[1:], strict=False):
            if all(isinstance(child, _ELEMENTWISE) for _, child in children[a + 1 : b]):
                second = f"{name}.{children[b][0]}" if name else children[b][0]
                pairs.append((second, children[a][1], children[b][1]))
    return pairs


def _narrower(
    model: nn.Module, pairs: list[tuple[str, nn.Linear, nn.Linear]], numbers: int, gram: Mapping[str, Gram]
) -> tuple[nn.Module, str]:
    """The same share of hidden units kept everywhere, found by bisection."""
    wide = [first.out_features for _, first, _ in pairs]
    orders = [_by_effect(name, second, gram) for name, _, second in pairs]
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        trial = copy.deepcopy(model)
        _keep(_hidden_pairs(trial), orders, middle, gram)
        low, high = (middle, high) if weights(trial) <= numbers else (low, middle)
    _keep(pairs, orders, low, gram)
    kept = [first.out_features for _, first, _ in pairs]
    return model, f"{sum(kept)} of {sum(wide)} hidden units"


def _by_effect(name: str, second: nn.Linear, gram: Mapping[str, Gram]) -> torch.Tensor:
    """Units of most effect on the next layer first: size of their outgoing weights times their spread."""
    effect = second.weight.detach().double().norm(dim=0)
    if name in gram:
        effect = effect * tensor_of(gram[name].covariance).to(effect).diagonal().clamp(min=0).sqrt()
    return effect.argsort(descending=True)


def _keep(
    pairs: list[tuple[str, nn.Linear, nn.Linear]], orders: list[torch.Tensor], share: float, gram: Mapping[str, Gram]
) -> None:
    first: Any
    second: Any
    with torch.no_grad():
        for (name, first, second), order in zip(pairs, orders, strict=True):
            kept = order[: max(1, int(share * len(order)))].sort().values
            if name in gram and second.bias is not None:
                gone = torch.ones(len(order), dtype=torch.bool, device=order.device)
                gone[kept] = False
                mean = tensor_of(gram[name].mean).to(second.weight)
                second.bias += second.weight[:, gone] @ mean[gone]
            first.weight = nn.Parameter(first.weight[kept].clone())
            first.bias = None if first.bias is None else nn.Parameter(first.bias[kept].clone())
            second.weight = nn.Parameter(second.weight[:, kept].clone())
            first.out_features = second.in_features = len(kept)
