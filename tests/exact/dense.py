"""Dense oracles: Kronecker sums of an OperatorSum, and exact diagonalisation in a charge sector."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site


def kron(matrices: Sequence[np.ndarray]) -> np.ndarray:
    result = np.eye(1)
    for matrix in matrices:
        result = np.kron(result, matrix)
    return result


def place(sites: Sequence[Site], factors: Sequence[tuple]) -> np.ndarray:
    """The product of (operator, site) on the whole chain, in the order written.

    Each factor is the full Jordan-Wigner matrix: F on all sites to its left where it is fermionic.
    """
    return _placed(sites, factors).toarray()


def pair_table(sites: Sequence[Site], vector: np.ndarray, a: object, b: object) -> np.ndarray:
    """<v| a_i b_j |v> of all pairs of sites, from one vector a site and operator."""
    left = [place(sites, [(a, i)]).conj().T @ vector for i in range(len(sites))]
    right = [place(sites, [(b, j)]) @ vector for j in range(len(sites))]
    return np.array(left).conj() @ np.array(right).T


def embedded(sites: Sequence[Site], op, i: int) -> np.ndarray:
    """One operator on the whole chain, its even and its odd part each with the string that it needs."""
    return _embedded(sites, op, i).toarray()


def hamiltonian(H: OperatorSum, sites: Sequence[Site]) -> np.ndarray:
    """The full matrix of a sum: plain terms, their adjoints, exponentials."""
    dim, known = int(np.prod([site.dim for site in sites])), {}
    total = np.zeros((dim, dim), dtype=complex)
    for term in H.written_out().terms:
        _add(total, term.coefficient, matrix := _placed(sites, term.factors, known))
        if term.adjoint_coefficient:
            _add(total, term.adjoint_coefficient, matrix.conj().T)
    for term in H.exponentials:
        for i in range(len(sites)):
            for j in range(i + 1, len(sites)):
                between = [(term.string, k) for k in range(i + 1, j)]
                matrix = _placed(sites, [(term.first, i), *between, (term.second, j)], known)
                _add(total, term.coefficient * term.decay ** (j - i), matrix)
    return total


def _add(total: np.ndarray, factor: complex, matrix: sp.csr_array) -> None:
    """Add a sparse matrix, at its entries alone."""
    entries = matrix.tocoo()
    total[entries.row, entries.col] += factor * entries.data


def _placed(sites: Sequence[Site], factors: Sequence[tuple], known: dict | None = None) -> sp.csr_array:
    """The product of factors; named operators that are `known` are not made again."""
    known, result = {} if known is None else known, None
    for op, i in factors:
        key = (op, i) if isinstance(op, str) else None
        matrix = known[key] if key in known else _embedded(sites, op, i)
        if key is not None:
            known[key] = matrix
        result = matrix if result is None else result @ matrix
    if result is None:
        return sp.csr_array(sp.eye_array(int(np.prod([site.dim for site in sites]))))
    result.sum_duplicates()
    return result


def _embedded(sites: Sequence[Site], op, i: int) -> sp.csr_array:
    """Entries of the operator between unit matrices; those that change the parity take the string on the left."""
    matrix, parities = sites[i].op(op), np.array(sites[i].parities)
    string = np.ones(1)
    for site in sites[:i]:
        string = np.kron(string, [(-1.0) ** p for p in site.parities])
    size, right = len(matrix), int(np.prod([site.dim for site in sites[i + 1 :]]))
    rows, columns = np.nonzero(matrix)
    signs = np.where(parities[rows] != parities[columns], string[:, None], 1.0)
    # (states on the left, entries, states on the right)
    entries = np.repeat((signs * matrix[rows, columns])[..., None], right, axis=2)
    places = [
        (np.arange(len(string))[:, None, None] * size + n[:, None]) * right + np.arange(right) for n in (rows, columns)
    ]
    shape = (len(string) * size * right,) * 2
    return sp.csr_array((entries.ravel(), (places[0].ravel(), places[1].ravel())), shape=shape)


def schmidt_ranks(matrix: np.ndarray, sites: Sequence[Site], tolerance: float = 1e-10) -> tuple[int, ...]:
    """Operator Schmidt rank at every bond, the ends included: what an MPO needs at least."""
    dims = [site.dim for site in sites]
    length = len(dims)
    tensor = matrix.reshape(dims + dims)
    ranks = [1]
    for cut in range(1, length):
        axes = [*range(cut), *range(length, length + cut), *range(cut, length), *range(length + cut, 2 * length)]
        rows = int(np.prod(dims[:cut])) ** 2
        values = np.linalg.svd(tensor.transpose(axes).reshape(rows, -1), compute_uv=False)
        ranks.append(max(1, int(np.count_nonzero(values > tolerance * values[0]))))
    return (*ranks, 1)


def charges(sites: Sequence[Site]) -> np.ndarray:
    """Total charge of every Kronecker basis state, one row each."""
    group = sites[0].group
    table = [group.identity]
    for site in sites:
        table = [group.fuse(a, b)[0] for a in table for b in site.charges]
    return np.array(table).reshape(len(table), -1)


def ground_energy(matrix: np.ndarray, sites: Sequence[Site], charge: tuple[int, ...]) -> float:
    """Lowest eigenvalue in one charge sector."""
    inside = (charges(sites) == np.array(charge)).all(axis=1)
    return float(np.linalg.eigvalsh(matrix[np.ix_(inside, inside)])[0])


def entropy(state: np.ndarray, rows: int) -> float:
    """Von Neumann entropy of a vector cut into a matrix of so many rows."""
    weights = np.linalg.svd(state.reshape(rows, -1), compute_uv=False) ** 2
    weights = weights[weights > 1e-30]
    return float(-(weights * np.log(weights)).sum())
