"""Product states of a given number of particles, and what is possible."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import SettingsError


def conserves(conserve: str | None, *names: str) -> bool:
    """Whether all of these quantities are conserved by the setting, such as "N,Sz".

    >>> conserves("N,Sz", "N"), conserves("parity", "N"), conserves(None, "N")
    (True, False, False)
    """
    return set(names) <= set(str(conserve).replace(",", " ").split())


def keeps_sector(conserve: str | None, two_sz: int) -> bool:
    """Whether N is conserved, and Sz as well unless the lowest energy is that of the smallest spin anyway.

    >>> keeps_sector("N", 0), keeps_sector("N", 2), keeps_sector("N,Sz", 2), keeps_sector("Sz", 0)
    (True, False, True, False)
    """
    return conserves(conserve, "N") and (abs(two_sz) <= 1 or conserves(conserve, "Sz"))


def check_number(model: str, N: int, most: int, what: str) -> None:
    """SettingsError unless N is an integer from 0 to `most`."""
    if not isinstance(N, (int, np.integer)) or not 0 <= N <= most:
        raise SettingsError(f"{model}: N = {N} {what} do not fit: there is room for 0 to {most}.")


def check_electrons(model: str, electrons: int, twice_spin: int | None, orbitals: int) -> None:
    """SettingsError unless so many electrons fit into the orbitals and can have this 2 Sz, where one is given."""
    check_number(model, electrons, 2 * orbitals, "electrons")
    most = min(electrons, 2 * orbitals - electrons)
    if twice_spin is None:
        return
    if not isinstance(twice_spin, (int, np.integer)) or abs(twice_spin) > most or (twice_spin - electrons) % 2:
        raise SettingsError(
            f"{model}: {electrons} electrons in {orbitals} orbitals cannot have 2 Sz = {twice_spin}, but "
            f"{-most} to {most} in steps of 2."
        )


def spread(count: int, L: int) -> list[int]:
    """`count` particles on L sites, as evenly as can be: the number on every site.

    >>> spread(2, 4), spread(5, 3)
    ([1, 0, 1, 0], [2, 2, 1])
    """
    return [-(-(i + 1) * count // L) - -(-i * count // L) for i in range(L)]


def two_sz_of(model: str, Sz: float | None, largest: int) -> int:
    """2 Sz of spins that add up to at most `largest` / 2: the smallest possible unless Sz is given.

    Raises SettingsError where Sz cannot be had.

    >>> two_sz_of("Hubbard", None, 3), two_sz_of("Hubbard", -1.5, 3)
    (1, -3)
    """
    if Sz is None:
        return largest % 2
    two_sz = round(2 * Sz)
    if abs(2 * Sz - two_sz) > 1e-12 or abs(two_sz) > largest or (two_sz - largest) % 2:
        raise SettingsError(
            f"{model}: this number of particles cannot have Sz = {Sz:g}, but {-largest / 2:g} to {largest / 2:g} in "
            "whole steps."
        )
    return two_sz


def electron_states(N: int, two_sz: int, L: int) -> list[str]:
    """State names of electron sites: N electrons spread evenly, spins alternating, those left over parallel.

    Up to L electrons stand alone; beyond that there are N - L full sites. Needs |two_sz| <= the number of
    sites with one electron.

    >>> electron_states(4, 0, 4), electron_states(3, 1, 4), electron_states(5, 1, 4)
    (['up', 'down', 'up', 'down'], ['up', 'down', 'up', 'empty'], ['full', 'up', 'down', 'up'])
    """
    numbers = spread(N, L)
    singles = [i for i in range(L) if numbers[i] == 1]
    spins = dict(zip(singles, alternating(two_sz, len(singles)), strict=True))
    return [spins.get(i, "full" if n else "empty") for i, n in enumerate(numbers)]


def alternating(two_sz: int, count: int) -> Sequence[str]:
    """So many spins with n_up - n_down = two_sz: up, down, up, ... with the surplus at the end.

    >>> alternating(0, 4), alternating(-3, 3)
    (['up', 'down', 'up', 'down'], ['down', 'down', 'down'])
    """
    pairs = (count - abs(two_sz)) // 2
    first, second = ("up", "down") if two_sz >= 0 else ("down", "up")
    return [first, second] * pairs + [first] * (count - 2 * pairs)


def occupations(numbers: Sequence[int]) -> list[str]:
    """State names of spinless sites.

    >>> occupations([1, 0])
    ['full', 'empty']
    """
    return ["full" if n else "empty" for n in numbers]
