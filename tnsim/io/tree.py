"""Results made of tensors, numbers and small classes, in HDF5 files: a group for each, with the name of its class.

Only classes that are named to the reader are made; nothing is executed.
"""

import json
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from tnsim.errors import FileError, FileForeignError
from tnsim.io.hdf5 import get_symmetry, get_tensor, put_symmetry, put_tensor
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor

Classes = Mapping[str, type]


def put_tree(parent: h5py.Group, name: str, value: Any, classes: Classes) -> None:
    """Write a value of the given classes, tensors, legs, arrays, numbers, text, and lists and tables of these.

    Raises FileError for anything else, naming it.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufc":
            raise FileError(f"an array of {value.dtype} cannot be saved: only numbers can.")
        parent[name] = value
        return
    group = parent.create_group(name)
    if isinstance(value, Tensor):
        _put_tensor(group, value)
    elif isinstance(value, Leg):
        group.attrs["class"] = "leg"
        put_symmetry(group, value.group)
        group.attrs["value"] = json.dumps([value.charges, value.dims, value.flow])
    elif isinstance(value, Mapping):
        group.attrs["class"], group.attrs["names"] = "table", json.dumps(list(value))
        for number, entry in enumerate(value.values()):
            put_tree(group, str(number), entry, classes)
    elif isinstance(value, tuple | list):
        group.attrs["class"], group.attrs["length"] = "list", len(value)
        for number, entry in enumerate(value):
            put_tree(group, str(number), entry, classes)
    elif type(value).__name__ in classes and classes[type(value).__name__] is type(value):
        group.attrs["class"] = f"object {type(value).__name__}"
        put_tree(group, "parts", {key: part for key, part in vars(value).items() if _is_own(value, key)}, classes)
    elif value is None or isinstance(value, bool | int | float | str | complex | np.generic):
        plain = value.item() if isinstance(value, np.generic) else value
        group.attrs["class"] = "complex" if isinstance(plain, complex) else "plain"
        group.attrs["value"] = json.dumps([plain.real, plain.imag] if isinstance(plain, complex) else plain)
    else:
        raise FileError(f"a {type(value).__name__} cannot be saved in a result.")


def get_tree(parent: h5py.Group, name: str, classes: Classes) -> Any:
    """What `put_tree` wrote, on the host; lists come back as tuples. Raises FileForeignError for an unknown class."""
    source = parent[name]
    if isinstance(source, h5py.Dataset):
        return source[()]
    kind, _, cls = str(source.attrs["class"]).partition(" ")
    if kind == "tensor":
        return get_tensor(source["data"], get_symmetry(source))
    if kind == "leg":
        charges, dims, flow = json.loads(source.attrs["value"])
        return Leg(get_symmetry(source), [tuple(charge) for charge in charges], dims, flow)
    if kind == "table":
        names = json.loads(source.attrs["names"])
        return {_key(name): get_tree(source, str(number), classes) for number, name in enumerate(names)}
    if kind == "list":
        return tuple(get_tree(source, str(number), classes) for number in range(int(source.attrs["length"])))
    if kind in ("plain", "complex"):
        value = json.loads(source.attrs["value"])
        return complex(*value) if kind == "complex" else value
    if cls not in classes:
        raise FileForeignError(f"{source.file.filename} holds a {cls or kind!r}, which this version does not know.")
    made: Any = object.__new__(classes[cls])
    for key, part in get_tree(source, "parts", classes).items():
        object.__setattr__(made, key, part)
    return made


def _key(name: Any) -> Any:
    """A key of a table: text, numbers, and tuples of these, which JSON writes as lists."""
    return tuple(map(_key, name)) if isinstance(name, list) else name


def _put_tensor(group: h5py.Group, tensor: Tensor) -> None:
    group.attrs["class"] = "tensor"
    put_symmetry(group, tensor.group)
    put_tensor(group, "data", tensor)


def _is_own(value: Any, key: str) -> bool:
    """Whether an attribute is part of an object, and not a property that it remembers."""
    return not hasattr(getattr(type(value), key, None), "__set_name__")
