"""Potts and clock models, hard squares, and anybody's weights of sites and neighbours."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tnsim.errors import SettingsError
from tnsim.models.classical.ising import check_conserve
from tnsim.models.classical.neighbours import NeighbourModel
from tnsim.models.exact import ising_2d
from tnsim.models.exact.lattice_counts import HARD_SQUARES, critical_potts_log_z
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting


@dataclass(frozen=True, kw_only=True)
class _CyclicModel(NeighbourModel):
    """States 0 .. q-1 on a circle, one coupling, a field on state 0."""

    states: int = setting(help="states of a site, q >= 2")
    beta: float = setting(help="inverse temperature, k_B = 1")
    J: float = setting(1.0, "coupling of neighbours")
    field: float = setting(0.0, "energy by which state 0 is lowered")
    conserve: str | None = setting(None, "conserved quantity: charge (of Z_q) or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.states < 2:
            raise SettingsError(f"{type(self).__name__} needs at least two states, found {self.states}.")
        check_conserve(self, self.conserve, self.field != 0, "charge")

    @property
    def conserves(self) -> bool:
        return self.conserve is not None

    @abstractmethod
    def energy_bond(self, axis: int) -> np.ndarray:
        """(q, q): the energy of a bond."""

    def log_site(self) -> np.ndarray:
        return -self.beta * self.energy_site()

    def log_bond(self, axis: int) -> np.ndarray:
        return -self.beta * self.energy_bond(axis)

    def energy_site(self) -> np.ndarray:
        return -self.field * (np.arange(self.states) == 0)

    def site_functions(self) -> Mapping[str, np.ndarray]:
        if self.conserves:
            return {}
        occupied = (np.arange(self.states) == 0).astype(float)
        return {"order": (self.states * occupied - 1) / (self.states - 1)}


@dataclass(frozen=True, kw_only=True)
class Potts(_CyclicModel):
    """H = -J sum delta(s, s') - field sum delta(s, 0), q states, square lattice.

    Impurities: order = (q delta(s, 0) - 1) / (q - 1), without conserved charge; energy.

    >>> round(Potts(states=3, beta=1.0).facts["critical beta"].value, 12)
    1.005052538742
    """

    def energy_bond(self, axis: int) -> np.ndarray:
        return -self.J * np.eye(self.states)

    @property
    def facts(self) -> Facts:
        q, K = self.states, self.beta * self.J
        if self.field != 0:
            return Facts()
        items = []
        if q == 2:
            items.append(Fact("ln Z per site", ising_2d.square_log_z(K / 2, K / 2) + K, "exact", "Onsager 1944"))
        if self.J > 0:
            critical = float(np.log(1 + np.sqrt(q)))
            items.append(Fact("critical beta", critical / self.J, "exact", "Potts 1952"))
            if abs(K - critical) < 1e-12 and q <= 4:
                if q > 2:
                    items.append(Fact("ln Z per site", critical_potts_log_z(q), "exact", "Baxter 1973"))
                items.append(Fact("energy per site", -self.J * (1 + q**-0.5), "exact", "duality, Potts 1952"))
                charge = {2: 0.5, 3: 0.8, 4: 1.0}[q]
                items.append(Fact("central charge", charge, "exact", "Dotsenko, Fateev 1984"))
        return Facts(tuple(items))


@dataclass(frozen=True, kw_only=True)
class Clock(_CyclicModel):
    """H = -J sum cos(2 pi (s - s') / q) - field sum delta(s, 0), q states, square lattice.

    Impurities as of Potts. Large q approaches the XY model.

    >>> round(Clock(states=4, beta=0.8).facts["ln Z per site"].value, 12)  # two Ising models at half beta
    1.75872764155
    """

    def energy_bond(self, axis: int) -> np.ndarray:
        angle = 2 * np.pi / self.states * (np.arange(self.states)[:, None] - np.arange(self.states))
        return -self.J * np.cos(angle)

    @property
    def facts(self) -> Facts:
        K = self.beta * self.J
        if self.field != 0 or self.states not in (2, 4):
            return Facts()
        copies = self.states // 2
        value = copies * ising_2d.square_log_z(K / copies, K / copies)
        critical = copies * ising_2d.CRITICAL
        items = [Fact("ln Z per site", value, "exact", "Onsager 1944")]
        if self.J > 0:
            items.append(Fact("critical beta", critical / self.J, "exact", "Ising models"))
        return Facts(tuple(items))


def _logs(weights: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(weights)


@dataclass(frozen=True, kw_only=True, eq=False)
class BoltzmannWeights(NeighbourModel):
    """Anybody's weights: bond[s, s'] of horizontal neighbours (west, east), vertical[s, s'] (north, south; none: the
    same), site[s] (none: ones), all >= 0. Impurities: the functions of s given in `measure`.

    >>> import numpy as np
    >>> never_two = np.array([[1.0, 1.0], [1.0, 0.0]])
    >>> BoltzmannWeights(bond=never_two, measure={"density": [0, 1]}).network()
    InfiniteNetwork 1 x 1, bond dimension 2, float64 on numpy
    """

    bond: np.ndarray
    vertical: np.ndarray | None = None
    site: np.ndarray | None = None
    measure: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bond = np.asarray(self.bond, dtype=float)
        states = len(bond) if bond.ndim else 0
        vertical = bond if self.vertical is None else np.asarray(self.vertical, dtype=float)
        site = np.ones(states) if self.site is None else np.asarray(self.site, dtype=float)
        shapes = {"bond": (bond, (states, states)), "vertical": (vertical, (states, states)), "site": (site, (states,))}
        for name, (array, shape) in shapes.items():
            if array.shape != shape or states < 1:
                raise SettingsError(f"BoltzmannWeights: {name} needs shape {shape}, found {array.shape}.")
            if not np.isfinite(array).all() or (array < 0).any() or not array.any():
                raise SettingsError(f"BoltzmannWeights: {name} holds weights >= 0 that are not all zero.")
            object.__setattr__(self, name, array)
        functions = {name: np.asarray(values, dtype=float) for name, values in self.measure.items()}
        for name, values in functions.items():
            if values.shape != (states,):
                raise SettingsError(f"BoltzmannWeights: {name!r} is a function of {states} states, found {values}.")
        object.__setattr__(self, "measure", functions)

    def log_bond(self, axis: int) -> np.ndarray:
        return _logs(self.vertical if axis else self.bond)  # type: ignore[arg-type]

    def log_site(self) -> np.ndarray:
        return _logs(self.site)  # type: ignore[arg-type]

    def site_functions(self) -> Mapping[str, np.ndarray]:
        return self.measure


@dataclass(frozen=True, kw_only=True)
class HardSquares(NeighbourModel):
    """Particles on the square lattice, none beside another, with activity z. Impurity: density.

    >>> round(HardSquares().facts["ln Z per site"].value, 12)
    0.407495101261
    """

    z: float = setting(1.0, "activity, >= 0; the transition lies at 3.7962")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.z < 0:
            raise SettingsError(f"HardSquares needs an activity z >= 0, found {self.z}.")

    def log_bond(self, axis: int) -> np.ndarray:
        return _logs(np.array([[1.0, 1.0], [1.0, 0.0]]))

    def log_site(self) -> np.ndarray:
        return _logs(np.array([1.0, self.z]))

    def site_functions(self) -> Mapping[str, np.ndarray]:
        return {"density": np.array([0.0, 1.0])}

    @property
    def facts(self) -> Facts:
        if self.z != 1:
            return Facts()
        return Facts((Fact("ln Z per site", float(np.log(HARD_SQUARES)), "published", "Baxter 1999"),))
