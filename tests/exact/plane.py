"""Sums of terms in the plane and PEPS as dense matrices and vectors, places row by row."""

from itertools import product

import numpy as np
import opt_einsum

from tnsim.networks.peps import PEPS, PlaneTerms


def dense_hamiltonian(terms: PlaneTerms) -> np.ndarray:
    """The sum on a finite lattice, fermions in the order of the places."""
    places = list(product(*map(range, terms.shape)))
    sites = [terms.site(*place) for place in places]
    total = 0.0
    for place, matrix in terms.singles.items():
        total = total + _embedded(sites, {places.index(place): matrix})
    for term in terms.pairs:
        total = total + embedded_pair(sites, places.index(term.first), places.index(term.second), term.matrix)
    return total


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
    """The vector of a finite PEPS, places row by row; exponential cost."""
    operands, m, n = [], *psi.shape
    numbers = iter(range(10**6))
    vertical = [[next(numbers) for _ in range(n)] for _ in range(m + 1)]
    horizontal = [[next(numbers) for _ in range(n + 1)] for _ in range(m)]
    out = []
    for i, j in psi.places():
        out.append(next(numbers))
        labels = [vertical[i][j], horizontal[i][j + 1], vertical[i + 1][j], horizontal[i][j], out[-1]]
        operands += [np.asarray(psi.backend.to_host(psi.tensor(i, j).to_dense())), labels]
    edges = [vertical[0], vertical[m], [row[0] for row in horizontal], [row[n] for row in horizontal]]
    for label in (label for edge in edges for label in edge):
        operands += [np.ones(1), [label]]

    return opt_einsum.contract(*operands, out, optimize="greedy").reshape(-1)
