"""`tnsim tensorize` as a user meets it: plain matrices, whole models, reports, and what it refuses."""

import json
import os
import pickle
import re

import numpy as np
import pytest

from tests.command_line import call
from tnsim.errors import (
    FileCorruptError,
    FileError,
    FileForeignError,
    NumericalError,
    SettingsError,
    ShapeError,
)
from tnsim.io.safetensors import encode, write_safetensors
from tnsim.tensorize import Budget, ChainFile, Gram, Weights, compress_matrices


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Weights of two layers, and activations of the first."""
    rng = np.random.default_rng(0)
    sizes = {"fc1": (32, 24), "fc2": (16, 32)}
    arrays = {f"{name}.weight": rng.standard_normal(size).astype(np.float32) for name, size in sizes.items()}
    arrays |= {"fc1.bias": np.zeros(32, dtype=np.float32), "scale": np.ones(1, dtype=np.float32)}
    write_safetensors(tmp_path / "model.safetensors", *encode(arrays, {}))
    rows = (rng.standard_normal((200, 24)) + 1) * 0.7 ** np.arange(24)
    np.savez(tmp_path / "calib.npz", fc1=rows)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a19_plain_matrices_become_a_file_a_report_and_a_way_back(folder):
    pytest.importorskip("matplotlib")
    done = call("tensorize", "profile", "model.safetensors", "--data", "calib.npz", "--out", "p.json")
    assert done.exit_code == 0 and "entropies in nats" in done.output, done.output
    words = ("--ratio", 3, "--data", "calib.npz", "--out", "small.safetensors", "--profile", "p.json")
    done = call("tensorize", "compress", "model.safetensors", *words)
    assert done.exit_code == 0, done.output
    file = ChainFile("small.safetensors")
    file.check_source("model.safetensors")
    assert set(file) == {"fc1.weight", "fc2.weight"} and file.notes["fallback"] == str(folder / "model.safetensors")
    table = json.loads((folder / "small.json").read_text())
    assert set(table["measured"]["ordering"]) == set(file) and table["measured"]["ratio"] >= 3
    rows = {row["name"]: row for row in table["measured"]["rows"]}
    assert rows["fc1.weight"]["of_outputs"] and rows["fc1.weight"]["error"] < 0.6 * rows["fc2.weight"]["error"]
    # the bias takes up the mean of the error: outputs are right on average
    rng_rows = np.load("calib.npz")["fc1"]
    weights, chain = Weights("model.safetensors"), file["fc1.weight"].to_matrix()
    shift = (weights["fc1.weight"] - chain) @ rng_rows.mean(axis=0)
    np.testing.assert_allclose(file.array("fc1.bias"), shift, atol=1e-5)
    page = (folder / "small.html").read_text()
    assert "fc1.weight" in page and "data:image/png;base64," in page
    # nothing is fetched from elsewhere
    assert not re.findall(r"(?:src|href)='(?!data:)", page) and "http" not in page and "<script" not in page
    done = call("tensorize", "verify", "small.safetensors", "--against", "model.safetensors")
    assert done.exit_code == 0 and "verified" in done.output
    done = call("tensorize", "report", "small.safetensors", "--html", "again.html", "--json", "again.json")
    assert done.exit_code == 0 and "dense fallback" in done.output
    assert (folder / "again.html").read_text() == page


def test_signed_files_in_few_bits(folder):
    (folder / "key").write_bytes(b"sixteen or more bytes\n")
    words = ("--params", 500, "--out", "small.safetensors", "--quantize", "int8", "--key-file", "key")
    assert call("tensorize", "compress", "model.safetensors", *words).exit_code == 0
    file = ChainFile("small.safetensors", key=b"sixteen or more bytes")
    assert file.quantized("fc1.weight").bits == 8
    done = call("tensorize", "verify", "small.safetensors", "--key-file", "key")
    assert done.exit_code == 0 and "signature fits" in done.output
    (folder / "other").write_bytes(b"another key")
    done = call("tensorize", "verify", "small.safetensors", "--key-file", "other")
    assert isinstance(done.exception, FileCorruptError)


def test_outputs_do_not_replace_what_is_needed(folder):
    (folder / "small.json").write_text("{}")
    (folder / "empty").write_bytes(b"")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for words, message in (
        (("--out", "model.safetensors"), "would replace"),
        (("--out", "small.json"), "would replace"),
        (("--out", "small.safetensors", "--profile", "small.json"), "would replace"),
        (("--out", "small.safetensors", "--key-file", "gone"), "cannot be read"),
        (("--out", "small.safetensors", "--key-file", "empty"), "is empty"),
    ):
        done = call("tensorize", "compress", "model.safetensors", "--ratio", 3, *words)
        assert isinstance(done.exception, FileError) and message in str(done.exception), (words, done.output)
    done = call("tensorize", "profile", "model.safetensors", "--out", "model.safetensors")
    assert isinstance(done.exception, FileError)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_errors_without_a_bias_are_those_of_the_outputs_and_bytes_are_kept():
    rng = np.random.default_rng(1)
    matrix, rows = rng.standard_normal((16, 24)), rng.standard_normal((300, 24)) + 3
    weights = {"a.weight": matrix, "b.weight": matrix, "b.bias": np.zeros(16), "places": np.arange(144).reshape(12, 12)}
    grams = {name: Gram.collect([rows], name=name) for name in ("a", "b")}
    found = compress_matrices(weights, Budget(ratio=2), grams)
    assert set(found.chains) == {"a.weight", "b.weight"} and found.report.left["places"] == "whole numbers"
    for row in found.report.rows:
        outputs, lost = rows @ matrix.T, rows @ (matrix - found.chains[row.name].to_matrix()).T
        if row.name == "b.weight":
            outputs, lost = outputs - outputs.mean(0), lost - lost.mean(0)
        assert row.error == pytest.approx(np.linalg.norm(lost) / np.linalg.norm(outputs), rel=1e-8)
    half = compress_matrices({"a": matrix.astype(np.float16)}, Budget(bytes=600))
    assert sum(tensor.array.nbytes for tensor in half.chains["a"].tensors) <= 600


def spoil(folder, kind):
    """Files as they should not be."""
    arrays = {"fc1.weight": np.ones((32, 24), dtype=np.float32)}
    if kind == "nan":
        arrays["fc1.weight"][3, 4] = np.nan
    if kind == "vectors":
        arrays = {"bias": np.ones(32, dtype=np.float32)}
    write_safetensors(folder / "bad.safetensors", *encode(arrays, {}))


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (("model.safetensors", "--ratio", 1000), ShapeError, r"'fc1.weight': a budget of .* below the smallest"),
        (("model.safetensors",), SettingsError, "found none"),
        (("model.safetensors", "--ratio", 3, "--params", 10), SettingsError, "ratio and params"),
        (("model.safetensors", "--ratio", 3, "--data", "wide.npz"), ShapeError, "25 features, .* 24 columns"),
        (("model.safetensors", "--ratio", 3, "--data", "other.npz"), SettingsError, "activations for 'fc9'"),
        (("model.safetensors", "--ratio", 3, "--data", "objects.npz"), FileForeignError, "plain numbers"),
        (("model.safetensors", "--ratio", 3, "--evaluate", "a:b"), SettingsError, "give --arch"),
        (("model.safetensors", "--ratio", 3, "--accept", 0.1), SettingsError, "whole model"),
        (("model.safetensors", "--ratio", 3, "--quantize", "int7"), SettingsError, 'Did you mean "int8"'),
        (("model.safetensors", "--ratio", 3, "--profile", "stale.json"), FileError, "profile it again"),
        (("model.safetensors", "--ratio", 3, "--profile", "calib.npz"), FileError, "is no profile"),
        (("nan.safetensors", "--ratio", 3), NumericalError, "'fc1.weight' holds NaN or Inf"),
        (("vectors.safetensors", "--ratio", 3), SettingsError, "no matrix"),
        (("pickle.safetensors", "--ratio", 3), FileForeignError, "no safetensors file"),
        (("pickle.pt", "--ratio", 3), FileForeignError, "a pickle of PyTorch"),
        (("gone.safetensors", "--ratio", 3), FileError, "cannot be read"),
    ],
    ids=str,
)  # fmt: skip
def test_compress_refuses(folder, words, kind, message):
    for name in ("nan", "vectors"):
        spoil(folder, name)
        (folder / "bad.safetensors").rename(folder / f"{name}.safetensors")
    np.savez(folder / "wide.npz", fc1=np.ones((30, 25)))
    np.savez(folder / "other.npz", fc9=np.ones((30, 24)))
    np.savez(folder / "objects.npz", fc1=np.array([{"a": 1}], dtype=object))
    (folder / "stale.json").write_text(json.dumps({"source_sha256": "0" * 64}))
    for name in ("pickle.safetensors", "pickle.pt"):
        (folder / name).write_bytes(pickle.dumps({"fc": [1.0]}))
    before = {path.name for path in folder.iterdir()}
    done = call("tensorize", "compress", *words, "--out", "small.safetensors")
    assert isinstance(done.exception, kind), done.output
    assert re.search(message, str(done.exception)), done.exception
    assert {path.name for path in folder.iterdir()} == before


def test_a25_verify_refuses_a_changed_checkpoint_and_a_changed_file(folder):
    words = ("model.safetensors", "--ratio", 3, "--out", "small.safetensors")
    assert call("tensorize", "compress", *words).exit_code == 0
    whole = bytearray((folder / "model.safetensors").read_bytes())
    whole[-5] ^= 1
    (folder / "model.safetensors").write_bytes(whole)
    done = call("tensorize", "verify", "small.safetensors", "--against", "model.safetensors")
    assert isinstance(done.exception, FileError) and "SHA-256 differs" in str(done.exception)
    small = bytearray((folder / "small.safetensors").read_bytes())
    small[-5] ^= 1
    (folder / "small.safetensors").write_bytes(small)
    done = call("tensorize", "verify", "small.safetensors")
    assert isinstance(done.exception, FileCorruptError)
    done = call("tensorize", "report", "model.safetensors")
    assert isinstance(done.exception, FileForeignError)


def test_a29_compression_logs_and_does_not_print(folder, caplog, capsys):
    caplog.set_level("INFO", "tnsim.tensorize")
    compress_matrices(Weights("model.safetensors"), Budget(ratio=3))
    out, err = capsys.readouterr()
    assert out == err == ""
    names = [record.name for record in caplog.records if "times smaller" in record.message]
    assert names == ["tnsim.tensorize"] * 2


MODEL = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 16))

def loss(model):
    x = torch.linspace(-1, 1, 240).reshape(10, 24)
    with torch.no_grad():
        return (model(x) - build()(x)).square().mean()
"""


