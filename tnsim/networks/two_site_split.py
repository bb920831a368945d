"""Splitting a two-site tensor in centre blocks back into two site tensors."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tnsim.backend import Array, blas_for
from tnsim.errors import NumericalError
from tnsim.kernels.cpu.split import choose
from tnsim.linalg.truncation import Truncation
from tnsim.networks.effective import TwoSiteHamiltonian, isometry_of, run, threads_for, trace_of_blocks
from tnsim.networks.effective_plans import LEFT, RIGHT, split_plan
from tnsim.symmetry import Leg, layout
from tnsim.tensor import Tensor

# The Gram matrix squares the condition number: below this ratio of singular values it gives noise.
GRAM_FLOOR = 1e-8


@dataclass(frozen=True, eq=False)
class TwoSiteSplit:
    """Two site tensors, the centre on the right one (rightwards) or the left one, and what was cut.

    bond: the new leg, flow +1; isometry: Q of the other site, for its environment; weights: kept Schmidt
    weights (squares, summing to 1), None after "qr"; trunc_err: discarded weight; method: "gram", "svd" or "qr".
    """

    first: Tensor
    second: Tensor
    bond: Leg
    isometry: Array
    weights: np.ndarray | None
    trunc_err: float
    method: str


def choose_method(requested: str, truncation: Truncation, dtype: np.dtype) -> str:
    """ "gram" where its accuracy suffices for the cutoff asked for (and the data is 64-bit), else "svd"."""
    if requested != "auto":
        return requested
    accurate = dtype.char in "dD" and truncation.svd_min >= GRAM_FLOOR
    return "gram" if accurate else "svd"


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
    Source: S. R. White, Phys. Rev. B 72, 180403 (2005). Raises NumericalError on NaN or failed LAPACK.
    """
    backend, plan = heff.backend, heff.plan
    gram = None
    amplitude = 0.0
    if noise > 0:
        gram = heff.noise(theta, rightwards)
        own = plan.blocks[:, 1] if rightwards else plan.blocks[:, 2]
        trace = trace_of_blocks(gram, own, backend)
        amplitude = noise / trace if trace > 0 else 0.0
    threads, lone = threads_for(plan.matvec)
    with blas_for(lone):
        basis, weights, ranks = backend.kernels.bases(
            theta, plan.blocks, rightwards, method == "svd", gram, amplitude, threads
        )
    if not np.isfinite(weights).all():
        raise NumericalError("NaN or Inf in the two-site tensor: check the Hamiltonian and the start state.")
    used = "svd" if method == "svd" and gram is None else "gram"
    # weights of a Gram matrix below eps are rounding, and so are the states that belong to them
    floor = float(np.finfo(heff.dtype).eps) ** 0.5 if used == "gram" else 0.0
    dims, kept, trunc_err = choose(
        weights, ranks, truncation.chi_max, truncation.chi_min, max(truncation.svd_min, floor), truncation.trunc_err,
        truncation.degeneracy_tol,
    )  # fmt: skip
    bond = _bond(plan.left.center, dims.tobytes())
    first, second, isometry = _build(heff, theta, basis, bond, tuple(ranks.tolist()), rightwards)
    carrier = second if rightwards else first
    norm = np.sqrt(kept.sum()) if gram is None else carrier.norm()
    carrier.data *= float(1 / norm)
    return TwoSiteSplit(first, second, bond, isometry, kept / kept.sum(), trunc_err, used)


def follow_two_site(
    heff: TwoSiteHamiltonian, theta: Array, canonical: Tensor, *, rightwards: bool, largest: float
) -> TwoSiteSplit | None:
    """Cut theta (norm 1) along the basis of its `canonical` site; None where that discards more than `largest`.

    canonical: the site tensor on the other side of the bond from the new isometry, as the last split left it: the
    right one where the sweep goes right. One QR of theta times its adjoint, a fifth of a full split's cost; the
    bond keeps its dimension in every sector. Source: Unfried, Hauschild, Pollmann, Phys. Rev. B 107, 155133 (2023),
    and subspace iteration.
    """
    backend, plan = heff.backend, heff.plan
    center, bond = plan.left.center, canonical.legs[0 if rightwards else 2].with_flow(1)
    ranks = ranks_in(center, bond)
    if ranks is None or (ranks > plan.blocks[:, 1:].min(axis=1)).any():
        return None
    guess = isometry_of(RIGHT if rightwards else LEFT, canonical, center)
    threads, lone = threads_for(plan.matvec)
    with blas_for(lone):
        basis = backend.kernels.follow(theta, plan.blocks, guess, ranks, rightwards, threads)
    first, second, isometry = _build(
        heff, theta, basis, _bond(center, ranks.tobytes()), tuple(ranks.tolist()), rightwards
    )
    carrier = second if rightwards else first
    norm = carrier.norm()
    trunc_err = max(0.0, 1 - norm**2)
    if not trunc_err <= largest:
        return None
    carrier.data *= float(1 / norm)
    return TwoSiteSplit(first, second, _bond(center, ranks.tobytes()), isometry, None, trunc_err, "qr")


@lru_cache(maxsize=2048)
def ranks_in(center: Leg, bond: Leg) -> np.ndarray | None:
    """Dimension of the bond in every sector of `center`; None where it has a charge that `center` has not."""
    places = np.searchsorted(center.keys, bond.keys)
    if (places == len(center.keys)).any() or (center.keys[places] != bond.keys).any():
        return None
    ranks = np.zeros(len(center), dtype=np.int64)
    ranks[places] = bond.dims_array
    return ranks


@lru_cache(maxsize=8192)
def _bond(center: Leg, dims: bytes) -> Leg:
    """The leg with some kept dimension in each centre sector."""
    return Leg.from_keys(center.group, center.keys, np.frombuffer(dims, dtype=np.int64))


def _build(
    heff: TwoSiteHamiltonian, theta: Array, basis: Array, bond: Leg, ranks: tuple[int, ...], rightwards: bool
) -> tuple[Tensor, Tensor, Array]:
    backend, dtype = heff.backend, heff.dtype
    left, right = heff.plan.left, heff.plan.right
    plan = split_plan(
        left.bond, left.operator.phys, bond, right.operator.phys, right.bond, ranks, rightwards, dtype.char
    )
    legs_first = (left.bond, left.operator.phys, bond.dual)
    legs_second = (bond, right.operator.phys, right.bond.dual)
    first, second = _empty(legs_first, backend, dtype), _empty(legs_second, backend, dtype)
    isometry = backend.zeros(plan.size, dtype)
    run(plan, (theta, basis, isometry, first.data, second.data), backend)
    return first, second, isometry


def _empty(legs: tuple[Leg, Leg, Leg], backend, dtype) -> Tensor:
    return Tensor(legs, backend.zeros(layout(legs, legs[0].group.identity).size, dtype))
