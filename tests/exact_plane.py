"""Small states and Hamiltonians in the plane as dense arrays: what updates of PEPS are compared with."""

import numpy as np
import opt_einsum

from tnsim.networks.peps import PEPS, PlaneTerms


def dense_state(psi: PEPS) -> np.ndarray:
    """The amplitudes of a finite PEPS, sites row by row, as a flat vector (on the host)."""
    m, n = psi.shape
    operands, out = [], []
    for i in range(m):
        for j in range(n):
            tensor = psi.tensor(i, j).to("numpy").to_dense()
            around = psi.closed[0]
            north, south = ("v", (i - 1) % m, j), ("v", i, j)
            west, east = ("h", i, j - 1), ("h", i, j)
            keep = [
                name if inside else None
                for name, inside in zip(
                    (north, east, south, west), (around or i > 0, j < n - 1, around or i < m - 1, j > 0), strict=True
                )
            ]
            tensor = tensor.reshape([d for d, name in zip(tensor.shape[:4], keep, strict=True) if name] + [-1])
            operands += [tensor, [*(name for name in keep if name), ("p", i, j)]]
            out.append(("p", i, j))
    names = {name: k for k, name in enumerate(dict.fromkeys(sum(operands[1::2], [])))}
    for k in range(1, len(operands), 2):
        operands[k] = [names[name] for name in operands[k]]
    return opt_einsum.contract(*operands, [names[name] for name in out]).ravel()


def dense_hamiltonian(terms: PlaneTerms) -> np.ndarray:
    """The sum of all terms on the sites row by row."""
    m, n = terms.shape
    dims = [terms.site(i, j).dim for i in range(m) for j in range(n)]
    size = int(np.prod(dims))
    total = np.zeros((size, size), dtype=complex)
    for term in terms.bonds:
        a, b = (place[0] % m * n + place[1] for place in (term.first, term.second))
        matrix = term.matrix.reshape(dims[a], dims[b], dims[a], dims[b])
        whole = np.eye(size, dtype=complex).reshape(dims + dims)
        whole = np.tensordot(matrix, whole, axes=([2, 3], [a, b]))
        total += np.moveaxis(whole, [0, 1], [a, b]).reshape(size, size)
    return total


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Of normalised vectors, up to a phase."""
    a, b = first / np.linalg.norm(first), second / np.linalg.norm(second)
    overlap = np.vdot(b, a)
    return float(np.linalg.norm(a - overlap / abs(overlap) * b))


def mean(matrix: np.ndarray, vector: np.ndarray) -> float:
    """<v|matrix|v> / <v|v>."""
    return float(np.real(np.vdot(vector, matrix @ vector) / np.vdot(vector, vector)))


def energy(terms: PlaneTerms, vector: np.ndarray) -> float:
    """<v|H|v> / <v|v>, term by term: for spaces too large for a matrix."""
    m, n = terms.shape
    dims = [terms.site(i, j).dim for i in range(m) for j in range(n)]
    state, total = vector.reshape(dims), 0.0
    for term in terms.bonds:
        a, b = (place[0] * n + place[1] for place in (term.first, term.second))
        matrix = term.matrix.reshape(dims[a], dims[b], dims[a], dims[b])
        moved = np.moveaxis(np.tensordot(matrix, state, axes=([2, 3], [a, b])), [0, 1], [a, b])
        total += np.real(np.vdot(state, moved))
    return float(total / np.vdot(vector, vector).real)
