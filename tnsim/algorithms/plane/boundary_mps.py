"""Finite networks on the square lattice, contracted row by row into a boundary MPS.

Sources: F. Verstraete, J. I. Cirac, cond-mat/0407066 (variational); E. M. Stoudenmire, S. R. White, New J. Phys. 12,
055026 (2010) (zip-up).
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from tnsim.algorithms.plane.boundary_sum import Boundary, BoundaryReport, BoundarySum
from tnsim.algorithms.solution import Status
from tnsim.algorithms.watched_run import RUNNING, PlaneObserver, WatchedRun, check_kind
from tnsim.errors import OperatorError, SettingsError, ShapeError, check_fields, suggest
from tnsim.linalg.truncation import Truncation
from tnsim.networks.acting import bond_site
from tnsim.networks.apply import apply_scaled, check_method, scaled_operator
from tnsim.networks.compress import fit
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.randomized_apply import sketch_size
from tnsim.networks.square_network import EAST, NORTH, SOUTH, WEST, FiniteNetwork, with_flows
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, flip_leg, from_dense, transpose

# bonds of a product so many times as large as a sketch of it are sketched
_SKETCHED = 2.2
# a row that discards less needs no fit
_EXACT = 1e-15
_SIDES = ("north", "east", "south", "west")


@dataclass(frozen=True, kw_only=True)
class BoundaryMPS:
    """Settings of a contraction by boundary MPS.

    Every row is applied by `method`: by default svd, and src (random sketches) once bonds D are larger than about 4,
    where it is several times as fast, as near to the best as within a few percent. Fitting in up to `sweeps` sweeps
    improves little. Cost O(m n D^3 chi^3) by svd, O(m n D^2 chi^3) by src, three times in all for the error; exact
    where nothing is discarded.

    >>> from tnsim.models.classical import Dimers
    >>> total = BoundaryMPS(truncation=Truncation(chi_max=32)).solve(Dimers().finite(8, 8))
    >>> round(float(np.exp(total.log_z)), 3)
    12988816.0
    """

    truncation: Truncation = field(metadata={"help": "chi_max and cutoffs of the boundary's bonds"})
    method: str = field(
        default="",
        metadata={"help": "how a row is taken in: svd, src, zip-up, density-matrix, variational; empty: by size"},
    )
    sweeps: int = field(default=0, metadata={"help": "most variational sweeps a row; 0: zip-up alone"})
    tol: float = field(default=1e-8, metadata={"help": "converged: the error of ln Z is below this"})
    estimate: bool = field(default=True, metadata={"help": "sum four ways for the error; no: one, a third of the cost"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.method:
            check_method(self.method)
        if self.sweeps < 0 or not self.tol >= 0:
            raise SettingsError(f"sweeps and tol are at least 0, found {self.sweeps} and {self.tol}.")

    def solve(
        self, network: FiniteNetwork, observers: Sequence[PlaneObserver] = (), resume: BoundarySum | None = None
    ) -> BoundarySum:
        """The value of a network, by rows and by columns.

        resume: goes on from a result of the same network; what was cut by other settings, such as a smaller chi_max, is
        made anew. An error above tol is a status. Raises OperatorError for other things than a FiniteNetwork,
        SettingsError for a result of another network.
        """
        _check(network)
        run, ways = WatchedRun(observers), self._ways(network)
        history: list[BoundaryReport] = []
        kept: list[list[Boundary]] = []
        mark, cut = _mark(network), repr((self.truncation, self.method, self.sweeps))
        if resume is not None:
            self._check_resumed(mark, resume)
        if resume is not None and resume.cut == cut:
            history, kept = list(resume.history), [[b.to(network.backend) for b in way] for way in resume.boundaries]
        for number, way in enumerate(ways):
            if number == len(kept):
                kept.append([bottom_edge(way.network)])
            while kept[number][-1].rows < way.needed[-1]:
                clock, before = time.perf_counter(), kept[number][-1]
                grown = self._grown(way.network.rows[-1 - before.rows], before)
                kept[number] = [*(known for known in kept[number] if known.rows in way.needed), grown]
                history.append(_report(way.side, grown, before, len(history) + 1, time.perf_counter() - clock))
                if run.tell(history[-1], _unfinished(RUNNING, history, kept, (mark, cut))):
                    return _unfinished(run.interrupted(), history, kept, (mark, cut))
        return replace(self._summed(ways, kept, history), mark=mark, cut=cut)

    def _ways(self, network: FiniteNetwork) -> list["_Way"]:
        """From the south (all the way for an estimate) and from the north until they meet, and the same of columns."""
        ways = []
        for grid, sides in ((network, ("south", "north")), (network.turned(), ("west", "east")))[
            : 2 if self.estimate else 1
        ]:
            rows, half = grid.shape[0], grid.shape[0] // 2
            below = (rows - half, rows) if self.estimate else (rows - half,)
            ways += [_Way(sides[0], grid, below), _Way(sides[1], grid.mirrored(), (half,))]
        return ways

    def _summed(
        self, ways: Sequence["_Way"], kept: Sequence[Sequence[Boundary]], history: Sequence[BoundaryReport]
    ) -> BoundarySum:
        """Sums over the bonds between boundaries from opposite sides."""
        found, weights = [], []
        for number in range(0, len(ways), 2):
            low, high = ({known.rows: known for known in kept[n]} for n in (number, number + 1))
            network, edge = ways[number].network, bottom_edge(ways[number + 1].network)
            for rows in ways[number].needed:
                opposite = edge if rows == network.shape[0] else high[network.shape[0] - rows]
                found.append(_joined(opposite, low[rows], network.log_scale))
            weights.append(kept[number][-1].weight + kept[number + 1][-1].weight)
        values, left = tuple(value for value, _, _ in found), min(left for *_, left in found)
        error = max(weights) + (max(values) - min(values) if np.isfinite(values).all() else 0.0)
        status = self._judge(error, left, float(np.finfo(ways[0].network.dtype).eps))
        boundaries = tuple(map(tuple, kept))
        return BoundarySum(values[0], found[0][1], values, error, max(weights), status, tuple(history), boundaries)

    def _check_resumed(self, mark: str, before: BoundarySum) -> None:
        """SettingsError for a result of another kind, network, or way to sum."""
        check_kind(before, BoundarySum)
        if not before.history:
            return
        if len(before.boundaries) > (4 if self.estimate else 2):
            raise SettingsError("this result was made with estimate=True: resume it with the same.")
        if before.mark != mark:
            raise SettingsError("this result belongs to another network: resume with the one that it was made for.")

    def boundaries(self, network: FiniteNetwork) -> "Boundaries":
        """The boundary above and the one below every row, for measurements."""
        _check(network)
        below, above = self._below(network), self._below(network.mirrored())
        # above[i] holds the rows before i, below[i] those after i
        return Boundaries(network, above[:-1], below[-2::-1])

    def _below(self, network: FiniteNetwork, rows: int | None = None) -> list[Boundary]:
        """The boundaries of no row, the last row, the last two, ... from the bottom."""
        boundaries = [bottom_edge(network)]
        for row in network.rows[::-1][:rows]:
            boundaries.append(self._grown(row, boundaries[-1]))
        return boundaries

    def boundary(self, network: FiniteNetwork, side: str = "south", lines: int | None = None) -> Boundary:
        """What so many rows (or columns) from one side make of the network, all by default, looking inward.

        side: north, east, south or west; sites from the left of who stands outside and looks at that side from the
        south, so from west to east for north and south, from north to south for east and west. Raises SettingsError for
        other sides and for more lines than there are.
        """
        _check(network)
        if side not in _SIDES:
            raise SettingsError(f"unknown side {side!r}. {suggest(side, _SIDES)}")
        turned = network.turned() if side in ("east", "west") else network
        turned = turned.mirrored() if side in ("north", "east") else turned
        count = turned.shape[0] if lines is None else lines
        if not 0 <= count <= turned.shape[0]:
            raise SettingsError(f"this network has {turned.shape[0]} lines from the {side}, found lines = {lines}.")
        return self._below(turned, count)[-1]

    def taken_in(self, row: Sequence[Tensor], above: Boundary) -> Boundary:
        """The boundary above with the next row of the network."""
        return self._grown([with_flows(transpose(t, (SOUTH, EAST, NORTH, WEST))) for t in row], above)

    def _grown(self, row: Sequence[Tensor], below: Boundary) -> Boundary:
        move = cache(lambda tensor: transpose(tensor, (WEST, NORTH, SOUTH, EAST)))
        operator = MPO(list(map(move, row)))
        method = self.method or self._method(operator, below.state)
        psi, distance, log_scale = apply_scaled(operator, below.state, self.truncation, method)
        if self.sweeps and distance > _EXACT:
            psi, distance = fit(psi, below.state, scaled_operator(operator, log_scale), max_sweeps=self.sweeps)
        norm = psi.norm()
        log_norm = below.log_norm + log_scale + float(np.log(norm)) if norm > 0 else -np.inf
        return Boundary(psi / norm if norm > 0 else psi, log_norm, below.weight + distance, below.rows + 1)

    def _method(self, row: MPO, state: MPS) -> str:
        """The faster one, as measured: sketches pay where the product has far larger bonds than they have vectors."""
        bond = max(row.bond_dimensions) * max(state.bond_dimensions)
        return "src" if bond > _SKETCHED * sketch_size(self.truncation.chi_max) else "svd"

    def _judge(self, error: float, left: float, eps: float) -> Status:
        if left <= 100 * eps:
            return Status(
                "lost in rounding", False,
                f"where the boundaries meet in the middle, one site leaves {left:.0e} of the sum so far: the value is "
                "zero, or its digits cancel.",
            )  # fmt: skip
        if error <= self.tol:
            return Status("converged", True, "nothing to do; raise chi_max to lower the error.")
        return Status(
            "truncated", False, f"ln Z is good to about {error:.0e}, above tol = {self.tol:.0e}: raise chi_max."
        )


@dataclass(frozen=True, eq=False)
class _Way:
    """A boundary's way: the side it comes from, the network with that side below, and the numbers of rows needed."""

    side: str
    network: FiniteNetwork
    needed: tuple[int, ...]


