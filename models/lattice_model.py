"""Models on lattices: where the sites lie, and couplings that may vary over them."""

from collections.abc import Iterator, Sequence
from dataclasses import Field, dataclass, fields, replace
from functools import cached_property
from itertools import zip_longest
from typing import Any, ClassVar

import numpy as np

from tnsim.errors import SettingsError
from tnsim.models.coupling import is_uniform, resolve, spread_out
from tnsim.models.lattice import Lattice
from tnsim.models.model import Model
from tnsim.models.setting import setting
from tnsim.models.unit_cells import UNIT_CELLS
from tnsim.networks.operator_sum import OperatorSum


@dataclass(frozen=True, kw_only=True)
class LatticeModel(Model):
    """A Hamiltonian on a lattice: give L for a chain of L sites, or a lattice.

    A field declared with `over` is a coupling: a number, one number per place (over 1, 2, 3: in the order of
    `geometry.pairs(over)`; over "sites": in the order of the MPS), or a function of the Pair or Vertex, which is
    called when the model is made; on an infinite chain, where couplings may vary inside of a cell, take functions that
    repeat, or a list over "sites".
    """

    kinds: ClassVar[tuple[str, ...]] = ()
    """Lattices on which the model makes sense, first the one of a given L; none named: all, and a chain."""

    L: int = setting(None, "number of sites of a chain (or give a lattice)")
    lattice: Lattice | None = setting(None, "lattice; without one, a chain of L sites")
    periodic: bool = setting(False, "close the chain of L sites to a ring (a lattice has bc_x and bc_y)")
    flux: float = setting(0.0, "phase of a step over the periodic boundary (that of y, where there are two)")

    def __post_init__(self) -> None:
        name = type(self).__name__
        if isinstance(self.lattice, Lattice):
            self._check_lattice(self.lattice)
            object.__setattr__(self, "L", len(self.lattice))
        elif self.L is None:
            raise SettingsError(
                f"{name} needs L, the number of sites of a chain, or a Lattice, found {self.lattice!r}."
            )
        super().__post_init__()
        if self.flux and not self.geometry.is_periodic:
            raise SettingsError(
                f"{name}: a flux needs a periodic direction, but {self.geometry!r} has none: close one."
            )
        given = {entry.name: getattr(self, entry.name) for entry in self._couplings}
        # functions are kept beside their values: a longer piece of the lattice asks them again
        object.__setattr__(self, "_functions", {name: value for name, value in given.items() if callable(value)})
        for entry in self._couplings:
            object.__setattr__(self, entry.name, self._resolved(entry.name, entry.metadata["over"]))

    def __getstate__(self) -> dict[str, Any]:
        """Copies for other processes hold settings alone, and the values of couplings: functions cannot be sent."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)} | {"_functions": {}}

    @property
    def _couplings(self) -> list[Field]:
        """The settings that may vary over the lattice."""
        return [entry for entry in fields(self) if entry.metadata.get("over") is not None]

    def _check_lattice(self, lattice: Lattice) -> None:
        name = type(self).__name__
        if self.L not in (None, len(lattice)):
            raise SettingsError(
                f"{name}: L = {self.L}, but {lattice!r} has {len(lattice)} sites: give one of the two (L = None)."
            )
        if self.kinds and lattice.kind not in self.kinds:
            raise SettingsError(f"{name} lives on the lattice {' or '.join(self.kinds)}, found {lattice!r}.")
        if self.periodic and not (lattice.cell.is_line and lattice.is_periodic):
            raise SettingsError(f"{name}: periodic closes a chain; give {lattice!r} the boundary bc_x or bc_y instead.")

    def _resolved(self, name: str, over: int | str) -> float | tuple[float, ...]:
        value, label = getattr(self, name), f"{type(self).__name__}: {name}"
        if over == "sites":
            return resolve(value, self.geometry.vertices, label, f"sites of {self.geometry!r}")
        places = () if is_uniform(value) and value == 0 else self.geometry.pairs(int(over))
        return resolve(value, places, label, f"pairs of {self.geometry!r}.pairs({over})")

    def _over(self, name: str) -> Any:
        return next(entry.metadata["over"] for entry in fields(self) if entry.name == name)

    def _is_shown(self, name: str) -> bool:
        return super()._is_shown(name) and not (name == "L" and self.lattice is not None)

    @cached_property
    def geometry(self) -> Lattice:
        """The lattice, also where only L was given."""
        if self.lattice is not None:
            return self.lattice
        kind = self.kinds[0] if self.kinds else "chain"
        cells, rest = divmod(int(self.L), len(UNIT_CELLS[kind].basis))
        if rest:
            raise SettingsError(
                f"{type(self).__name__}: L = {self.L} is no whole number of {kind} cells: give an even L."
            )
        return Lattice(kind, cells, bc_x="periodic" if self.periodic else "open")

    def infinite_sum(self, cell: int | None = None) -> OperatorSum:
        """The terms that begin in one cell; SettingsError on a lattice that is closed along the chain."""
        if self.geometry.bc_x == "periodic":
            raise SettingsError(
                f"{type(self).__name__} on {self.geometry!r} is closed along x, where an infinite chain has no ends to "
                'join: what repeats is an open chain or strip, or a cylinder (bc_y = "periodic").'
            )
        return super().infinite_sum(cell)

    def of_length(self, sites: int) -> "LatticeModel":
        """The same model on so many sites: a longer chain, or more columns of the lattice.

        Functions are asked again, numbers for every site repeat; SettingsError for a list of numbers for pairs, which
        says nothing of those between the ends.
        """
        couplings = {entry.name: self._lengthened(entry, sites) for entry in self._couplings if entry.init}
        if self.lattice is None:
            return replace(self, L=sites, **couplings)
        if sites % self.lattice.column:
            raise SettingsError(
                f"{sites} sites are no whole columns of {self.lattice!r} with {self.lattice.column} each."
            )
        longer = replace(self.lattice, Lx=sites // self.lattice.column)
        return replace(self, L=len(longer), lattice=longer, **couplings)

    def _lengthened(self, entry: Field, sites: int) -> Any:
        """A coupling of a piece of so many sites, as it is given to the model."""
        value = getattr(self, entry.name)
        functions: dict[str, Any] = self.__dict__["_functions"]
        if entry.name in functions:
            return functions[entry.name]
        if is_uniform(value):
            return value
        if entry.metadata["over"] == "sites":
            return [value[i % self.L] for i in range(sites)]
        raise SettingsError(
            f"{type(self).__name__}: {entry.name} is a list for the pairs of {self.geometry!r}, which says nothing of "
            "those that join one piece to the next: give a function of the Pair, such as "
            f"{entry.name}=lambda pair: 1.0 if pair.i % 2 else 0.5, or one number."
        )

    # -- for facts --------------------------------------------------------------------------------------

    @property
    def is_open_chain(self) -> bool:
        """Whether the sites stand in a row, in this order."""
        return self.geometry.kind == "chain" and not self.geometry.is_periodic

    @property
    def is_ring(self) -> bool:
        """Whether the lattice is a closed chain without flux."""
        return self.geometry.kind == "chain" and self.geometry.is_periodic and not self.flux

    def is_uniform(self, *names: str) -> bool:
        """Whether the named couplings are the same everywhere."""
        return all(is_uniform(getattr(self, name)) for name in names)

    # -- product states ---------------------------------------------------------------------------------

    def by_sublattice(self, states: Sequence[str]) -> list[str]:
        """States named for the two sublattices in turn, in the order of the MPS; as they are where there are none."""
        colours = self.geometry.two_colouring
        if colours is None:
            return list(states)
        first, second = ([i for i, colour in enumerate(colours) if colour == wanted] for wanted in (0, 1))
        places = [i for both in zip_longest(first, second) for i in both if i is not None]
        return [state for _, state in sorted(zip(places, states, strict=True))]

    # -- for sums ---------------------------------------------------------------------------------------

    def on_pairs(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """(pair, values of the named couplings there) for the pairs they are declared over, but where all vanish.

        Nothing is looked up where all are zero, so a lattice too narrow for third neighbours is no error then.
        """
        if any(getattr(self, name) != 0 for name in names):
            columns = [self.at_pairs(name).tolist() for name in names]
            pairs = self.geometry.pairs(self._over(names[0]))
            yield from (row for row in zip(pairs, *columns, strict=True) if any(row[1:]))

    def at_pairs(self, name: str) -> np.ndarray:
        """The value of a coupling at all pairs that it is declared over."""
        return np.array(spread_out(getattr(self, name), len(self.geometry.pairs(self._over(name)))))

    def on_sites(self, name: str) -> Iterator[tuple[int, float]]:
        """(site, value of the coupling there), but where it vanishes."""
        yield from ((i, x) for i, x in enumerate(self.at_sites(name).tolist()) if x)

    def at_sites(self, name: str) -> np.ndarray:
        """The value of a coupling at every site."""
        return np.array(spread_out(getattr(self, name), self.L))
