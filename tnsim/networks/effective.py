"""The effective Hamiltonian of two neighbouring sites, as something that acts on arrays.

    bl.--.  s'   t' .--.br
    ol| L |--W1--W2-|R |or     H_eff |pair>
    kl'--'  s    t  '--'kr

The two-site tensor lives in centre blocks: one matrix for every charge of the middle bond, rows the fused
(left bond, left site), columns the fused (right bond, right site), so that it is split without a copy.
"""

from collections.abc import Sequence

import numpy as np

from tnsim.backend import Array, Backend, blas_for, thread_count
from tnsim.errors import BackendError
from tnsim.linalg.complement import as_rows
from tnsim.linalg.davidson import davidson
from tnsim.linalg.lanczos import Krylov, Ritz, lanczos
from tnsim.networks.effective_plans import (
    LEFT,
    Growth,
    HalfPlan,
    Rows,
    TwoSitePlan,
    diagonal_plan,
    environment_plan,
    half_plan,
    isometry_plan,
    join_plan,
    noise_plan,
    project_plan,
    two_site_plan,
    unit_leg,
)
from tnsim.networks.fold_plans import average_plan, fold_plan
from tnsim.networks.reflection import Mirror
from tnsim.networks.site_operator import SiteOperator
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor

# below so many seconds helpers are of no use: telling them, and the numbers that they fetch from another core's cache,
# take some ten microseconds a round, and a core that waits for a task takes power from the one that works
_THREADED = 1.5e-4
# below this many flops BLAS's threads, which wait for each other at every call, cost more than they bring (with a
# second process on the machine, small matrices took twenty times as long)
_BLAS_THREADS = 1e8
# products with H in a call, at the least
_KRYLOV = 2.0


def threads_for(plan: Rows, seconds: float) -> tuple[int, bool]:
    """Threads that run tasks side by side, and whether BLAS should have the threads instead.

    seconds: what a call on the blocks of the plan takes on one thread.
    """
    # the limit first: outside of `block_threads` a count is read from the environment
    count = 1 if seconds < _THREADED else thread_count()
    if count == 1:
        return 1, False
    return (1, plan.flops > _BLAS_THREADS) if plan.is_lone else (count, False)


def run(plan: Rows, buffers: Sequence[Array], backend: Backend) -> None:
    """Execute rows on flat buffers; targets are added to."""
    threads, lone = threads_for(plan, plan.seconds)
    with blas_for(lone):
        backend.kernels.run_products(plan.rows, plan.alphas, plan.starts, plan.weights, tuple(buffers), threads)


class Half:
    """An environment and the site next to it: the plan, the environment's data and its dense blocks."""

    def __init__(self, plan: HalfPlan, environment: Tensor) -> None:
        self.plan, self.environment = plan, environment
        self.built: Array | None = None

    @property
    def dense(self) -> Array:
        """The sums of environment blocks that the plan uses as matrices, laid out when first asked for; cost
        O(chi^2 d w)."""
        if self.built is None:
            self.built = self.environment.backend.zeros(self.plan.build.size, self.environment.dtype)
            run(self.plan.build, (self.environment.data, self.built), self.environment.backend)
        return self.built


def grow(half: Half, bond: Leg, isometry: Array, mirror: Growth | None = None) -> Tensor:
    """The environment one site further, on the new `bond`; cost O(chi^3 d w) for the terms there are.

    isometry: Q of the site, one (fused size x chi) matrix a bond sector; mirror: half of the blocks are reflections of
    the others. Legs of the result (bra, op, ket).
    """
    plan, legs = environment_plan(half.plan, bond.with_flow(1), mirror)
    backend, dtype = half.environment.backend, half.environment.dtype
    data = backend.zeros(plan.size, dtype)
    work = backend.empty(max(1, plan.work), dtype)
    run(plan, (isometry, data, work, half.environment.data, half.dense), backend)
    return Tensor(legs, data)


def isometry_of(side: str, site: Tensor, center: Leg) -> Array:
    """Q of a site tensor that is an isometry towards `side`'s environment."""
    left, phys, right = site.legs
    outer, bond = (left, right) if side == LEFT else (right, left)
    plan = isometry_plan(side, outer.with_flow(1), phys, bond.with_flow(1), center, site.dtype.char)
    data = site.backend.zeros(plan.size, site.dtype)
    run(plan, (site.data, data), site.backend)
    return data


