"""Spins of any length."""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from tnsim.errors import SettingsError
from tnsim.networks.sites.conserved import conserved
from tnsim.networks.sites.site import Site, custom_site
from tnsim.symmetry import U1, Zn


@lru_cache(maxsize=64)
def spin_site(S: float = 0.5, conserve: str | None = "Sz") -> Site:
    """A spin of length S with operators Id, Sz, S+, S-, Sx, Sy, Flip (m to -m; and Pauli X, Y, Z for S = 1/2).

    conserve: "Sz" (U(1), charge 2 m), "parity" (Z_2: the number of flips from m = -S, modulo 2), or None.
    Sx, Sy, X and Y change the charge by several values; they may be used in sums whose charge-breaking parts
    cancel.

    >>> spin_site(S=1).states, spin_site(S=1, conserve="parity").states
    (('-1', '0', '1'), ('-1', '1', '0'))
    """
    m_values = spin_components(S)
    group, charges = conserved(
        "spin", conserve, {
            "Sz": (U1("2Sz"), [int(2 * m) for m in m_values]),
            "parity": (Zn(2, "parity"), [k % 2 for k in range(len(m_values))]),
        },
    )  # fmt: skip
    matrices = spin_matrices([float(m) for m in m_values])
    aliases = {f"+{m}": str(m) for m in m_values if m > 0}
    if len(m_values) == 2:
        matrices |= {"X": 2 * matrices["Sx"], "Y": 2 * matrices["Sy"], "Z": 2 * matrices["Sz"]}
        aliases = {"-1/2": "down", "1/2": "up", "+1/2": "up"}
    return custom_site(f"spin-{m_values[-1]}", spin_names(m_values), group, charges, matrices, aliases=aliases)


def spin_components(S: float) -> list[Fraction]:
    """m = -S, ..., S; SettingsError unless S is a positive multiple of 1/2.

    >>> [str(m) for m in spin_components(0.5)]
    ['-1/2', '1/2']
    """
    if isinstance(S, str) or not np.isfinite(S) or S <= 0 or abs(2 * S - round(2 * S)) > 1e-12:
        raise SettingsError(f"a spin length is a positive multiple of 1/2, found S = {S!r}.")
    doubled = round(2 * S)
    return [Fraction(k, 2) for k in range(-doubled, doubled + 1, 2)]


def spin_names(m_values: Sequence[Fraction]) -> tuple[str, ...]:
    """Names of the states: down and up, or m itself for longer spins."""
    return ("down", "up") if len(m_values) == 2 else tuple(map(str, m_values))


def spin_matrices(m: Sequence[float]) -> dict[str, np.ndarray]:
    """Sz, S+, S-, Sx, Sy, Flip of the spin with the components m = -S, ..., S, in that order."""
    S = m[-1]
    raising = np.zeros((len(m), len(m)))
    for k in range(len(m) - 1):
        raising[k + 1, k] = np.sqrt(S * (S + 1) - m[k] * (m[k] + 1))
    lowering = raising.T.copy()
    return {
        "Sz": np.diag(m), "S+": raising, "S-": lowering,
        "Sx": (raising + lowering) / 2, "Sy": (raising - lowering) / 2j, "Flip": np.eye(len(m))[::-1].copy(),
    }  # fmt: skip


def spin_sites(L: int, S: float = 0.5, conserve: str | None = "Sz") -> tuple[Site, ...]:
    """L equal spins.

    >>> len(spin_sites(4, S=1))
    4
    """
    if not isinstance(L, (int, np.integer)) or L < 1:
        raise SettingsError(f"a chain needs at least one site, a whole number of them; found L = {L!r}.")
    return (spin_site(S, conserve),) * L
