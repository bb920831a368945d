"""The example in the README that needs PyTorch runs as it stands."""

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="layers need PyTorch (the extra torch)")

torch.set_num_threads(1)
README = Path(__file__).resolve().parents[3] / "README.md"


def test_the_example_with_layers_runs():
    names: dict = {}
    (block,) = re.findall(r"```py\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    exec(block, names)
    assert names["result"].report.loss <= names["result"].report.line
    assert names["result"].status.converged
