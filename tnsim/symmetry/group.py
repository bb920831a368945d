"""Abelian symmetry groups: U(1), Z_n, fermion parity and their products.

A charge is a tuple of integers, one per component. Everything above this file asks the group for fusion
outcomes and never adds charges itself, so that a non-abelian group can answer with several of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import index

import numpy as np

from tnsim.errors import ChargeError

Charge = tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """A product of cyclic groups; `moduli[j]` is 0 for U(1) and n for Z_n, `names[j]` what it conserves.

    fermionic: the components whose sum counts fermions. Tensors of such a group are graded: legs with an odd number of
    them anticommute, and every transposition and contraction brings the signs of that (see `tnsim.tensor.grading`). A
    chain needs none of it: its operators carry Jordan-Wigner strings.

    >>> group = U1("N") * Zn(2, "parity")
    >>> group.fuse((3, 1), (1, 1))
    ((4, 0),)
    """

    names: tuple[str, ...] = ()
    moduli: tuple[int, ...] = ()
    fermionic: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) != len(self.moduli):
            raise ChargeError(f"a group needs one name per component: {self.names} against {self.moduli}.")
        if any(n < 0 or n == 1 for n in self.moduli):
            raise ChargeError(f"moduli are 0 for U(1) or n >= 2 for Z_n, found {self.moduli}.")
        if any(not 0 <= k < len(self.names) or self.moduli[k] % 2 for k in self.fermionic):
            raise ChargeError(
                f"fermions are counted by components with U(1) or an even Z_n, found {self.fermionic} of {self!r}."
            )

    def __mul__(self, other: "Group") -> "Group":
        fermionic = (*self.fermionic, *(k + len(self.names) for k in other.fermionic))
        return Group(self.names + other.names, self.moduli + other.moduli, fermionic)

    def __repr__(self) -> str:
        if not self.names:
            return "trivial"
        parts = [f"{'U(1)' if n == 0 else f'Z_{n}'} {name}" for name, n in zip(self.names, self.moduli, strict=True)]
        return " x ".join(f"{part} of fermions" if k in self.fermionic else part for k, part in enumerate(parts))

    @property
    def identity(self) -> Charge:
        return (0,) * len(self.moduli)

    def charge(self, value: int | Iterable[int]) -> Charge:
        """A well-formed charge from an integer or a sequence; Z_n components are reduced.

        Raises ChargeError for another number of components, and for what is no integer.
        """
        parts = tuple(value) if isinstance(value, Iterable) else (value,)
        if len(parts) != len(self.moduli):
            raise ChargeError(
                f"a charge of {self!r} has {len(self.moduli)} components, found {parts}: give one integer each."
            )
        try:
            return tuple(index(q) % n if n else index(q) for q, n in zip(parts, self.moduli, strict=True))
        except TypeError as error:
            raise ChargeError(f"a charge of {self!r} is made of whole numbers, found {parts}.") from error

    def fuse(self, a: Charge, b: Charge) -> tuple[Charge, ...]:
        """All outcomes of fusing two charges; one for an abelian group."""
        return (tuple((x + y) % n if n else x + y for x, y, n in zip(a, b, self.moduli, strict=True)),)

    def dual(self, a: Charge) -> Charge:
        """The charge that fuses with `a` to the identity."""
        return tuple(-x % n if n else -x for x, n in zip(a, self.moduli, strict=True))

    def total(self, charges: Iterable[Charge], flows: Iterable[int]) -> Charge:
        """The sum of flow * charge."""
        result = self.identity
        for charge, flow in zip(charges, flows, strict=True):
            (result,) = self.fuse(result, charge if flow > 0 else self.dual(charge))
        return result

    def parity(self, charge: Charge) -> int:
        """1 for an odd number of fermions; 0 where the group counts none.

        >>> Group(("N",), (0,), fermionic=(0,)).parity((3,))
        1
        """
        return sum(charge[k] for k in self.fermionic) % 2

    # -- packed keys: one integer a charge, in the order of the tuples ---------------------------------

    @cached_property
    def moduli_array(self) -> np.ndarray:
        return np.array(self.moduli, dtype=np.int64)

    @cached_property
    def _base(self) -> int:
        return 1 << (62 // max(1, len(self.moduli)))

    @cached_property
    def _places(self) -> np.ndarray:
        """What one unit of every component adds to a key."""
        count = len(self.moduli)
        return np.array([self._base ** (count - 1 - j) for j in range(count)], dtype=np.int64)

    def key(self, charge: Charge) -> int:
        """A well-formed charge as one integer, for compiled code."""
        result = 0
        for q in charge:
            if abs(q) >= self._base // 4:
                raise ChargeError(f"charge {charge} is too large to be packed: |q| must stay below {self._base // 4}.")
            result = result * self._base + q
        return result

    def keys(self, charges: Sequence[Charge | int]) -> np.ndarray:
        """Charges, as `charge` takes them, as integers."""
        count, limit = len(self.moduli), self._base // 4
        try:
            table = np.array(charges, dtype=np.int64)
        except (TypeError, ValueError, OverflowError):
            table = np.empty(0, dtype=np.int64)
        if table.shape != (len(charges), count):  # one component written without a tuple, or an error
            return np.array([self.key(self.charge(charge)) for charge in charges], dtype=np.int64)
        if any(self.moduli):
            table = np.where(self.moduli_array > 0, table % np.maximum(self.moduli_array, 1), table)
        if (np.abs(table) >= limit).any():
            self.key(max(map(tuple, table.tolist()), key=lambda charge: max(map(abs, charge))))
        return table @ self._places

    def charges(self, keys: Iterable[int]) -> tuple[Charge, ...]:
        """The inverse of `keys`."""
        rest = np.array(keys if isinstance(keys, np.ndarray) else list(keys), dtype=np.int64)
        base, half = self._base, self._base // 2
        digits = np.empty((len(rest), len(self.moduli)), dtype=np.int64)
        for j in range(len(self.moduli) - 1, -1, -1):
            digits[:, j] = (rest + half) % base - half
            rest = (rest - digits[:, j]) // base
        return tuple(map(tuple, digits.tolist()))


TRIVIAL = Group()


def U1(name: str = "charge") -> Group:
    """One conserved integer."""
    return Group((name,), (0,))


def Zn(n: int, name: str = "charge") -> Group:
    """One integer conserved modulo n."""
    return Group((name,), (n,))


def FermionParity(name: str = "fermion parity") -> Group:
    """Even or odd number of fermions."""
    return Group((name,), (2,))
