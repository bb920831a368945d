"""Measured plans for the layers of a network, and merged cores that are kept between calls."""

import copy
import pickle

import pytest

torch = pytest.importorskip("torch", reason="layers need PyTorch (the extra torch)")
from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

import tnsim.tensorize as tz  # noqa: E402
from tnsim.errors import ShapeError  # noqa: E402
from tnsim.tensorize import planner  # noqa: E402
from tnsim.tensorize.nn import tuning  # noqa: E402

torch.set_num_threads(1)
QUICK = tz.Planner(seconds=0.02)


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv("TNSIM_CACHE", str(tmp_path))
    monkeypatch.setattr(planner, "_MEMORY", {})
    torch.manual_seed(0)
    return nn.Sequential(tz.TTLinear(36, 64, chi=3), nn.ReLU(), tz.TTLinear(64, 36, chi=3)).eval()


def test_plans_are_measured_once_and_change_no_output(model, monkeypatch):
    x = torch.randn(5, 7, 36)
    before = model(x)
    plans = tz.tune_plans_(model, x, QUICK)
    assert set(plans) == {"0", "2"}
    torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(planner, "_MEMORY", {})
    monkeypatch.setattr(tuning, "measured_plans", lambda *_: pytest.fail("measured again"))
    assert tz.tune_plans_(model, x, QUICK) == plans


@pytest.mark.parametrize("groups", [(2, 1), (3,), (1, 2)])
def test_kept_cores_follow_the_parameters(model, groups):
    layer, x = model[0], torch.randn(6, 36)
    layer.plan = tz.ApplyPlan(groups=groups, block=2 if groups == (1, 2) else 0)
    with torch.no_grad():
        wanted = x @ layer.weight.T + layer.bias
        torch.testing.assert_close(layer(x), wanted, rtol=1e-4, atol=1e-5)
        assert layer(x).data_ptr() != layer(x[:1]).data_ptr() and layer._kept is not None
        layer.cores[1].mul_(2)
        torch.testing.assert_close(layer(x) - layer.bias, 2 * (wanted - layer.bias), rtol=1e-4, atol=1e-5)
        layer.load_state_dict(tz.TTLinear(36, 64, chi=3).state_dict())
        torch.testing.assert_close(layer(x), x @ layer.weight.T + layer.bias, rtol=1e-4, atol=1e-5)
    layer.train()
    assert layer._kept is None and layer(x).requires_grad


@pytest.mark.parametrize("rule", [None, "int8", "int4"])
def test_kept_cores_in_few_bits_and_other_types_follow_what_is_stored(rule):
    """Cores that are made anew in every call may lie where the old ones lay, and have no versions in inference mode."""
    torch.manual_seed(0)
    layers = [tz.TTLinear(36, 64, chi=3).eval() for _ in range(2)]
    layer, other = layers if rule is None else [tz.quantize_layer(found, rule) for found in layers]
    layer.plan, x = tz.ApplyPlan(groups=(2, 1)), torch.randn(6, 36)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), x @ layer.weight.T + layer.bias, rtol=1e-4, atol=1e-5)
        kept = layer._kept
        assert layer(x) is not None and layer._kept is kept is not None
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x)
        layer.load_state_dict(other.state_dict())
        torch.testing.assert_close(layer(x), other(x), rtol=0, atol=0.05)


@pytest.mark.parametrize("first", ["last", "first"])
@pytest.mark.parametrize("groups", [(1, 1, 1), (2, 1), (1, 2)])
def test_one_row_has_its_own_path_through_kept_cores(model, groups, first):
    layer, x = model[0], torch.randn(3, 36)
    layer.plan = tz.ApplyPlan(groups=groups, first=first)
    with torch.no_grad():
        rows = torch.cat([layer(row) for row in x.T.contiguous().T.split(1)])
    torch.testing.assert_close(rows, x @ layer.weight.T + layer.bias, rtol=1e-4, atol=1e-5)


def test_copies_and_pickled_layers_start_without_kept_cores(model):
    layer, x = model[0], torch.randn(1, 36)
    layer.plan = tz.ApplyPlan(groups=(2, 1))
    with torch.no_grad():
        layer(x)
        for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert twin._kept is None and layer._kept is not None
            twin.cores[0].mul_(2)
            torch.testing.assert_close(twin(x) - twin.bias, 2 * (layer(x) - layer.bias))


def _changes():
    def replaced(layer):
        layer.cores[0] = nn.Parameter(layer.cores[0].data.mul_(2))  # the same memory, another parameter

    def swapped(layer):
        layer.cores[0].data = 2 * layer.cores[0].data

    def other_list(layer):
        layer.cores = nn.ParameterList([2 * layer.cores[0].detach(), *(core.detach() for core in layer.cores[1:])])

    def biased(layer):
        layer.bias.data.add_(3)

    def pruned(layer):
        prune.l1_unstructured(layer, "bias", amount=5)

    def double(layer):
        layer.double()

    def step(layer):
        torch.optim.SGD(layer.parameters(), lr=1.0).step()

    def stepped(layer):
        for p in layer.parameters():
            p.grad = torch.ones_like(p)
        step(layer)

    return [replaced, swapped, other_list, biased, pruned, double, stepped]


@pytest.mark.parametrize("change", _changes(), ids=lambda change: change.__name__)
@pytest.mark.parametrize("groups", [(2,), (1, 1), None])
def test_whatever_is_changed_the_next_call_knows(change, groups):
    """The short way around nn.Module must not serve merged cores of other parameters."""
    torch.manual_seed(0)
    layer, x = tz.TTLinear(16, 16, chi=3, factors=((4, 4), (4, 4))).eval(), torch.randn(1, 16)
    layer.plan = groups and tz.ApplyPlan(groups=groups)
    with torch.no_grad():
        for rows in (x, x.expand(3, 16), x[None], x[0]):
            for _ in range(2):
                wanted = rows @ layer.weight.T + layer.bias
                torch.testing.assert_close(layer(rows), wanted, rtol=1e-4, atol=1e-5)
        change(layer)
        x = x.to(layer.cores[0])
        torch.testing.assert_close(layer(x), x @ layer.weight.T + layer.bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups", [(2,), (1, 1)])
def test_bad_inputs_are_refused_and_graphs_made_as_without_kept_cores(groups):
    layer, x = tz.TTLinear(16, 12, chi=3, factors=((3, 4), (4, 4))).eval(), torch.randn(1, 16)
    layer.plan = tz.ApplyPlan(groups=groups)
    with torch.no_grad():
        layer(x)
        for bad in (torch.randn(2, 8), torch.randn(16, 1), torch.randn(())):
            with pytest.raises(ShapeError, match="16 features"):
                layer(bad)
        with pytest.raises(RuntimeError):
            layer(x.double())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16
        assert layer(x).dtype == torch.float32
        traced, more = torch.jit.trace(layer, x), torch.randn(5, 16)
        torch.testing.assert_close(traced(more), layer(more), rtol=1e-4, atol=1e-5)
        batch = {0: torch.export.Dim("batch")}
        exported = torch.export.export(layer, (more,), dynamic_shapes=(batch,))
        assert any(name.startswith("cores") for name in exported.state_dict)
        torch.testing.assert_close(exported.module()(x), layer(x), rtol=1e-4, atol=1e-5)