def _report(side: str, grown: Boundary, before: Boundary, step: int, seconds: float) -> BoundaryReport:
    return BoundaryReport(
        side=side, step=step, log_z=grown.log_norm, change=grown.weight - before.weight, trunc_err=grown.weight,
        chi=max(grown.state.bond_dimensions), seconds=seconds,
    )  # fmt: skip


def _mark(network: FiniteNetwork) -> str:
    """The same for equal networks only: a hash of all legs and numbers, brought to the host once."""
    found = hashlib.sha256(repr((network.shape, network.log_scale)).encode())
    for tensor in (tensor for row in network.rows for tensor in row):
        found.update(repr((tensor.legs, tensor.charge, tensor.dtype.str)).encode())
        found.update(np.ascontiguousarray(tensor.backend.to_host(tensor.data)).tobytes())
    return found.hexdigest()


def _unfinished(
    status: Status, history: Sequence[BoundaryReport], kept: Sequence[Sequence[Boundary]], marks: tuple[str, str]
) -> BoundarySum:
    """What resuming takes; marks: of the network and of the settings."""
    trunc_err = max(way[-1].weight for way in kept)
    return BoundarySum(np.nan, 1.0, (), np.inf, trunc_err, status, tuple(history), tuple(map(tuple, kept)), *marks)


