"""One- and two-electron integrals of real orbitals, checked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from tnsim.errors import SettingsError, ShapeError

# integrals that should be equal may differ by so much (absolute, or of the largest): files hold rounded numbers
SYMMETRY_TOLERANCE = 1e-8
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
    def from_arrays(cls, one_body: Any, two_body: Any, core_energy: float = 0.0) -> "Integrals":
        """From one array each, or from a pair (up, down) and a triple (up-up, up-down, down-down).

        Raises ShapeError, and SettingsError for complex numbers, NaN, or integrals without the symmetry of real
        orbitals: h_pq = h_qp, (pq|rs) = (qp|rs) = (pq|sr) = (rs|pq); the last one within a spin only.
        """
        h, eri = _spins(one_body, 2, "one_body"), _spins(two_body, 4, "two_body")
        for name, array in [("one_body", a) for a in h] + [("two_body", a) for a in eri]:
            _check_numbers(name, array, len(h[0]))
        if not np.isfinite(core_energy):
            raise SettingsError(f"the core energy must be finite, found {core_energy}.")
        for array in set_of(h):
            _check_mirror("h_pq and h_qp", array, (1, 0))
        for k, array in enumerate(eri if len(set_of(eri)) > 1 else eri[:1]):
            for axes in _MIRRORS[: 2 if k == 1 else 3]:
                _check_mirror("two elements of (pq|rs)", array, axes)
        return cls(h, eri, float(core_energy))  # type: ignore[arg-type]

    @property
    def orbitals(self) -> int:
        """How many orbitals there are, for each spin."""
        return len(self.one_body[0])

    @property
    def is_restricted(self) -> bool:
        """Whether both spins have the same orbitals."""
        return self.one_body[0] is self.one_body[1] and self.two_body[0] is self.two_body[1]

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of all numbers."""
        digest = sha256(np.float64(self.core_energy).tobytes())
        for array in (*self.one_body, *self.two_body):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def permuted(self, order: Sequence[int]) -> "Integrals":
        """The same with orbital order[i] in place i."""
        known: dict[int, np.ndarray] = {}
        for array in (*self.one_body, *self.two_body):
            if id(array) not in known:
                known[id(array)] = np.ascontiguousarray(array[np.ix_(*[order] * array.ndim)])
        h, eri = (tuple(known[id(array)] for array in arrays) for arrays in (self.one_body, self.two_body))
        irreps = tuple(self.irreps[i] for i in order) if self.irreps else ()
        return replace(self, one_body=h, two_body=eri, irreps=irreps)  # type: ignore[arg-type]

    @cached_property
    def _pair_energies(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a pair of electrons adds: (pp|qq) - (pq|qp) for equal spins, (pp|qq) for opposite ones."""
        coulomb = [np.einsum("ppqq->pq", array) for array in self.two_body]
        exchange = [np.einsum("pqqp->pq", array) for array in self.two_body]
        return coulomb[0] - exchange[0], coulomb[1], coulomb[2] - exchange[2]

    def determinant_energy(self, up: Sequence[int] | np.ndarray, down: Sequence[int] | np.ndarray) -> float:
        """The energy of the determinant with these orbitals occupied, core energy included."""
        filled = np.zeros((2, self.orbitals))
        filled[0, list(up)], filled[1, list(down)] = 1, 1
        one = sum(np.diag(h) @ n for h, n in zip(self.one_body, filled, strict=True))
        upup, updown, downdown = self._pair_energies
        n, m = filled
        return float(self.core_energy + one + (n @ upup @ n + m @ downdown @ m) / 2 + n @ updown @ m)

    def start_determinant(self, up: int, down: int) -> tuple[np.ndarray, np.ndarray]:
        """Orbitals of so many electrons of each spin, by moving electrons while that lowers the energy.

        It begins with the first orbitals, and with electrons of alternating spin side by side, and takes the lower
        end. No move of one electron, nor of one of each spin between the same orbitals, lowers it further: with the
        orbitals of Hartree-Fock, in any order, that is nearly always the Hartree-Fock determinant.
        """
        first = np.arange(self.orbitals)[None, :] < np.array([[up], [down]])
        spread = np.zeros_like(first)
        spread[0, : 2 * up : 2] = spread[1, 1 : 2 * down : 2] = True
        starts = [first] if (spread.sum(axis=1) != (up, down)).any() else [first, spread]
        found = [self._descended(start) for start in starts]
        return min(found, key=lambda filled: round(self.determinant_energy(*filled), 10))

    def _descended(self, filled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best move, again and again, until none helps."""
        while True:
            gain, spins, source, target = min(self._moves(filled), key=lambda move: move[0])
            if gain >= -1e-10:
                return np.flatnonzero(filled[0]), np.flatnonzero(filled[1])
            filled[spins, source], filled[spins, target] = False, True

    def _moves(self, filled: np.ndarray) -> list[tuple[float, list[int], int, int]]:
        """The best move of one electron of each spin, and of both: (energy change, spins, from, to)."""
        upup, updown, downdown = self._pair_energies
        n_up, n_down = filled.astype(float)
        levels = [
            np.diag(self.one_body[0]) + upup @ n_up + updown @ n_down,
            np.diag(self.one_body[1]) + downdown @ n_down + updown.T @ n_up,
        ]
        own = (upup, downdown)
        changes = [levels[s][None, :] - levels[s][:, None] - own[s] for s in range(2)]
        on_site = np.diag(updown)
        pair = changes[0] + changes[1] + on_site[None, :] + on_site[:, None] - updown - updown.T
        moves: list[tuple[float, list[int], int, int]] = [(0.0, [], 0, 0)]
        for change, spins in ((changes[0], [0]), (changes[1], [1]), (pair, [0, 1])):
            full, empty = filled[spins].min(axis=0), ~filled[spins].max(axis=0)
            allowed = np.where(np.logical_and.outer(full, empty), change, np.inf)
            source, target = np.unravel_index(int(allowed.argmin()), allowed.shape)
            moves.append((float(allowed[source, target]), spins, int(source), int(target)))
        return moves


def set_of(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each object once."""
    return list({id(array): array for array in arrays}.values())


def _spins(given: Any, rank: int, name: str) -> tuple[np.ndarray, ...]:
    """One array for all spins, or one for each; copies in double precision."""
    count, spins = {2: (2, "(up, down)"), 4: (3, "(up-up, up-down, down-down)")}[rank]
    if isinstance(given, (tuple, list)) and len(given) == count and all(np.ndim(a) == rank for a in given):
        return tuple(_real(array, name) for array in given)
    array = np.asarray(given)
    if array.ndim != rank:
        raise ShapeError(f"{name} is an array of {rank} axes, or {count} for {spins}, found shape {array.shape}.")
    return (_real(array, name),) * count


def _real(array: Any, name: str) -> np.ndarray:
    array = np.asarray(array)
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
