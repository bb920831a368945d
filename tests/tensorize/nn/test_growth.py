"""Bonds and cores that grow during training."""

import pytest

torch = pytest.importorskip("torch", reason="layers need PyTorch (the extra torch)")
from torch import nn  # noqa: E402

import tnsim.tensorize as tz  # noqa: E402
from tnsim.errors import ShapeError  # noqa: E402

torch.set_num_threads(1)


def train(layer, x, y, steps, growth=None, rate=1e-2):
    """Adam on the squared error; losses, and the step at which bonds grew."""
    optimizer = torch.optim.Adam(layer.parameters(), lr=rate)
    losses, grown = [], []
    for step in range(steps):
        loss = (layer(x) - y).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if growth is not None and step % 20 == 19:
            before = layer(x).detach()
            if growth.step(layer, losses[-1], optimizer):
                grown.append(step)
                assert (layer(x).detach() - before).abs().max() < 1e-6
    return losses, grown


def planted(rank=6):
    torch.manual_seed(0)
    target = tz.TTLinear(36, 36, bias=False, chi=rank, factors=((6, 6), (6, 6)))
    x = torch.randn(400, 36)
    return x, target(x).detach()


def test_wider_bonds_go_on_where_narrow_ones_stall():
    """B8: the function is unchanged when bonds grow, and the loss then falls below what the narrow chain reached."""
    x, y = planted()
    torch.manual_seed(1)
    layer = tz.TTLinear(36, 36, bias=False, chi=2, factors=((6, 6), (6, 6)))
    losses, grown = train(layer, x, y, 600, tz.Growth(patience=2, threshold=0.02, chi_max=8))
    assert layer.ranks == (8,) and len(grown) == 2
    assert losses[-1] < 0.02 * losses[grown[0]]


def test_inflation_keeps_every_kind_of_chain_and_the_optimizer():
    torch.manual_seed(0)
    table = tz.TTEmbedding(30, 16, chi=2)
    ids = torch.arange(30)
    before = table(ids).detach()
    optimizer = torch.optim.Adam(table.parameters())
    table(ids).pow(2).sum().backward()
    optimizer.step()
    before = table(ids).detach()
    assert tz.inflate_(table, 5, optimizer=optimizer) and table.ranks == (4, 5)
    torch.testing.assert_close(table(ids).detach(), before)
    assert all(optimizer.state[core]["exp_avg"].shape == core.shape for core in table.cores)
    optimizer.zero_grad()
    table(ids).pow(2).sum().backward()
    optimizer.step()
    assert not torch.allclose(table(ids).detach(), before)
    assert not tz.inflate_(table, 5)
    with pytest.raises(ShapeError, match="bonds grow"):
        tz.inflate_(table, 4)
    small = tz.quantize_layer(tz.TTLinear(16, 16, chi=2), "int8")
    with pytest.raises(ShapeError, match="do not grow"):
        tz.inflate_(small, 3)
    with pytest.raises(ShapeError, match="no new core"):
        tz.insert_core_(small, 0)
    assert not tz.Growth(patience=1).step(small, float("inf"))


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("factor", [1, 3])
def test_an_inserted_core_does_nothing_at_first_and_learns_alone(at, factor):
    """B9: the output is unchanged; the old cores get no gradient, the new one does."""
    torch.manual_seed(0)
    layer = tz.TTLinear(12, 20, chi=4, factors=((4, 5), (3, 4)))
    matrix, bias = layer.weight.detach(), layer.bias.detach()
    x = torch.randn(7, 12)
    before = layer(x).detach()
    new = tz.insert_core_(layer, at, factor=factor)
    assert new.shape[1:3] == (factor, factor) and len(layer.cores) == 3
    wide = x.repeat(1, factor).reshape(7, factor, 12) * torch.arange(1.0, factor + 1)[:, None]
    # where the new leg stands among those of inputs and outputs
    ins, outs = [3, 4], [4, 5]
    rows = wide.reshape(7, factor, *ins).movedim(1, 1 + at).reshape(7, -1)
    y = layer(rows).reshape(7, *outs[:at], factor, *outs[at:]).movedim(1 + at, 1).reshape(7, factor, 20)
    for n in range(factor):
        torch.testing.assert_close(y[:, n], (n + 1) * (x @ matrix.T) + bias)
    if factor == 1:
        torch.testing.assert_close(layer(x), before)
    layer(rows).pow(2).sum().backward()
    assert [core.grad is None for core in layer.cores] == [n != at for n in range(3)]
    with pytest.raises(ShapeError, match="goes before"):
        tz.insert_core_(layer, 9)


@pytest.mark.parametrize("chi", [2, 6])
def test_c3_five_hundred_sites_keep_their_size_forwards_and_backwards(chi):
    """Most of them join two bonds only; what comes out is as large as it is with two sites, and gradients are alive."""
    torch.manual_seed(0)
    sites = [4, 4, *[1] * 123] * 3 + [1] * 125
    layer = tz.TTLinear(4096, 16, bias=False, chi=chi, factors=((16, *[1] * 499), sites))
    x = torch.randn(50, 4096)
    y = layer(x)
    y.pow(2).sum().backward()
    assert y.isfinite().all() and 0.3 < float(y.detach().std()) < 1
    assert all(core.grad.isfinite().all() and core.grad.abs().max() > 0 for core in layer.cores)


def test_many_sites_work_and_a_penalty_shrinks_cores():
    """C3: sixteen sites give finite numbers at once; L2 on the cores lowers their norm."""
    torch.manual_seed(0)
    layer = tz.TTLinear(2**16, 2**16, bias=False, chi=4, factors=((2,) * 16, (2,) * 16))
    y = layer(torch.ones(1, 2**16))
    assert y.isfinite().all() and 0.1 < float(y.detach().std()) < 1.5
    x, y = planted()
    norms = []
    for decay in (0.0, 1e-2):
        torch.manual_seed(1)
        chain = tz.TTLinear(36, 36, bias=False, chi=4, factors=((6, 6), (6, 6)))
        dense = nn.Linear(36, 36, bias=False)
        with torch.no_grad():
            dense.weight.copy_(torch.linalg.lstsq(x, y).solution.T)
        tz.heal_(chain, dense, [x], steps=60, healing=tz.Healing(distance="mse", rate=1e-2, decay=decay))
        norms.append(tz.core_penalty(chain).item())
    assert norms[1] < 0.9 * norms[0]


def test_new_weights_have_no_preferred_sign():
    """The first numbers of columns that LAPACK makes orthogonal have fixed signs; those of new layers have not."""
    signs = []
    for seed in range(100):
        torch.manual_seed(seed)
        signs.append(tz.TTLinear(4, 4, chi=2, factors=((2, 2), (2, 2))).weight.detach().sign())
    assert torch.stack(signs).mean(dim=0).abs().max() < 0.45
