"""Other bases for a network: its outputs stay, its weights are easier to cut."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="layers need PyTorch (the extra torch)")
from torch import nn  # noqa: E402

import tnsim.tensorize as tz  # noqa: E402
from tnsim.errors import NumericalError, ShapeError  # noqa: E402
from tnsim.tensorize.hidden_order import kept_weight  # noqa: E402

torch.set_num_threads(1)
STREAM = tz.ResidualStream(
    writers=("token", "blocks.*.f2"), norms={"blocks.*.norm": ("blocks.*.f1",), "norm": ("head",)}
)


class Block(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.norm, self.f1, self.f2 = norm(16), nn.Linear(16, 64), nn.Linear(64, 16)

    def forward(self, x):
        return x + self.f2(torch.relu(self.f1(self.norm(x))))


class Residual(nn.Module):
    """Two blocks; the stream lies in few directions that are not the axes."""

    def __init__(self, norm):
        super().__init__()
        self.token = nn.Embedding(40, 16)
        self.blocks = nn.ModuleList(Block(norm) for _ in range(2))
        self.norm, self.head = norm(16), nn.Linear(16, 40, bias=False)

    def forward(self, ids):
        x = self.token(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def residual(norm=nn.LayerNorm):
    torch.manual_seed(0)
    model = Residual(norm).double()
    q = torch.linalg.qr(torch.randn(16, 16, dtype=torch.float64)).Q
    narrow = q @ torch.diag(0.6 ** torch.arange(16.0, dtype=torch.float64)) @ q.T
    with torch.no_grad():
        for layer in (model.token, model.blocks[0].f2, model.blocks[1].f2):
            layer.weight.copy_(layer.weight @ narrow if layer is model.token else narrow @ layer.weight)
        for p in model.parameters():
            p += 0.05 * torch.randn_like(p)
    return model


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.RMSNorm])
def test_a_rotated_stream_gives_the_same_and_is_cut_better(norm):
    """The function stays to rounding; principal axes sort what is seen; a planted basis makes the chain exact."""
    model, ids = residual(norm), torch.randint(0, 40, (60, 5))
    turned = tz.rotate_residual(model, STREAM, [ids])
    torch.testing.assert_close(turned(ids), model(ids), rtol=1e-9, atol=1e-9)
    assert isinstance(turned.norm, nn.RMSNorm) and turned.norm.weight is None
    seen = [tz.Gram.collect(turned, [ids])[name].second_moment for name in ("blocks.0.f1", "blocks.1.f1", "head")]
    total = sum(seen)
    np.testing.assert_allclose(total, np.diag(np.sort(np.diag(total))[::-1]), atol=1e-10)

    basis = torch.linalg.qr(torch.randn(16, 16, dtype=torch.float64)).Q
    products = torch.kron(torch.randn(8, 4), torch.randn(8, 4)).double()
    with torch.no_grad():
        model.blocks[0].f1.weight.copy_(products @ basis.T / model.blocks[0].norm.weight)
    turned = tz.rotate_residual(model, STREAM, [ids], rotation=basis)
    torch.testing.assert_close(turned(ids), model(ids), rtol=1e-9, atol=1e-9)
    cuts = [tz.profile(net, form=tz.LayerFormat(formats=("chain",)), ratio=3.0).layers[1] for net in (model, turned)]
    assert cuts[0].error > 0.3 and cuts[1].error < 1e-6 and cuts[1].chain.entropy < 1e-9


def test_a_stream_that_is_not_named_in_full_is_refused():
    model, ids = residual(), torch.randint(0, 40, (60, 5))
    short = tz.ResidualStream(writers=("token", "blocks.0.f2"), norms=STREAM.norms)
    with pytest.raises(NumericalError, match="all writers and readers"):
        tz.rotate_residual(model, short, [ids])
    with pytest.raises(ShapeError, match="no layer is called"):
        tz.rotate_residual(model, tz.ResidualStream(writers=("tok",), norms=STREAM.norms), [ids])
    with pytest.raises(ShapeError, match="orthogonal"):
        tz.rotate_residual(model, STREAM, [ids], rotation=2 * torch.eye(16))


def test_hidden_units_in_another_order_keep_more():
    model, ids = residual(), torch.randint(0, 40, (60, 5))
    with torch.no_grad():  # planted: a product of two factors whose rows were mixed
        planted = torch.kron(torch.randn(8, 4), torch.randn(8, 4))[torch.randperm(64)]
        model.blocks[0].f1.weight.copy_(planted)
    changed = tz.permute_hidden(model, [("blocks.0.f1", "blocks.0.f2")], ids, tries=300)
    torch.testing.assert_close(changed(ids), model(ids), rtol=1e-9, atol=1e-9)
    kept = [
        kept_weight(torch.cat([m.blocks[0].f1.weight, m.blocks[0].f2.weight.T], 1).detach().numpy())
        for m in (model, changed)
    ]
    assert kept[1] > kept[0] + 0.02
    with pytest.raises(ShapeError, match="shares its hidden units"):
        tz.permute_hidden(model, [("blocks.0.f1", "head")], ids)


def test_the_models_given_are_untouched():
    model, ids = residual(), torch.randint(0, 40, (60, 5))
    before = copy.deepcopy(model.state_dict())
    tz.rotate_residual(model, STREAM, [ids])
    tz.permute_hidden(model, [("blocks.0.f1", "blocks.0.f2")], ids)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_is_no_linear_layer_writes_into_no_stream():
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4))
    stream = tz.ResidualStream(writers=("1",), norms={"1": ("2",)})
    with pytest.raises(ShapeError, match="'1' is a LayerNorm: what writes"):
        tz.rotate_residual(model, stream, [torch.randn(2, 4)])
