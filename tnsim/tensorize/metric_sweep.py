"""Sweeps of updates of one or two cores, each the solution of the linear system that its window gives."""

from collections.abc import Iterator

import numpy as np

from tnsim.backend import Array
from tnsim.linalg import Truncation, lq, qr, svd
from tnsim.linalg.conjugate_gradients import conjugate_gradients
from tnsim.networks.matrix_train import site_array
from tnsim.networks.mpo import MPO
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor, contract
from tnsim.tensorize.extrapolate_chain import extrapolated
from tnsim.tensorize.metric_window import Window, as_columns, from_columns

# how strongly an update holds on to the core it starts from, relative to the mean eigenvalue of its system
_HOLD = 1e-10
# rounds of one-site updates after a split of two merged cores
_ROUNDS = 2


class MetricSweep:
    """Cores with their centre on one site, and windows with the sites before (or behind) contracted."""

    def __init__(self, matrix: Array, start: MPO, window: Window, direct_max: int) -> None:
        """start: with its centre on site 0; window: of all sites."""
        self.tensors = list(start.tensors)
        self.backend, self.L = start.backend, start.L
        self.direct_max = direct_max
        self.whole = window
        self._ends: list[Tensor] | None = None
        self._reach, self._last = 1.0, 0.0
        axes = start.axes
        assert axes is not None
        self.matrix = site_array(matrix, axes)
        self.goal = float(np.real(self.backend.read(self.backend.vdot(self.matrix, window.target.data))))

    def run(self, sites: int) -> Iterator[float]:
        """Right and back; after every update the error relative to the norm of the goal, which never grows."""
        sites = min(sites, self.L)
        update = self._update_one if sites == 1 else self._update_two
        last = self.L - sites
        window = self.whole
        for k in range(last):
            yield update(self._narrowed(window, k, k + sites - 1), to_the_right=True)
            window = window.without_first(self.tensors[k])
        yield update(self._narrowed(window, last, self.L - 1), to_the_right=False)
        window = self.whole
        for k in range(last - 1, -1, -1):
            window = window.without_last(self.tensors[k + sites])
            yield update(self._narrowed(window, k, k + sites - 1), to_the_right=False)

    def _narrowed(self, window: Window, first: int, last: int) -> Window:
        while window.last > last:
            window = window.without_last(self.tensors[window.last])
        while window.first < first:
            window = window.without_first(self.tensors[window.first])
        return window

    def leap(self) -> Iterator[float]:
        """Go on along the way from the last end of a sweep to this one, as long as the error falls there.

        Steps that help make the next one longer, others make it shorter and are taken back: sweeps alone converge
        slowly where the metric joins the sites. Source: M. Rajih, P. Comon, R. A. Harshman, SIAM J. Matrix Anal. 30,
        1128 (2008), for the idea of a line search between sweeps.
        """
        here, before = list(self.tensors), self._ends
        self._ends = here
        if before is None or [t.legs for t in before] != [t.legs for t in here] or self.L == 1:
            return
        self.tensors = extrapolated(here, before, self._reach)
        core, square = self._solve(self._narrowed(self.whole, 0, 0), self.tensors[0])
        if square < self._last:
            self.tensors[0] = core
            self._reach *= 1.5
            yield self._relative(square)
        else:
            self.tensors, self._reach = here, max(0.5, self._reach / 2)

    # -- one site --------------------------------------------------------------------------------------

    def _update_one(self, window: Window, to_the_right: bool) -> float:
        k = window.first
        self.tensors[k], square = self._solve(window, self.tensors[k])
        if to_the_right:
            self.tensors[k], rest = qr(self.tensors[k], (0, 1, 2))
            self.tensors[k + 1] = contract("l m, m o i r -> l o i r", rest, self.tensors[k + 1])
        elif k:
            rest, self.tensors[k] = lq(self.tensors[k], (0,))
            self.tensors[k - 1] = contract("l o i m, m r -> l o i r", self.tensors[k - 1], rest)
        return self._relative(square)

    def _relative(self, square: float) -> float:
        """The error relative to the goal, from its square less that of the goal, which is kept."""
        self._last = square
        return float(np.sqrt(max(0.0, self.goal + square) / self.goal)) if self.goal > 0 else 0.0

    def _solve(self, window: Window, core: Tensor) -> tuple[Tensor, float]:
        """The core (or merged cores) of least error, and <c|N|c> - 2 Re <c|b> there.

        A small multiple of the identity holds directions that the data does not see where they are.
        """
        matrix, right = window.system()
        start = as_columns(core)
        if matrix.shape[0] <= self.direct_max:
            columns = self._solve_directly(matrix, right, start)
        else:
            columns = conjugate_gradients(lambda x: matrix @ x, right, start, self.backend).vector
        squares = [self._square(matrix, right, c) for c in (start, columns)]
        # rounding may make the solution of a nearly singular system worse than what was there
        best = columns if squares[1] <= squares[0] else start
        return from_columns(best, core), min(squares)

    def _solve_directly(self, matrix: Array, right: Array, start: Array) -> Array:
        backend, size = self.backend, matrix.shape[0]
        held = backend.copy(matrix)
        diagonal = backend.strided(held.reshape(-1), 0, (size,), (size + 1,))
        hold = max(_HOLD * float(np.real(backend.read(backend.sum(diagonal)))) / size, 1e-300)
        diagonal += hold
        return backend.solve(held, right + start * hold)

    def _square(self, matrix: Array, right: Array, columns: Array) -> float:
        """<c|N|c> - 2 Re <c|b>."""
        backend = self.backend
        quadratic, linear = backend.vdot(columns, matrix @ columns), backend.vdot(columns, right)
        return float(np.real(backend.read(quadratic - linear * 2)))

    # -- two sites -------------------------------------------------------------------------------------

    def _update_two(self, window: Window, to_the_right: bool) -> float:
        """Merge, solve, cut where the outputs feel it least, and improve both cores in turn; or leave them."""
        k = window.first
        before = self.tensors[k], self.tensors[k + 1]
        old = contract("p o i m, m u j q -> p o i u j q", *before)
        kept = self._square(*self._narrowed(window, k, k).system(), as_columns(before[0]))
        # of two sites in all the best merged core is the matrix
        merged = Tensor(old.legs, self.matrix) if self.L == 2 else self._solve(window, old)[0]
        self.tensors[k], self.tensors[k + 1] = self._cut(window, merged, before[0].shape[3])
        square = np.inf
        for round_ in range(_ROUNDS):
            for site, other in ((k + 1, k), (k, k + 1)):
                if round_ or site == k:
                    self._center(site, other)
                self.tensors[site], square = self._solve(self._narrowed(window, site, site), self.tensors[site])
        if square > kept:
            self.tensors[k], self.tensors[k + 1] = before
            square = kept
        self._center(*((k + 1, k) if to_the_right else (k, k + 1)))
        return self._relative(square)

    def _center(self, site: int, other: int) -> None:
        """Move the norm of a pair of neighbours onto one of them."""
        if other < site:
            self.tensors[other], rest = qr(self.tensors[other], (0, 1, 2))
            self.tensors[site] = contract("l m, m o i r -> l o i r", rest, self.tensors[site])
        else:
            rest, self.tensors[other] = lq(self.tensors[other], (0,))
            self.tensors[site] = contract("l o i m, m r -> l o i r", self.tensors[site], rest)

    def _cut(self, window: Window, merged: Tensor, rank: int) -> tuple[Tensor, Tensor]:
        """Two cores whose left one spans what matters most when the metric is a product of both sides.

        With roots A and B of the metric's partial traces, the leading right vectors V of A merged B give the columns
        of merged B V, so that no root is inverted.
        """
        p, _, i, _, j, q = merged.shape
        A, B = (self._root(window, p * i, j * q, left=left) for left in (True, False))
        legs = merged.legs
        A = Tensor([legs[0], legs[2], legs[0].dual, legs[2].dual], A.data)
        B = Tensor([legs[4].dual, legs[5].dual, legs[4], legs[5]], B.data)
        half = contract("p o i u j q, j q x y -> p o i u x y", merged, B)
        weighted = contract("x y p i, p o i u j q -> x o y u j q", A, half)
        most = min(rank, merged.shape[0] * merged.shape[1] * i, merged.shape[3] * j * q)
        _, _, v = svd(weighted, (0, 1, 2), Truncation(chi_max=most, svd_min=0.0, chi_min=most))
        left, _ = qr(contract("p o i u j q, m u j q -> p o i m", half, v.conj()), (0, 1, 2))
        return left, contract("p o i m, p o i u j q -> m u j q", left.conj(), merged)

    def _root(self, window: Window, rows: int, columns: int, *, left: bool) -> Tensor:
        """Root of the metric on two sites, its indices of the right (or left) site traced over; a square matrix."""
        backend = self.backend
        matrix, _ = window.system()
        whole = rows * columns
        strides = (columns * whole, columns, whole + 1) if left else (whole, 1, columns * whole + columns)
        size, traced = (rows, columns) if left else (columns, rows)
        pieces = backend.strided(matrix.reshape(-1), 0, (size, size, traced), strides)
        ones = backend.asarray(np.ones((traced, 1), dtype=matrix.dtype))
        values, vectors = backend.eigh((pieces @ ones).reshape((size, size)))
        roots = backend.astype(backend.sqrt(backend.absolute(values)), matrix.dtype)
        root = (vectors * roots) @ backend.conj(vectors).T
        return Tensor([trivial_leg(size), trivial_leg(size, -1)], backend.copy(root).reshape(-1))