class Boundaries:
    """A network with what lies above and below every row."""

    def __init__(self, network: FiniteNetwork, above: Sequence[Boundary], below: Sequence[Boundary]) -> None:
        self.network, self.above, self.below = network, tuple(above), tuple(below)

    def __repr__(self) -> str:
        chi = max(max(edge.state.bond_dimensions) for edge in (*self.above, *self.below))
        return f"Boundaries of {self.network!r}, up to {chi} states"

    def means(self, impurities: FiniteNetwork) -> np.ndarray:
        """The mean of every impurity alone in its place, shape (rows, columns); zero where it carries a charge.

        Cost of a row O(n chi^3 D^2). Raises ShapeError where the shapes differ.
        """
        _check(impurities)
        if impurities.shape != self.network.shape:
            raise ShapeError(f"impurities for {self.network.shape} places are needed, found {impurities.shape}.")
        return np.array([self._row(i, row) for i, row in enumerate(impurities.rows)])

    def _row(self, i: int, impurities: Sequence[Tensor]) -> list[float]:
        """The sandwich of a row between its boundaries, with one place changed at a time.

        x--top--u
           |
        w--T----e     left half (x, w, y), right half (u, e, v)
           |
        y--low--v
        """
        top = [flip_leg(t, 1) for t in self.above[i].state.tensors]
        low, row = self.below[i].state.tensors, self.network.rows[i]
        lefts, right = [ones([top[0].legs[0], row[0].legs[WEST], low[0].legs[0]], row[0])], None
        step = "x w y, x s u, s e t w, y t v -> u e v"
        for a, tensor, b in zip(top, row, low, strict=True):
            lefts.append(unit(contract(step, lefts[-1], a, tensor, b)))
        right = ones([top[-1].legs[2], row[-1].legs[EAST], low[-1].legs[2]], row[0])
        means = []
        for j in range(len(row) - 1, -1, -1):
            around = unit(contract("u e v, x s u, y t v -> x s e y t", right, top[j], low[j]))
            around = contract("x w y, x s e y t -> s e t w", lefts[j], around)
            total = contract("s e t w, s e t w -> ", around, row[j]).item()
            value = 0.0
            if impurities[j].charge == row[j].charge:
                value = contract("s e t w, s e t w -> ", around, impurities[j]).item()
            means.append(float(np.real(value / total)) if total else float("nan"))
            right = unit(contract("u e v, x s u, s e t w, y t v -> x w y", right, top[j], row[j], low[j]))
        return means[::-1]


