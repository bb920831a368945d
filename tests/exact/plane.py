"""Sums of terms in the plane and PEPS as dense matrices and vectors, places row by row."""

from itertools import product

import numpy as np
import opt_einsum

from tnsim.networks.peps import PEPS, PlaneTerms


def dense_hamiltonian(terms: PlaneTerms) -> np.ndarray:
    """The sum on a finite lattice or a cylinder, fermions in the order of the places."""
    places = list(product(*map(range, terms.shape)))
    sites = [terms.site(*place) for place in places]
    total = 0.0
    for place, matrix in terms.singles.items():
        total = total + _embedded(sites, {places.index(place): matrix})
    for term in terms.pairs:
        a, b, matrix = _in_order(terms, term)
        total = total + embedded_pair(sites, a, b, matrix)
    return total


def _in_order(terms: PlaneTerms, term) -> tuple[int, int, np.ndarray]:
    """The numbers of the two places, the smaller one first, and the matrix on them; around a cylinder they turn."""
    (m, n), matrix = terms.shape, term.matrix
    a, b = (i % m * n + j for i, j in (term.first, term.second))
    if a > b:
        first, second = (terms.site(*place).dim for place in (term.first, term.second))
        matrix = matrix.reshape(first, second, first, second).transpose(1, 0, 3, 2).reshape(matrix.shape)
    return min(a, b), max(a, b), matrix


def embedded_pair(sites, a: int, b: int, matrix: np.ndarray) -> np.ndarray:
    """A matrix on two sites a < b in the whole space, with strings between them where fermions need them."""
    first, second = sites[a].dim, sites[b].dim
    cut = matrix.reshape(first, second, first, second).transpose(0, 2, 1, 3).reshape(first**2, second**2)
    u, s, v = np.linalg.svd(cut, full_matrices=False)
    total = 0.0
    for left, value, right in zip(u.T, s, v, strict=True):
        if value < 1e-14 * max(s[0], 1e-300):
            continue
        right = right.reshape(second, second)
        for odd, part in sites[b].by_parity(np.where(np.abs(right) > 1e-13, right, 0)):
            between = {k: sites[k].string for k in range(a + 1, b)} if odd else {}
            total = total + _embedded(sites, {a: value * left.reshape(first, first), b: part, **between})
    return total


def _embedded(sites, matrices) -> np.ndarray:
    total = np.ones((1, 1))
    for k, site in enumerate(sites):
        total = np.kron(total, matrices.get(k, np.eye(site.dim)))
    return total


def dense_state(psi: PEPS) -> np.ndarray:
    """The vector of a finite PEPS or of one on a cylinder, places row by row; exponential cost."""
    operands, m, n = [], *psi.shape
    numbers = iter(range(10**6))
    vertical = [[next(numbers) for _ in range(n)] for _ in range(m + 1)]
    if psi.closed[0]:
        vertical[m] = vertical[0]
    horizontal = [[next(numbers) for _ in range(n + 1)] for _ in range(m)]
    out = []
    for i, j in psi.places():
        out.append(next(numbers))
        labels = [vertical[i][j], horizontal[i][j + 1], vertical[i + 1][j], horizontal[i][j], out[-1]]
        operands += [np.asarray(psi.backend.to_host(psi.tensor(i, j).to_dense())), labels]
    edges = [
        *([] if psi.closed[0] else [vertical[0], vertical[m]]),
        [row[0] for row in horizontal],
        [row[n] for row in horizontal],
    ]
    for label in (label for edge in edges for label in edge):
        operands += [np.ones(1), [label]]

    return opt_einsum.contract(*operands, out, optimize="greedy").reshape(-1)


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