def absorb_site(side: str, environment: Tensor, site: Tensor, operator: SiteOperator) -> Tensor:
    """The environment with one more canonical site tensor absorbed.

    Left: sites to the left are left-isometric; right: sites to the right are right-isometric.
    """
    outer, bond = (site.legs[0], site.legs[2]) if side == LEFT else (site.legs[2], site.legs[0])
    center = unit_leg(bond)
    plan = half_plan(side, outer.with_flow(1), operator, center, environment.dtype.char)
    return grow(Half(plan, environment), bond, isometry_of(side, site, center))


class TwoSiteHamiltonian:
    """H_eff of sites i, i + 1 between two environments.

    Acts on flat arrays of centre blocks; cost of one application O(chi^3 d w) over the terms that are
    there, where identity channels cost nothing. hermitian: the environments and operators are those of a
    Hermitian sum and one state, which saves time where the numbers are real; mirror: all of it is its own reflection,
    and so is every tensor that it acts on, which saves half of the products.
    """

    def __init__(
        self, left: Tensor, first: SiteOperator, second: SiteOperator, right: Tensor, *, hermitian: bool = False,
        mirror: Mirror | None = None,
    ) -> None:  # fmt: skip
        self.backend, self.dtype = left.backend, left.dtype
        if right.dtype != self.dtype:
            raise BackendError(f"both environments must have one dtype, found {self.dtype} and {right.dtype}.")
        left_bond, right_bond = left.legs[0].with_flow(1), right.legs[0].with_flow(1)
        symmetric = hermitian and self.dtype.kind == "f"
        self.plan: TwoSitePlan = two_site_plan(left_bond, first, second, right_bond, self.dtype.char, symmetric, mirror)
        self.left, self.right = Half(self.plan.left, left), Half(self.plan.right, right)

    @property
    def halves(self) -> tuple[Array, Array, Array, Array]:
        return self.left.environment.data, self.left.dense, self.right.environment.data, self.right.dense

    def apply(self, theta: Array) -> Array:
        """H_eff |theta>."""
        out = self.backend.zeros(self.plan.size, self.dtype)
        work = self.backend.empty(max(1, self.plan.matvec.work), self.dtype)
        run(self.plan.matvec, (theta, out, work, *self.halves), self.backend)
        return out

    def lowest(self, theta: Array, krylov: Krylov, constraints: Array | None = None) -> Ritz:
        """Lowest eigenpair near theta; one compiled call where the kernels have it.

        constraints: orthonormal rows; theta has no part along them, and the pair is that of their complement.
        """
        if krylov.method == "davidson":
            return self.lowest_few([theta], krylov, constraints)[0]
        compiled = getattr(self.backend.kernels, "lowest", None)
        if compiled is None:
            return lanczos(self.apply, theta, self.backend, krylov, constraints=constraints)
        threads, lone = threads_for(self.plan.matvec, _KRYLOV * self.plan.matvec.seconds)
        with blas_for(lone):
            return Ritz(*compiled(self.plan.matvec, theta, self.halves, krylov.limits, threads, constraints))

    def lowest_few(self, thetas: Sequence[Array], krylov: Krylov, constraints: Array | None = None) -> list[Ritz]:
        """Lowest eigenpairs near thetas, as many as these span, ascending, by block Davidson in one space for all.

        Limits count the products for each pair; `matvecs` are those of all.
        """
        compiled = getattr(self.backend.kernels, "lowest_few", None)
        if compiled is None:
            return davidson(self.apply, thetas, self.diagonal(), self.backend, krylov, constraints=constraints)
        threads, lone = threads_for(self.plan.matvec, _KRYLOV * self.plan.matvec.seconds)
        guesses = thetas[0].reshape(1, -1) if len(thetas) == 1 else as_rows(thetas, self.backend)
        with blas_for(lone):
            *pairs, matvecs = compiled(
                self.plan.matvec, guesses, self.diagonal(), self.halves, krylov.limits, threads, constraints
            )
        return [
            Ritz(vector, float(energy), float(start), residual, float(norm), matvecs)
            for vector, energy, start, residual, norm in zip(*pairs, strict=True)
        ]

    def diagonal(self) -> Array:
        """The diagonal of H_eff; cost O(chi^2 d^2) for every channel that has one."""
        plan = diagonal_plan(self.plan)
        out = self.backend.empty(plan.size, self.dtype)
        work = self.backend.empty(max(1, plan.work), self.dtype)
        run(plan, (work, out, out, *self.halves), self.backend)
        return out

    def join(self, first: Tensor, second: Tensor) -> Array:
        """theta = A B in centre blocks.

        With a reflection, the part of it that is its own: Lanczos would blow up what rounding leaves of the other, as
        products with H know nothing of it.
        """
        self._check_dtypes(first, second)
        plan = join_plan(*self._joined_legs(first, second))
        theta = self.backend.zeros(plan.size, self.dtype)
        run(plan, (first.data, second.data, theta), self.backend)
        return self.own_part(theta)

    def own_part(self, theta: Array) -> Array:
        """The part of a two-site tensor that is its own reflection; all of it where there is no mirror."""
        if self.plan.folding is None:
            return theta
        average = self.backend.zeros(self.plan.size, self.dtype)
        run(average_plan(self.plan), (theta, average), self.backend)
        return average

    @property
    def freedom(self) -> int:
        """Of how many dimensions the space is that theta lies in."""
        if self.plan.folding is None:
            return self.plan.size
        parts = fold_plan(self.plan).blocks
        return int((parts[:, 1] * parts[:, 2]).sum())

    def _check_dtypes(self, first: Tensor, second: Tensor) -> None:
        if first.data.dtype != self.dtype or second.data.dtype != self.dtype:
            found = f"{first.dtype} and {second.dtype}"
            raise BackendError(f"sites must have the environments' dtype {self.dtype}, found {found}: use astype.")

    def project(self, residual: Array, first: Tensor, second: Tensor) -> Array:
        """A two-site residual seen from the second site, where that is the centre: A^dagger r."""
        plan = project_plan(*self._joined_legs(first, second))
        out = self.backend.zeros(max(1, plan.size), self.dtype)
        run(plan, (first.data, second.data, residual, out), self.backend)
        return out

    def _joined_legs(self, first: Tensor, second: Tensor) -> tuple[Leg, Leg, Leg, Leg, Leg, str]:
        (left, phys_left, bond), (_, phys_right, right) = first.legs, second.legs
        return left.with_flow(1), phys_left, bond.with_flow(1), phys_right, right.with_flow(1), self.dtype.char

    def noise(self, theta: Array, rightwards: bool) -> Array:
        """Gram matrices of all H_m theta of the half that is about to be split off; none of images."""
        half, other = (self.left, self.right) if rightwards else (self.right, self.left)
        plan = noise_plan(half.plan, tuple(other.plan.panels.sizes.tolist()), self.plan.folding)
        gram = self.backend.zeros(plan.size, self.dtype)
        work = self.backend.empty(max(1, plan.work), self.dtype)
        run(plan, (theta, gram, work, *self.halves), self.backend)
        return gram

    def grow(self, bond: Leg, isometry: Array, rightwards: bool, even: tuple[int, ...] = ()) -> Tensor:
        """The environment past the site that was split off; even: of the new bond's states, where there is a mirror."""
        half, folding, place = self.left if rightwards else self.right, self.plan.folding, 0 if rightwards else 1
        if folding is None:
            return grow(half, bond, isometry)
        return grow(half, bond, isometry, (folding.mirror.sites[place], folding.mirror.channels[place], even))


def trace_of_blocks(gram: Array, sizes: np.ndarray, backend: Backend, copies: np.ndarray | None = None) -> float:
    """Sum of the traces of square blocks that lie one after the other, each as often as `copies` says; one device
    read."""
    if not sizes.sum():
        return 0.0
    squares = sizes * sizes
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    places = np.repeat(np.cumsum(squares) - squares, sizes) + place * (np.repeat(sizes, sizes) + 1)
    diagonal = backend.real(backend.take(gram, places, 0))
    if copies is not None:
        diagonal = diagonal * backend.asarray(np.repeat(copies, sizes).astype(diagonal.dtype))
    return float(backend.read(backend.sum(diagonal)))
