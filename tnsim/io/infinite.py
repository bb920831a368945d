"""Infinite states and operators in HDF5 files."""

import h5py
import numpy as np

from tnsim.io.hdf5 import (
    get_chain,
    get_sites,
    get_symmetry,
    get_tensors,
    put_chain,
    put_sites,
    put_symmetry,
    put_tensors,
)
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mps import MPS

# is_hermitian and reach: True, False and numbers as they are, None as -1
_NONE = -1


def put_state(parent: h5py.Group, name: str, state: MPS | InfiniteMPS) -> None:
    """A finite or infinite state as a group."""
    if isinstance(state, InfiniteMPS):
        put_infinite(parent, name, state)
    else:
        put_chain(parent, name, state)


def get_state(source: h5py.Group) -> MPS | InfiniteMPS:
    """What `put_state` wrote, on the host."""
    return get_infinite(source) if "AL" in source else get_chain(source)  # type: ignore[return-value]


def put_infinite(parent: h5py.Group, name: str, thing: InfiniteMPS | InfiniteMPO) -> None:
    """An infinite state (AL, AR and C) or operator as a group."""
    target = parent.create_group(name)
    put_symmetry(target, thing.sites[0].group)
    put_sites(target, thing.sites)
    if isinstance(thing, InfiniteMPS):
        for part in ("AL", "AR", "C"):
            put_tensors(target, part, getattr(thing, part))
        return
    put_tensors(target, "tensors", thing.tensors)
    target["ends"] = np.array([thing.starts, thing.finishes], dtype=np.int64)
    for key in ("is_hermitian", "reach"):
        value = getattr(thing, key)
        target.attrs[key] = _NONE if value is None else int(value)


def get_infinite(source: h5py.Group) -> InfiniteMPS | InfiniteMPO:
    """What `put_infinite` wrote, on the host."""
    group = get_symmetry(source)
    sites = get_sites(source, group)
    if "AL" in source:
        AL, AR, C = (get_tensors(source, part, group) for part in ("AL", "AR", "C"))
        return InfiniteMPS(AL, AR, C, sites)
    starts, finishes = source["ends"][()].tolist()
    hermitian, reach = int(source.attrs["is_hermitian"]), int(source.attrs["reach"])
    return InfiniteMPO(
        get_tensors(source, "tensors", group), sites, starts, finishes,
        is_hermitian=None if hermitian == _NONE else bool(hermitian), reach=None if reach == _NONE else reach,
    )  # fmt: skip
