"""PEPS as torch tensors and back: for programs that go on with torch, and for states that come from such."""

from collections.abc import Sequence

import torch

from tnsim.errors import ShapeError
from tnsim.networks.peps import PEPS, InfinitePEPS
from tnsim.tensor import from_dense


def to_torch(psi: PEPS | InfinitePEPS) -> list[torch.Tensor]:
    """The tensors of a state in the order of `psi.tensors`, dense: (north, east, south, west, phys), on the host.

    Blocks of charges stand where their legs put them, with zeros between. Raises StateError for fermions, whose signs
    torch does not know. Cost: a copy.

    >>> from tnsim.networks.sites import spin_site
    >>> psi = InfinitePEPS.random([spin_site(conserve=None)], 2, [[0]], seed=1)
    >>> [tuple(x.shape) for x in to_torch(psi)]
    [(2, 2, 2, 2, 2)]
    """
    psi.refuse_fermions("torch")
    return [torch.from_numpy(tensor.to("numpy").to_dense().copy()) for tensor in psi.tensors]


def from_torch(tensors: Sequence[torch.Tensor], like: PEPS | InfinitePEPS) -> PEPS | InfinitePEPS:
    """A state with the lattice, sites and charges of another one, on its device. Exact; a gradient is left behind.

    Raises ShapeError for other shapes or another number of tensors, ChargeError for elements that the charges forbid.
    """
    like.refuse_fermions("torch")
    found, wanted = [tuple(x.shape) for x in tensors], [x.shape for x in like.tensors]
    if found != wanted:
        raise ShapeError(f"{like!r} has tensors of the shapes {wanted}, found {found}.")
    made = [
        from_dense(x.detach().cpu().numpy(), old.legs, old.charge).to(old.backend)
        for x, old in zip(tensors, like.tensors, strict=True)
    ]
    return like.with_tensors(made)
