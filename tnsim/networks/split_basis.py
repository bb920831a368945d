"""The basis that a cut of a two-site tensor keeps: all of its blocks at once, or half of them and their reflections."""

from dataclasses import dataclass
from math import isnan

import numpy as np

from tnsim.backend import Array, blas_for
from tnsim.kernels.cpu.split import choose
from tnsim.linalg.truncation import Truncation
from tnsim.networks.effective import TwoSiteHamiltonian, run, threads_for
from tnsim.networks.effective_plans import LEFT, RATE, RIGHT
from tnsim.networks.fold_plans import FoldPlan, fold_plan, unfold_rows

# a split takes as long as so many products of a block with a square matrix, and seconds a block beside
_PRODUCTS, _BLOCK = 3.5, 1.5e-5
# candidates for the kept states: this many more, and one more in this many
_SPARE = 8
# what QR takes beside the states of a sector that the bond had before: one in so many, and so many
_SKETCHED, _MORE = 10, 2
# the parts of a tensor that is its own reflection get candidates by their share of all rows, times this
_UNEVEN = 1.2


@dataclass(frozen=True, eq=False)
class Noise:
    """Gram matrices of the centre blocks that a cut adds with a factor, and the sum of their traces."""

    gram: Array
    amplitude: float
    trace: float


@dataclass(frozen=True, eq=False)
class KeptBasis:
    """Orthonormal rows of every centre block, and how many of them are kept.

    dims: kept rows a centre sector, the first of each; weights: of all kept, summing to 1; trunc_err: discarded weight,
    NaN where there is nothing to cut; held: the kept weight before scaling; even: see `TwoSiteSplit`.
    """

    basis: Array
    dims: np.ndarray
    weights: np.ndarray
    trunc_err: float
    held: float
    even: tuple[int, ...] = ()


def kept_basis(
    heff: TwoSiteHamiltonian,
    theta: Array,
    truncation: Truncation,
    rightwards: bool,
    method: str,
    noise: Noise | None,
) -> KeptBasis:
    """What the rule keeps of theta's left (rightwards) or right basis; see `split_two_site`."""
    if heff.plan.folding is not None:
        return _folded_basis(heff, theta, truncation, rightwards, method, noise)
    gram, amplitude = (None, 0.0) if noise is None else (noise.gram, noise.amplitude)
    chi_max, blocks = truncation.chi_max, heff.plan.blocks
    if method == "leading":
        chi_max = _candidates(chi_max)
    basis, weights, ranks, lost = _rows(heff, theta, blocks, chi_max, rightwards, method, gram, amplitude)
    return KeptBasis(basis, *_chosen(weights, ranks, lost, truncation))


def _candidates(chi_max: int) -> int:
    return chi_max + chi_max // _SPARE + _SPARE


def _chosen(
    weights: np.ndarray, ranks: np.ndarray, lost: float, rule: Truncation
) -> tuple[np.ndarray, np.ndarray, float, float]:
    return choose(weights, ranks, lost, rule.chi_max, rule.chi_min, rule.svd_min, rule.trunc_err, rule.degeneracy_tol)


def _folded_basis(
    heff: TwoSiteHamiltonian,
    theta: Array,
    truncation: Truncation,
    rightwards: bool,
    method: str,
    noise: Noise | None,
) -> KeptBasis:
    """What the rule keeps of a tensor that is its own reflection: from one of two blocks that are images of each other,
    and from the even and the odd part of a block that is its own. States and their images are kept together."""
    plan, side = heff.plan, LEFT if rightwards else RIGHT
    fold, folding, axis = fold_plan(plan), plan.folding, 1 if rightwards else 2
    assert folding is not None
    parts = _folded(heff, fold, theta)
    gram, amplitude, total = None, 0.0, 1.0
    if noise is not None:
        gram, amplitude = _folded(heff, fold_plan(plan, side), noise.gram), noise.amplitude
        total += amplitude * noise.trace
    copies = folding.copies[fold.parts[:, 0]]
    most = _candidates(truncation.chi_max)
    share = fold.blocks[:, axis].sum() / max(1, plan.blocks[:, axis].sum())
    for count in (min(most, int(_UNEVEN * share * most) + _SPARE), most):
        basis, weights, ranks, lost = _rows(heff, parts, fold.blocks, count, rightwards, method, gram, amplitude)
        if lost > 0:  # what is lost of a pair counts twice: the rest of the whole tells
            lost = max(lost, total - float(np.repeat(copies, ranks) @ weights))
        dims, kept, trunc_err, held = _in_pairs(weights, ranks, lost, copies, truncation)
        if method != "leading" or count == most or dims.sum() < len(weights) or len(kept) >= truncation.chi_max - 1:
            break
    rows = unfold_rows(plan, fold, side, dims)
    whole = heff.backend.zeros(int((plan.blocks[:, axis] ** 2).sum()), heff.dtype)
    run(rows, (basis, whole), heff.backend)
    sector, image, is_odd = fold.parts[:, 0], folding.images, fold.parts[:, 1] == 1
    kept_of, even_of = np.zeros(len(plan.blocks), dtype=np.int64), np.zeros(len(plan.blocks), dtype=np.int64)
    np.add.at(kept_of, sector, dims)
    np.add.at(even_of, sector[~is_odd], dims[~is_odd])
    pairs = image > np.arange(len(image))
    kept_of[image[pairs]], even_of[image[pairs]] = kept_of[pairs], even_of[pairs]
    return KeptBasis(whole, kept_of, kept, trunc_err, held, tuple(even_of[kept_of > 0].tolist()))


