"""Corner transfer matrices for infinite networks: one corner for the symmetries of the square, or four for any.

Sources: R. J. Baxter, J. Math. Phys. 9, 650 (1968); T. Nishino, K. Okunishi, J. Phys. Soc. Jpn. 65, 891 (1996).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import numpy as np

from tnsim.algorithms.plane.coarse_graining import network_of
from tnsim.algorithms.plane.corner_certificate import Certificate, certificate_of
from tnsim.algorithms.plane.corner_environment import CornerEnvironment
from tnsim.algorithms.plane.corner_fixed_point import CornerFixedPoint
from tnsim.algorithms.plane.corner_starts import (
    Network,
    corner_start,
    directional_start,
    symmetric_tensor,
)
from tnsim.algorithms.plane.directional_environment import DirectionalEnvironment
from tnsim.algorithms.solution import Status
from tnsim.algorithms.watched_run import RUNNING, PlaneObserver, WatchedRun, check_kind
from tnsim.errors import (
    NumericalError,
    SettingsError,
    check_fields,
)
from tnsim.linalg import Truncation
from tnsim.linalg.truncation import wider_chi
from tnsim.networks.peps import InfinitePEPS, NormNetwork
from tnsim.networks.square_network import InfiniteNetwork
from tnsim.tensor import Tensor

# plain steps before the fixed point is looked for
_PATIENCE = 100
# values of corners below so many roundings are noise
_ROUNDING = 100
# an environment with more to come at the end goes from one state to another, or has hardly begun
_RESTLESS = 0.1
# steps by QR keep the space that bonds have, and hardly find another: steps that decompose all come first, until one
# changes the environment by less
_QR_BELOW = 1e-4
# corners with values below zero, this far, have no fixed point with a positive gauge
_NEGATIVE = 1e-6
# so many steps in a row have to leave nothing to come, plain ones or towards the fixed point
_QUIET, _QUIET_DIRECT = 3, 2
Environment = CornerEnvironment | DirectionalEnvironment


@dataclass(frozen=True, kw_only=True)
class CornerReport:
    """The environment after so many steps.

    log_z_change: of ln Z per site, since the report before; corner_change: of the corner spectrum (its largest value is
    1; of four corners, its fourth power), since the step before; left: what the geometric decay of the latter says is
    still to come; trunc_err: discarded weight; projector: of the last step.
    """

    step: int
    log_z: float
    log_z_change: float
    corner_change: float
    left: float
    trunc_err: float
    chi: int
    seconds: float
    projector: str = ""

    def __repr__(self) -> str:
        return (
            f"CornerReport({self.step}: ln Z per site {self.log_z:.12g}, corner change {self.corner_change:.1e}, "
            f"discarded {self.trunc_err:.1e}, chi {self.chi})"
        )


@dataclass(frozen=True)
class CornerSolution:
    """ln Z per site, the environment, the status, and a report every few steps."""

    log_z: float
    environment: Environment = field(repr=False)
    status: Status = field()
    history: tuple[CornerReport, ...] = ()
    impurities: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def means(self) -> dict[str, float]:
        """The mean of every impurity of the network; zero where it carries a charge."""
        return self.environment.means(self.impurities)

    @property
    def correlation_length(self) -> float:
        """The longest one along an axis, in sites."""
        return self.environment.correlation_length()

    def plot(self, path: Any = None) -> Any:
        """Convergence and corner spectrum; saved where a path is given. Returns the matplotlib figure."""
        return import_module("tnsim.plotting").plot_corners(self.history, self.environment.spectrum, path=path)

    def __repr__(self) -> str:
        last = self.history[-1]
        lines = [
            f"CornerSolution({self.status.name}): ln Z per site = {self.log_z:.14g}",
            f"  steps          {last.step} in {sum(report.seconds for report in self.history):.2f} s, corner change "
            f"{last.corner_change:.1e}",
            f"  bond dimension {last.chi}, discarded {last.trunc_err:.1e}",
        ]
        lines += [f"  {name:<14} {value:.10g}" for name, value in self.means.items()]
        if not self.status.converged:
            lines.append(f"  advice         {self.status.advice}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class CTMRG:
    """Settings of a corner-transfer-matrix run.

    Every step takes a row and a column into corner and edge, and keeps the largest values of the corner. Cost
    O(chi^3 D^3) a step; the error falls as chi^-3.9 at the critical point of the Ising model, exponentially elsewhere.
    Near a critical point steps are many: ln Z is converged to tol^2, so a large tol will do for it. A network needs no
    symmetry with symmetric=False, where a step costs about ten times as much. projector="qr": once bonds are full and
    steps small, what corners with one edge span is kept, without a look at the site: the same fixed point at a fraction
    of the cost. Charges of bonds stay as they are by then, and of four corners the discarded weight; steps are many
    where the last value kept lies close to the next one.

    >>> from tnsim.models.classical import Ising
    >>> result = CTMRG(truncation=Truncation(chi_max=12)).solve(Ising(beta=0.5))
    >>> round(result.log_z, 10), round(result.means["spin"], 10)  # Onsager, Yang
    (1.0257928127, 0.9113193779)
    """

    truncation: Truncation = field(metadata={"help": "chi_max: bond dimension of the boundary"})
    max_steps: int = field(default=20000, metadata={"help": "stop after this many steps"})
    tol: float = field(default=1e-10, metadata={"help": "converged: the corner has less than this still to go"})
    check_every: int = field(default=20, metadata={"help": "steps between two reports"})
    start: str = field(
        default="",
        metadata={"help": "edge to start from: of the network, such as free or fixed; of a PEPS traced or first"},
    )
    symmetric: bool = field(
        default=True, metadata={"help": "use the symmetries of the square; without, four corners for any network"}
    )
    projector: str = field(
        default="",
        metadata={"help": "symmetric: eigh or qr; else full, half or randomized (of the ring) or qr; empty: the first"},
    )
    accelerate: bool = field(
        default=True, metadata={"help": "after a hundred steps, solve for the fixed point (of one corner)"}
    )

    share: bool | None = field(
        default=None,
        metadata={"help": "four corners: places that a translation of the cell maps onto each other have one "
                  "environment; empty: those of a PEPS, whose pattern says so"},
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_fields(self)
        if self.max_steps < 1 or self.check_every < 1 or not self.tol > 0:
            raise SettingsError("max_steps and check_every are at least 1, and tol is above 0.")
        known = ("eigh", "qr") if self.symmetric else ("full", "half", "randomized", "qr")
        if self.projector and self.projector not in known:
            kind = "one corner" if self.symmetric else "four corners"
            raise SettingsError(f"the projector of {kind} is {' or '.join(known)}, found {self.projector!r}.")

    def solve(
        self, network: Any, observers: Sequence[PlaneObserver] = (), resume: CornerSolution | None = None
    ) -> CornerSolution:
        """The environment of a network (or model); if `symmetric`, its tensor is real and all turns leave it alone.

        Starts from the edge named by `start`, else "fixed" (which breaks a symmetry), else "free"; `resume`: goes on
        from a result, its steps included in max_steps; places that had environments of their own keep them unless
        `share` is True. Not converging is a status. Raises OperatorError, LegError for networks that do not fit,
        SettingsError for an unknown edge.
        """
        made: Any = self._layers_of(network)
        if resume is not None:
            self._check_resumed(made, resume)
            return self._solve(made, self._resumed(made, resume), WatchedRun(observers), resume.history)
        if self.symmetric and isinstance(made, InfiniteNetwork):
            return self._solve(made, corner_start(made, self.start), WatchedRun(observers))
        return self._solve(made, self._shared(made, directional_start(made, self.start)), WatchedRun(observers))

    def _layers_of(self, network: Any) -> Network:
        """The network, or an infinite PEPS beside its conjugate."""
        if not isinstance(network, InfinitePEPS | NormNetwork):
            return network_of(network)
        if self.symmetric:
            raise SettingsError("the norm of a PEPS takes four corners: CTMRG(symmetric=False, ...).")
        return network if isinstance(network, NormNetwork) else NormNetwork(network)

    def _shared(self, network: Network, environment: Environment) -> Environment:
        """With one environment for places that are one."""
        share = isinstance(network, NormNetwork) if self.share is None else self.share
        return (
            environment.shared(network.rows)
            if share and isinstance(environment, DirectionalEnvironment)
            else environment
        )

    def _resumed(self, network: Network, before: CornerSolution) -> Environment:
        """The environment of a result to go on from; empty `share` leaves places as they were, one or apart."""
        environment = before.environment.to(network.backend)
        return self._shared(network, environment) if self.share else environment

    def _check_resumed(self, network: Any, before: CornerSolution) -> None:
        """SettingsError for a result of another kind or of another network."""
        check_kind(before, CornerSolution)
        if isinstance(before.environment, CornerEnvironment) != self.symmetric:
            raise SettingsError(f"this result was not made with symmetric={self.symmetric}: resume it with the same.")
        known = before.environment.tensors
        sites = [site for row in network.rows for site in row] if not self.symmetric else [symmetric_tensor(network)]
        near = 100 * float(np.finfo(network.dtype).eps)
        if len(known) != len(sites) or any(
            a.legs != b.legs or a.dtype != b.dtype or (a.to("numpy") - b.to("numpy")).norm() > near * a.norm()
            for a, b in zip(known, sites, strict=True)
        ):
            raise SettingsError("this result belongs to another network: resume with the one that it was made for.")

    def certify(self, network: Any, solution: CornerSolution) -> Certificate:
        """Go on at 3/2 chi, and say what moves and what is wrong with the environment.

        Raises SettingsError for a solution of another network.
        """
        return certificate_of(solution, self.wider(network, solution), self.tol)

    def wider(self, network: Any, solution: CornerSolution) -> CornerSolution:
        """Go on at 3/2 chi, with all values above rounding where others than chi_max end the spectrum.

        Raises SettingsError for a solution of another network.
        """
        made, chi = self._layers_of(network), self.truncation.chi_max
        self._check_resumed(made, solution)
        truncation = replace(self.truncation, chi_max=wider_chi(chi))
        if solution.environment.chi < chi:
            rounding = _ROUNDING * float(np.finfo(made.dtype).eps)
            truncation = replace(truncation, svd_min=min(rounding, self.truncation.svd_min), trunc_err=0.0)
        wider = replace(self, truncation=truncation)
        return wider._solve(made, self._resumed(made, solution), WatchedRun())

    def _solve(
        self,
        network: Network,
        environment: Environment,
        run: WatchedRun,
        before: tuple[CornerReport, ...] = (),
    ) -> CornerSolution:
        history, settled = list(before), False
        tol = max(self.tol, 20 * float(np.finfo(network.dtype).eps))
        steps = _Steps(self, environment, before[-1] if before else None, tol)
        for report in self._run(network, steps, history[-1:]):
            history.append(report)
            settled = steps.settled
            found = CornerSolution(report.log_z, steps.environment, RUNNING, tuple(history), network.impurities)
            if run.tell(report, found) or settled:
                break
        status = run.interrupted() if run.stop_reason else self._judge(steps.environment, history[-1], settled)
        return CornerSolution(history[-1].log_z, steps.environment, status, tuple(history), network.impurities)

    def _run(self, network: Network, steps: "_Steps", before: Sequence[CornerReport]) -> Iterator[CornerReport]:
        """A report every few plain steps, after the last one, and after every one towards the fixed point."""
        log_z, clock = before[-1].log_z if before else float("nan"), time.perf_counter()
        first = before[-1].step if before else 0
        for step in range(first + 1, max(self.max_steps, first + 1) + 1):
            steps.advance()
            if not (steps.direct or steps.settled or step % self.check_every == 0 or step >= self.max_steps):
                continue
            previous, log_z = log_z, (steps.environment.log_z() + network.log_scale) / network.sites
            yield CornerReport(
                step=step, log_z=log_z, log_z_change=log_z - previous, corner_change=steps.change,
                left=steps.left, trunc_err=steps.trunc_err, chi=steps.environment.chi,
                seconds=time.perf_counter() - clock, projector=steps.projector,
            )  # fmt: skip
            clock = time.perf_counter()

    def _judge(self, environment: Environment, last: CornerReport, settled: bool) -> Status:
        if settled and np.isfinite(last.log_z):
            return Status("converged", True, "nothing to do; certify() goes on at a larger chi.")
        restless = ""
        if isinstance(environment, DirectionalEnvironment) and not last.left <= _RESTLESS:
            restless = (
                " Steps do not come nearer: where that stays so, an order breaks the translation that the environment "
                "is taken to have. Give all places of a cell that holds the order environments of their own: "
                "share=False."
            )
        if not np.isfinite(last.log_z):
            return Status("not positive", False, "the partition function is not positive: raise chi_max." + restless)
        return Status(
            "max_steps reached", False,
            f"the last step changed the environment by {last.corner_change:.1e}, and the corner spectrum has about "
            f"{last.left:.1e} still to go, above tol: raise max_steps, or tol near a critical point." + restless,
        )  # fmt: skip


class _Steps:
    """Plain steps, and once these have been many, steps towards the fixed point where there is a way to it.

    left: what is still to come, at least what a plain step would change; settled: it was nothing, or changes were down
    at rounding, in several steps in a row.
    """

    def __init__(self, settings: "CTMRG", environment: Environment, before: CornerReport | None, tol: float) -> None:
        self.environment, self._settings, self._tol = environment, settings, tol
        self.change = before.corner_change if before else float("inf")
        self.left, self.trunc_err, done = float("inf"), 0.0, before.step if before else 0
        self.projector = before.projector if before else ""
        self.direct: CornerFixedPoint | None = None
        # bonds that are to grow need plain steps first
        done = done if environment.chi >= settings.truncation.chi_max else 0
        quick = settings.accelerate and settings.symmetric
        self._patience = max(0, _PATIENCE - done) if quick else settings.max_steps
        self._decay, self._quiet, self._plain_change = _Decay(), 0, 0.0

    @property
    def settled(self) -> bool:
        return self._quiet >= (_QUIET_DIRECT if self.direct else _QUIET)

    def advance(self) -> None:
        """One step of either kind."""
        before = self.environment
        if self._patience == 0 and isinstance(before, CornerEnvironment) and _is_positive(before):
            self.direct, self._decay, self._quiet = CornerFixedPoint(before), _Decay(), 0
        self._patience -= 1
        try:
            if self.direct:
                self.environment = self.direct.advance()
                grown, self.trunc_err = self._plain(self.environment)
                self._plain_change = _apart(grown, self.environment)
        except NumericalError:
            self.direct, self._decay, self._plain_change = None, _Decay(), 0.0
        if not self.direct:
            self.environment, self.trunc_err = self._plain(before)
        self.change = _apart(self.environment, before)
        self.left = max(self._decay.after(self.change), self._plain_change)
        is_quiet = self.left <= self._tol or self.change <= 1e-2 * self._tol
        self._quiet = self._quiet + 1 if is_quiet else 0

    def _plain(self, environment: Environment) -> tuple[Environment, float]:
        self.projector = self._next_projector()
        return environment.grown(self._settings.truncation, self.projector)

    def _next_projector(self) -> str:
        """What was asked for; before the first step by QR those that decompose."""
        asked, first = self._settings.projector, "eigh" if self._settings.symmetric else "full"
        if asked == "qr" and self.projector != "qr" and not self.change < _QR_BELOW:
            return first if self._settings.symmetric else "randomized"
        return asked or first


def _is_positive(environment: CornerEnvironment) -> bool:
    values = environment.spectrum.values
    return bool(values.min() > -_NEGATIVE * np.abs(values).max())


class _Decay:
    """What is left of a series of changes, one a step, that fall geometrically."""

    def __init__(self) -> None:
        self._seen: list[float] = []

    def after(self, change: float) -> float:
        """The sum of all changes still to come, from the rate since half as many steps; infinite without one."""
        self._seen.append(change)
        step = len(self._seen)
        earlier = next((k for k in range(step // 2, 0, -1) if self._seen[k - 1] > 0), 0)
        if change == 0:
            return 0.0
        if not earlier or change >= self._seen[earlier - 1]:
            return float("inf")
        rate = np.log(self._seen[earlier - 1] / change) / (step - earlier)
        return float(change / -np.expm1(-rate))


def _apart(first: Environment, second: Environment) -> float:
    """The largest difference of their corner spectra and of what surrounds a site."""
    return max(map(_distance, first.marks, second.marks))


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    """The largest difference of values in a row; missing ones are zero."""
    padded = np.zeros((2, max(len(first), len(second))), dtype=np.result_type(first, second))
    padded[0, : len(first)], padded[1, : len(second)] = first, second
    return float(np.abs(padded[0] - padded[1]).max())
