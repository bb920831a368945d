"""Networks in service: what is measured of them, five faults that each move one counter, and a trial with a verdict."""

import copy
import json
import logging

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is an extra")
from torch import nn  # noqa: E402

import tnsim.tensorize as tz  # noqa: E402
from tnsim.errors import ServiceFault, SettingsError  # noqa: E402
from tnsim.linalg import Truncation  # noqa: E402
from tnsim.networks.mpo import MPO  # noqa: E402

torch.set_num_threads(1)
TIMES = {"latency_p95_seconds", "contractions_per_second", "cost_per_call", "peak_memory_bytes", "checkpoint_seconds"}


class Ticks:
    """A clock that goes on by a thousandth of a second at every look."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1e-3
        return self.now


def networks(chi=None):
    torch.manual_seed(0)
    dense = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4)).eval()
    small = copy.deepcopy(dense)
    small[0] = tz.TTLinear.from_dense(dense[0], (4, 4), (4, 4), chi)
    return small, dense


def watched(**settings):
    small, dense = networks(settings.pop("chi", None))
    return tz.Watched(small, dense, version="small-1", clock=Ticks(), **settings)


def moved(before, after):
    """Names of the figures that changed, times aside."""
    return {name for name in after if before[name] != after[name]} - TIMES


def test_e1_each_figure_is_given_once_with_the_version(caplog, tmp_path):
    service, x = watched(chi=3, price=3.6), torch.randn(2, 16)
    for _ in range(99):
        service(x)
    assert service.metrics.values()["latency_p95_seconds"] is None
    for _ in range(101):
        service(x)
    service.save(tmp_path / "a")
    assert service.reload(tmp_path / "a")
    found = service.metrics.values()
    assert found["latency_p95_seconds"] == pytest.approx(1e-3) and found["contractions_per_second"] == pytest.approx(
        1e3
    )
    assert found["cost_per_call"] == pytest.approx(1e-6) and found["peak_memory_bytes"] > 1e6
    small, dense = networks(3)
    numbers = [sum(p.numel() for p in net.parameters()) for net in (small, dense)]
    assert found["bytes"] == 4 * numbers[0] and found["dense_bytes_ratio"] == pytest.approx(numbers[1] / numbers[0])
    expected = (small[0].weight - dense[0].weight).norm() / dense[0].weight.norm()
    assert found["reconstruction_error"] == pytest.approx(float(expected.detach()), rel=1e-5)
    assert found["not_finite_rate"] == 0 and found["load_success_rate"] == 1 and found["checkpoint_seconds"] > 0
    with caplog.at_level(logging.INFO, "tnsim.tensorize"):
        service.metrics.emit()
    rows = [json.loads(record.message) for record in caplog.records if record.message.startswith("{")]
    assert sorted(row["metric"] for row in rows) == sorted(found) and {row["model_version"] for row in rows} == {
        "small-1"
    }
    lines = service.metrics.exposition().splitlines()
    assert len(lines) == len(found) and 'tnsim_latency_p95_seconds{model_version="small-1"} 0.001' in lines


def test_e2_nan_a_truncation_and_a_broken_file_each_move_one_figure(tmp_path):
    service, x = watched(), torch.randn(2, 16)
    service(x)
    path = service.save(tmp_path / "a")
    service.reload(path)
    before = service.metrics.values()
    service(x * torch.nan)
    after = service.metrics.values()
    assert moved(before, after) == {"not_finite_rate", "faults_not_finite"} and after["not_finite_rate"] == 0.5
    W = np.random.default_rng(0).standard_normal((64, 64))
    layer = tz.StateLayer(mpo=MPO.from_matrix(W, (4, 4, 4), (4, 4, 4)))
    for chi, figures in ((200, set()), (2, {"truncations", "discarded_weight"})):
        network = tz.StateNetwork(layers=[layer], truncation=Truncation(chi_max=chi, svd_min=1e-14))
        network.rows(W[:1])
        for step in network.steps:
            service.metrics.truncated(step.discarded_weight if step.discarded_weight > 1e-20 else 0.0)
        assert moved(after, service.metrics.values()) == figures
    after, broken = service.metrics.values(), bytearray(path.read_bytes())
    broken[-1] ^= 1
    path.write_bytes(broken)
    assert not service.reload(path)
    assert moved(after, service.metrics.values()) == {"load_success_rate", "faults_format"}


def test_another_file_brings_its_own_bytes_error_and_version(tmp_path):
    small, dense = networks(4)
    path, service = tz.save_model(tmp_path / "b", small, dense=dense), watched(chi=1)
    before = service.metrics.values()
    assert service.reload(path, version='4 "states"')
    found, alone = service.metrics.values(), tz.Watched(small, dense, version="4").metrics.values()
    for name in ("bytes", "dense_bytes_ratio", "reconstruction_error"):
        assert found[name] == pytest.approx(alone[name]) and found[name] != before[name]
    assert r'tnsim_load_success_rate{model_version="4 \"states\""} 1' in service.metrics.exposition().splitlines()


class Gives(nn.Module):
    """What a function makes of the input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_outputs_of_several_tensors_are_watched_and_compared():
    x = torch.ones(2, 3)
    dense = Gives(lambda x: {"logits": x, "state": (3 * x, torch.arange(2))})
    near, far, nan, other = (
        Gives(lambda x, f=factor: {"logits": f * x, "state": (3 * x, torch.arange(2))})
        for factor in (1.001, 2.0, torch.nan, torch.ones(1, 2, 1))
    )
    assert tz.Served(near, dense, mode="shadow").compare(near(x), dense(x)) == pytest.approx(1e-3 / 10**0.5, rel=1e-3)
    for small, kind in ((near, None), (far, "accuracy"), (other, "accuracy"), (nan, "not finite")):
        service = tz.Watched(small, dense, version="1", compare_every=1)
        found = service(x)
        assert sum(service.metrics.faults.values()) == (kind is not None)
        assert kind is None or (service.metrics.faults[kind] == 1 and torch.equal(found["logits"], x))


