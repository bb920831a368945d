"""A chain as a linear layer: equal to nn.Linear at full rank in all that a network asks of it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="layers need PyTorch (the extra torch)")
from torch import nn  # noqa: E402

import tnsim.tensorize as tz  # noqa: E402
from tnsim.errors import NumericalError, SettingsError, ShapeError  # noqa: E402
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


def test_one_line_makes_the_layer_of_the_documents():
    """C1."""
    layer = tz.TTLinear(2048, 1000, chi=8)
    assert layer.numbers == 12160 and 2048 * 1000 // layer.numbers == 168
    assert [core.shape[1:3] for core in layer.cores] == [(10, 8), (10, 16), (10, 16)]
    assert tz.TTLinear(37, 41, chi=2)(torch.ones(3, 37)).shape == (3, 41)  # primes are filled up


def test_new_layers_have_the_variance_of_a_dense_one():
    """A8: twenty seeds, chains, rings and sums of Tucker forms."""
    torch.manual_seed(0)
    x = torch.randn(50, 64)
    makers = [
        lambda: tz.TTLinear(64, 64, False, chi=8),
        lambda: tz.RingLinear(64, 64, False, chi=4),
        lambda: tz.BlockTermLinear(64, 64, False, terms=3, rank=3),
    ]
    wanted = 64 / (3 * 64)
    for make in makers:
        found = np.mean([float(make()(x).detach().var()) for _ in range(20)])
        assert abs(found / wanted - 1) < 0.2
    # of chains each single draw has it
    assert all(abs(float(make().weight.detach().pow(2).mean()) * 3 * 64 - 1) < 1e-4 for make in makers[:1] * 5)
    assert tz.TTLinear(64, 64, chi=8, dtype=torch.bfloat16).cores[0].dtype == torch.bfloat16


def test_arrays_are_shared_with_the_mpo():
    layer = tz.TTLinear(12, 8, chi=2, factors=((2, 4), (3, 4)))
    mpo = layer.to_mpo()
    with torch.no_grad():
        layer.cores[0].mul_(3)
    np.testing.assert_allclose(mpo.to_matrix(), layer.weight.detach().numpy(), atol=1e-6)
    again = tz.TTLinear.from_mpo(mpo)
    assert again.cores[0].data_ptr() == layer.cores[0].data_ptr()


def test_the_fit_to_activations_beats_the_cut_weight():
    dense = linear(16, 16)
    x = torch.randn(400, 16, dtype=torch.float64) * 0.7 ** torch.arange(16) + 1.0
    gram = tz.Gram.collect([x.numpy()])
    plain, fitted = (tz.TTLinear.from_dense(dense, (4, 4), (4, 4), 4, gram=g) for g in (None, gram))
    errors = [float(((layer(x) - dense(x)).norm() / dense(x).norm()).detach()) for layer in (plain, fitted)]
    assert errors[1] < 0.5 * errors[0]
    torch.testing.assert_close(fitted(x).mean(0), dense(x).mean(0))
    bare = tz.TTLinear.from_dense(linear(16, 16, bias=False), (4, 4), (4, 4), 4, gram=gram)
    assert bare.bias is None


def test_only_the_input_is_kept_for_the_gradient():
    """B7 and the bound on memory: a step at batch 64 saves the rows and the cores, nothing of the bonds."""
    layer = tz.TTLinear(256, 256, chi=8, factors=((16, 16), (16, 16)))
    layer.plan = ApplyPlan(groups=(1, 1), block=4)
    x = torch.randn(64, 256, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        layer(x)
    assert sum(saved) <= x.numel() + layer.numbers


def test_layers_are_replaced_by_name_and_shared_ones_everywhere():
    inner = nn.Linear(4, 4)
    model = nn.Sequential(nn.Sequential(inner, nn.ReLU()), inner)
    new = tz.TTLinear.from_dense(inner)
    tz.replace_layers(model, {"0.0": new})
    assert model[0][0] is new and model[1] is new
    with pytest.raises(ShapeError, match="no layer '0.7'"):
        tz.replace_layers(model, {"0.7": new, "1": inner})
    assert model[1] is new


def test_bad_input_is_refused_with_names_and_bounds():
    """A1, A3, A5."""
    dense = linear(64, 64)
    with pytest.raises(ShapeError, match="rank 65 is above the maximum"):
        tz.TTLinear.from_dense(dense, (8, 8), (8, 8), 65)
    assert tz.TTLinear.from_dense(dense, (8, 8), (8, 8), 64).ranks == (64,)
    with pytest.raises(ShapeError, match="do not multiply to the 64 rows"):
        tz.TTLinear.from_dense(dense, (8, 7), (8, 8), 3)
    with pytest.raises(ShapeError, match="go together"):
        tz.TTLinear.from_dense(dense, (8, 8), chi=3)
    with pytest.raises(ValueError, match="at least 1"):
        tz.TTLinear(64, 64, chi=0)
    with pytest.raises(ShapeError, match="needs its ranks"):
        tz.TTLinear(64, 64, chi=None)
    with pytest.raises(ShapeError, match="acts on 64 features"):
        tz.TTLinear.from_dense(dense, (8, 8), (8, 8), 2)(torch.ones(3, 63, dtype=torch.float64))
    with torch.no_grad():
        dense.weight[3, 4] = float("nan")
    with pytest.raises(NumericalError, match="NaN or Inf"):
        tz.TTLinear.from_dense(dense, (8, 8), (8, 8), 2)
    with pytest.raises(IndexError, match="found 10"):
        tz.TTEmbedding(10, 4, chi=2)(torch.tensor([0, 10]))
    for wrong in (torch.tensor([True, False]), torch.tensor([1.0])):
        with pytest.raises(ShapeError, match="whole numbers"):
            tz.TTEmbedding(10, 4, chi=2)(wrong)
    for groups in ((3,), (1, 1, 1)):
        layer = tz.TTLinear(64, 64, chi=2, factors=((8, 8), (8, 8))).eval()
        layer.plan = tz.ApplyPlan(groups=groups)
        for grad in (True, False):
            with torch.set_grad_enabled(grad), pytest.raises(SettingsError, match="is for 3 sites, it has 2"):
                layer(torch.ones(1, 64))
    with pytest.raises(ValueError, match="stand in one of them only"):
        tz.GraphLinear("o0 i0 a", {"o0": 2, "i0": 2, "b": 3})
    with pytest.raises(ShapeError, match="channels of a group"):
        tz.TuckerConv.from_dense(nn.Conv2d(4, 4, 3), (5, 2))


def test_the_transforms_of_torch_func_see_a_linear_map():
    """As of nn.Linear: Jacobians, batches of gradients, forward derivatives and gradients by swapped parameters."""
    torch.manual_seed(0)
    layer, x = tz.TTLinear(12, 20, chi=3, factors=((4, 5), (3, 4))).double(), torch.randn(5, 12).double()
    matrix = layer.weight.detach()
    torch.testing.assert_close(torch.func.jacrev(layer)(x[0]), matrix)
    torch.testing.assert_close(torch.func.jacfwd(layer)(x[0]), matrix)
    torch.testing.assert_close(torch.func.vmap(layer)(x), layer(x))
    parameters = dict(layer.named_parameters())

    def loss(values, row):
        return torch.func.functional_call(layer, values, (row,)).pow(2).sum()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x)
    layer(x).pow(2).sum().backward()
    for name, parameter in parameters.items():
        torch.testing.assert_close(each[name].sum(0), parameter.grad)


def test_the_activations_of_one_layer_are_asked_for():
    gram = tz.Gram.collect([np.random.default_rng(0).standard_normal((50, 12))])
    with pytest.raises(ShapeError, match='found a dict: give gram\\["its name"\\]'):
        tz.TTLinear.from_dense(nn.Linear(12, 20), (4, 5), (3, 4), 3, gram={"fc": gram})
