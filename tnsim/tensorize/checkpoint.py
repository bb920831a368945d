"""Weights of a network in a file, by name: safetensors or npz. What would be executed on reading is refused."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from tnsim.errors import FileError, FileForeignError, SettingsError, suggest
from tnsim.io.safetensors import SafetensorsFile

# read by torch.load with weights_only, see tnsim/tensorize/nn/torch_checkpoint.py
OF_TORCH = (".pt", ".pth", ".bin", ".ckpt")


class Weights(Mapping[str, np.ndarray]):
    """The arrays of a checkpoint (.safetensors or .npz), each read when it is asked for.

    Raises FileError and FileForeignError; files of PyTorch (.pt, .pth, .bin) are pickles: they need PyTorch and
    `tnsim.tensorize.read_torch`, or have to be saved as safetensors.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._arrays: dict[str, np.ndarray] | None = None
        if self.path.suffix in OF_TORCH:
            raise FileForeignError(
                f"{path} is a pickle of PyTorch, which is not read without it: save it as safetensors, or give --arch."
            )
        if self.path.suffix == ".npz":
            self._arrays = read_arrays(self.path)
        else:
            self._file = SafetensorsFile(self.path)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in (self._arrays if self._arrays is not None else self._file.entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays if self._arrays is not None else self._file.entries)

    def __getitem__(self, name: str) -> np.ndarray:
        if self._arrays is None:
            return self._file.read(name)
        if name not in self._arrays:
            raise FileError(f"{self.path} holds no array {name!r}. {suggest(name, self._arrays)}")
        return self._arrays[name]


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file; objects (pickles) in it are refused with FileForeignError."""
    try:
        with np.load(path, allow_pickle=False) as found:
            if not isinstance(found, np.lib.npyio.NpzFile):
                raise SettingsError(f"{path} is one array: save arrays by name, with numpy.savez.")
            return {name: found[name] for name in found.files}
    except (ValueError, BadZipFile, EOFError) as error:
        raise FileForeignError(f"{path} is no npz file of plain numbers: {error}") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error
