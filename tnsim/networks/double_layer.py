"""A state on the square lattice beside its conjugate: the tensors of norms, overlaps and amplitudes."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import LegError, ShapeError
from tnsim.networks.square_network import FLOWS, FiniteNetwork
from tnsim.tensor import Tensor, contract, from_dense, fuse

Sites = Sequence[Sequence[Tensor]]


def overlap_network(bra: Sites, ket: Sites) -> FiniteNetwork:
    """<bra|ket> of two states with sites (north, east, south, west, phys), as a network with bonds fused in pairs.

    Cost O(D^8 d) a site, and bonds of D^2. Raises LegError for sites that differ, ShapeError for other legs.

    >>> from tnsim.symmetry import trivial_leg
    >>> site = from_dense(np.ones((1, 1, 1, 1, 2)), [trivial_leg(1, flow) for flow in FLOWS] + [trivial_leg(2)])
    >>> overlap_network([[site]], [[site]])
    FiniteNetwork 1 x 1, bond dimension 1, float64 on numpy
    """
    if [len(row) for row in bra] != [len(row) for row in ket]:
        raise ShapeError(f"bra and ket differ in shape: rows of {[len(r) for r in bra]} and {[len(r) for r in ket]}.")
    rows = []
    for i, (upper, lower) in enumerate(zip(bra, ket, strict=True)):
        rows.append([_joined(a, b, (i, j)) for j, (a, b) in enumerate(zip(upper, lower, strict=True))])
    return FiniteNetwork(rows)


def amplitude_network(sites: Sites, states: Sequence[Sequence[int]] | np.ndarray) -> FiniteNetwork:
    """The amplitude of one configuration: numbers of local states in the dense order of the physical legs."""
    if np.shape(states) != (len(sites), len(sites[0])):
        raise ShapeError(f"states for {(len(sites), len(sites[0]))} sites are needed, found shape {np.shape(states)}.")
    rows = []
    for i, row in enumerate(sites):
        line = []
        for j, site in enumerate(row):
            _check(site, (i, j))
            vector = np.zeros(site.shape[4], dtype=site.dtype)
            if not 0 <= int(states[i][j]) < len(vector):
                raise ShapeError(f"the site at {(i, j)} has states 0 to {len(vector) - 1}, found {states[i][j]}.")
            vector[int(states[i][j])] = 1
            bra = from_dense(vector, [site.legs[4].dual]).to(site.backend)
            line.append(contract("n e s w p, p -> n e s w", site, bra))
        rows.append(line)
    return FiniteNetwork(rows)


def _joined(bra: Tensor, ket: Tensor, place: tuple[int, int]) -> Tensor:
    for site in (bra, ket):
        _check(site, place)
    if bra.legs[4] is not ket.legs[4]:
        raise LegError(f"bra and ket differ on the site at {place}: {bra.legs[4]!r} and {ket.legs[4]!r}.")
    both = contract("n e s w p, N E S W p -> n N e E s S w W", ket, bra.conj())
    return fuse(both, [(0, 1), (2, 3), (4, 5), (6, 7)], list(FLOWS))


def _check(site: Tensor, place: tuple[int, int]) -> None:
    if site.ndim != 5 or tuple(leg.flow for leg in site.legs) != (*FLOWS, 1):
        raise LegError(
            f"the site at {place} needs legs (north, east, south, west, phys) with flows {(*FLOWS, 1)}, "
            f"found {list(site.legs)}."
        )
