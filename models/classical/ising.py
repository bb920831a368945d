"""Ising models: square, triangular and honeycomb lattices."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tnsim.errors import SettingsError
from tnsim.models.classical.classical_model import ALL, ClassicalModel, Present
from tnsim.models.classical.neighbours import NeighbourModel, characters_of, split_bond
from tnsim.models.exact import ising_2d
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.symmetry import Group, Zn

_SPINS = np.array([1.0, -1.0])
_EXCHANGE = np.outer(_SPINS, _SPINS)
_SOURCE = "Onsager 1944"


def check_conserve(model: object, conserve: str | None, breaks: bool, known: str) -> None:
    """SettingsError for an unknown symmetry, or one that a field breaks."""
    if conserve not in (None, known):
        raise SettingsError(f'{type(model).__name__} conserves "{known}" or nothing (None), found {conserve!r}.')
    if conserve and breaks:
        raise SettingsError(f'{type(model).__name__}: a field breaks the conservation of "{known}": drop one of them.')


@dataclass(frozen=True, kw_only=True)
class Ising(NeighbourModel):
    """H = -J sum s s' over horizontal - Jy sum s s' over vertical bonds - field sum s, s = +1, -1, square lattice.

    Impurities: spin (odd under the symmetry), energy (that of a site: its two bonds and the field).

    >>> model = Ising(beta=0.5)
    >>> round(model.facts["ln Z per site"].value, 12), round(model.facts["magnetisation"].value, 12)
    (1.025792812695, 0.911319377877)
    """

    beta: float = setting(help="inverse temperature, k_B = 1")
    J: float = setting(1.0, "coupling of horizontal neighbours")
    Jy: float | None = setting(None, "coupling of vertical neighbours; none: J")
    field: float = setting(0.0, "magnetic field")
    conserve: str | None = setting(None, "conserved quantity: parity or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_conserve(self, self.conserve, self.field != 0, "parity")

    @property
    def couplings(self) -> tuple[float, float]:
        """(horizontal, vertical)."""
        return self.J, self.J if self.Jy is None else self.Jy

    @property
    def conserves(self) -> bool:
        return self.conserve is not None

    def log_bond(self, axis: int) -> np.ndarray:
        return self.beta * self.couplings[axis] * _EXCHANGE

    def log_site(self) -> np.ndarray:
        return self.beta * self.field * _SPINS

    def energy_bond(self, axis: int) -> np.ndarray:
        return -self.couplings[axis] * _EXCHANGE

    def energy_site(self) -> np.ndarray:
        return -self.field * _SPINS

    def site_functions(self) -> Mapping[str, np.ndarray]:
        return {"spin": _SPINS}

    @property
    def facts(self) -> Facts:
        if self.field != 0:
            return Facts()
        Kx, Ky = (self.beta * J for J in self.couplings)
        ux, uy = ising_2d.square_energy(Kx, Ky)
        items = [
            Fact("ln Z per site", ising_2d.square_log_z(Kx, Ky), "exact", _SOURCE),
            Fact("energy per site", -self.couplings[0] * ux - self.couplings[1] * uy, "exact", _SOURCE),
        ]
        if min(Kx, Ky) > 0:
            items.append(Fact("magnetisation", ising_2d.magnetisation(Kx, Ky), "exact", "Yang 1952, Chang 1952"))
        if Kx == Ky > 0:
            items.append(Fact("correlation length", ising_2d.correlation_length(Kx), "exact", _SOURCE))
            items.append(Fact("critical beta", ising_2d.CRITICAL / self.J, "exact", "Kramers, Wannier 1941"))
            if abs(Kx - ising_2d.CRITICAL) < 1e-12:
                items.append(Fact("central charge", 0.5, "exact", "free Majorana fermion"))
        return Facts(tuple(items))

    def torus_log_z(self, rows: int, columns: int) -> float:
        """Exact ln Z of a torus (all of it); Kaufman's formula. Raises SettingsError for fields or unequal couplings.

        >>> round(Ising(beta=0.3).torus_log_z(4, 4), 9)
        12.785523326
        """
        if self.field != 0 or self.couplings[0] != self.couplings[1] or self.beta * self.J <= 0:
            raise SettingsError("Kaufman's formula is used for equal positive couplings without a field.")
        return ising_2d.torus_log_z(self.beta * self.J, rows, columns)


@dataclass(frozen=True, kw_only=True)
class _CellIsing(ClassicalModel):
    """Ising models of other lattices whose cell is one tensor of the square lattice."""

    beta: float = setting(help="inverse temperature, k_B = 1")
    J: float = setting(1.0, "coupling of neighbours")
    field: float = setting(0.0, "magnetic field")
    conserve: str | None = setting(None, "conserved quantity: parity or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_conserve(self, self.conserve, self.field != 0, "parity")

    @property
    def group(self) -> Group:
        return Zn(2, "spin") if self.conserve else super().group

    @property
    def charges(self) -> tuple[int, ...]:
        return (0, 1) if self.conserve else ()

    @property
    def _bond(self) -> np.ndarray:
        return np.exp(self.beta * self.J * _EXCHANGE - abs(self.beta * self.J))

    @property
    def _site(self) -> np.ndarray:
        return np.exp(self.beta * self.field * _SPINS - abs(self.beta * self.field))

    @abstractmethod
    def _array(self, site: np.ndarray, present: Present) -> np.ndarray:
        """The tensor with these weights of the (first) spin."""

    def weights(self, present: Present = ALL) -> np.ndarray:
        return self._array(self._site, present)

    def measured(self, present: Present = ALL) -> Mapping[str, np.ndarray]:
        return {"spin": self._array(self._site * _SPINS, present)}


@dataclass(frozen=True, kw_only=True)
class TriangularIsing(_CellIsing):
    """H = -J sum s s' - field sum s on the triangular lattice, one spin a cell; J < 0 is frustrated.

    The third bonds join the eastern to the southern neighbour of a site; those over an open edge are left out.
    Impurity: spin.

    >>> import numpy as np
    >>> round(TriangularIsing(beta=np.log(3) / 4).facts["ln Z per site"].value, 7)
    0.8795854
    """

    @property
    def log_scale(self) -> float:
        return 3 * abs(self.beta * self.J) + abs(self.beta * self.field)

    def log_scale_finite(self, rows: int, columns: int) -> float:
        bonds = rows * (columns - 1) + (rows - 1) * columns + (rows - 1) * (columns - 1)
        return bonds * abs(self.beta * self.J) + rows * columns * abs(self.beta * self.field)

    def _array(self, site: np.ndarray, present: Present) -> np.ndarray:
        """The spin s of a cell is handed north and west; the cell weighs the triangle of s and what it is handed: its
        eastern neighbour e and its southern neighbour t, bonds s-e, s-t and e-t."""
        north, east, south, west = present
        W = self._bond
        ones = np.ones_like(W)
        triangle = np.einsum("se,st,et->set", W if east else ones, W if south else ones, W if east and south else ones)
        # a leg carries the value of a spin, in the basis of even and odd combinations
        turn = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2)
        full = np.einsum("s,set,sn,sw,ei,tj->nijw", site, triangle, turn, turn, turn, turn)
        closed = [slice(None) if there else slice(0, 1) for there in present]
        factor = np.prod([np.sqrt(2) if not there else 1.0 for there in (north, west)])
        outer = np.prod([1 / np.sqrt(2) if not there else 1.0 for there in (east, south)])
        return full[tuple(closed)] * factor * outer

    @property
    def facts(self) -> Facts:
        if self.field != 0:
            return Facts()
        K = self.beta * self.J
        items = [Fact("ln Z per site", ising_2d.triangular_log_z(K, K, K), "exact", "Houtappel 1950")]
        if K > 0:
            items.append(Fact("magnetisation", ising_2d.triangular_magnetisation(K), "exact", "Potts 1952"))
            items.append(Fact("critical beta", float(np.log(3) / 4 / self.J), "exact", "Houtappel 1950"))
        return Facts(tuple(items))


@dataclass(frozen=True, kw_only=True)
class HoneycombIsing(_CellIsing):
    """H = -J sum s s' - field sum s on the honeycomb lattice, two spins a cell. Impurity: spin (the first).

    >>> import numpy as np
    >>> model = HoneycombIsing(beta=np.arcsinh(np.sqrt(3)) / 2)
    >>> round(model.facts["ln Z per site"].value, 7)
    1.0250591
    """

    @property
    def sites(self) -> int:
        return 2

    @property
    def log_scale(self) -> float:
        return 3 * abs(self.beta * self.J) + 2 * abs(self.beta * self.field)

    def log_scale_finite(self, rows: int, columns: int) -> float:
        bonds = rows * columns + rows * (columns - 1) + (rows - 1) * columns
        return bonds * abs(self.beta * self.J) + 2 * rows * columns * abs(self.beta * self.field)

    def _array(self, site: np.ndarray, present: Present) -> np.ndarray:
        """Two spins, one with the legs north and west, the other with east and south, and the bond between them."""
        X, Y = characters_of(self._bond) if self.conserve else split_bond(self._bond)
        none = np.ones((2, 1))
        north, east, south, west = (
            half if there else none for half, there in zip((Y.T, X, X, Y.T), present, strict=True)
        )
        return np.einsum(
            "x,y,xy,xn,xw,ye,ys->nesw", site, self._site, self._bond, north, west, east, south, optimize=True
        ).real

    @property
    def facts(self) -> Facts:
        if self.field != 0:
            return Facts()
        value = ising_2d.honeycomb_log_z(*[self.beta * self.J] * 3)
        return Facts((Fact("ln Z per site", value, "exact", "Houtappel 1950"),))
