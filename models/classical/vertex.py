"""Vertex models and dimers: variables on the bonds, weights at the sites."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tnsim.errors import SettingsError, suggest
from tnsim.models.classical.classical_model import ALL, ClassicalModel, Present
from tnsim.models.classical.ising import check_conserve
from tnsim.models.exact.lattice_counts import dimers_finite, dimers_log_z, six_vertex_log_z
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.symmetry import U1, Group, Zn

# weights of (up, down) and (left, right) arrows on a missing leg to the north, east, south and west
_EDGES = {"free": np.ones((4, 2, 1)), "domain-wall": np.eye(2)[[0, 0, 1, 1]][:, :, None]}


def _positive(model: ClassicalModel, names: tuple[str, ...]) -> None:
    for name in names:
        if getattr(model, name) < 0:
            raise SettingsError(f"{type(model).__name__} needs {name} >= 0, found {getattr(model, name)}.")


@dataclass(frozen=True, kw_only=True)
class EightVertex(ClassicalModel):
    """Arrows on bonds, an even number into every vertex; weights a, b, c, d >= 0 of pairs of reversed vertices.

    Index 1 of a leg is an arrow down or right, 0 up or left. a: both lines go straight on, right and down or left and
    up; b: straight on, right and up or left and down; c: both turn; d: sources and sinks. Edges of open lattices are
    "free", or a "domain-wall": arrows point in at the west and east and out at the north and south. Impurity: "arrow",
    the mean of the arrow to the west (+1 right, -1 left), where nothing is conserved.
    """

    a: float = setting(1.0, "weight of right-down and left-up")
    b: float = setting(1.0, "weight of right-up and left-down")
    c: float = setting(1.0, "weight of the turning vertices")
    d: float = setting(0.0, "weight of sources and sinks")
    edge: str = setting("free", "arrows at the edges of an open lattice: free or domain-wall")
    conserve: str | None = setting(None, "conserved quantity: parity (of arrows) or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(self, ("a", "b", "c", "d"))
        if not max(self.a, self.b, self.c, self.d) > 0:
            raise SettingsError(f"{type(self).__name__} needs a weight above 0.")
        if self.edge not in _EDGES:
            raise SettingsError(f"{type(self).__name__} has no edge {self.edge!r}. {suggest(self.edge, _EDGES)}")
        check_conserve(self, self.conserve, False, self._known)

    @property
    def _known(self) -> str:
        return "parity"

    @property
    def group(self) -> Group:
        return Zn(2, "arrows") if self.conserve else super().group

    @property
    def charges(self) -> tuple[int, ...]:
        return (0, 1) if self.conserve else ()

    @property
    def log_scale(self) -> float:
        return float(np.log(max(self.a, self.b, self.c, self.d)))

    def weights(self, present: Present = ALL) -> np.ndarray:
        array = np.zeros((2, 2, 2, 2))
        for n, w in ((0, 0), (0, 1), (1, 0), (1, 1)):
            array[n, w, n, w] = self.a if n == w else self.b
        array[1, 1, 0, 0] = array[0, 0, 1, 1] = self.c
        array[1, 0, 0, 1] = array[0, 1, 1, 0] = self.d
        if self.conserve and not all(present):
            raise SettingsError(f"{type(self).__name__}: arrows at open edges carry charge: drop conserve there.")
        for axis, there in enumerate(present):
            array = array if there else np.tensordot(array, _EDGES[self.edge][axis], (axis, 0))
            array = array if there else np.moveaxis(array, -1, axis)
        return array / np.exp(self.log_scale)

    def measured(self, present: Present = ALL) -> Mapping[str, np.ndarray]:
        if self.conserve or not present[3]:
            return {}
        return {"arrow": self.weights(present) * np.array([-1.0, 1.0])}

    def edges(self) -> Mapping[str, np.ndarray]:
        return {} if self.conserve else {"free": np.ones(2)}


@dataclass(frozen=True, kw_only=True)
class SixVertex(EightVertex):
    """The ice rule: two arrows in, two out of every vertex; a = b = c = 1 counts the states of square ice.

    conserve="arrows" is a U(1): the arrows down and right through every row and column.

    >>> round(SixVertex().facts["ln Z per site"].value, 12)  # 3/2 ln(4/3), Lieb
    0.431523108678
    """

    d: float = setting(0.0, "none: sources and sinks break the ice rule", init=False)
    conserve: str | None = setting(None, "conserved quantity: arrows or none")

    @property
    def _known(self) -> str:
        return "arrows"

    @property
    def group(self) -> Group:
        return U1("arrows") if self.conserve else super().group

    @property
    def facts(self) -> Facts:
        if min(self.a, self.b, self.c) <= 0:
            return Facts()
        value = six_vertex_log_z(self.a, self.b, self.c)
        return Facts((Fact("ln Z per site", value, "exact", "Lieb 1967, Sutherland 1967"),))


@dataclass(frozen=True, kw_only=True)
class Dimers(ClassicalModel):
    """Close-packed dimers with weights x (horizontal) and y (vertical), and monomers of weight z beside them.

    Index 1 of a leg is a dimer on that bond. Impurity: horizontal, the chance of a dimer to the east.

    >>> round(Dimers().facts["ln Z per site"].value, 12)  # Catalan / pi
    0.291560904031
    """

    x: float = setting(1.0, "weight of a horizontal dimer")
    y: float = setting(1.0, "weight of a vertical dimer")
    z: float = setting(0.0, "weight of a monomer")

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(self, ("x", "y", "z"))
        if not max(self.x, self.y, self.z) > 0:
            raise SettingsError("Dimers needs a weight above 0.")

    def weights(self, present: Present = ALL) -> np.ndarray:
        array = np.zeros((2, 2, 2, 2))
        x, y = np.sqrt(self.x), np.sqrt(self.y)
        array[1, 0, 0, 0] = array[0, 0, 1, 0] = y
        array[0, 1, 0, 0] = array[0, 0, 0, 1] = x
        array[0, 0, 0, 0] = self.z
        return array[tuple(slice(None) if there else slice(0, 1) for there in present)]

    def measured(self, present: Present = ALL) -> Mapping[str, np.ndarray]:
        array = self.weights(present).copy()
        array[:, 0] = 0
        return {"horizontal": array}

    @property
    def facts(self) -> Facts:
        if self.z != 0 or min(self.x, self.y) <= 0:
            return Facts()
        return Facts((Fact("ln Z per site", dimers_log_z(self.x, self.y), "exact", "Kasteleyn 1961"),))

    def open_log_z(self, rows: int, columns: int) -> float:
        """Exact ln Z of an open lattice without monomers; -inf where it has an odd number of sites.

        >>> round(float(np.exp(Dimers().open_log_z(8, 8))))
        12988816
        """
        if self.z != 0:
            raise SettingsError(f"Kasteleyn's formula is for lattices without monomers, z = 0, found z = {self.z}.")
        return dimers_finite(rows, columns, self.x, self.y)
