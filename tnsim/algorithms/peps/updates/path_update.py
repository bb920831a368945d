"""A gate on the two ends of a way over a PEPS in the Vidal gauge: applied to reduced tensors and cut bond by bond.

 k0   s     k1    k2   t
  |   |     |     |    |         tensors hold the weights of all their bonds; by QR what does not take part is split
  +--R0-1/w-R1-1/w-R2--+         off as an isometry, and each bond between them needs the inverse of its weight once
      |gate-----------|

Sources: H. C. Jiang, Z. Y. Weng, T. Xiang, Phys. Rev. Lett. 101, 090603 (2008); P. Corboz, R. Orus, B. Bauer, G. Vidal,
Phys. Rev. B 81, 165104 (2010), for reduced tensors; M. B. Hastings, J. Math. Phys. 50, 095207 (2009).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tnsim.algorithms.peps.updates.plain_pair import is_plain, update_plain
from tnsim.linalg import Spectrum, Truncation, qr, svd
from tnsim.networks.peps.bond_graph import BondGraph, Walk
from tnsim.networks.peps.weighted import scale_leg
from tnsim.networks.square_network import EAST, SOUTH
from tnsim.tensor import Tensor, contract, inner, transpose

PHYS = 4
_LEGS = ("n", "e", "s", "w", "p", "a")


class Reduced(NamedTuple):
    """The tensors of a walk as isometries (other legs, k) and what is left, joined to one tensor.

    theta: legs (k0, s, k1, ..., k_last, t) with the physical legs of both ends.
    """

    isometries: tuple[Tensor, ...]
    theta: Tensor


def reduce(tensors: list[Tensor], weights: list[Spectrum], graph: BondGraph, walk: Walk) -> Reduced:
    """Split off what does not take part. Cost O(D^5 d^2) for neighbours."""
    pairs = [qr(tensors[n], _rows(walk, k, tensors[n].ndim)) for k, n in enumerate(walk.numbers)]
    parts = [rest for _, rest in pairs]
    for k in range(len(walk.legs)):
        parts[k] = scale_leg(parts[k], _place(walk, k), _inverse(weights[_bond(graph, walk, k)], parts[k].dtype))
    theta = contract(_joining(walk.legs), *parts)
    return Reduced(tuple(isometry for isometry, _ in pairs), theta)


def update_path(
    tensors: list[Tensor],
    weights: list[Spectrum],
    graph: BondGraph,
    walk: Walk,
    gate: Tensor | None,
    truncation: Truncation,
) -> tuple[float, float]:
    """Apply a gate (out, out, in, in; None: nothing) to the ends of a walk; tensors and weights in both lists are new.

    Returns the discarded weight and the factor on the norm, both as the weights of the surrounding bonds tell. Cost
    O(D^5 d^2 + D^3 d^6) for neighbours, O(D^(2 n - 2) d^3) for n >= 3 tensors. Raises NumericalError on NaN.
    """
    if len(walk.legs) == 1 and is_plain(tensors[walk.numbers[0]], tensors[walk.numbers[1]]):
        return _update_plain(tensors, weights, _bond(graph, walk, 0), walk, gate, truncation)
    isometries, theta = reduce(tensors, weights, graph, walk)
    theta = theta if gate is None else act(gate, theta)
    norm, weight = theta.norm(), 0.0
    for k, number in enumerate(walk.numbers[:-1]):
        part, spectrum, theta = _cut(theta, walk.legs[k] in (EAST, SOUTH), truncation)
        weights[_bond(graph, walk, k)] = spectrum
        weight += spectrum.discarded_weight
        tensors[number] = contract(_attaching(walk, k, tensors[number].ndim), isometries[k], part)
    last = len(walk.legs)
    number = walk.numbers[last]
    tensors[number] = contract(_attaching(walk, last, tensors[number].ndim), isometries[last], theta)
    return weight, norm * (1 - min(weight, 1.0)) ** 0.5


def _update_plain(
    tensors: list[Tensor], weights: list[Spectrum], bond: int, walk: Walk, gate: Tensor | None, truncation: Truncation
) -> tuple[float, float]:
    """Two neighbours without symmetry on the CPU."""
    a, b = walk.numbers
    inverse = _inverse(weights[bond], tensors[a].dtype).astype(tensors[a].dtype)
    pair, spectrum, norm = update_plain((tensors[a], tensors[b]), walk.legs[0], inverse, gate, truncation)
    (tensors[a], tensors[b]), weights[bond] = pair, spectrum
    return spectrum.discarded_weight, norm * (1 - spectrum.discarded_weight) ** 0.5


def act(gate: Tensor, theta: Tensor) -> Tensor:
    """The gate on the physical legs of both ends."""
    middle = " ".join(f"k{n}" for n in range(1, theta.ndim - 2))
    return contract(f"x y s t, k0 s {middle} t -> k0 x {middle} y", gate, theta)


def path_energy(
    tensors: list[Tensor], weights: list[Spectrum], graph: BondGraph, walk: Walk, operator: Tensor
) -> float:
    """The mean of an operator on both ends with the weights as all that is known of the surroundings."""
    theta = reduce(tensors, weights, graph, walk).theta
    return float(np.real(inner(theta, act(operator, theta)) / inner(theta, theta)))


def _cut(theta: Tensor, forwards: bool, truncation: Truncation) -> tuple[Tensor, Spectrum, Tensor]:
    """The first two legs from the others: (a, b, bond), the weights, (bond, others), the weights in both."""
    if forwards:
        u, spectrum, v = svd(theta, (0, 1), truncation, normalize=True)
        return scale_leg(u, 2, spectrum.values), spectrum, scale_leg(v, 0, spectrum.values)
    u, spectrum, v = svd(theta, tuple(range(2, theta.ndim)), truncation, normalize=True)
    last = u.ndim - 1
    first = transpose(scale_leg(v, 0, spectrum.values), (1, 2, 0))
    return first, spectrum, transpose(scale_leg(u, last, spectrum.values), (last, *range(last)))


def _bond(graph: BondGraph, walk: Walk, k: int) -> int:
    bond = graph.at[walk.numbers[k]][walk.legs[k]]
    assert bond is not None
    return bond


def _inverse(weight: Spectrum, dtype: np.dtype) -> np.ndarray:
    """1 / w, where weights near rounding are not trusted."""
    smudge = float(np.finfo(dtype).eps) * weight.values.max()
    return weight.values / (weight.values**2 + smudge**2)


# -- leg words, made once for every kind of walk --------------------------------------------------------------------


def _bonds_of(walk: Walk, k: int) -> dict[int, str]:
    """Leg: word, of the bonds of the walk at its k-th tensor."""
    found = {}
    if k > 0:
        found[(walk.legs[k - 1] + 2) % 4] = f"b{k - 1}"
    if k < len(walk.legs):
        found[walk.legs[k]] = f"b{k}"
    return found


@lru_cache(maxsize=1024)
def _rows(walk: Walk, k: int, rank: int) -> tuple[int, ...]:
    """Legs that do not take part."""
    own = set(_bonds_of(walk, k)) | ({PHYS} if k in (0, len(walk.legs)) else set())
    return tuple(leg for leg in range(rank) if leg not in own)


@lru_cache(maxsize=1024)
def _place(walk: Walk, k: int) -> int:
    """Which leg of the k-th reduced tensor (k, bonds in the order of legs, ...) leads on."""
    return 1 + sorted(_bonds_of(walk, k)).index(walk.legs[k])


@lru_cache(maxsize=1024)
def _joining(legs: tuple[int, ...]) -> str:
    """Reduced tensors (k, bonds in the order of legs, phys at the ends) to theta."""
    count = len(legs) + 1
    walk, inputs = Walk(tuple(range(count)), legs), []
    ends = {0: "s", count - 1: "t"}
    for k in range(count):
        words = [word for _, word in sorted(_bonds_of(walk, k).items())]
        inputs.append(" ".join([f"k{k}", *words, *([ends[k]] if k in ends else [])]))
    middle = " ".join(f"k{k}" for k in range(1, count))
    return f"{', '.join(inputs)} -> k0 s {middle} t"


@lru_cache(maxsize=1024)
def _attaching(walk: Walk, k: int, rank: int) -> str:
    """An isometry and its new reduced tensor to a tensor with its legs in order."""
    names = list(_LEGS[:rank])
    for leg, word in _bonds_of(walk, k).items():
        names[leg] = word
    rows = " ".join(names[leg] for leg in _rows(walk, k, rank))
    if k == 0:
        part = "k p b0"
    else:
        part = f"b{k - 1} k p" if k == len(walk.legs) else f"b{k - 1} k b{k}"
    return f"{rows} k, {part} -> {' '.join(names)}"
