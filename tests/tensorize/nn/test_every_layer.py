"""What a network asks of every layer: equality with the layer it stands for, types, copies, state, export."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="layers need PyTorch (the extra torch)")
from torch import nn  # noqa: E402

import tnsim.tensorize as tz  # noqa: E402

torch.set_num_threads(1)


def ring(dense):
    """A ring with closing bond 1, of the chain of a layer."""
    return tz.RingLinear.from_chain(tz.TTLinear.from_dense(dense, (3, 4), (4, 5)))


def graph(dense):
    """A matrix in one core."""
    layer = tz.GraphLinear("o0 i0", {"o0": 12, "i0": 20}, bias=dense.bias is not None, dtype=dense.weight.dtype)
    with torch.no_grad():
        layer.cores[0].copy_(dense.weight)
        if dense.bias is not None:
            layer.bias.copy_(dense.bias)
    return layer


def terms(dense):
    """A Tucker form of full ranks, fitted."""
    layer = tz.BlockTermLinear(4, 4, dense.bias is not None, terms=1, rank=2, dtype=dense.weight.dtype)
    assert layer.fit_(dense.weight, sweeps=3) < 1e-6
    if dense.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(dense.bias)
    return layer


def conv(size=3, **geometry):
    return lambda bias, dtype: nn.Conv2d(6, 8, size, bias=bias, dtype=dtype, **geometry)


def linear(bias, dtype):
    return nn.Linear(20, 12, bias=bias, dtype=dtype)


def images(count, dtype):
    return torch.randn(count, 6, 9, 8, dtype=dtype)


def rows(count, dtype):
    return torch.randn(count, 20, dtype=dtype)


def ids(count, dtype):
    return torch.randint(0, 37, (count, 3))


CASES = {
    "chain": (linear, lambda d: tz.TTLinear.from_dense(d, (3, 4), (4, 5)), rows),
    "ring": (linear, ring, rows),
    "graph": (linear, graph, rows),
    "block terms": (lambda b, t: nn.Linear(4, 4, bias=b, dtype=t), terms, lambda n, t: torch.randn(n, 4, dtype=t)),
    "convolution": (conv(padding=1), lambda d: tz.TTConv2d.from_dense(d, (2, 4), (6, 9)), images),
    "tucker": (conv(padding=1), lambda d: tz.TuckerConv.from_dense(d, (8, 6)), images),
    "polyadic": (conv(padding=1), lambda d: tz.CPConv.from_dense(d, 48, sweeps=300), images),
    "table": (
        lambda bias, dtype: nn.Embedding(37, 12, padding_idx=5, dtype=dtype),
        lambda d: tz.TTEmbedding.from_dense(d, (3, 4), (5, 8), index=tz.IndexOrder(pad=True)),
        ids,
    ),
}


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return CASES[request.param]


def pair(case, bias=True, dtype=torch.float64):
    torch.manual_seed(0)
    dense = case[0](bias, dtype)
    return dense, case[1](dense)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 1e-5), (torch.float64, 1e-6)])
def test_full_rank_equals_the_dense_layer(case, bias, dtype, tol):
    """A7, B10, B11, B12, B13: outputs and gradients of the inputs, with a bias and without."""
    dense, layer = pair(case, bias, dtype)
    x, other = (case[2](4, dtype) for _ in range(2))
    assert (getattr(layer, "bias", None) is None) == (getattr(dense, "bias", None) is None)
    for inputs in (x, other):
        torch.testing.assert_close(layer(inputs), dense(inputs), rtol=tol, atol=10 * tol)
    torch.testing.assert_close(layer.weight, dense.weight, rtol=tol, atol=10 * tol)
    if x.is_floating_point():
        grads = [
            torch.autograd.grad((net(z) ** 2).sum(), z)[0]
            for net in (dense, layer)
            for z in [x.clone().requires_grad_()]
        ]
        torch.testing.assert_close(*grads, rtol=100 * tol, atol=100 * tol)


def test_copies_state_and_no_samples(case):
    dense, layer = pair(case)
    x = case[2](3, torch.float64)
    twin = copy.deepcopy(layer)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(1.5)
    assert not torch.allclose(twin(x), layer(x))
    assert not twin.load_state_dict(layer.state_dict()).missing_keys
    torch.testing.assert_close(twin(x), layer(x))
    assert layer(x[:0]).shape == dense(x[:0]).shape
    loss = layer(x).pow(2).sum()
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())


def test_autocast_and_half_precision_as_in_the_dense_layer(case):
    dense, layer = pair(case, dtype=torch.float32)
    x = case[2](3, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x).dtype == dense(x).dtype
    half = x.bfloat16() if x.is_floating_point() else x
    dense, layer = dense.bfloat16(), layer.bfloat16()
    assert layer(half).dtype == torch.bfloat16
    torch.testing.assert_close(layer(half), dense(half), rtol=0.05, atol=0.05)


def test_export(case):
    """torch.export with a batch of any size gives the numbers of the layer."""
    _, layer = pair(case, dtype=torch.float32)
    layer.eval()
    x = case[2](3, torch.float32)
    batch = torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(layer, (x,), dynamic_shapes=({0: batch},)).module()
    for count in (3, 7):
        more = case[2](count, torch.float32)
        torch.testing.assert_close(exported(more), layer(more), rtol=1e-4, atol=1e-5)


def test_onnx(case, tmp_path):
    """C7: where the extra onnx is installed; a batch of any size."""
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name, reason="the extra onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    _, layer = pair(case, dtype=torch.float32)
    batch, path = torch.export.Dim("batch", min=2, max=64), str(tmp_path / "layer.onnx")
    x = case[2](3, torch.float32)
    torch.onnx.export(layer.eval(), (x,), path, dynamo=True, dynamic_shapes=({0: batch},))
    session = runtime.InferenceSession(path)
    for count in (3, 7):
        x = case[2](count, torch.float32)
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), layer(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "geometry",
    [
        {"stride": 2},
        {"padding": (2, 1), "dilation": 2},
        {"padding": "same", "size": (2, 3)},
        {"padding": 1, "padding_mode": "reflect"},
        {"groups": 2, "padding": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["convolution", "tucker", "polyadic"])
def test_convolutions_keep_the_geometry(kind, geometry):
    """B10: stride, padding, dilation and groups."""
    torch.manual_seed(1)
    dense = conv(**geometry)(True, torch.float64)
    x = images(2, torch.float64)
    grouped = "groups" in geometry
    if kind == "convolution":
        if grouped:
            with pytest.raises(ValueError, match="use TuckerConv or CPConv"):
                tz.TTConv2d.from_dense(dense)
            return
        layer = tz.TTConv2d.from_dense(dense)
        layer.plan = tz.ApplyPlan(groups=(1, 1))
        torch.testing.assert_close(layer(x), dense(x))
        layer.plan = None
    elif kind == "tucker":
        layer = tz.TuckerConv.from_dense(dense, (4, 3) if grouped else (8, 6))
    else:
        layer = tz.CPConv.from_dense(dense, 12 if grouped else 48, sweeps=2000)
    torch.testing.assert_close(layer(x), dense(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer(x[0]), dense(x[0]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer.weight, dense.weight, rtol=1e-4, atol=1e-4)


def test_a_pass_forwards_and_backwards_asks_the_device_for_nothing(case):
    """On the device "meta", which has no numbers: any copy to the host, or look at a value, would raise."""
    _, layer = pair(case, dtype=torch.float32)
    layer.to("meta")
    x = case[2](3, torch.float32).to("meta")
    dense_shape = case[0](True, torch.float32)(case[2](3, torch.float32)).shape
    y = layer(x)
    assert y.is_meta and y.shape == dense_shape
    y.sum().backward()
    assert all(parameter.grad.is_meta for parameter in layer.parameters())
    with torch.no_grad():
        assert layer.eval()(x).shape == dense_shape


def test_the_table_of_an_embedding_is_what_it_gives():
    """With the vector of the padding in its place; whole numbers of any type."""
    torch.manual_seed(0)
    table = tz.TTEmbedding(10, 4, padding_idx=3, chi=2)
    ids = torch.arange(10)
    for dtype in (torch.int64, torch.int32, torch.int16, torch.uint8):
        torch.testing.assert_close(table(ids.to(dtype)), table.weight)
    assert not table.weight[3].any() and table.weight.detach()[4].any()


def test_a_convolution_of_no_images_by_its_patches():
    layer = tz.TTConv2d.from_dense(nn.Conv2d(4, 6, 3), (2, 3), (6, 6), 2)
    layer.plan = tz.ApplyPlan(groups=(1, 1))
    assert layer(torch.ones(0, 4, 5, 6)).shape == (0, 6, 3, 4)
