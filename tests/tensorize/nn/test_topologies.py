"""Layers of any graph: gradients, and weights planted on a ring, a tree and a grid, which a chain holds less well."""

import pytest

torch = pytest.importorskip("torch", reason="layers need PyTorch (the extra torch)")
from torch import nn  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

import tnsim.tensorize as tz  # noqa: E402
from tnsim.networks.rank_rule import RankRule  # noqa: E402

torch.set_num_threads(1)
SITES = {f"{side}{k}": 3 for side in "oi" for k in range(4)}
GRAPHS = {
    "ring": ("o0 i0 d a, o1 i1 a b, o2 i2 b c, o3 i3 c d", dict.fromkeys("abcd", 2)),
    "tree": ("o0 i0 a, o1 i1 b, a b e, o2 i2 c, o3 i3 d, c d e", dict.fromkeys("abcde", 3)),
    "grid": ("o0 i0 a c, o1 i1 a d, o2 i2 b c, o3 i3 b d", dict.fromkeys("abcd", 2)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_planted_weight_is_found_and_a_chain_of_the_size_errs_more(name):
    """B11, D1, E9."""
    graph, bonds = GRAPHS[name]
    torch.manual_seed(0)
    planted = tz.GraphLinear(graph, SITES | bonds, bias=False, dtype=torch.float64)
    weight = planted.matrix().detach()
    best, tries = 1.0, 6
    for seed in range(tries):
        torch.manual_seed(10 + seed)
        layer = tz.GraphLinear(graph, SITES | bonds, bias=False, dtype=torch.float64)
        best = min(best, layer.fit_(weight, sweeps=40))
        if best < 1e-3:
            break
    mpo = tz.TTLinear.from_dense(_dense(weight), (3,) * 4, (3,) * 4, RankRule(params=planted.numbers))
    chain = float((mpo.weight - weight).norm().detach() / weight.norm())
    assert mpo.numbers <= planted.numbers and best < 0.5 * chain


def test_c6_a_grid_for_users_items_and_clusters_against_the_best_two_matrices():
    """Users and items in two digits each, and their clusters: of the same size the grid errs less than the best matrix
    factors of (users, items x clusters), which is what alternating least squares aims at on a full table."""
    sizes = {"o0": 6, "o1": 6, "i0": 6, "i1": 6, "i2": 4} | dict.fromkeys("abcd", 3)
    graph = "o0 a c, o1 a d, i0 b c, i1 i2 b d"
    torch.manual_seed(0)
    planted = tz.GraphLinear(graph, sizes, bias=False, dtype=torch.float64)
    ratings = planted.matrix().detach() * 20
    ratings = ratings + 0.05 * ratings.std() * torch.randn_like(ratings)
    best = 1.0
    for seed in range(6):
        torch.manual_seed(10 + seed)
        best = min(best, tz.GraphLinear(graph, sizes, bias=False, dtype=torch.float64).fit_(ratings, sweeps=40))
    values = torch.linalg.svdvals(ratings)
    rank = -(-planted.numbers // sum(ratings.shape))  # rounded up: two matrices have no fewer numbers
    factors = float(values[rank:].norm() / values.norm())
    assert sum(ratings.shape) * rank >= planted.numbers
    assert best < 0.2 and best < 0.5 * factors


def _dense(weight):
    layer = nn.Linear(*reversed(weight.shape), bias=False, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


@pytest.mark.parametrize("name", ["ring", "grid", "terms"])
def test_gradients_of_graphs(name):
    """B11, B12."""
    torch.manual_seed(0)
    if name == "terms":
        layer = tz.BlockTermLinear(6, 4, terms=2, rank=2, dtype=torch.float64)
        assert layer.numbers == 2 * (2**4 + 2 * (2 + 2 + 2 + 3))
    else:
        graph, bonds = GRAPHS[name]
        layer = tz.GraphLinear(graph, dict.fromkeys(SITES, 2) | bonds, dtype=torch.float64)
    x = torch.randn(3, layer.in_features, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(layer(x), x @ layer.matrix().T + layer.bias)
    names = [n for n, _ in layer.named_parameters()]

    def act(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), x)

    assert torch.autograd.gradcheck(act, (x, *layer.parameters()), fast_mode=True)


def test_a_bond_may_have_any_name():
    sizes = {"o0": 2, "i0": 3, "o1": 2, "i1": 2, "batch": 3}
    layer = tz.GraphLinear("o0 i0 batch, batch o1 i1", sizes, dtype=torch.float64)
    x = torch.randn(3, 6, dtype=torch.float64)
    torch.testing.assert_close(layer(x), x @ layer.weight.T + layer.bias)


class _Largest(TorchDispatchMode):
    """The largest tensor that any operation gives."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if torch.is_tensor(tensor):
                self.numbers = max(self.numbers, tensor.untyped_storage().nbytes() // tensor.element_size())
        return result


def test_neither_matrix_nor_table_is_ever_built():
    """A6, B13: no tensor in the forward pass is as large as 5 per cent of the matrix."""
    layer = tz.TTLinear(4096, 4096, bias=False, chi=8, factors=((64, 64), (64, 64)))
    with _Largest() as watch:
        layer(torch.ones(1, 4096))
    assert watch.numbers < 0.05 * 4096**2
    table = tz.TTEmbedding(50_000, 256, chi=8)
    with _Largest() as watch:
        vectors = table(torch.randint(0, 50_000, (1000,)))
    assert vectors.shape == (1000, 256) and watch.numbers < 0.05 * 50_000 * 256


def test_attention_on_chains_trains():
    """C5: queries, keys and values as chains with chi = 12; the loss of copying the last token falls."""
    torch.manual_seed(0)
    table, head = nn.Embedding(20, 64), nn.Linear(64, 20)
    qkv = nn.ModuleList(tz.TTLinear(64, 64, chi=12, factors=((8, 8), (8, 8))) for _ in range(3))
    parameters = [*table.parameters(), *head.parameters(), *qkv.parameters()]
    assert sum(layer.numbers for layer in qkv) == 3 * 2 * 64 * 12
    optimizer = torch.optim.Adam(parameters, lr=5e-3)
    ids = torch.randint(0, 20, (64, 6))
    losses = []
    for _ in range(40):
        x = table(ids)
        q, k, v = (layer(x).unflatten(-1, (4, 16)).transpose(1, 2) for layer in qkv)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        loss = nn.functional.cross_entropy(head(y).flatten(0, 1), ids.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
