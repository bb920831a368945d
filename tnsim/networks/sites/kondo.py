"""A localized spin and an electron level on one site."""

from functools import lru_cache

import numpy as np

from tnsim.networks.sites.conserved import conserved
from tnsim.networks.sites.fermion import ELECTRON_NUMBERS, ELECTRON_SPINS, ELECTRON_STATES, electron_matrices
from tnsim.networks.sites.site import Site, custom_site
from tnsim.networks.sites.spin import spin_components, spin_matrices, spin_names
from tnsim.symmetry import U1, FermionParity

_SPIN_OPERATORS = ("Sz", "S+", "S-", "Sx", "Sy")


@lru_cache(maxsize=32)
def kondo_site(S: float = 0.5, conserve: str | None = "N,Sz") -> Site:
    """A localized spin of length S beside an electron level: states "up,empty", "down,full", ...

    Operators of the electron as on `electron_site`; spin operators end in _f for the localized spin, in _c for
    the electron's, and without an end they are the sum: "Sz_f", "S+_c", "Sz". conserve: any of "N", "Sz" (of
    both together) and "parity" with a comma between, or None.

    >>> site = kondo_site()
    >>> site.dim, site.states[:2], site.charge_of("S+_f S-_c")
    (8, ('down,empty', 'up,empty'), (0, 0))
    """
    m_values = spin_components(S)
    numbers = [n for _ in m_values for n in ELECTRON_NUMBERS]
    spins = [int(2 * m) + s for m in m_values for s in ELECTRON_SPINS]
    quantities = {"N": (U1("N"), numbers), "Sz": (U1("2Sz"), spins), "parity": (FermionParity(), numbers)}
    group, charges = conserved("Kondo", conserve, quantities)
    return custom_site(
        f"Kondo-{m_values[-1]}",
        tuple(f"{spin},{electron}" for spin in spin_names(m_values) for electron in ELECTRON_STATES),
        group,
        charges,
        _operators([float(m) for m in m_values]),
        parities=[n % 2 for n in numbers],
    )


def _operators(m: list[float]) -> dict[str, np.ndarray]:
    """In the Kronecker basis, the localized spin first: it commutes with everything, so no sign arises."""
    electron = {name: np.kron(np.eye(len(m)), matrix) for name, matrix in electron_matrices().items()}
    localized = {name: np.kron(matrix, np.eye(4)) for name, matrix in spin_matrices(m).items()}
    operators = {name: matrix for name, matrix in electron.items() if name not in _SPIN_OPERATORS}
    operators["Flip"] = localized["Flip"] @ electron["Flip"]
    for name in _SPIN_OPERATORS:
        operators |= {f"{name}_f": localized[name], f"{name}_c": electron[name], name: localized[name] + electron[name]}
    return operators
