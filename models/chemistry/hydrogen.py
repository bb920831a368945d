"""Chains of hydrogen atoms in a minimal basis: molecules whose integrals need no other program."""

from dataclasses import replace

import numpy as np
from scipy.special import erf

from tnsim.errors import SettingsError
from tnsim.models.chemistry.integrals import Integrals
from tnsim.models.coupling import finite_number

BOHR = 0.529177210903  # Angstrom, CODATA 2018
# STO-3G of hydrogen (zeta = 1.24): exponents of the three Gaussians and their weights
_EXPONENTS = np.array([3.425250914, 0.6239137298, 0.1688554040])
_WEIGHTS = np.array([0.1543289673, 0.5353281423, 0.4446345422])


def hydrogen_chain(atoms: int, spacing: float) -> Integrals:
    """Integrals of a neutral chain of equidistant hydrogen atoms, STO-3G, in symmetrically orthogonalized orbitals.

    spacing: between neighbours, in Angstrom; energies are in Hartree. The orbitals are Loewdin's, one on each atom:
    local, as DMRG likes them. Exact but for rounding. Cost O(atoms^4). Raises SettingsError for less than 2 atoms or a
    spacing that is none. Source of the formulas: A. Szabo, N. S.
    Ostlund, Modern Quantum Chemistry (1996), appendix A.

    >>> molecule = hydrogen_chain(2, 1.4 * BOHR)
    >>> molecule.orbitals, molecule.electrons, round(molecule.core_energy, 9)
    (2, 2, 0.714285714)
    """
    spacing = finite_number(spacing, "spacing")
    if not isinstance(atoms, (int, np.integer)) or atoms < 2 or spacing <= 0:
        raise SettingsError(
            f"a chain has a whole number of atoms, at least 2 atoms, spaced by a length above 0, found {atoms!r} and "
            f"{spacing}."
        )
    places = np.arange(atoms) * spacing / BOHR
    overlap, one_body, two_body = atomic_integrals(places)
    values, vectors = np.linalg.eigh(overlap)
    root = vectors / np.sqrt(values) @ vectors.T
    distances = np.abs(places[:, None] - places[None, :])[np.triu_indices(atoms, 1)]
    return rotated(one_body, two_body, root, float((1 / distances).sum()), electrons=atoms)


def rotated(
    one_body: np.ndarray, two_body: np.ndarray, orbitals: np.ndarray, core_energy: float, *, electrons: int
) -> Integrals:
    """Integrals in other orbitals: columns of `orbitals`."""
    h = orbitals.T @ one_body @ orbitals
    for _ in range(4):
        # the first axis is transformed and goes to the end, four times
        two_body = np.tensordot(two_body, orbitals, axes=(0, 0))
    made = Integrals.from_arrays(h, two_body, core_energy)
    return replace(made, electrons=electrons, twice_spin=electrons % 2)


def atomic_integrals(places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overlap, kinetic plus nuclear attraction, and (ij|kl) of hydrogen atoms on a line (places in Bohr)."""
    atoms, size = len(places), len(_EXPONENTS)
    a, x = np.tile(_EXPONENTS, atoms), np.repeat(places, size)
    weights = np.zeros((len(a), atoms))
    weights[np.arange(len(a)), np.repeat(np.arange(atoms), size)] = np.tile(_WEIGHTS, atoms) * (2 * a / np.pi) ** 0.75
    p = a[:, None] + a[None, :]
    reduced, square = a[:, None] * a[None, :] / p, (x[:, None] - x[None, :]) ** 2
    middle = (a[:, None] * x[:, None] + a[None, :] * x[None, :]) / p
    product = np.exp(-reduced * square)
    overlap = (np.pi / p) ** 1.5 * product
    kinetic = reduced * (3 - 2 * reduced * square) * overlap
    nuclear = sum(-2 * np.pi / p * product * _boys(p * (middle - place) ** 2) for place in places)
    one = [weights.T @ matrix @ weights for matrix in (overlap, kinetic + nuclear)]
    two = np.zeros((atoms,) * 4)
    for i in range(atoms):
        own = slice(i * size, (i + 1) * size)  # the first function is one atom's, which bounds the memory
        q, m, c = p[own, :, None, None], middle[own, :, None, None], product[own, :, None, None]
        repulsion = 2 * np.pi**2.5 / (q * p * np.sqrt(q + p)) * c * product * _boys(q * p / (q + p) * (m - middle) ** 2)
        for axis, matrix in ((0, weights[own, i : i + 1]), (0, weights), (0, weights), (0, weights)):
            repulsion = np.tensordot(repulsion, matrix, axes=(axis, 0))
        two[i] = repulsion[0]
    return one[0], one[1], two


def _boys(t: np.ndarray) -> np.ndarray:
    """F_0(t), the integral of exp(-t u^2) over u from 0 to 1."""
    root = np.sqrt(np.maximum(t, 1e-12))
    return np.where(t < 1e-12, 1 - t / 3, np.sqrt(np.pi) / 2 * erf(root) / root)
