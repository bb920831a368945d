"""Full configuration interaction from integrals, with Jordan-Wigner matrices of its own, and a small Hartree-Fock."""

import numpy as np
import scipy.sparse as sp

from tnsim.models.chemistry.integrals import Integrals


def lowering_operators(modes: int) -> list[sp.csr_array]:
    """Fermions in modes; bit modes - 1 - i of a state is the occupation of mode i, earlier modes give the sign."""
    states, made = np.arange(2**modes), []
    for i in range(modes):
        bit = 1 << (modes - 1 - i)
        filled = states[states & bit > 0]
        signs = (-1.0) ** np.bitwise_count(filled >> (modes - i))
        made.append(sp.csr_array((signs, (filled ^ bit, filled)), shape=(2**modes,) * 2))
    return made


def determinants(K: int, up: int, down: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and occupations (spin up, then spin down) of the states of a sector."""
    bits = (np.arange(4**K)[:, None] >> np.arange(2 * K)[::-1]) & 1
    kept = np.flatnonzero((bits[:, :K].sum(axis=1) == up) & (bits[:, K:].sum(axis=1) == down))
    return kept, bits[kept]


def full_matrix(integrals: Integrals, up: int, down: int) -> np.ndarray:
    """The Hamiltonian in one sector; all orbitals of spin up stand before those of spin down.

    1/2 sum (pq|rs) (E_pq E_rs - delta_qr delta_st E_ps), with E_pq = Cdag_p C_q of one spin.
    """
    K = integrals.orbitals
    lower = lowering_operators(2 * K)
    kept, _ = determinants(K, up, down)
    size = len(kept)
    moves = [
        (lower[s + p].T @ lower[s + q])[kept][:, kept] for s in (0, K) for p in range(K) for q in range(K)
    ]  # fmt: skip
    flat = sp.vstack([move.reshape(1, size * size) for move in moves], format="csr")
    upup, updown, downdown = (array.reshape(K * K, K * K) for array in integrals.two_body)
    repulsion = np.block([[upup, updown], [updown.T, downdown]])
    one = np.concatenate(
        [
            (h - np.einsum("pqqs->ps", array) / 2).ravel()
            for h, array in zip(integrals.one_body, integrals.two_body[::2], strict=True)
        ]
    )
    total = integrals.core_energy * np.eye(size) + (flat.T @ one).reshape(size, size)
    for move, row in zip(moves, repulsion, strict=True):
        total += move @ (flat.T @ row).reshape(size, size) / 2
    return total


def full_ci(integrals: Integrals, electrons: int, twice_spin: int = 0, count: int = 1) -> np.ndarray:
    """The lowest energies with so many electrons and 2 Sz."""
    H = full_matrix(integrals, (electrons + twice_spin) // 2, (electrons - twice_spin) // 2)
    return np.linalg.eigvalsh(H)[:count]


def hartree_fock(
    overlap: np.ndarray, one_body: np.ndarray, two_body: np.ndarray, pairs: int
) -> tuple[float, np.ndarray]:
    """Restricted Hartree-Fock by damped iterations: electronic energy, orbitals by ascending energy."""
    values, vectors = np.linalg.eigh(overlap)
    root, density = vectors / np.sqrt(values) @ vectors.T, np.zeros_like(one_body)
    for step in range(500):
        coulomb = np.einsum("ijkl,kl->ij", two_body, density)
        exchange = np.einsum("ikjl,kl->ij", two_body, density)
        fock = one_body + 2 * coulomb - exchange
        energy = float(np.sum(density * (one_body + fock)))
        orbitals = root @ np.linalg.eigh(root @ fock @ root)[1]
        wanted = orbitals[:, :pairs] @ orbitals[:, :pairs].T
        change = np.abs(wanted - density).max()
        density = wanted if step < 2 else (wanted + density) / 2
        if change < 1e-13:
            break
    return energy, orbitals
