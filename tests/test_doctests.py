"""The examples in the docstrings run, and show what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def modules_with_examples() -> list[str]:
    """Import names of all library files that hold an example."""
    found = []
    for path in sorted(path for folder in ("tnsim", "kernels", "models") for path in (ROOT / folder).rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts if parts[0] == "tnsim" else ("tnsim", *parts)
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples(name, tmp_path, monkeypatch):
    if name.startswith("tnsim.tensorize.nn"):
        pytest.importorskip("torch", reason="these layers are PyTorch's")
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(import_module(name)).failed == 0, "see the output above"
