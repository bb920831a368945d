"""The examples in the docstrings of what needs PyTorch; elsewhere doctests run on the installed wheel, without it."""

import doctest
import pkgutil
from importlib import import_module

import pytest

pytest.importorskip("torch", reason="layers need PyTorch (the extra torch)")

from tnsim.tensorize import nn  # noqa: E402


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(nn.__path__)])
def test_examples(name):
    assert not doctest.testmod(import_module(f"tnsim.tensorize.nn.{name}"), extraglobs={}).failed