def _check(network: FiniteNetwork) -> None:
    if not isinstance(network, FiniteNetwork):
        raise OperatorError(
            f"a FiniteNetwork is needed, such as Ising(beta=0.4).finite(8, 8), found {type(network).__name__}."
        )


def bottom_edge(network: FiniteNetwork) -> Boundary:
    """What lies below the last row: legs of dimension 1."""
    last = network.rows[-1]
    sites = [bond_site(tensor.legs[SOUTH].dual) for tensor in last]
    state = MPS.product(sites, ["0"] * len(sites), dtype=network.dtype, backend=network.backend)
    return Boundary(state, 0.0, 0.0)


def _joined(above: Boundary, below: Boundary, log_scale: float) -> tuple[float, complex, float]:
    """ln of the magnitude of the sum over the bonds between two boundaries, its phase, and the least that a site left.

    After every site the half so far is scaled to norm 1, so that no width overflows.
    """
    env, total, least = None, above.log_norm + below.log_norm + log_scale, 1.0
    for a, b in zip(above.state.tensors, below.state.tensors, strict=True):
        a = flip_leg(a, 1)
        env = (
            contract("x s u, y s v -> x y u v", a, b)
            if env is None
            else contract("x y p q, p s u, q s v -> x y u v", env, a, b)
        )
        size = env.norm()
        if not size > 0:
            return -np.inf, 1.0, 0.0
        env, total, least = env / size, total + float(np.log(size)), min(least, size)
    assert env is not None
    value = complex(env.backend.read(env.data[0]))
    return total, value / abs(value), least


def unit(tensor: Tensor) -> Tensor:
    """With norm 1, where it is not zero."""
    return tensor / (tensor.norm() or 1.0)


def ones(legs: Sequence[Leg], like: Tensor) -> Tensor:
    """1 on legs of dimension 1."""
    array = np.ones((1,) * len(legs), dtype=like.dtype)
    return from_dense(array, [leg.dual for leg in legs]).to(like.backend)
