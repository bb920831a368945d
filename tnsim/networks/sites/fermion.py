"""Fermions: spinless, with spin, and with spin where no site holds two (t-J)."""

from functools import lru_cache

import numpy as np

from tnsim.networks.sites.conserved import Quantities, conserved
from tnsim.networks.sites.site import Site, custom_site
from tnsim.symmetry import U1, FermionParity

ELECTRON_STATES = ("empty", "down", "up", "full")
ELECTRON_NUMBERS = (0, 1, 1, 2)
ELECTRON_SPINS = (0, -1, 1, 0)  # 2 Sz


@lru_cache(maxsize=16)
def fermion_site(conserve: str | None = "N") -> Site:
    """A spinless fermion: states empty and full, operators C, Cdag, N and F = (-1)^N.

    conserve: "N" (U(1)), "parity" (even or odd number), or None. Sums and measurements place Jordan-Wigner
    strings between C and Cdag of different sites.

    >>> site = fermion_site()
    >>> site.states, site.charge_of("Cdag"), site.op("Cdag C").diagonal().tolist()
    (('empty', 'full'), (1,), [0.0, 1.0])
    """
    lowering = np.array([[0.0, 1.0], [0.0, 0.0]])
    group, charges = conserved("fermion", conserve, {"N": (U1("N"), [0, 1]), "parity": (FermionParity(), [0, 1])})
    operators = {"C": lowering, "Cdag": lowering.T, "N": np.diag([0.0, 1.0])}
    aliases = {"0": "empty", "1": "full"}
    return custom_site("fermion", ("empty", "full"), group, charges, operators, parities=(0, 1), aliases=aliases)


@lru_cache(maxsize=32)
def electron_site(conserve: str | None = "N,Sz") -> Site:
    """A fermion of spin 1/2: states empty, down, up and full = Cdag_up Cdag_down |empty>.

    Operators: C_up, Cdag_up, C_down, Cdag_down, N_up, N_down, N, Sz, S+, S-, Sx, Sy, Flip (up and down
    change places) and F = (-1)^N. conserve:
    any of "N", "Sz" (charge 2 Sz) and "parity" with a comma between, or None.

    >>> site = electron_site()
    >>> site.group, site.states
    (U(1) N x U(1) 2Sz, ('empty', 'down', 'up', 'full'))
    >>> site.charge_of("Cdag_up C_down"), site.op("N_up N_down").diagonal().tolist()
    ((0, 2), [0.0, 0.0, 0.0, 1.0])
    """
    group, charges = conserved("electron", conserve, electron_quantities(4))
    operators = electron_matrices()
    return custom_site("electron", ELECTRON_STATES, group, charges, operators, parities=(0, 1, 1, 0))


@lru_cache(maxsize=32)
def tj_site(conserve: str | None = "N,Sz") -> Site:
    """An electron site without double occupancy: states empty, down, up; operators as on `electron_site`.

    C_up and the others are projected: Cdag_up gives zero on "down".

    >>> tj_site().states, (tj_site().op("Cdag_up") @ [0, 1, 0]).tolist()
    (('empty', 'down', 'up'), [0.0, 0.0, 0.0])
    """
    group, charges = conserved("t-J", conserve, electron_quantities(3))
    operators = {name: matrix[:3, :3] for name, matrix in electron_matrices().items()}
    return custom_site("t-J", ELECTRON_STATES[:3], group, charges, operators, parities=(0, 1, 1))


def electron_quantities(states: int) -> Quantities:
    """What the first so many of the states empty, down, up, full can conserve."""
    numbers, spins = ELECTRON_NUMBERS[:states], ELECTRON_SPINS[:states]
    return {
        "N": (U1("N"), numbers),
        "Sz": (U1("2Sz"), spins),
        "parity": (FermionParity(), numbers),
    }


def electron_matrices() -> dict[str, np.ndarray]:
    """Operators in the basis empty, down, up, full; up stands before down, so that C_down picks up a sign."""
    one, sign, lowering = np.eye(2), np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [0.0, 0.0]])
    # |n_up n_down> in Kronecker order is empty, down, up, full
    up, down = np.kron(lowering, one), np.kron(sign, lowering)
    raising = up.T @ down
    lower = raising.T.copy()
    n_up, n_down = up.T @ up, down.T @ down
    return {
        "C_up": up, "Cdag_up": up.T, "C_down": down, "Cdag_down": down.T,
        "N_up": n_up, "N_down": n_down, "N": n_up + n_down,
        "Sz": (n_up - n_down) / 2, "S+": raising, "S-": lower,
        "Sx": (raising + lower) / 2, "Sy": (raising - lower) / 2j,
        "Flip": np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, -1]]),
    }  # fmt: skip