@pytest.fixture
def modelled(folder, monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch is an extra")
    (folder / "toymodel.py").write_text(MODEL)
    monkeypatch.syspath_prepend(str(folder))
    import toymodel

    torch.save(toymodel.build().state_dict(), folder / "model.pt")
    np.savez(folder / "inputs.npz", inputs=np.random.default_rng(0).standard_normal((80, 24)))
    return folder


def test_a_whole_model_is_profiled_compressed_and_verified(modelled):
    arch = ("--arch", "toymodel:build", "--evaluate", "toymodel:loss", "--data", "inputs.npz")
    done = call("tensorize", "profile", "model.pt", *arch, "--out", "profile.json")
    assert done.exit_code == 0 and "together" in done.output, done.output
    words = (
        "model.pt",
        *arch,
        "--ratio",
        2,
        "--accept",
        10.0,
        "--out",
        "small.safetensors",
        "--profile",
        "profile.json",
    )
    done = call("tensorize", "compress", *words)
    assert done.exit_code == 0 and "smaller dense" in done.output and "INT8 alone" in done.output, done.output
    import toymodel

    import tnsim.tensorize as tz

    back = tz.load("small.safetensors", like=toymodel.build())
    table = json.loads((modelled / "small.json").read_text())
    assert float(toymodel.loss(back)) == pytest.approx(table["measured"]["loss"], rel=1e-4)
    assert table["file"]["dense fallback"] == str(modelled / "model.pt")
    done = call("tensorize", "verify", "small.safetensors", "--against", "model.pt")
    assert done.exit_code == 0, done.output


def test_a_report_without_a_line_is_json_for_every_reader(modelled):
    words = ("--arch", "toymodel:build", "--ratio", 2, "--out", "small.safetensors")
    done = call("tensorize", "compress", "model.pt", *words)
    assert done.exit_code == 0, done.output
    text = (modelled / "small.json").read_text()
    measured = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))["measured"]
    assert measured["line"] is None and measured["loss"] is None and measured["numbers"] > 0


