"""Determinants to start from: electrons in the orbitals that give the lowest energy, in a sector or an irrep."""

import numpy as np

from tnsim.errors import SettingsError
from tnsim.models.chemistry.integrals import Integrals

Determinant = tuple[np.ndarray, np.ndarray]  # orbitals with an electron of spin up, of spin down
_IRREPS = 8


def start_determinant(integrals: Integrals, up: int, down: int, irrep: int | None = None) -> Determinant:
    """Orbitals of so many electrons of each spin, by moving electrons while that lowers the energy.

    It begins with the first orbitals, and with electrons of alternating spin side by side, and takes the lower end;
    with an irrep (1 to 8) it goes on from the nearest determinant there. No move of one electron, nor of one of each
    spin between the same orbitals, lowers the energy further: with the orbitals of Hartree-Fock, in any order, that
    is nearly always the Hartree-Fock determinant. Raises SettingsError where no determinant has the irrep.

    >>> h, eri = np.diag([-1.0, -0.5]), np.zeros((2, 2, 2, 2))
    >>> [orbitals.tolist() for orbitals in start_determinant(Integrals.from_arrays(h, eri), 1, 1)]
    [[0], [0]]
    """
    first = np.arange(integrals.orbitals)[None, :] < np.array([[up], [down]])
    spread = np.zeros_like(first)
    spread[0, : 2 * up : 2] = spread[1, 1 : 2 * down : 2] = True
    starts = [first] if (spread.sum(axis=1) != (up, down)).any() else [first, spread]
    found = [_descended(integrals, start, within=False) for start in starts]
    lowest = min(found, key=lambda filled: round(integrals.determinant_energy(*_orbitals(filled)), 10))
    if irrep is not None and irrep != irrep_of(integrals, *_orbitals(lowest)):
        lowest = _descended(integrals, _nearest(integrals, lowest, irrep), within=True)
    return _orbitals(lowest)


def irrep_of(integrals: Integrals, up: np.ndarray, down: np.ndarray) -> int:
    """The irrep of a determinant: the product of those of its orbitals."""
    labels = [integrals.irreps[i] - 1 for i in (*up, *down)]
    return int(np.bitwise_xor.reduce(np.array([0, *labels], dtype=np.int64))) + 1


def _orbitals(filled: np.ndarray) -> Determinant:
    return np.flatnonzero(filled[0]), np.flatnonzero(filled[1])


def _descended(integrals: Integrals, filled: np.ndarray, *, within: bool) -> np.ndarray:
    """The best move, again and again, until none helps; `within`: only moves that keep the irrep."""
    filled = filled.copy()
    while True:
        gain, spins, source, target = min(_moves(integrals, filled, within), key=lambda move: move[0])
        if gain >= -1e-10:
            return filled
        filled[spins, source], filled[spins, target] = False, True


def _levels(integrals: Integrals, filled: np.ndarray) -> np.ndarray:
    """What an electron in each orbital has of energy, for both spins, with the others where they are."""
    upup, updown, downdown = integrals.pair_energies
    n_up, n_down = filled.astype(float)
    h_up, h_down = (np.diag(h) for h in integrals.one_body)
    return np.array([h_up + upup @ n_up + updown @ n_down, h_down + downdown @ n_down + updown.T @ n_up])


def _moves(integrals: Integrals, filled: np.ndarray, within: bool) -> list[tuple[float, list[int], int, int]]:
    """The best move of one electron of each spin, and of both: (energy change, spins, from, to)."""
    upup, updown, downdown = integrals.pair_energies
    levels = _levels(integrals, filled)
    changes = [levels[s][None, :] - levels[s][:, None] - own for s, own in enumerate((upup, downdown))]
    on_site = np.diag(updown)
    pair = changes[0] + changes[1] + on_site[None, :] + on_site[:, None] - updown - updown.T
    moves: list[tuple[float, list[int], int, int]] = [(0.0, [], 0, 0)]
    for change, spins in ((changes[0], [0]), (changes[1], [1]), (pair, [0, 1])):
        allowed = np.logical_and.outer(filled[spins].min(axis=0), ~filled[spins].max(axis=0))
        if within and len(spins) == 1:
            allowed &= np.equal.outer(integrals.irreps, integrals.irreps)
        change = np.where(allowed, change, np.inf)
        source, target = np.unravel_index(int(change.argmin()), change.shape)
        moves.append((float(change[source, target]), spins, int(source), int(target)))
    return moves


def _nearest(integrals: Integrals, filled: np.ndarray, irrep: int) -> np.ndarray:
    """The determinant of an irrep with the lowest sum of the levels of a given one, orbital by orbital."""
    levels, (up, down) = _levels(integrals, filled), filled.sum(axis=1)
    cost = np.full((up + 1, down + 1, _IRREPS), np.inf)
    cost[0, 0, 0] = 0
    choices = []
    for k in range(integrals.orbitals):
        swapped = np.arange(_IRREPS) ^ (integrals.irreps[k] - 1)
        options = np.full((4, *cost.shape), np.inf)  # empty, up, down, full
        options[0] = cost
        options[1, 1:] = cost[:-1, :, swapped] + levels[0, k]
        options[2, :, 1:] = cost[:, :-1, swapped] + levels[1, k]
        options[3, 1:, 1:] = cost[:-1, :-1] + levels[:, k].sum()
        choices.append(options.argmin(axis=0))
        cost = options.min(axis=0)
    if not np.isfinite(cost[up, down, irrep - 1]):
        raise SettingsError(
            f"no determinant of {up} electrons of spin up and {down} of spin down has the irrep {irrep}."
        )
    made, place = np.zeros_like(filled), [int(up), int(down), irrep - 1]
    for k in reversed(range(integrals.orbitals)):
        choice = int(choices[k][tuple(place)])
        made[0, k], made[1, k] = choice & 1, choice >> 1
        place = [place[0] - (choice & 1), place[1] - (choice >> 1), place[2]]
        if choice in (1, 2):
            place[2] ^= integrals.irreps[k] - 1
    return made
