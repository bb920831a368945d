"""Weights in files of PyTorch, read without running what a pickle may ask for."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from tnsim.errors import FileError, FileForeignError, ShapeError
from tnsim.tensorize.checkpoint import OF_TORCH, Weights
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.nn.collect import collect_grams


def read_torch(path: str | Path) -> dict[str, torch.Tensor]:
    """Tensors by name: .safetensors and .npz as they are, .pt and its like by torch.load(weights_only=True).

    Raises FileForeignError where a file holds anything but tensors, FileError where it cannot be read.
    """
    path = Path(path)
    if path.suffix not in OF_TORCH:
        return {name: torch.from_numpy(array) for name, array in Weights(path).items()}
    if not path.exists():
        raise FileError(f"{path} cannot be read: no such file.")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise FileForeignError(
            f"{path} holds more than weights, or is damaged, and was not loaded: save its state_dict as safetensors."
        ) from error
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in found.values()):
        raise FileForeignError(f"{path} holds no state_dict: a dictionary of tensors is needed.")
    return found


def collect_inputs(model: nn.Module, inputs: np.ndarray, batch: int) -> dict[str, Gram]:
    """Activations of all layers while inputs pass through a model, so many at a time.

    Raises ShapeError where the model does not take inputs of this width.
    """
    pieces = [inputs[k : k + batch] for k in range(0, len(inputs), batch)]
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    tensors = [torch.from_numpy(piece) for piece in pieces]
    try:
        return collect_grams(model, [t.to(dtype) if t.is_floating_point() else t for t in tensors])
    except (RuntimeError, IndexError, ShapeError) as error:
        raise ShapeError(f"the model does not take calibration data of shape {inputs.shape}: {error}") from error