def test_bad_models_and_their_data_are_refused(modelled):
    torch = pytest.importorskip("torch")

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(modelled / "owned"),)

    torch.save({"0.weight": Evil()}, modelled / "evil.pt")
    np.savez(modelled / "narrow.npz", inputs=np.ones((8, 23)))
    cases = [
        (("evil.pt", "--arch", "toymodel:build"), FileForeignError, "more than weights"),
        (("model.safetensors", "--arch", "toymodel:build"), SettingsError, "does not fit the model"),
        (("model.pt", "--arch", "toymodel"), SettingsError, "module:function"),
        (("model.pt", "--arch", "toymodel:bild"), SettingsError, "has no 'bild'"),
        (("model.pt", "--arch", "nomodel:build"), SettingsError, "cannot be imported"),
        (("model.pt", "--arch", "toymodel:__name__"), SettingsError, "names a function, but .* is a str"),
        (("model.pt", "--arch", "toymodel:loss"), SettingsError, "builds no model: it raised TypeError"),
        (("model.pt", "--arch", "builtins:dict"), SettingsError, "builds a dict"),
        (("model.pt", "--arch", "toymodel:build", "--evaluate", "toymodel:__name__"), SettingsError, "is a str"),
        (("model.pt", "--arch", "toymodel:build", "--data", "narrow.npz"), ShapeError, r"data of shape \(8, 23\)"),
    ]  # fmt: skip
    for words, kind, message in cases:
        done = call("tensorize", "compress", *words, "--ratio", 2, "--out", "small.safetensors")
        assert isinstance(done.exception, kind), (words, done.output, done.exception)
        assert re.search(message, str(done.exception))
    assert not (modelled / "owned").exists() and not (modelled / "small.safetensors").exists()
