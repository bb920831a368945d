"""Four questions about a compression, and their answers."""

from types import SimpleNamespace

import pytest

from tnsim.errors import SettingsError
from tnsim.tensorize import DO_NOT_BUILD, KVCache, Needs, decide, kv_placement, quantization_for, worth_compressing


@pytest.mark.parametrize(
    ("device", "formats"),
    [
        ("NVIDIA A100-SXM4-80GB", ("int8",)),
        ("NVIDIA GeForce RTX 4090", ("int8", "fp8")),
        ("L40S", ("int8", "fp8")),
        ("NVIDIA H100 PCIe", ("fp8", "int8")),
        ("GB200", ("fp4", "fp8")),
        ("NVIDIA GeForce RTX 5090", ("fp4", "fp8")),
        ("NVIDIA RTX 5000 Ada Generation", ("int8", "fp8")),
        ("Quadro RTX 5000", ("int8",)),
        ("", ("int8",)),
        ("Radeon VII", ("int8",)),
    ],
)
def test_formats_go_by_hardware(device, formats):
    """A21."""
    assert quantization_for(device) == formats


def test_keys_and_values_are_placed_by_what_is_read():
    """A22, A23: the counts of the documents, and the four branches."""
    cache = KVCache(layers=32, tokens=128_000, sequences=8, width=4096)
    assert abs(cache.bytes() - 536.870912e9) < 1
    assert abs(cache.bytes(share=0.1, bits=8) - 26.8435456e9) < 1
    places = [
        kv_placement(cache, 600e9)[0],
        kv_placement(cache, 80e9, attended_share=0.1)[0],
        kv_placement(cache, 40e9, attended_share=0.1)[0],
        kv_placement(cache, 20e9, attended_share=0.1)[0],
    ]
    assert places == ["device", "device and host", "device, 8 bits", "several devices"]
    assert kv_placement(cache, 80e9)[0] == "several devices"
    with pytest.raises(SettingsError, match="attended_share"):
        kv_placement(cache, 80e9, attended_share=0.0)


def rows(**losses):
    """Measured rows: loss and bytes by name."""
    names = {"dense": "dense", "int8": "INT8 alone", "small": "smaller dense", "svd": "SVD", "chains": "tensorized"}
    return [
        SimpleNamespace(name=names[name], loss=loss, bytes=size, seconds=1.0, how="measured")
        for name, (loss, size) in losses.items()
    ]


CASE = {"dense": (1.0, 100), "int8": (1.01, 25), "small": (1.3, 33), "svd": (1.2, 33), "chains": (1.05, 20)}


@pytest.mark.parametrize(
    ("needs", "verdict"),
    [
        (Needs(accept=0.1), DO_NOT_BUILD),
        (Needs(accept=0.1, bytes=30), "quantization only"),
        (Needs(accept=0.1, bytes=22), "chains"),
        (Needs(accept=0.01, bytes=22), DO_NOT_BUILD),
        (Needs(accept=0.4, bytes=22, seconds=0.5), DO_NOT_BUILD),
    ],
)
def test_the_simplest_option_that_will_do_is_taken(needs, verdict):
    """A24: none, quantization only, smaller dense and chains stand in every decision, measured."""
    found = decide(rows(**CASE), needs)
    assert found.verdict == verdict and found.reason
    assert [o.name for o in found.options][:3] == ["none", "quantization only", "smaller dense model"]
    assert all(option.loss is not None for option in found.options)


def test_a_decision_without_its_rows_is_refused():
    short = {name: row for name, row in CASE.items() if name != "small"}
    with pytest.raises(SettingsError, match="no measured row 'smaller dense'"):
        decide(rows(**short), Needs(accept=0.1))
    missing = [*rows(**short), SimpleNamespace(name="smaller dense", loss=None, bytes=None, seconds=None, how="none")]
    assert not decide(missing, Needs(accept=0.1, bytes=30)).options[2].fulfils
    for needs in ({"accept": -1.0}, {"accept": float("nan")}, {"accept": 0.1, "bytes": float("nan")}):
        with pytest.raises(SettingsError, match="not negative"):
            Needs(**needs)


def test_layers_beyond_their_budget_are_told_apart():
    """Node 1."""
    errors = {"a": 0.4, "b": 0.1, "c": 0.2}
    assert worth_compressing(list(errors), errors.__getitem__, 0.2) == (["b", "c"], ["a"])
