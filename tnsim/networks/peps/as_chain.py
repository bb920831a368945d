"""A finite PEPS as the exact MPS along its rows, and terms in the plane as a sum on that chain."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tnsim.errors import ShapeError
from tnsim.linalg import qr
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.peps.peps import PEPS
from tnsim.networks.peps.plane_terms import PlaneTerms
from tnsim.networks.sites import Site
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, from_dense, fuse

# elements of the largest tensor on the way, up to which it is made
_LARGEST = 1 << 24


def peps_to_mps(psi: PEPS) -> MPS:
    """The same state on a chain: places row by row, fermions with Jordan-Wigner strings; exact, not normalised.

    Bonds have dimension D^columns at most, and no more than there are states of the sites before; cost
    O(D^(3 columns + 3)). The sign of a state with an odd number of fermions is arbitrary. Raises ShapeError where
    tensors would take too much memory.

    >>> from tnsim.networks.sites import spin_site
    >>> peps_to_mps(PEPS.random([[spin_site(conserve=None)] * 2] * 3, D=2, seed=0))
    MPS on 6 sites, bond dimensions 1 2 4 8 4 4 1, float64 on numpy
    """
    psi = psi.opened()
    _check_memory(psi)
    m, n = psi.shape
    group = psi.kinds[0].group
    edge, end = Leg(group, [group.identity], [1]), Leg(group, [group.identity], [1], -1)
    front = from_dense(np.ones((1, 1)), [edge, end]).astype(psi.dtype).to(psi.backend)
    words, found = ["a", "c"], []
    for i, j in psi.places():
        own = [f"v{i}.{j}", f"h{i}.{j + 1}", f"v{i + 1}.{j}", f"h{i}.{j}"]
        outer = [word for word, leaves in zip(own, (i == 0, j == n - 1, i == m - 1, j == 0), strict=True) if leaves]
        kept = [word for word in words[1:-1] if word not in own]
        kept += [word for word in own[1:3] if word not in outer]
        #   a--[front]--cut, c
        #          |
        #      --[T]--      the sites so far are to the left; c collects charges and the legs that leave the lattice
        joined = contract(
            f"{' '.join(words)}, {' '.join(own)} p q -> a p {' '.join([*kept, *outer])} c q",
            front, _neutral(psi.tensor(i, j)),
        )  # fmt: skip
        count = 2 + len(kept)
        groups = [*((k,) for k in range(count)), tuple(range(count, joined.ndim))]
        site, front = qr(fuse(joined, groups, [*(leg.flow for leg in joined.legs[:count]), -1]), (0, 1))
        words = ["a", *kept, "c"]
        found.append(site)
    found[-1] = contract("a p b, b c -> a p c", found[-1], front)
    sites = [_plain_site(psi.site(*place)) for place in psi.places()]
    tensors = [
        Tensor((_plain(t.legs[0]), site.leg, _plain(t.legs[2])), t.data)
        for t, site in zip(found, sites, strict=True)
    ]  # fmt: skip
    return MPS(tensors, sites)


def chain_terms(terms: PlaneTerms) -> tuple[OperatorSum, list[Site]]:
    """The terms of a finite lattice as a sum on the chain of `peps_to_mps`, and its sites.

    Fermions get strings in place of graded legs. Raises ShapeError for the terms of a cell that repeats.

    >>> from tnsim.models import Heisenberg, Lattice
    >>> H, sites = chain_terms(PlaneTerms.of(Heisenberg(lattice=Lattice("square", 2, 2))))
    >>> H.mpo(sites)
    MPO on 4 sites, bond dimensions 1 4 8 4 1, float64 on numpy
    """
    if terms.infinite:
        raise ShapeError("a chain has an end: take the terms of a finite lattice.")
    terms = terms.opened()
    columns, sites = terms.shape[1], [_plain_site(site) for row in terms.sites for site in row]
    H = OperatorSum()
    for (i, j), matrix in terms.singles.items():
        H += 1.0, matrix, i * columns + j
    for pair in terms.pairs:
        a, b = (i * columns + j for i, j in (pair.first, pair.second))
        for first, second in _factors(pair.matrix, sites[a], sites[b]):
            H += 1.0, first, a, second, b
    return H, sites


def _factors(matrix: np.ndarray, first: Site, second: Site) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Products of operators that add up to a matrix on two sites, whose Jordan-Wigner string is taken out."""
    parts = matrix.reshape(first.dim, second.dim, first.dim, second.dim)
    for k in range(first.dim):
        for m in range(first.dim):
            if not parts[k, :, m].any():
                continue
            unit = np.zeros((first.dim, first.dim))
            odd = first.parities[k] != first.parities[m]
            unit[k, m] = first.string[m, m] if odd else 1.0
            yield unit, np.ascontiguousarray(parts[k, :, m])


def _neutral(tensor: Tensor) -> Tensor:
    """The tensor with its charge on one more leg, of dimension 1, at the end."""
    leg = Leg(tensor.group, [tensor.charge], [1], -1)
    return Tensor((*tensor.legs, leg), tensor.data)


def _plain_site(site: Site) -> Site:
    """The site for a chain, where strings take the place of a graded group."""
    return replace(site, group=replace(site.group, fermionic=())) if site.group.fermionic else site


def _plain(leg: Leg) -> Leg:
    return Leg(replace(leg.group, fermionic=()), leg.charges, leg.dims, leg.flow)


def _check_memory(psi: PEPS) -> None:
    """ShapeError where the largest tensor on the way has too many elements."""
    (m, n), D = psi.shape, psi.bond_dimension
    states = [float(psi.site(*place).dim) for place in psi.places()]
    before = np.cumprod([1.0, *states[:-1]])
    bonds = [min(bond, float(D) ** min(n, k)) for k, bond in enumerate(before)]
    size = max(bond * d for bond, d in zip(bonds, states, strict=True)) * float(D) ** (n + 1 if n > 1 else 1)
    if size > _LARGEST:
        raise ShapeError(
            f"a PEPS of {m} x {n} sites with D = {D} as an exact MPS takes tensors of {size:.1e} numbers: take fewer "
            "columns (a lattice that is longer than wide), or a smaller D."
        )
