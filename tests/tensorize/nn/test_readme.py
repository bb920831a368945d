"""The examples in the README that need PyTorch run as they stand."""

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="layers need PyTorch (the extra torch)")

torch.set_num_threads(1)
README = Path(__file__).resolve().parents[3] / "README.md"


def test_the_examples_with_layers_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    layers, files = re.findall(r"```py\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    exec(layers, names)
    assert names["result"].report.loss <= names["result"].report.line
    assert names["result"].status.converged
    exec(files, names)
    torch.testing.assert_close(names["small"](names["x"]), names["result"].model(names["x"]), rtol=0, atol=0)
    names["served"](names["x"])
    assert len(names["served"].differences) == 1
