"""Finds `tnsim.kernels` and `tnsim.models` beside `tnsim/` in a checkout.

The two packages lie at the top level of the repository. An installed tnsim has them inside the package;
a checkout that is used from its root has not, so this finder answers for exactly these two names, and
only where `pyproject.toml` stands beside `tnsim/` (never in site-packages).
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE.parent
_FOLDERS = {"tnsim.kernels": "kernels", "tnsim.models": "models"}


class SourceTreeFinder:
    """A meta path finder for the two packages that lie beside `tnsim/`."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        folder = _FOLDERS.get(name)
        if folder is None or PathFinder.find_spec(name, path) is not None:
            return None
        place = _ROOT / folder
        if not (place / "__init__.py").is_file():
            return None
        return spec_from_file_location(name, place / "__init__.py", submodule_search_locations=[str(place)])


def install() -> None:
    """Register the finder once, in a checkout only."""
    in_checkout = (_ROOT / "pyproject.toml").is_file() and not (_PACKAGE / "kernels").is_dir()
    if in_checkout and SourceTreeFinder not in sys.meta_path:
        # first: the finder of an editable install would answer with the kernels of another checkout
        sys.meta_path.insert(0, SourceTreeFinder)  # type: ignore[arg-type]


install()
