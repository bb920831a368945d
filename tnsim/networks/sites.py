"""Local Hilbert spaces: states, their charges, and operators by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from types import MappingProxyType

import numpy as np

from tnsim.errors import OperatorError, SettingsError, StateError, suggest
from tnsim.symmetry import TRIVIAL, U1, Charge, Group, Leg, Zn


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b, where an element that cancels is zero: what rounding leaves of it would count as an operator."""
    matrix, bound = a @ b, np.abs(a) @ np.abs(b)
    return np.where(np.abs(matrix) > 4 * len(a) * np.finfo(float).eps * bound, matrix, 0)


@dataclass(frozen=True, eq=False)
class Site:
    """One local Hilbert space.

    states: names in the order of the leg (ascending charge), which is the basis of every operator matrix
    (rows out, columns in) and of `leg` (flow +1); aliases: further names of states. "Id" is always there.

    >>> site = spin_site(S=1 / 2)
    >>> site.states, site.op("Sz").diagonal().tolist()
    (('down', 'up'), [-0.5, 0.5])
    """

    name: str
    states: tuple[str, ...]
    group: Group
    charges: tuple[Charge, ...]
    operators: Mapping[str, np.ndarray] = field(repr=False)
    aliases: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if len(set(self.states)) != len(self.states) or len(self.charges) != len(self.states) or not self.states:
            raise StateError(
                f"site {self.name!r} needs different names for its states and one charge each, found "
                f"{self.states} and {self.charges}."
            )
        object.__setattr__(self, "charges", tuple(map(self.group.charge, self.charges)))
        if list(self.charges) != sorted(self.charges):
            raise StateError(f"the states of site {self.name!r} must be listed by ascending charge: {self.charges}.")
        operators = {"Id": np.eye(self.dim)}
        operators |= {name: _numbers(matrix) for name, matrix in self.operators.items()}
        for name, matrix in operators.items():
            self._check_matrix(name, matrix)
            matrix.flags.writeable = False
        object.__setattr__(self, "operators", MappingProxyType(operators))

    def _check_matrix(self, name: str, matrix: np.ndarray) -> None:
        if matrix.shape != (self.dim, self.dim):
            raise OperatorError(
                f"operator {name!r} of site {self.name!r} needs shape {(self.dim, self.dim)}, found {matrix.shape}."
            )
        if not np.isfinite(matrix).all():
            raise OperatorError(f"operator {name!r} of site {self.name!r} holds NaN or Inf.")

    @property
    def dim(self) -> int:
        return len(self.states)

    @cached_property
    def leg(self) -> Leg:
        sectors = sorted(set(self.charges))
        return Leg(self.group, sectors, [self.charges.count(charge) for charge in sectors])

    def state(self, name: str) -> int:
        """Place of a state in the basis."""
        known = self.aliases.get(name, name)
        if known not in self.states:
            raise StateError(
                f"site {self.name!r} has no state {name!r}. {suggest(str(name), [*self.states, *self.aliases])}"
            )
        return self.states.index(known)

    def op(self, name: str | np.ndarray) -> np.ndarray:
        """The matrix of an operator, of a product such as "S+ S-" (or "S+*S-"), or a matrix itself."""
        if isinstance(name, np.ndarray):
            self._check_matrix("given as a matrix", name)
            return name
        if not isinstance(name, str):
            raise OperatorError(f"an operator of site {self.name!r} is a name or a matrix, found {name!r}.")
        if name in self.operators:
            return self.operators[name]
        factors = name.replace("*", " ").split()
        if len(factors) < 2:
            raise OperatorError(f"site {self.name!r} has no operator {name!r}. {suggest(name, self.operators)}")
        matrix = np.eye(self.dim)
        for factor in factors:
            matrix = multiply(matrix, self.op(factor))
        return matrix

    def charge_of(self, name: str | np.ndarray) -> Charge:
        """The charge that an operator adds; OperatorError where it mixes several."""
        matrix = self.op(name)
        found = {
            self.group.fuse(self.charges[out], self.group.dual(self.charges[into]))[0]
            for out, into in np.argwhere(matrix != 0).tolist()
        }
        if len(found) > 1:
            raise OperatorError(
                f"operator {name!r} of site {self.name!r} changes the charge by {sorted(found)} at once."
            )
        return found.pop() if found else self.group.identity

    def with_operator(self, name: str, matrix: np.ndarray) -> "Site":
        """The same site with one more operator."""
        return replace(self, operators={**self.operators, name: matrix})

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Site)
            and (self.name, self.states, self.group, self.charges)
            == (other.name, other.states, other.group, other.charges)
            and self.operators.keys() == other.operators.keys()
            and all(np.array_equal(matrix, other.operators[name]) for name, matrix in self.operators.items())
        )

    def __hash__(self) -> int:
        return hash((self.name, self.states, self.group, self.charges))


