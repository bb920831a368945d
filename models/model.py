"""What every model offers: sites, a sum of operators, an MPO, product states, and facts."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from tnsim.errors import SettingsError, StateError, check_fields, suggest
from tnsim.models.infinite import infinite_mpo, infinite_sum
from tnsim.models.setting import setting
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS, neutral_cell
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site


@dataclass(frozen=True)
class Fact:
    """One number known about a model, with its source. kind: "exact", "published" or "bound".

    error: one standard deviation of a number that is published from a method without bias; nan where it has none, or is
    a bound or an extrapolation itself.
    """

    name: str
    value: float
    kind: str
    source: str
    error: float = field(default=float("nan"), repr=False, compare=False)


@dataclass(frozen=True)
class Facts:
    """All facts of a model; `energy` is the exact ground-state energy where one is known, else None."""

    items: tuple[Fact, ...] = ()

    def __iter__(self) -> Iterator[Fact]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, name: str) -> Fact:
        for fact in self.items:
            if fact.name == name:
                return fact
        raise KeyError(f"no fact {name!r}. {suggest(name, [fact.name for fact in self.items])}")

    @property
    def floor(self) -> float | None:
        """What no energy per site of the infinite lattice lies below; None where none is known so well.

        An exact number, or a published one less three errors: those of frustrated lattices may be too high themselves.

        >>> published = Fact("bulk energy per site", -0.6694421, "published", "Monte Carlo", 4e-7)
        >>> round(Facts((published,)).floor, 7)
        -0.6694433
        """
        for fact in self.items:
            if fact.name == "bulk energy per site":
                lowest = fact.value if fact.kind == "exact" else fact.value - 3 * fact.error
                return lowest if np.isfinite(lowest) else None
        return None

    @property
    def energy(self) -> float | None:
        return next((fact.value for fact in self.items if fact.name == "energy" and fact.kind == "exact"), None)

    def __repr__(self) -> str:
        if not self.items:
            return "Facts: none known for these parameters"
        width = max(len(fact.name) for fact in self.items)
        lines = [f"  {fact.name:<{width}}  {fact.value:<20.13g} {fact.kind:<10} {fact.source}" for fact in self.items]
        return "\n".join(["Facts", *lines])


@dataclass(frozen=True, kw_only=True)
class Model(ABC):
    """A Hamiltonian on a chain of sites. Frozen; equal settings make equal operators."""

    start: ClassVar[str] = "neel"
    """The product state in the sector of the ground state."""

    L: int = setting(help="number of sites")

    def __post_init__(self) -> None:
        check_fields(self)
        if self.L < 2:
            raise SettingsError(f"{type(self).__name__} needs L >= 2 sites, found L = {self.L!r}.")
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, float) and not np.isfinite(value):
                raise SettingsError(f"{type(self).__name__}: {entry.name} must be finite, found {value}.")

    def __init_subclass__(cls) -> None:
        # before @dataclass, which then leaves it as it is
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Model.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        """What one types: settings that differ from their default."""
        shown = [f"{e.name}={getattr(self, e.name)!r}" for e in fields(self) if self._is_shown(e.name)]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _is_shown(self, name: str) -> bool:
        entry = self.__dataclass_fields__[name]
        return entry.init and entry.repr and bool(getattr(self, name) != entry.default)

    @cached_property
    @abstractmethod
    def sites(self) -> tuple[Site, ...]:
        """The local Hilbert spaces."""

    @abstractmethod
    def operator_sum(self) -> OperatorSum:
        """The Hamiltonian as a sum of terms."""

    @property
    def facts(self) -> Facts:
        """Exact and published numbers for these parameters."""
        return Facts()

    def mpo(self) -> MPO:
        """The Hamiltonian as an MPO of least bond dimension."""
        return self.operator_sum().mpo(self.sites)

    @cached_property
    def infinite_sites(self) -> tuple[Site, ...]:
        """The sites of one cell of the infinite chain, with charges measured from those of `usual_start`.

        A cell of the model's own filling, such as half-filled electrons, counts as neutral then, and can repeat; where
        that start does not repeat on L sites they are `sites`. Other fillings: `neutral_cell`, with `infinite_sum`.
        """
        unit = self._pattern(self.usual_start)
        if self.L % len(unit):
            return self.sites
        charges = [site.charges[site.state(unit[i % len(unit)])] for i, site in enumerate(self.sites)]
        return neutral_cell(self.sites, self.sites[0].group.total(charges, (1,) * self.L))

    def infinite_sum(self, cell: int | None = None) -> OperatorSum:
        """The terms that begin in one cell of the infinite chain, for InfiniteMPO.from_sum on sites of any filling."""
        return infinite_sum(self, cell)

    def infinite_mpo(self, cell: int | None = None) -> InfiniteMPO:
        """The Hamiltonian on the infinite chain, with a cell of `cell` sites (L unless given), of `infinite_sites`."""
        return infinite_mpo(self, cell)

    def of_length(self, sites: int) -> "Model":
        """The same model on so many sites."""
        return replace(self, L=sites)

    # -- product states --------------------------------------------------------------------------------

    @property
    def usual_start(self) -> str:
        """The pattern taken where none is asked for."""
        return self.start

    def _patterns(self) -> dict[str, Sequence[str]]:
        """Repeating patterns of state names."""
        names = sorted(
            self.sites[0].states, key=lambda state: self.sites[0].op("Sz")[(self.sites[0].state(state),) * 2]
        )
        return {"neel": (names[-1], names[0]), "up": (names[-1],), "down": (names[0],)}

    def product(
        self, pattern: str | Sequence[str] | None = None, *, dtype: Any = None, backend: str | None = None
    ) -> MPS:
        """A product state: a named pattern ("neel", "up", "down", ...), or one state name per site.

        Without one, the pattern `usual_start`, which lies in the sector of the ground state.
        """
        pattern = self.usual_start if pattern is None else pattern
        states = list(pattern)
        if isinstance(pattern, str):
            unit = self._pattern(pattern)
            states = [unit[i % len(unit)] for i in range(self.L)]
        return MPS.product(self.sites, states, dtype=dtype, backend=backend)

    def infinite_product(
        self,
        pattern: str | Sequence[str] | None = None,
        cell: int | None = None,
        *,
        dtype: Any = None,
        backend: str | None = None,
    ) -> InfiniteMPS:
        """A product state that repeats with a cell of `cell` sites (L unless given), of `infinite_sites`.

        Without a pattern, `usual_start`. Raises StateError where the pattern does not fit the cell.
        """
        pattern = self.usual_start if pattern is None else pattern
        size, unit = self.L if cell is None else cell, list(pattern)
        if isinstance(pattern, str):
            unit = list(self._pattern(pattern))
        if size < 1 or size > self.L or size % len(unit):
            raise StateError(
                f"the pattern {pattern!r} of {len(unit)} site{'s' * (len(unit) != 1)} does not repeat in a cell of "
                f"{size} (of L = {self.L}): take a cell that is a multiple of it."
            )
        return InfiniteMPS.product(self.infinite_sites[:size], unit * (size // len(unit)), dtype=dtype, backend=backend)

    def _pattern(self, name: str) -> Sequence[str]:
        patterns = self._patterns()
        if name not in patterns:
            raise StateError(f"{type(self).__name__} knows no product state {name!r}. {suggest(name, patterns)}")
        return patterns[name]
