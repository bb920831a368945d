"""What every kind of site is: states, their charges and fermion parities, and operators by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np

from tnsim.errors import ChargeError, OperatorError, StateError, suggest
from tnsim.symmetry import Charge, FermionParity, Group, Leg


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b, where an element that cancels is zero: what rounding leaves of it would count as an operator."""
    matrix, bound = a @ b, np.abs(a) @ np.abs(b)
    return np.where(np.abs(matrix) > 4 * len(a) * np.finfo(float).eps * bound, matrix, 0)


def check_chain(group: Group) -> None:
    """ChargeError for a group that counts fermions, whose tensors anticommute: a chain has strings for that."""
    if group.fermionic:
        raise ChargeError(
            f"operators of a chain carry Jordan-Wigner strings, and sites with {group!r} stand in the plane: take "
            "those of the model (model.sites)."
        )


@dataclass(frozen=True, eq=False)
class Site:
    """One local Hilbert space.

    states: names in the order of the leg (ascending charge), which is the basis of every operator matrix
    (rows out, columns in) and of `leg` (flow +1); aliases: further names of states. parities: 1 for states
    with an odd number of fermions (none given: no fermions). "Id" is always there, and "F" = (-1)^parity where
    there are fermions. An operator that changes the parity anticommutes with those of other sites: sums and
    measurements place the signs. Several fermions on one site carry their signs in its matrices.

    >>> from tnsim.symmetry import U1
    >>> site = Site("level", ("empty", "full"), U1("N"), ((0,), (1,)), {"N": np.diag([0, 1])})
    >>> site.op("N").diagonal().tolist(), site.leg.charges
    ([0.0, 1.0], ((0,), (1,)))
    """

    name: str
    states: tuple[str, ...]
    group: Group
    charges: tuple[Charge, ...]
    operators: Mapping[str, np.ndarray] = field(repr=False)
    aliases: Mapping[str, str] = field(default_factory=dict, repr=False)
    parities: tuple[int, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if len(set(self.states)) != len(self.states) or len(self.charges) != len(self.states) or not self.states:
            raise StateError(
                f"site {self.name!r} needs different names for its states and one charge each, found "
                f"{self.states} and {self.charges}."
            )
        object.__setattr__(self, "charges", tuple(map(self.group.charge, self.charges)))
        if list(self.charges) != sorted(self.charges):
            raise StateError(f"the states of site {self.name!r} must be listed by ascending charge: {self.charges}.")
        object.__setattr__(self, "parities", tuple(self.parities) or (0,) * self.dim)
        if len(self.parities) != self.dim or not set(self.parities) <= {0, 1}:
            raise StateError(
                f"site {self.name!r} needs a fermion parity of 0 or 1 for each of its {self.dim} states, "
                f"found {self.parities}."
            )
        operators = {"Id": np.eye(self.dim)} | {name: _numbers(matrix) for name, matrix in self.operators.items()}
        if self.is_fermionic:
            operators["F"] = self.string
        for name, matrix in operators.items():
            self._check_matrix(name, matrix)
            matrix.flags.writeable = False
        object.__setattr__(self, "operators", MappingProxyType(operators))

    def _check_matrix(self, name: str, matrix: np.ndarray) -> None:
        if matrix.shape != (self.dim, self.dim):
            raise OperatorError(
                f"operator {name!r} of site {self.name!r} needs shape {(self.dim, self.dim)}, found {matrix.shape}."
            )
        if matrix.dtype.kind not in "biufc":
            raise OperatorError(f"operator {name!r} of site {self.name!r} holds numbers, found {matrix.dtype} data.")
        if not np.isfinite(matrix).all():
            raise OperatorError(f"operator {name!r} of site {self.name!r} holds NaN or Inf.")

    @property
    def dim(self) -> int:
        return len(self.states)

    @property
    def is_fermionic(self) -> bool:
        """Whether some states hold an odd number of fermions."""
        return any(self.parities)

    @cached_property
    def string(self) -> np.ndarray:
        """(-1)^parity, what a Jordan-Wigner string leaves on this site: the identity where there are no fermions."""
        return np.diag([(-1.0) ** parity for parity in self.parities])

    @cached_property
    def operator_group(self) -> Group:
        """The group with the fermion parity as its last component: what operators are sorted by."""
        return self.group * FermionParity()

    @cached_property
    def _operator_charges(self) -> tuple[Charge, ...]:
        return tuple((*charge, parity) for charge, parity in zip(self.charges, self.parities, strict=True))

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
        found = {charge[:-1] for charge in self.parts(self.op(name))}
        if len(found) > 1:
            raise OperatorError(
                f"operator {name!r} of site {self.name!r} changes the charge by {sorted(found)} at once."
            )
        return found.pop() if found else self.group.identity

    def parts(self, matrix: np.ndarray) -> dict[Charge, np.ndarray]:
        """The matrix cut into parts that each add one charge of `operator_group`: conserved charge, fermion parity."""
        parts: dict[Charge, np.ndarray] = {}
        charges, group = self._operator_charges, self.operator_group
        for out, into in np.argwhere(matrix != 0).tolist():
            (charge,) = group.fuse(charges[out], group.dual(charges[into]))
            parts.setdefault(charge, np.zeros_like(matrix))[out, into] = matrix[out, into]
        return parts

    def by_parity(self, matrix: np.ndarray) -> tuple[tuple[int, np.ndarray], ...]:
        """(parity, part) of the parts that keep (0) and change (1) the fermion parity; those that vanish are left out.

        >>> from tnsim.symmetry import U1
        >>> site = Site("orbital", ("empty", "full"), U1("N"), ((0,), (1,)), {}, parities=(0, 1))
        >>> [parity for parity, part in site.by_parity(np.ones((2, 2)))]
        [0, 1]
        """
        if not self.is_fermionic or not matrix[self._odd].any():
            return ((0, matrix),)
        if not matrix[~self._odd].any():
            return ((1, matrix),)
        return ((0, np.where(self._odd, 0, matrix)), (1, np.where(self._odd, matrix, 0)))

    @cached_property
    def _odd(self) -> np.ndarray:
        """Which matrix elements change the fermion parity."""
        parities = np.array(self.parities)
        return parities[:, None] != parities[None, :]

    def with_operator(self, name: str, matrix: np.ndarray) -> "Site":
        """The same site with one more operator."""
        return replace(self, operators={**self.operators, name: matrix})

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Site)
            and (self.name, self.states, self.group, self.charges, self.parities)
            == (other.name, other.states, other.group, other.charges, other.parities)
            and self.operators.keys() == other.operators.keys()
            and all(np.array_equal(matrix, other.operators[name]) for name, matrix in self.operators.items())
        )

    def __hash__(self) -> int:
        return hash((self.name, self.states, self.group, self.charges))


