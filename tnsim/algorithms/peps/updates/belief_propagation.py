"""Belief propagation on PEPS: the Vidal (super-orthogonal) gauge, and means with the weights as surroundings.

In this gauge a tensor with the weights of all but one of its bonds is an isometry onto that one; on a tree it is the
Schmidt form, with loops it is the fixed point of belief propagation.
Sources: S. J. Ran, W. Li, B. Xi, Z. Zhang, G. Su, Phys. Rev. B 86, 134429 (2012); R. Alkabetz, I. Arad, Phys. Rev.
Research 3, 023073 (2021); J. Tindall, M. Fishman, SciPost Phys. 15, 222 (2023).
"""

import numpy as np

from tnsim.algorithms.peps.updates.path_update import update_path
from tnsim.errors import SettingsError, StateError
from tnsim.linalg import Spectrum, Truncation
from tnsim.networks.peps import SquareState
from tnsim.networks.peps.bond_graph import BondGraph, Walk
from tnsim.networks.peps.weighted import WeightedPEPS, scale_leg
from tnsim.tensor import Tensor, bra, contract, eye, inner


def super_orthogonal(
    psi: SquareState | WeightedPEPS, *, tol: float = 1e-10, max_rounds: int = 1000, svd_min: float = 1e-12
) -> WeightedPEPS:
    """The same state (of norm 1 as its weights tell) in the Vidal gauge: every bond is split anew until none changes.

    tol: of the weights, from round to round; svd_min: weights below this are dropped. Where rounds do not suffice the
    gauge is what it is: `gauge_error` says how good. Cost O(D^5 d) a bond and round. Raises StateError for others.

    >>> from tnsim.networks.peps import PEPS
    >>> from tnsim.networks.sites import spin_site
    >>> psi = PEPS.random([[spin_site(conserve=None)] * 3] * 2, D=2, seed=0)
    >>> gauge_error(super_orthogonal(psi)) < 1e-8
    True
    """
    if not isinstance(psi, SquareState | WeightedPEPS):
        raise StateError(f"a PEPS, an InfinitePEPS or a WeightedPEPS has a Vidal gauge, found {type(psi).__name__}.")
    if not 0 < tol < 1 or max_rounds < 1:
        raise SettingsError(f"tol lies between 0 and 1 and max_rounds is at least 1, found {tol} and {max_rounds}.")
    weighted = psi if isinstance(psi, WeightedPEPS) else WeightedPEPS.plain(psi)
    graph, tensors, weights = weighted.graph, weighted.dressed(), list(weighted.weights)
    if all(weight.leg.dim == 1 for weight in weights):
        return _normalized(weighted)
    regauge(tensors, weights, graph, tol=tol, max_rounds=max_rounds, svd_min=svd_min)
    return WeightedPEPS.undressed(weighted.psi, tensors, weights)


def regauge(
    tensors: list[Tensor],
    weights: list[Spectrum],
    graph: BondGraph,
    *,
    tol: float,
    max_rounds: int,
    svd_min: float = 1e-12,
) -> bool:
    """Split every bond anew, in place of dressed tensors and weights, until no weight changes by more than tol.

    Returns whether that was reached within max_rounds.
    """
    truncation = Truncation(chi_max=max(weight.leg.dim for weight in weights), svd_min=svd_min)
    walks = [Walk((link.first, link.second), (link.direction,)) for link in graph.links]
    for _ in range(max_rounds):
        before = list(weights)
        for walk in walks:
            update_path(tensors, weights, graph, walk, None, truncation)
        if apart(before, weights) <= tol:
            return True
    return False


def _normalized(weighted: WeightedPEPS) -> WeightedPEPS:
    """Tensors of norm 1, where all bonds have dimension 1."""
    ones = [Spectrum(weight.leg, np.ones(1)) for weight in weighted.weights]
    return WeightedPEPS(weighted.psi.with_tensors([t / t.norm() for t in weighted.psi.tensors]), ones)


def apart(before: list[Spectrum], after: list[Spectrum]) -> float:
    """The largest difference of weights; infinite where bonds changed."""
    if any(a.leg is not b.leg for a, b in zip(before, after, strict=True)):
        return float("inf")
    return max(float(np.abs(a.values - b.values).max()) for a, b in zip(before, after, strict=True))


def gauge_error(weighted: WeightedPEPS) -> float:
    """The largest distance of a tensor from an isometry onto one of its bonds, all other weights absorbed."""
    worst, tensors = 0.0, weighted.dressed()
    for link, weight in zip(weighted.graph.links, weighted.weights, strict=True):
        for number, leg in ((link.first, link.direction), (link.second, (link.direction + 2) % 4)):
            dressed = scale_leg(tensors[number], leg, 1 / weight.values)
            words = [f"l{k}" for k in range(dressed.ndim)]
            other = [*words[:leg], "x", *words[leg + 1 :]]
            traced = [axis for axis in range(dressed.ndim) if axis != leg]
            gram = contract(f"{' '.join(words)}, {' '.join(other)} -> {words[leg]} x", dressed, bra(dressed, traced))
            unit = eye(gram.legs[0], dtype=gram.dtype, backend=gram.backend)
            mean = inner(unit, gram).real / weight.leg.dim
            worst = max(worst, (gram / mean - unit).norm())
    return worst
