"""The fastest way to apply each chain of a network, measured on this machine."""

from typing import Any

import torch
from torch import nn

from tnsim.networks.apply_plan import ApplyPlan
from tnsim.tensorize.nn.chain_module import ChainModule
from tnsim.tensorize.nn.chain_product import core_shapes, prepared_chain
from tnsim.tensorize.nn.collect import call_model, evaluation, input_of
from tnsim.tensorize.nn.tt_linear import TTLinear
from tnsim.tensorize.planner import Planner, fastest_seconds, picked, processor
from tnsim.version import __version__


def tune_plans_(model: nn.Module, batch: Any, planner: Planner | None = None) -> dict[str, ApplyPlan]:
    """Give every `TTLinear` the plan that is fastest for the rows it sees in a batch; the plans by name.

    Plans are measured without gradients, remembered by shape, and kept on disk (see `Planner`). Where nothing else is
    as fast, the whole matrix is kept in evaluation, so that no layer is slower than a dense one;
    `Planner(whole_matrix=False)` saves its memory. Merged cores are kept between calls in evaluation mode, and made
    anew after a change of the parameters by their methods (not in place by way of `.data`) or by `train()`.
    """
    rule = planner or Planner()
    rows: dict[str, int] = {}
    layers = {name: module for name, module in model.named_modules() if isinstance(module, TTLinear)}

    def note(name: str) -> Any:
        return lambda _, args, named: rows.__setitem__(name, max(1, input_of(args, named)[..., 0].numel()))

    hooks = [layer.register_forward_pre_hook(note(name), with_kwargs=True) for name, layer in layers.items()]
    try:
        with evaluation(model), torch.no_grad():
            call_model(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    found = {name: fastest_plan(layers[name], count, rule) for name, count in rows.items()}
    for name, plan in found.items():
        layers[name].plan = plan
        layers[name].forget_()
    return found


def fastest_plan(layer: ChainModule, rows: int, planner: Planner) -> ApplyPlan:
    """The fastest plan for batches of about so many rows: remembered, or measured now."""
    rows = 1 << (rows - 1).bit_length()
    cores = [core.detach() for core in layer.chain_cores()]
    sizes = " ".join("x".join(map(str, shape)) for shape in core_shapes(cores))
    machine = f"{processor()}, {torch.get_num_threads()} threads, tnsim {__version__}, torch {torch.__version__}"
    kind = f"{cores[0].device.type}, {cores[0].dtype}"
    key = f"{machine}, {kind}, {sizes}, {rows} rows, whole matrix {planner.whole_matrix}"
    return planner.remembered(key, lambda: picked(measured_plans(cores, rows, planner)))


def measured_plans(
    cores: list[torch.Tensor], rows: int, planner: Planner, count: int = 0
) -> list[tuple[float, ApplyPlan]]:
    """(seconds, plan) of the plans of least estimated cost, fastest first."""
    choices = planner.candidates_for(core_shapes(cores), rows, cores[0].element_size(), count)
    width = 1
    for core in cores:
        width *= core.shape[2]
    batch = torch.randn(rows, width, dtype=cores[0].dtype, device=cores[0].device)
    wait = torch.cuda.synchronize if cores[0].is_cuda else _no_wait
    with torch.no_grad():
        acts = [_act(cores, plan) for plan in choices]
        seconds = fastest_seconds(acts, batch, planner.seconds, wait)
    return sorted(zip(seconds, choices, strict=True), key=lambda pair: pair[0])


def _act(cores: list[torch.Tensor], plan: ApplyPlan) -> Any:
    if plan.again:
        return lambda rows: prepared_chain(cores, plan)(rows, None)
    act = prepared_chain(cores, plan)
    return lambda rows: act(rows, None)


def _no_wait() -> None:
    return None