def _in_pairs(
    weights: np.ndarray, ranks: np.ndarray, lost: float, copies: np.ndarray, rule: Truncation
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """The rule on weights of which some stand for two states: how many of each part are kept, with their images."""
    part = np.repeat(np.arange(len(ranks)), copies)
    firsts, begin = np.cumsum(copies) - copies, np.cumsum(ranks) - ranks
    many = ranks[part]
    within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    every = weights[np.repeat(begin[part], many) + within]
    found, _, trunc_err, held = _chosen(every, many, lost, rule)
    dims = np.minimum.reduceat(found, firsts)
    if isnan(trunc_err):
        return dims, np.empty(0), trunc_err, held
    if not dims.any():  # the best states are a pair, and there is room for one: a single state, or else both
        best = np.where(ranks > 0, weights[np.minimum(begin, len(weights) - 1)], 0)
        single = np.where(copies == 1, best, 0)
        dims[np.argmax(single if single.any() else best)] = 1
    is_kept = within < np.repeat(dims[part], many)
    held, rest = float(every[is_kept].sum()), float(every[~is_kept].sum()) + lost
    return dims, every[is_kept] / held, rest / (held + rest), held


def _folded(heff: TwoSiteHamiltonian, fold: FoldPlan, data: Array) -> Array:
    """The parts of a tensor in centre blocks, or of Gram matrices of them."""
    parts = heff.backend.zeros(fold.rows.size, heff.dtype)
    run(fold.rows, (data, parts), heff.backend)
    return parts


def _rows(
    heff: TwoSiteHamiltonian, theta: Array, blocks: np.ndarray, candidates: int, rightwards: bool, method: str,
    gram: Array | None, amplitude: float,
) -> tuple[Array, np.ndarray, np.ndarray, float]:  # fmt: skip
    """Orthonormal rows of the blocks, their weights and numbers, and the weight that lies outside of them."""
    kernels = heff.backend.kernels
    if method == "qr":
        return kernels.sketched(theta, blocks, rightwards, _sketched_ranks(heff, candidates))
    own = blocks[:, 1] if rightwards else blocks[:, 2]
    flops = 2.0 * _PRODUCTS * float((blocks[:, 1] * blocks[:, 2]) @ own)
    threads, lone = threads_for(heff.plan.matvec, flops / RATE + _BLOCK * len(blocks))
    with blas_for(lone):
        if method == "leading":
            return kernels.leading(theta, blocks, rightwards, gram, amplitude, candidates, threads)
        return (*kernels.bases(theta, blocks, rightwards, method == "svd", gram, amplitude, threads), 0.0)


def _sketched_ranks(heff: TwoSiteHamiltonian, chi_max: int) -> np.ndarray:
    """Rows that QR looks for in every block: some more than the bond had, once that is full; all before."""
    blocks, known = heff.plan.blocks, getattr(heff, "known", None)
    every = np.minimum(blocks[:, 1], blocks[:, 2])
    if known is None or known.dim < chi_max:
        return every
    before, keys = np.zeros(len(blocks), dtype=np.int64), heff.plan.left.center.keys
    there = np.isin(known.keys, keys)  # a bond may have sectors that its other side does not reach
    before[np.searchsorted(keys, known.keys[there])] = known.dims_array[there]
    return np.minimum(every, before + before // _SKETCHED + _MORE)
