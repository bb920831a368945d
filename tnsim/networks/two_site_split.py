"""Splitting a two-site tensor in centre blocks back into two site tensors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isnan, sqrt

import numpy as np

from tnsim.backend import Array
from tnsim.errors import NumericalError
from tnsim.linalg.truncation import Truncation
from tnsim.networks.effective import TwoSiteHamiltonian, run, trace_of_blocks
from tnsim.networks.effective_plans import split_plan
from tnsim.networks.split_basis import Noise, kept_basis
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor

# The Gram matrix squares the condition number: below this ratio of singular values it gives noise.
GRAM_FLOOR = 1e-8
_CHECK = "check the Hamiltonian and the start state"


@dataclass(frozen=True, eq=False)
class TwoSiteSplit:
    """Two site tensors, the centre on the right one (rightwards) or the left one, and what was cut.

    bond: the new leg, flow +1; isometry: Q of the other site, for its environment; weights: kept Schmidt
    weights (squares, summing to 1; near those after "leading"); trunc_err: discarded weight; method: how; even: how
    many states of every sector of the bond are even, where the tensor is its own reflection.
    """

    first: Tensor
    second: Tensor
    bond: Leg
    isometry: Array
    weights: np.ndarray
    trunc_err: float
    method: str
    even: tuple[int, ...] = ()


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
    added = _noise(heff, theta, noise, rightwards) if noise > 0 else None
    used = "gram" if method == "svd" and added is not None else method
    rule = _rule_of(used, truncation, heff.dtype)
    try:
        cut = kept_basis(heff, theta, rule, rightwards, method, added)
    except ArithmeticError as error:  # LAPACK's, most often of NaN
        raise NumericalError(f"the two-site tensor cannot be cut ({error}): {_CHECK}.") from error
    held, trunc_err = cut.held, cut.trunc_err
    if isnan(trunc_err):
        found = "nothing but zeros" if held == 0 else "NaN or Inf"
        raise NumericalError(f"{found} in the two-site tensor: {_CHECK}.")
    bond = Leg.from_keys(heff.plan.left.center.group, heff.plan.left.center.keys, cut.dims)
    first, second, isometry = _build(heff, theta, cut.basis, bond, rightwards)
    carrier = second if rightwards else first
    size = sqrt(held) if added is None and used != "qr" else carrier.norm()
    if used == "qr":  # its weights are those within the rows it looked at from the other side: a little too small
        trunc_err = max(0.0, 1 - (1 - trunc_err) * size**2 / held)
    carrier.data *= 1 / size
    return TwoSiteSplit(first, second, bond, isometry, cut.weights, trunc_err, used, cut.even)


def _noise(heff: TwoSiteHamiltonian, theta: Array, noise: float, rightwards: bool) -> Noise:
    """What is added to the density matrix, scaled so that its trace is `noise`."""
    gram, folding = heff.noise(theta, rightwards), heff.plan.folding
    own = heff.plan.blocks[:, 1] if rightwards else heff.plan.blocks[:, 2]
    trace = trace_of_blocks(gram, own, heff.backend, None if folding is None else folding.copies)
    return Noise(gram, noise / trace if trace > 0 else 0.0, trace)


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


@lru_cache(maxsize=64)
def _rule_of(method: str, truncation: Truncation, dtype: np.dtype) -> Truncation:
    """The truncation with that cutoff; kept, since new settings are checked field by field."""
    return replace(truncation, svd_min=cutoff_of(method, truncation, dtype))


@lru_cache(maxsize=16)
def _floor(method: str, dtype: np.dtype) -> float:
    """Singular values below are rounding, and so are the states that belong to them: eps in the weights of a Gram
    matrix (in double precision for "leading"), eps in the data."""
    single = float(np.finfo(dtype).eps)
    return {"svd": 0.0, "qr": 4 * single, "gram": single**0.5, "leading": max(single, 2.0**-26)}[method]
