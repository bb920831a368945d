"""A finite state under a sequence of gates: the centre moves with them, so that every discarded weight is exact."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import lru_cache

import numpy as np

from tnsim.errors import ShapeError
from tnsim.linalg import Spectrum, Truncation, qr, svd
from tnsim.networks.canonical import canonicalize
from tnsim.networks.center_move import move_left, move_right
from tnsim.networks.mps import MPS
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.networks.sites import Site
from tnsim.networks.two_site_gate import TwoSiteGate, TwoSites, two_site_gate
from tnsim.networks.two_site_split import choose_method, named, split_two_site
from tnsim.tensor import Tensor, contract

# all Schmidt values but those whose weight is below rounding squared
_EVERY = Truncation(chi_max=2**31, svd_min=1e-14)


class GatedState:
    """Site tensors of norm 1 with a centre. weight: summed discarded weight of all cuts; fidelity: product of what
    they kept; log_norm: logarithm of what gates that are not `unitary`, and cuts, did to the norm."""

    def __init__(self, psi: MPS, truncation: Truncation, *, split: str = "auto", unitary: bool = True) -> None:
        psi = canonicalize(psi, psi.center or 0)
        self.norm = psi.norm()
        self.sites, self.tensors, self.center = psi.sites, (psi / self.norm).tensors, psi.center or 0
        self.truncation, self.unitary = truncation, unitary
        self.method = choose_method(split, truncation, psi.dtype)
        self.weight = self.log_norm = 0.0
        self.fidelity = 1.0

    @property
    def state(self) -> MPS:
        """The state as it stands, of norm 1."""
        return MPS(self.tensors.copy(), self.sites, self.center)

    def move(self, bond: int) -> None:
        """Bring the centre to one of the sites of a bond (bond i lies right of site i)."""
        while self.center < bond:
            here = slice(self.center, self.center + 2)
            self.tensors[here] = move_right(*self.tensors[here])
            self.center += 1
        while self.center > bond + 1:
            here = slice(self.center - 1, self.center + 1)
            self.tensors[here] = move_left(*self.tensors[here])
            self.center -= 1

    def halves(self, bond: int) -> tuple["GatedState", "GatedState", Spectrum]:
        """Two states that gates left and right of a bond may act on at the same time, and its Schmidt values.

        Both hold the Schmidt values, the left one on its last site and the right one on its first.
        """
        self.move(bond)
        if self.center == bond + 1:
            self.tensors[bond : bond + 2] = move_left(*self.tensors[bond : bond + 2])
        left, values, right = svd(self.tensors[bond], (0, 1), _EVERY)
        center = scale_rows(right, values)
        beyond = contract("l m, m s r -> l s r", center, self.tensors[bond + 1])
        first = self._part([*self.tensors[:bond], scale_columns(left, values)], slice(0, bond + 1), bond)
        return first, self._part([beyond, *self.tensors[bond + 2 :]], slice(bond + 1, None), 0), values

    def _part(self, tensors: list[Tensor], sites: slice, center: int) -> "GatedState":
        part = copy(self)
        part.tensors, part.sites, part.center = tensors, self.sites[sites], center
        part.weight, part.log_norm, part.fidelity = 0.0, 0.0, 1.0
        return part

    def rejoin(self, left: "GatedState", right: "GatedState", values: Spectrum) -> None:
        """Both halves as one state again, its centre right of the bond between them.

        What acted on the left half acted on its Schmidt vectors: these are its last site over the Schmidt values.
        Exact: a vector of weight s^2 is known to eps / s, and counts s times.
        """
        left.move(len(left.tensors) - 2)
        if left.center == len(left.tensors) - 2:
            left.tensors[-2:] = move_right(*left.tensors[-2:])
        right.move(0)
        if right.center == 1:
            right.tensors[:2] = move_left(*right.tensors[:2])
        inverse = replace(values, values=1 / values.values)
        vectors, rest = qr(scale_columns(left.tensors[-1], inverse), (0, 1))
        center = contract("l m, m s r -> l s r", rest, right.tensors[0])
        size = center.norm()  # that of both halves together, over the product of their norms
        self.tensors = [*left.tensors[:-1], vectors, center / size, *right.tensors[1:]]
        self.log_norm += float(np.log(size))
        self.center = len(left.tensors)
        for half in (left, right):
            self.weight += half.weight
            self.log_norm += half.log_norm
            self.fidelity *= half.fidelity

    def on_site(self, site: int, operator: Tensor) -> None:
        """A unitary (out, in) on one site; nothing else changes."""
        self.tensors[site] = contract("t s, l s r -> l t r", operator, self.tensors[site])

    def on_bond(self, bond: int, gate: TwoSiteGate, *, rightwards: bool) -> None:
        """A gate on both sites of a bond and its cut; the centre goes to the right or the left one."""
        self.move(bond)
        first, second = self.tensors[bond : bond + 2]
        pair = TwoSites(first, second)
        theta = pair.transform(pair.join(first, second), gate)
        if not self.unitary:
            self.log_norm += float(np.log(pair.backend.read(pair.backend.norm(theta))))
        with named(f"the gate on sites {bond} and {bond + 1}"):
            cut = split_two_site(pair, theta, self.truncation, rightwards=rightwards, method=self.method)
        self.tensors[bond], self.tensors[bond + 1] = cut.first, cut.second
        self.center = bond + 1 if rightwards else bond
        self.weight += cut.trunc_err
        self.fidelity *= 1 - cut.trunc_err
        self.log_norm += float(np.log1p(-cut.trunc_err)) / 2


@lru_cache(maxsize=64)
def _swap(site: Site) -> np.ndarray:
    dim, signs = site.dim, np.array(site.parities)
    matrix = np.zeros((dim, dim, dim, dim))
    for s in range(dim):
        for t in range(dim):
            matrix[t, s, s, t] = -1.0 if signs[s] and signs[t] else 1.0
    return matrix.reshape(dim * dim, dim * dim)


def swap_matrix(sites: Sequence[Site]) -> np.ndarray:
    """The exchange of two equal sites; fermions get their sign. Raises ShapeError for different sites.

    >>> from tnsim.networks.sites import fermion_site
    >>> swap_matrix([fermion_site()] * 2).diagonal().tolist()
    [1.0, 0.0, 0.0, -1.0]
    """
    first, second = sites
    if first != second:
        raise ShapeError(
            f"gates on sites that are no neighbours need equal sites in between, to be swapped: found {first.name!r} "
            f"beside {second.name!r}."
        )
    return _swap(first)


def swap_gate(sites: Sequence[Site]) -> TwoSiteGate:
    """`swap_matrix` as a gate."""
    return two_site_gate(swap_matrix(sites), sites)
