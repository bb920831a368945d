"""Whole networks in sealed files: they come back, only into what they were made from, and beside the dense one."""

import copy
import logging
import os
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is an extra")

from torch import nn  # noqa: E402

import tnsim.tensorize as tz  # noqa: E402
from tnsim.errors import FileCorruptError, FileError, FileForeignError, SettingsError, ShapeError  # noqa: E402
from tnsim.tensorize.nn import recipes  # noqa: E402

KEY = b"sixteen or more bytes"


class Toy(nn.Module):
    """Embedding, convolution, linear layers with and without bias, a norm with buffers."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.table = nn.Embedding(16, 16, padding_idx=0)
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.body = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8, bias=False))

    def forward(self, tokens):
        images = self.table(tokens)[:, None]  # (batch, 1, 4, 4) from 4 tokens of 16 numbers
        return self.body(self.norm(self.conv(images.reshape(-1, 1, 4, 4))).flatten(1))


def tokens(count=6, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 16, (count,)))


@pytest.fixture
def made():
    model = Toy().eval()
    result = tz.tensorize(model, tz.Budget(ratio=2), allocation=tz.Allocation(strategy="uniform"))
    return model, result


@pytest.mark.parametrize("rule", [None, "int8", "int4", "fp8"])
@pytest.mark.parametrize("lazy", [False, True])
def test_networks_come_back_bit_for_bit(tmp_path, made, rule, lazy):
    model, result = made
    if rule:
        result.quantize(rule)
    assert len(result.chains()) >= 3
    path = result.save(tmp_path / "small.tn.safetensors", key=KEY)
    back = tz.load(path, like=model, lazy=lazy, key=KEY)
    x = tokens()
    torch.testing.assert_close(back(x), result.model(x), rtol=0, atol=0)
    assert all((a == b).all() for a, b in zip(model.state_dict().values(), Toy().state_dict().values(), strict=True))


def others(model):
    """A copy with layers that are no chains beside one that is."""
    small = copy.deepcopy(model)
    ring = tz.RingLinear(64, 32, chi=3, closing=2, factors=((4, 8), (8, 8)))
    terms = tz.BlockTermLinear(32, 8, False, terms=2, rank=2, factors=((2, 4), (4, 8)))
    layers = {
        "body.0": ring,
        "body.2": terms,
        "conv": tz.TuckerConv.from_dense(model.conv, (2, 1)),
        "table": tz.TTEmbedding.from_dense(model.table, (4, 4), (4, 4), 2),
    }
    return tz.replace_layers(small, layers).eval()


@pytest.mark.parametrize("conv", ["tucker", "polyadic"])
def test_rings_sums_of_tucker_forms_and_factored_convolutions_come_back(tmp_path, conv):
    model = Toy().eval()
    small, x = others(model), tokens()
    if conv == "polyadic":
        tz.replace_layers(small, {"conv": tz.CPConv.from_dense(model.conv, 3)})
    path = tz.save_model(tmp_path / "a", small, dense=model, key=KEY)
    back = tz.load(path, like=model, key=KEY)
    torch.testing.assert_close(back(x), small(x), rtol=0, atol=0)
    assert [type(a) for a in back.modules()] == [type(b) for b in small.modules()]
    again = tz.load(tz.save_model(tmp_path / "b", back), like=model)
    torch.testing.assert_close(again(x), small(x), rtol=0, atol=0)
    wider, narrow = Toy(), Toy()
    wider.body[0], narrow.conv = nn.Linear(64, 33), nn.Conv2d(2, 4, 3, padding=1)
    for other, words in ((wider, r"\(33, 64\) in the model, \(32, 64\)"), (narrow, "do not fit Conv2d")):
        with pytest.raises(ShapeError, match=words):
            tz.load(path, like=other, check=False, key=KEY)
    with pytest.raises(ShapeError, match="does not have"):
        tz.load(path, like=nn.Sequential(nn.Linear(3, 4)), check=False, key=KEY)


def test_graphs_of_any_shape_come_back_with_their_type_and_mode(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(42, 20), nn.Linear(20, 5)).double()
    graph = tz.GraphLinear("o0 i0 a, a b, b o1 i1", {"o0": 4, "o1": 5, "i0": 6, "i1": 7, "a": 2, "b": 3})
    small = tz.replace_layers(copy.deepcopy(model), {"0": graph.double()})
    back = tz.load(tz.save_model(tmp_path / "a", small, dense=model), like=model)
    x = torch.randn(3, 42, dtype=torch.float64)
    torch.testing.assert_close(back(x), small(x), rtol=0, atol=0)
    assert back[0].nodes == graph.nodes and back.training
    unknown = tz.replace_layers(copy.deepcopy(model), {"0": graph})
    changed = recipes.recipes_of(unknown) | {"1": {"kind": "Peps"}}
    path = tz.save_chains(tmp_path / "b", {}, notes={"recipes": changed})
    with pytest.raises(FileError, match="Peps, which this version of tnsim does not know"):
        tz.load(path, like=model)


def test_e8_cores_are_read_on_the_first_call_and_the_time_is_logged(tmp_path, made, caplog):
    model, result = made
    back = tz.load(result.save(tmp_path / "a"), like=model, lazy=True)
    caplog.set_level(logging.INFO, "tnsim.tensorize")
    assert not [r for r in caplog.records if "cores read" in r.message]
    back(tokens())
    first = [r.message for r in caplog.records if "cores read in" in r.message]
    back(tokens())
    assert len(first) == len(result.chains()) == len([r for r in caplog.records if "cores read in" in r.message])


@pytest.mark.parametrize("called", [False, True])
def test_a_network_that_was_read_late_is_saved_whole(tmp_path, made, called):
    model, result = made
    back = tz.load(result.save(tmp_path / "a"), like=model, lazy=True).eval()
    if called:
        back(tokens())
    again = tz.load(tz.save_model(tmp_path / "b", back), like=model)
    torch.testing.assert_close(again(tokens()), result.model(tokens()), rtol=0, atol=0)
    late = tz.load(tmp_path / "a", like=model, lazy=True)
    result.save(tmp_path / "a")
    with pytest.raises(FileCorruptError, match="since it was opened"):
        late(tokens())


def test_a25_one_changed_bit_of_the_dense_weights_is_refused(tmp_path, made):
    model, result = made
    path = result.save(tmp_path / "a")
    other = Toy().eval()
    bits = other.body[0].weight.detach().view(torch.int32)
    bits[0, 0] ^= 1
    assert tz.weights_hash(other) != tz.weights_hash(model) == tz.weights_hash(Toy())
    with pytest.raises(FileError, match="weights differ"):
        tz.load(path, like=other)
    back = tz.load(path, like=other, check=False)
    torch.testing.assert_close(back(tokens()), result.model(tokens()), rtol=0, atol=0)


def test_architectures_that_do_not_fit_are_refused(tmp_path, made):
    model, result = made
    path = result.save(tmp_path / "a")
    with pytest.raises(ShapeError, match="does not have"):
        tz.load(path, like=nn.Sequential(nn.Linear(3, 4)), check=False)
    with pytest.raises(ShapeError, match="is the dense model"):
        tz.load(path, like=result.model, check=False)
    wider = Toy()
    wider.body[0] = nn.Linear(64, 33)
    with pytest.raises(ShapeError, match=r"\(33, 64\)"):
        tz.load(path, like=wider, check=False)


def test_a26_pickles_are_refused_and_nothing_of_them_runs(tmp_path, made):
    model, _ = made

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    path = tmp_path / "evil.safetensors"
    path.write_bytes(pickle.dumps({"fc": Evil()}))
    with pytest.raises(FileForeignError):
        tz.load(path, like=model)
    assert not (tmp_path / "owned").exists()


def test_six_ways_to_harm_a_file_are_refused(tmp_path, made):
    model, result = made
    path = result.save(tmp_path / "a", key=KEY)
    whole = path.read_bytes()
    for place in (9, len(whole) // 2, len(whole) - 1):
        broken = bytearray(whole)
        broken[place] ^= 1
        path.write_bytes(broken)
        with pytest.raises((FileCorruptError, FileForeignError)):
            tz.load(path, like=model)
    path.write_bytes(whole[:-1])
    with pytest.raises(FileCorruptError):
        tz.load(path, like=model)
    path.write_bytes(whole)
    with pytest.raises(FileCorruptError, match="key"):
        tz.load(path, like=model, key=b"of someone else")
    with pytest.raises(FileError, match="not signed"):
        tz.load(result.save(tmp_path / "b"), like=model, key=KEY)


def test_a27_the_switch_gives_the_dense_network_bit_for_bit(tmp_path, made):
    model, result = made
    served, x = tz.Served(result.model, model, flag=tmp_path / "back"), tokens()
    small = served(x)
    assert not torch.equal(small, model(x))
    with served.using("dense"):
        assert torch.equal(served(x), model(x))
    assert torch.equal(served(x), small)
    (tmp_path / "back").touch()
    assert torch.equal(served(x), model(x))
    (tmp_path / "back").unlink()
    assert torch.equal(served(x), small)
    with pytest.raises(SettingsError, match='Did you mean "dense"'), served.using("dens"):
        pass


def test_a28_a_shadow_run_logs_the_difference_and_serves_dense(made, caplog):
    model, result = made
    caplog.set_level(logging.INFO, "tnsim.tensorize")
    x = tokens()
    served = tz.Served(result.model, model, mode="shadow", compare=lambda a, b: (a.argmax(1) != b.argmax(1)).sum())
    assert torch.equal(served(x), model(x))
    assert served.differences == [float((result.model(x).argmax(1) != model(x).argmax(1)).sum())]
    assert "difference" in caplog.text
    plain = tz.Served(result.model, model, mode="shadow")
    plain(x)
    with torch.no_grad():
        expected = float((result.model(x) - model(x)).norm() / model(x).norm())
    assert plain.differences == pytest.approx([expected])
    broken = tz.Served(nn.Linear(1, 1), model, mode="shadow")
    assert torch.equal(broken(x), model(x)) and broken.failures == 1 and "shadow run failed" in caplog.text
