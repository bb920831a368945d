"""Chains that grow while they are trained: wider bonds, more cores; what they give stays the same at that moment."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tnsim.errors import SettingsError, ShapeError, check_fields
from tnsim.networks.rank_rule import max_ranks
from tnsim.tensorize.nn.chain_module import ChainModule
from tnsim.tensorize.nn.tt_linear import TTLinear


def inflate_(layer: ChainModule, chi: int, *, optimizer: torch.optim.Optimizer | None = None, seed: int = 0) -> bool:
    """Bonds of a chain up to `chi` (or the largest there is), in place; True where one grew.

    New states start as small random numbers before a bond and zeros behind it: the layer gives what it gave, to
    rounding, and gradients reach the new numbers. The parameters are new ones: an optimizer that is given gets them in
    the place of the old ones, its state for them grown with zeros. Raises ShapeError for a chi below a bond and for
    cores in few bits.
    """
    shapes = layer.core_shapes()
    largest = max_ranks([o * i for _, o, i, _ in shapes])
    if not isinstance(layer.cores, nn.ParameterList):
        raise ShapeError("cores in few bits do not grow: inflate the chain before it is quantised.")
    if any(chi < rank for rank in layer.ranks):
        raise ShapeError(f"bonds grow, found chi = {chi} for ranks {layer.ranks}: compress them instead.")
    bonds = (1, *(min(chi, most) for most in largest), 1)
    if bonds[1:-1] == layer.ranks:
        return False
    generator = torch.Generator().manual_seed(seed)
    for k, core in enumerate(list(layer.cores)):
        left, _, _, right = core.shape
        more = bonds[k + 1] - right
        wide = functional.pad(core.detach(), (0, more, 0, 0, 0, 0, 0, bonds[k] - left))
        if more:
            size = 0.3 * float(core.detach().abs().mean())
            fresh = torch.randn(left, *core.shape[1:3], more, generator=generator) * size
            wide[:left, :, :, right:] = fresh.to(wide)
        layer.cores[k] = nn.Parameter(wide, requires_grad=core.requires_grad)
        if optimizer is not None:
            _exchange(optimizer, core, layer.cores[k])
    layer.forget_()
    return True


def _exchange(optimizer: torch.optim.Optimizer, old: nn.Parameter, new: nn.Parameter) -> None:
    """A parameter in the place of a smaller one."""
    for group in optimizer.param_groups:
        group["params"] = [new if p is old else p for p in group["params"]]
    if old not in optimizer.state:
        return
    padding = [n for b, a in zip(reversed(new.shape), reversed(old.shape), strict=True) for n in (0, b - a)]
    state = optimizer.state.pop(old)
    for name, value in state.items():
        if torch.is_tensor(value) and value.shape == old.shape:
            state[name] = functional.pad(value, padding)
    optimizer.state[new] = state


def insert_core_(layer: TTLinear, at: int, *, factor: int = 1, freeze: bool = True) -> nn.Parameter:
    """A core that does nothing yet, in place, before core `at`: the identity from its left to its right bond.

    factor > 1 multiplies inputs and outputs of the layer, which then acts as before on each of `factor` interleaved
    parts (W x 1). freeze: the cores that were there get no gradient from now on. Returns the new parameter. Raises
    ShapeError for a layer with padding or permutations and factor > 1, and for cores in few bits.
    """
    shapes = layer.core_shapes()
    if not isinstance(layer.cores, nn.ParameterList):
        raise ShapeError("cores in few bits take no new core: insert it before the chain is quantised.")
    if not 0 <= at <= len(shapes):
        raise ShapeError(f"a core goes before core 0 to {len(shapes)}, found {at}.")
    if factor < 1 or (factor > 1 and not layer.is_plain):
        raise ShapeError(f"factor is at least 1, and 1 with padding or permutations, found {factor}.")
    bond = shapes[at][0] if at < len(shapes) else 1
    cores = list(layer.cores)
    eyes = torch.eye(bond)[:, None, None, :] * torch.eye(factor)[None, :, :, None]
    new = nn.Parameter(eyes.to(cores[0].detach()))
    for core in cores:
        core.requires_grad_(core.requires_grad and not freeze)
    layer.cores = nn.ParameterList([*cores[:at], new, *cores[at:]])
    layer.plan = None
    layer.forget_()
    if factor > 1:
        _widen(layer, at, factor)
    return new


def _widen(layer: TTLinear, at: int, factor: int) -> None:
    outs = [shape[1] for n, shape in enumerate(layer.core_shapes()) if n != at]
    layer.out_features, layer.in_features = factor * layer.out_features, factor * layer.in_features
    layer._sizes = layer.out_features, layer.in_features
    if layer.bias is not None:
        parts = layer.bias.detach().reshape([*outs[:at], 1, *outs[at:]])
        layer.bias = nn.Parameter(parts.expand([*outs[:at], factor, *outs[at:]]).reshape(-1).clone())


@dataclass(kw_only=True)
class Growth:
    """Wider bonds when a loss no longer falls: call `step` with it, once an epoch or every so many steps."""

    factor: float = field(default=2.0, metadata={"help": "bonds grow by this"})
    patience: int = field(default=3, metadata={"help": "losses without an improvement until bonds grow"})
    threshold: float = field(default=1e-3, metadata={"help": "share by which a loss has to fall to count"})
    chi_max: int = field(default=64, metadata={"help": "no bond grows beyond"})
    best: float = field(default=float("inf"), init=False, metadata={"help": "least loss so far"})
    waited: int = field(default=0, init=False, metadata={"help": "losses since then"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.factor <= 1 or self.patience < 1 or self.chi_max < 1:
            raise SettingsError(f"factor > 1, patience >= 1 and chi_max >= 1 are needed, found {self}.")

    def step(self, model: nn.Module, loss: float, optimizer: torch.optim.Optimizer | None = None) -> bool:
        """Tell a loss; True where bonds of the model's chains grew."""
        if loss < self.best * (1 - self.threshold):
            self.best, self.waited = loss, 0
            return False
        self.waited += 1
        if self.waited < self.patience:
            return False
        self.waited = 0
        grown = [self._grow(layer, optimizer) for layer in _chains(model)]
        return any(grown)

    def _grow(self, layer: ChainModule, optimizer: Any) -> bool:
        widest = max(layer.ranks, default=1)
        chi = max(widest, min(self.chi_max, int(widest * self.factor + 0.5)))
        return inflate_(layer, chi, optimizer=optimizer)


def _chains(model: nn.Module) -> Iterable[ChainModule]:
    modules = (module for module in model.modules() if isinstance(module, ChainModule))
    return (module for module in modules if isinstance(module.cores, nn.ParameterList))
