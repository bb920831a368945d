"""The same tensors and sites without their symmetry: one dense block."""

from dataclasses import replace
from functools import lru_cache

from tnsim.networks.sites import Site
from tnsim.symmetry import TRIVIAL, trivial_leg
from tnsim.tensor import Tensor


def unsymmetric(tensor: Tensor) -> Tensor:
    """All elements in one block, the forbidden ones zero; every leg in its dense order. On the same device.

    >>> from tnsim.symmetry import U1, Leg
    >>> from tnsim.tensor import eye
    >>> unsymmetric(eye(Leg(U1("Sz"), [(-1,), (1,)], [1, 1]))).data.tolist()
    [1.0, 0.0, 0.0, 1.0]
    """
    legs = [trivial_leg(leg.dim, leg.flow) for leg in tensor.legs]
    return Tensor(legs, tensor.to_dense().reshape(-1))


@lru_cache(maxsize=256)
def unsymmetric_site(site: Site) -> Site:
    """The site with the same states in the same order, and no charges."""
    return replace(site, group=TRIVIAL, charges=((),) * site.dim)