def _numbers(matrix: np.ndarray) -> np.ndarray:
    """A copy as floating-point or complex numbers."""
    copy = np.array(matrix)
    return copy if copy.dtype.kind in "fc" else copy.astype(np.float64)


@lru_cache(maxsize=64)
def spin_site(S: float = 0.5, conserve: str | None = "Sz") -> Site:
    """A spin of length S with operators Id, Sz, S+, S-, Sx, Sy (and Pauli X, Y, Z for S = 1/2).

    conserve: "Sz" (U(1), charge 2 m), "parity" (Z_2: the number of flips from m = -S, modulo 2), or None.
    Sx, Sy, X and Y change the charge by several values; they may be used in sums whose charge-breaking parts
    cancel.

    >>> spin_site(S=1).states, spin_site(S=1, conserve="parity").states
    (('-1', '0', '1'), ('-1', '1', '0'))
    """
    if isinstance(S, str) or not np.isfinite(S) or S <= 0 or abs(2 * S - round(2 * S)) > 1e-12:
        raise SettingsError(f"a spin length is a positive multiple of 1/2, found S = {S!r}.")
    length = Fraction(round(2 * S), 2)
    doubled = int(2 * length)
    m_values = [Fraction(k, 2) for k in range(-doubled, doubled + 1, 2)]
    group, charge_of = _spin_symmetry(conserve)
    order = sorted(range(len(m_values)), key=lambda k: (charge_of(k, m_values[k]), k))
    names = ("down", "up") if doubled == 1 else tuple(str(m) for m in m_values)
    matrices = _spin_matrices([float(m) for m in m_values], float(length))
    if doubled == 1:
        matrices |= {"X": 2 * matrices["Sx"], "Y": 2 * matrices["Sy"], "Z": 2 * matrices["Sz"]}
    return Site(
        name=f"spin-{length}",
        states=tuple(names[k] for k in order),
        group=group,
        charges=tuple(charge_of(k, m_values[k]) for k in order),
        operators={name: matrix[np.ix_(order, order)] for name, matrix in matrices.items()},
        aliases={"-1/2": "down", "1/2": "up", "+1/2": "up"}
        if doubled == 1
        else {f"+{m}": str(m) for m in m_values if m > 0},
    )


def _spin_symmetry(conserve: str | None):
    if conserve == "Sz":
        return U1("2Sz"), lambda k, m: (int(2 * m),)
    if conserve == "parity":
        return Zn(2, "parity"), lambda k, m: (k % 2,)
    if conserve in (None, "None", "none"):
        return TRIVIAL, lambda k, m: ()
    raise SettingsError(
        f"a spin site conserves 'Sz', 'parity' or None, found {conserve!r}. {suggest(str(conserve), ['Sz', 'parity'])}"
    )


def _spin_matrices(m: Sequence[float], S: float) -> dict[str, np.ndarray]:
    raising = np.zeros((len(m), len(m)))
    for k in range(len(m) - 1):
        raising[k + 1, k] = np.sqrt(S * (S + 1) - m[k] * (m[k] + 1))
    lowering = raising.T.copy()
    return {
        "Id": np.eye(len(m)), "Sz": np.diag(m), "S+": raising, "S-": lowering,
        "Sx": (raising + lowering) / 2, "Sy": (raising - lowering) / 2j,
    }  # fmt: skip


def spin_sites(L: int, S: float = 0.5, conserve: str | None = "Sz") -> tuple[Site, ...]:
    """L equal spins.

    >>> len(spin_sites(4, S=1))
    4
    """
    if not isinstance(L, (int, np.integer)) or L < 1:
        raise SettingsError(f"a chain needs at least one site, a whole number of them; found L = {L!r}.")
    return (spin_site(S, conserve),) * L