def _numbers(matrix: np.ndarray) -> np.ndarray:
    """A copy as floating-point or complex numbers."""
    copy = np.array(matrix)
    return copy if copy.dtype.kind in "fc" else copy.astype(np.float64)


def custom_site(
    name: str,
    states: Sequence[str],
    group: Group,
    charges: Sequence[int | Charge],
    operators: Mapping[str, np.ndarray],
    *,
    parities: Sequence[int] = (),
    aliases: Mapping[str, str] | None = None,
) -> Site:
    """A site from states in any order: they are sorted by charge, and the matrices with them.

    parities: 1 for states with an odd number of fermions; an operator that changes it is fermionic, and its
    Jordan-Wigner strings are placed by sums and measurements. Raises StateError, OperatorError.

    >>> from tnsim.symmetry import Zn
    >>> flip = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> site = custom_site("Majorana", ["full", "empty"], Zn(2, "parity"), [1, 0], {"A": flip}, parities=[1, 0])
    >>> site.states, site.op("F").diagonal().tolist(), site.by_parity(flip)[0][0]
    (('empty', 'full'), [1.0, -1.0], 1)
    """
    if len(charges) != len(states) or len(parities) not in (0, len(states)):
        raise StateError(
            f"site {name!r} needs one charge and one parity (or no parities) for each of its {len(states)} states, "
            f"found {len(charges)} and {len(parities)}."
        )
    full = [group.charge(charge) for charge in charges]
    order = sorted(range(len(states)), key=lambda k: (full[k], k))

    def sort(key: str, matrix: np.ndarray) -> np.ndarray:
        if np.shape(matrix) != (len(states),) * 2:
            raise OperatorError(
                f"operator {key!r} of site {name!r} needs shape {(len(states),) * 2}, found {np.shape(matrix)}."
            )
        return np.asarray(matrix)[np.ix_(order, order)]

    return Site(
        name=name,
        states=tuple(states[k] for k in order),
        group=group,
        charges=tuple(full[k] for k in order),
        operators={key: sort(key, matrix) for key, matrix in operators.items()},
        aliases=dict(aliases or {}),
        parities=tuple(parities[k] for k in order) if parities else (),
    )