class Breaks(nn.Module):
    """Raises what it is given."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        raise self.error


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("out of memory", MemoryError("no room")),
        ("out of memory", torch.OutOfMemoryError("no room on the device")),
        ("out of memory", None),
        ("communication", ConnectionResetError("peer is gone")),
        ("communication", TimeoutError("no answer")),
        ("accuracy", None),
        ("not finite", None),
        ("format", None),
    ],
)
def test_e3_every_fault_is_named_counted_and_dense_is_served(kind, error, tmp_path, caplog):
    service, x = watched(compare_every=1, difference_max=1e-3), torch.randn(2, 16)
    expected = service.dense(x)
    torch.testing.assert_close(service(x), expected)
    if error is not None:
        service.small = Breaks(error)
    elif kind == "out of memory":  # what PyTorch itself raises on the host
        service.small = Gives(lambda x: torch.empty(10**15))
    elif kind == "accuracy":  # all is finite, and wrong
        service.small[0].bias.data += 0.1
    elif kind == "not finite":
        service.small[0].bias.data[0] = torch.nan
    else:
        (tmp_path / "a").write_bytes(b"of another kind")
        assert not service.reload(tmp_path / "a")
    torch.testing.assert_close(service(x), expected, rtol=0 if kind != "format" else 1e-5, atol=1e-6)
    counts = service.metrics.faults
    assert counts[kind] == 1 and sum(counts.values()) == 1 and f"fault of version small-1: {kind}" in caplog.text
    if kind != "format" and kind != "accuracy":
        alone = tz.Watched(service.small, version="small-1")
        with pytest.raises(ServiceFault, match=kind):
            alone(x)
    with pytest.raises(SettingsError, match="dense network to compare with"):
        tz.Watched(service.small, version="1", compare_every=3)


class Takes(nn.Module):
    """A network whose calls take a time on a clock; the first one longer."""

    def __init__(self, network, ticks, seconds, first=0.0):
        super().__init__()
        self.network, self.ticks, self.seconds, self.first = network, ticks, seconds, first

    def forward(self, x):
        self.ticks.now += self.seconds + self.first
        self.first = 0.0
        return self.network(x)


@pytest.mark.parametrize(
    ("seconds", "rule", "reason"),
    [
        (0.004, {}, None),
        (0.007, {}, "cost"),
        (0.004, {"latency_max": 0.0045}, "p95"),
        (0.004, {"difference_max": 1e-9}, "differ"),
    ],
)
def test_e7_a_trial_promotes_or_rolls_back(seconds, rule, reason, caplog):
    """Forty per cent of the cost within a latency; what the first call prepares counts as well."""
    small, dense = networks(3)
    ticks = Ticks()
    served = tz.Served(Takes(small, ticks, seconds, first=0.1), Takes(dense, ticks, 0.01), mode="shadow")
    batches = [torch.randn(2, 16) for _ in range(7)]
    with caplog.at_level(logging.INFO, "tnsim.tensorize"):
        verdict = tz.Canary(calls=100, **({"difference_max": 1.0} | rule)).judge(served, batches, clock=ticks)
    assert verdict.promoted == (reason is None) and served.mode == ("dense" if reason else "small")
    assert all(reason in word for word in verdict.reasons) and len(verdict.reasons) == (reason is not None)
    # one more tick between two looks at the clock; the hundredth part of the first call's 0.1 s
    assert verdict.saving == pytest.approx(1 - (seconds + 0.002) / 0.011, abs=1e-9)
    assert verdict.latency_p95 == pytest.approx(seconds + 0.001)
    assert ("rolled back" if reason else "promoted") in caplog.text
    torch.testing.assert_close(served(batches[0]), (dense if reason else small)(batches[0]))
    with pytest.raises(SettingsError, match="at least 100 calls"):
        tz.Canary(calls=10)


def test_a_trial_ends_where_the_small_network_fails(caplog):
    _, dense = networks()
    served = tz.Served(Breaks(ValueError("no such size")), dense, mode="small")
    verdict = tz.Canary().judge(served, [torch.randn(2, 16)])
    assert not verdict.promoted and verdict.reasons == ("ValueError: no such size",) and served.mode == "dense"
    assert "rolled back (ValueError: no such size)" in str(verdict) and "failed in call 1" in caplog.text
    with pytest.raises(SettingsError, match="no batch was given"):
        tz.Canary().judge(served, [])


class Named(nn.Module):
    """A network that is called by names, as large language models are."""

    def __init__(self, scale):
        super().__init__()
        self.layer = nn.Linear(16, 4)
        self.scale = scale

    def forward(self, ids, *, mask=None, shift=0.0):
        return {"logits": self.scale * self.layer(ids) * (1 if mask is None else mask) + shift}


def test_networks_in_service_are_called_as_they_are():
    """Arguments by name reach the small network, the dense one, the shadow, and the one that steps in after a fault."""
    torch.manual_seed(0)
    small, dense = Named(1.0), Named(1.0)
    dense.load_state_dict(small.state_dict())
    x, mask = torch.randn(2, 16), torch.tensor([1.0, 0.0, 1.0, 1.0])
    wanted = dense(x, mask=mask, shift=2.0)["logits"]
    for mode in ("small", "dense", "shadow"):
        served = tz.Served(small, dense, mode=mode)
        torch.testing.assert_close(served(x, mask=mask, shift=2.0)["logits"], wanted)
        torch.testing.assert_close(served(ids=x, mask=mask, shift=2.0)["logits"], wanted)
    assert served.failures == 0 and served.differences == [0.0, 0.0]
    service = tz.Watched(small, dense, version="1", compare_every=1)
    torch.testing.assert_close(service(ids=x, mask=mask, shift=2.0)["logits"], wanted)
    assert not sum(service.metrics.faults.values())
    small.scale = float("nan")
    torch.testing.assert_close(service(x, mask=mask, shift=2.0)["logits"], wanted)
    assert service.metrics.faults["not finite"] == 1
    batch = {"ids": x, "mask": mask}
    assert tz.Canary(calls=100, saving_min=-1e9).judge(tz.Served(dense, dense), [batch]).promoted


class ByName(nn.Module):
    """Layers that are called with their input by name."""

    def __init__(self):
        super().__init__()
        self.conv, self.table = nn.Conv2d(1, 4, 3), nn.Embedding(16, 16)
        self.layer, self.last = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, ids):
        x = self.conv(input=self.table(input=ids)[:, None])
        return self.last(input=self.layer(input=torch.nn.functional.pad(x, (1, 1))).mean((1, 2)))


def test_layers_called_by_name_are_seen_tuned_and_replaced():
    torch.manual_seed(0)
    model, ids = ByName().eval(), torch.randint(16, (6, 8))
    gram = tz.Gram.collect(model, [ids])
    assert set(gram) == {"conv", "table", "layer", "last"}
    rule = tz.Allocation(strategy="uniform", form=tz.LayerFormat(formats=("chain",)))
    small = tz.tensorize(model, tz.Budget(ratio=1.5), gram, allocation=rule).model.eval()
    assert small(ids).shape == (6, 4)
    plans = tz.tune_plans_(small, ids, tz.Planner(seconds=0.01, remember=False))
    assert plans and small(ids).isfinite().all()
