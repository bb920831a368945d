"""One- and two-electron integrals of real orbitals, checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from tnsim.errors import SettingsError, ShapeError
from tnsim.models.coupling import finite_number

# integrals that should be equal may differ by so much (absolute, or of the largest): files hold rounded numbers
SYMMETRY_TOLERANCE = 1e-8
# what vanishes by symmetry has to stay below this
_FORBIDDEN = 1e-6
# the axes of (pq|rs) in the orders that leave it unchanged; the last stands for both spins alike only
_MIRRORS = ((1, 0, 2, 3), (0, 1, 3, 2), (2, 3, 0, 1))


@dataclass(frozen=True, eq=False)
class Integrals:
    """H = core_energy + sum h_pq Cdag_ps C_qs + 1/2 sum (pq|rs) Cdag_ps Cdag_rt C_st C_qs over all p q r s, spins s t.

    one_body: h of spin up and of spin down, shape (K, K) each; two_body: (pq|rs) in chemists' order, shape
    (K, K, K, K), for up-up, up-down (pq of spin up) and down-down. Restricted orbitals: the arrays are the same
    objects. electrons, twice_spin (2 Sz) and irreps (of every orbital, 1 to 8 in Molpro's order) as a file gives
    them, where it does.

    >>> h, eri = np.diag([-1.0, -0.5]), np.zeros((2, 2, 2, 2))
    >>> eri[0, 0, 0, 0] = 0.7
    >>> Integrals.from_arrays(h, eri).determinant_energy([0], [0])
    -1.3
    """

    one_body: tuple[np.ndarray, np.ndarray]
    two_body: tuple[np.ndarray, np.ndarray, np.ndarray]
    core_energy: float = 0.0
    electrons: int | None = None
    twice_spin: int | None = None
    irreps: tuple[int, ...] = ()

    @classmethod
    def from_arrays(
        cls, one_body: Any, two_body: Any, core_energy: float = 0.0, irreps: Sequence[int] = ()
    ) -> "Integrals":
        """From one array each, or from a pair (up, down) and a triple (up-up, up-down, down-down).

        Raises ShapeError, and SettingsError for complex numbers, NaN, integrals without the symmetry of real orbitals
        (h_pq = h_qp, (pq|rs) = (qp|rs) = (pq|sr) = (rs|pq); the last one within a spin only) or of the irreps.
        """
        h, eri = _spins(one_body, 2, "one_body"), _spins(two_body, 4, "two_body")
        for name, array in [("one_body", a) for a in h] + [("two_body", a) for a in eri]:
            _check_numbers(name, array, len(h[0]))
        mixed = eri[1] if eri[1] is not eri[0] else None
        core, irreps = finite_number(core_energy, "core_energy"), _irreps(irreps)
        made = cls(h, eri, core, irreps=irreps)  # type: ignore[arg-type]
        made = made._changed(lambda array: _mirrored(array, pairs_alike=array is not mixed))
        if irreps and len(irreps) != len(h[0]):
            raise SettingsError(f"{len(h[0])} orbitals need as many irreps, found {len(irreps)}.")
        if irreps and not made.has_irreps:
            raise SettingsError(f"irreps are numbers from 1 to 8, in Molpro's order, found {irreps}.")
        problem = made.forbidden()
        if problem:
            raise SettingsError(f"{problem}: correct the irreps, or leave them out.")
        return made

    @property
    def orbitals(self) -> int:
        """How many orbitals there are, for each spin."""
        return len(self.one_body[0])

    @property
    def is_restricted(self) -> bool:
        """Whether both spins have the same orbitals."""
        return self.one_body[0] is self.one_body[1] and self.two_body[0] is self.two_body[1]

    @property
    def has_irreps(self) -> bool:
        """Whether every orbital has an irrep of D2h or a subgroup."""
        return len(self.irreps) == self.orbitals and all(1 <= irrep <= 8 for irrep in self.irreps)

    def _products(self, rank: int) -> np.ndarray:
        """Irreps (from 0) of the products of 2 or 4 orbitals: the exclusive or of their numbers from 0."""
        label = np.array(self.irreps) - 1
        pair = label[:, None] ^ label[None, :]
        return pair if rank == 2 else pair[:, :, None, None] ^ pair[None, None]

    def forbidden(self) -> str:
        """In words, an integral above 1e-6 that vanishes by the irreps; empty where there is none."""
        for array in set_of((*self.one_body, *self.two_body)) if len(set(self.irreps)) > 1 and self.has_irreps else ():
            wrong = np.argwhere((self._products(array.ndim) != 0) & (np.abs(array) > _FORBIDDEN))
            if len(wrong):
                place = tuple(int(i) for i in wrong[0])
                return (
                    f"the integral {' '.join(str(i + 1) for i in place)} = {array[place]:.6g} vanishes by symmetry, "
                    f"irreps {' '.join(str(self.irreps[i]) for i in place)}"
                )
        return ""

    def symmetric(self) -> "Integrals":
        """The same with zeros for what vanishes by the irreps."""
        return self._changed(lambda array: np.where(self._products(array.ndim) == 0, array, 0.0))

    def _changed(self, change: Callable[[np.ndarray], np.ndarray]) -> "Integrals":
        """Every array changed; those that were one object stay one."""
        made = {id(array): change(array) for array in set_of((*self.one_body, *self.two_body))}
        h, eri = (tuple(made[id(array)] for array in arrays) for arrays in (self.one_body, self.two_body))
        return replace(self, one_body=h, two_body=eri)  # type: ignore[arg-type]

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of all numbers."""
        digest = sha256(np.float64(self.core_energy).tobytes() + repr(self.irreps).encode())
        for array in (*self.one_body, *self.two_body):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def permuted(self, order: Sequence[int]) -> "Integrals":
        """The same with orbital order[i] in place i."""
        made = self._changed(lambda array: np.ascontiguousarray(array[np.ix_(*[order] * array.ndim)]))
        return replace(made, irreps=tuple(self.irreps[i] for i in order) if self.irreps else ())

    @cached_property
    def pair_energies(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a pair of electrons adds: (pp|qq) - (pq|qp) for up-up, (pp|qq) for up-down, and for down-down."""
        coulomb = [np.einsum("ppqq->pq", array) for array in self.two_body]
        exchange = [np.einsum("pqqp->pq", array) for array in self.two_body]
        return coulomb[0] - exchange[0], coulomb[1], coulomb[2] - exchange[2]

    def determinant_energy(self, up: Sequence[int] | np.ndarray, down: Sequence[int] | np.ndarray) -> float:
        """The energy of the determinant with these orbitals occupied, core energy included."""
        filled = np.zeros((2, self.orbitals))
        filled[0, list(up)], filled[1, list(down)] = 1, 1
        one = sum(np.diag(h) @ n for h, n in zip(self.one_body, filled, strict=True))
        upup, updown, downdown = self.pair_energies
        n, m = filled
        return float(self.core_energy + one + (n @ upup @ n + m @ downdown @ m) / 2 + n @ updown @ m)


def set_of(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each object once."""
    return list({id(array): array for array in arrays}.values())


def _spins(given: Any, rank: int, name: str) -> tuple[np.ndarray, ...]:
    """One array for all spins, or one for each; copies in double precision, of one object one."""
    count, spins = {2: (2, "(up, down)"), 4: (3, "(up-up, up-down, down-down)")}[rank]
    if isinstance(given, (tuple, list)) and len(given) == count and all(_numbers(a, name).ndim == rank for a in given):
        copies = {id(array): _real(array, name) for array in set_of(given)}
        return tuple(copies[id(array)] for array in given)
    array = _numbers(given, name)
    if array.ndim != rank:
        raise ShapeError(f"{name} is an array of {rank} axes, or {count} for {spins}, found shape {array.shape}.")
    return (_real(array, name),) * count


def _numbers(given: Any, name: str) -> np.ndarray:
    """An array of numbers; ShapeError for rows of different lengths, SettingsError for what is no number."""
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise ShapeError(f"{name} is an array with rows of one length, found {given!r}.") from error
    if array.dtype.kind not in "iufc":
        raise SettingsError(f"{name} holds numbers, found {given!r}.")
    return array


def _irreps(given: Any) -> tuple[int, ...]:
    """Irreps as whole numbers; SettingsError for anything else."""
    array = np.asarray(given, dtype=object)
    if array.ndim != 1 or not all(isinstance(irrep, (int, np.integer)) for irrep in array):
        raise SettingsError(f"irreps are whole numbers from 1 to 8, one for each orbital, found {given!r}.")
    return tuple(int(irrep) for irrep in array)


def _real(given: Any, name: str) -> np.ndarray:
    array = _numbers(given, name)
    if np.iscomplexobj(array) and np.abs(array.imag).max(initial=0.0) > 0:
        raise SettingsError(f"{name} holds complex numbers: only integrals of real orbitals are taken.")
    copy = np.array(array.real, dtype=np.float64, order="C")
    copy.flags.writeable = False
    return copy


def _check_numbers(name: str, array: np.ndarray, K: int) -> None:
    if set(array.shape) != {K} or K < 1:
        raise ShapeError(f"{name} of {K} orbitals needs shape {(K,) * array.ndim}, found {array.shape}.")
    odd = np.argwhere(np.isfinite(array) == 0)
    if len(odd):
        place = tuple(int(i) for i in odd[0])
        raise SettingsError(f"{name}{list(place)} is {array[place]}: integrals must be finite.")


def _mirrored(array: np.ndarray, *, pairs_alike: bool) -> np.ndarray:
    """The array, checked and made symmetric to the last digit."""
    if array.ndim == 2:
        _check_mirror("h_pq and h_qp", array, (1, 0))
        return (array + array.T) / 2
    for axes in _MIRRORS[: 3 if pairs_alike else 2]:
        _check_mirror("two elements of (pq|rs)", array, axes)
        array = (array + array.transpose(axes)) / 2
    return array


def _check_mirror(what: str, array: np.ndarray, axes: tuple[int, ...]) -> None:
    """Equal to itself with the axes exchanged, to SYMMETRY_TOLERANCE."""
    difference = np.abs(array - array.transpose(axes))
    if difference.max() <= SYMMETRY_TOLERANCE * max(1.0, np.abs(array).max()):
        return
    place = tuple(int(i) for i in np.unravel_index(int(difference.argmax()), array.shape))
    other = tuple(place[axis] for axis in axes)
    hint = ""
    swapped = array.transpose(0, 2, 1, 3) if array.ndim == 4 else None
    if swapped is not None and all(np.allclose(swapped, swapped.transpose(m), atol=1e-8) for m in _MIRRORS):
        hint = " These look like physicists' integrals <pr|qs>: give two_body.transpose(0, 2, 1, 3)."
    raise SettingsError(
        f"{what} differ, {list(place)}: {array[place]:.12g} and {list(other)}: {array[other]:.12g}: with real orbitals "
        f"a Hermitian Hamiltonian needs them equal.{hint}"
    )
