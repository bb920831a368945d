"""A chain as a linear layer: equal to nn.Linear at full rank in all that a network asks of it."""

import pytest

torch = pytest.importorskip("torch", reason="layers need PyTorch (the extra torch)")
from torch import nn  # noqa: E402

import tnsim.tensorize as tz  # noqa: E402
from tnsim.networks.apply_plan import ApplyPlan  # noqa: E402
from tnsim.networks.matrix_index import IndexOrder  # noqa: E402

torch.set_num_threads(1)


def linear(width=24, out=36, bias=True, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(width, out, bias=bias, dtype=dtype)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lead", [(), (5,), (2, 3), (2, 1, 3), (0,)])
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_a_chain_of_full_rank_equals_the_layer(bias, lead, dtype, tol):
    """A7."""
    dense = linear(bias=bias, dtype=dtype)
    layer = tz.TTLinear.from_dense(dense, (6, 6), (4, 6))
    x = torch.randn(*lead, 24, dtype=dtype)
    y = layer(x)
    assert y.shape == dense(x).shape and y.dtype == dtype and (layer.bias is None) == (not bias)
    torch.testing.assert_close(y, dense(x), rtol=tol, atol=tol)


PLANS = [
    *(ApplyPlan(groups=groups, first=first) for groups in [(1, 1, 1), (2, 1)] for first in ("last", "first")),
    ApplyPlan(groups=(1, 2), block=2),
    ApplyPlan(groups=(1, 1, 1), first="first", block=3),
    ApplyPlan(groups=(3,), again=True),
]
TURNED = IndexOrder(
    order="o2 | o0 i2 i0 | o1 i1", rows=tuple(range(7, -1, -1)), columns=(3, 0, 1, 2, *range(4, 11)), pad=True
)


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_gradients_are_right_in_every_plan(plan):
    """B7: gradients, and those of gradients, against finite differences, with permutations and padding."""
    dense = linear(11, 8)
    layer = tz.TTLinear.from_dense(dense, (2, 2, 2), (2, 3, 2), 3, index=TURNED)
    layer.plan = plan
    x = torch.randn(4, 11, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(layer(x), x @ layer.matrix().T + layer.bias)

    def act(x, *parameters):
        names = dict(zip([name for name, _ in layer.named_parameters()], parameters, strict=True))
        return torch.func.functional_call(layer, names, x)

    inputs = (x, *layer.parameters())
    assert torch.autograd.gradcheck(act, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(act, inputs, fast_mode=True)
