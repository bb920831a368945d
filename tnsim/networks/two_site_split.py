"""Splitting a two-site tensor in centre blocks back into two site tensors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import isnan, sqrt

import numpy as np

from tnsim.backend import Array, blas_for
from tnsim.errors import NumericalError
from tnsim.kernels.cpu.split import choose
from tnsim.linalg.truncation import Truncation
from tnsim.networks.effective import TwoSiteHamiltonian, run, threads_for, trace_of_blocks
from tnsim.networks.effective_plans import RATE, split_plan
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor

# The Gram matrix squares the condition number: below this ratio of singular values it gives noise.
GRAM_FLOOR = 1e-8
_CHECK = "check the Hamiltonian and the start state"
# a split takes as long as so many products of a block with a square matrix, and seconds a block beside
_PRODUCTS, _BLOCK = 3.5, 1.5e-5
# candidates for the kept states: this many more, and one more in this many
_SPARE = 8
# what QR takes beside the states of a sector that the bond had before: one in so many, and so many
_SKETCHED, _MORE = 10, 2


@dataclass(frozen=True, eq=False)
class TwoSiteSplit:
    """Two site tensors, the centre on the right one (rightwards) or the left one, and what was cut.

    bond: the new leg, flow +1; isometry: Q of the other site, for its environment; weights: kept Schmidt
    weights (squares, summing to 1; near those after "leading"); trunc_err: discarded weight; method: how.
    """

    first: Tensor
    second: Tensor
    bond: Leg
    isometry: Array
    weights: np.ndarray
    trunc_err: float
    method: str


@contextmanager
def named(where: str) -> Iterator[None]:
    """A NumericalError from inside says where it was met."""
    try:
        yield
    except NumericalError as error:
        raise NumericalError(f"{where}: {error}") from error


def choose_method(requested: str, truncation: Truncation, dtype: np.dtype, *, spectrum: bool = False) -> str:
    """What "auto" means: "leading" where its accuracy suffices for the cutoff asked for, else "svd".

    A rule on single weights, or the `spectrum` itself, needs all of them: "gram" for 64-bit data.
    """
    if requested != "auto":
        return requested
    if truncation.svd_min < GRAM_FLOOR:
        return "svd"
    if spectrum or truncation.chi_min > 1 or truncation.degeneracy_tol > 0:
        return "gram" if dtype.char in "dD" else "svd"
    return "leading"


def split_two_site(
    heff: TwoSiteHamiltonian,
    theta: Array,
    truncation: Truncation,
    *,
    rightwards: bool,
    method: str = "gram",
    noise: float = 0.0,
) -> TwoSiteSplit:
    """Cut theta (norm 1) at its middle bond; error sqrt(trunc_err), cost O(chi^3 d^3).

    noise > 0 adds noise * sum_m (H_m theta)(H_m theta)^dagger, scaled to trace 1, to the density matrix
    whose eigenvectors are kept: directions that H couples to come in although theta does not hold them.
    Source: S. R. White, Phys. Rev. B 72, 180403 (2005). Raises NumericalError on NaN, Inf or zeros alone, and where
    LAPACK fails.
    """
    plan = heff.plan
    gram, amplitude = _noise(heff, theta, noise, rightwards) if noise > 0 else (None, 0.0)
    try:
        basis, weights, ranks, lost = _rows(heff, theta, truncation.chi_max, rightwards, method, gram, amplitude)
    except ArithmeticError as error:  # LAPACK's, most often of NaN
        raise NumericalError(f"the two-site tensor cannot be cut ({error}): {_CHECK}.") from error
    used = "gram" if method == "svd" and gram is not None else method
    cutoff = cutoff_of(used, truncation, heff.dtype)
    dims, kept, trunc_err, held = choose(
        weights, ranks, lost, truncation.chi_max, truncation.chi_min, cutoff, truncation.trunc_err,
        truncation.degeneracy_tol,
    )  # fmt: skip
    if isnan(trunc_err):
        found = "nothing but zeros" if held == 0 else "NaN or Inf"
        raise NumericalError(f"{found} in the two-site tensor: {_CHECK}.")
    bond = _bond(plan.left.center, dims.tobytes())
    first, second, isometry = _build(heff, theta, basis, bond, rightwards)
    carrier = second if rightwards else first
    size = sqrt(held) if gram is None and used != "qr" else carrier.norm()
    if used == "qr":  # its weights are those within the rows it looked at from the other side: a little too small
        trunc_err = max(0.0, 1 - (1 - trunc_err) * size**2 / held)
    carrier.data *= 1 / size
    return TwoSiteSplit(first, second, bond, isometry, kept, trunc_err, used)


def _noise(heff: TwoSiteHamiltonian, theta: Array, noise: float, rightwards: bool) -> tuple[Array, float]:
    """What is added to the density matrix, and the factor that makes its trace `noise`."""
    gram = heff.noise(theta, rightwards)
    own = heff.plan.blocks[:, 1] if rightwards else heff.plan.blocks[:, 2]
    trace = trace_of_blocks(gram, own, heff.backend)
    return gram, noise / trace if trace > 0 else 0.0


@lru_cache(maxsize=8192)
def _bond(center: Leg, dims: bytes) -> Leg:
    """The leg with some kept dimension in each centre sector."""
    return Leg.from_keys(center.group, center.keys, np.frombuffer(dims, dtype=np.int64))


def _build(
    heff: TwoSiteHamiltonian, theta: Array, basis: Array, bond: Leg, rightwards: bool
) -> tuple[Tensor, Tensor, Array]:
    backend, dtype = heff.backend, heff.dtype
    left, right = heff.plan.left, heff.plan.right
    plan = split_plan(left.bond, left.operator.phys, bond, right.operator.phys, right.bond, rightwards, dtype.char)
    first, second = backend.zeros(plan.sizes[0], dtype), backend.zeros(plan.sizes[1], dtype)
    isometry = backend.zeros(plan.rows.size, dtype)
    run(plan.rows, (theta, basis, isometry, first, second), backend)
    return Tensor(plan.legs[0], first), Tensor(plan.legs[1], second), isometry


def cutoff_of(method: str, truncation: Truncation, dtype: np.dtype) -> float:
    """What svd_min amounts to where rounding hides smaller singular values."""
    return max(truncation.svd_min, _floor(method, dtype))


@lru_cache(maxsize=16)
def _floor(method: str, dtype: np.dtype) -> float:
    """Singular values below are rounding, and so are the states that belong to them: eps in the weights of a Gram
    matrix (in double precision for "leading"), eps in the data."""
    single = float(np.finfo(dtype).eps)
    return {"svd": 0.0, "qr": 4 * single, "gram": single**0.5, "leading": max(single, 2.0**-26)}[method]


def _rows(
    heff: TwoSiteHamiltonian, theta: Array, chi_max: int, rightwards: bool, method: str, gram: Array | None,
    amplitude: float,
) -> tuple[Array, np.ndarray, np.ndarray, float]:  # fmt: skip
    """Orthonormal rows of the blocks, their weights and numbers, and the weight that lies outside of them."""
    kernels, blocks = heff.backend.kernels, heff.plan.blocks
    if method == "qr":
        return kernels.sketched(theta, blocks, rightwards, _sketched_ranks(heff, chi_max))
    own = blocks[:, 1] if rightwards else blocks[:, 2]
    flops = 2.0 * _PRODUCTS * float((blocks[:, 1] * blocks[:, 2]) @ own)
    threads, lone = threads_for(heff.plan.matvec, flops / RATE + _BLOCK * len(blocks))
    with blas_for(lone):
        if method == "leading":
            candidates = chi_max + chi_max // _SPARE + _SPARE
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
