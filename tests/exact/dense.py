"""Dense oracles: Kronecker sums of an OperatorSum, and exact diagonalisation in a charge sector."""

from collections.abc import Sequence

import numpy as np

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
    result = kron([np.eye(site.dim) for site in sites])
    for op, i in factors:
        result = result @ embedded(sites, op, i)
    return result


def embedded(sites: Sequence[Site], op, i: int) -> np.ndarray:
    """One operator on the whole chain, its even and its odd part each with the string that it needs."""
    matrix, sign = sites[i].op(op), np.diag([(-1.0) ** p for p in sites[i].parities])
    even, odd = (matrix + sign @ matrix @ sign) / 2, (matrix - sign @ matrix @ sign) / 2
    left = [np.diag([(-1.0) ** p for p in site.parities]) for site in sites[:i]]
    right = [np.eye(site.dim) for site in sites[i + 1 :]]
    result = kron([*(np.eye(site.dim) for site in sites[:i]), even, *right])
    return result + kron([*left, odd, *right]) if odd.any() else result


def hamiltonian(H: OperatorSum, sites: Sequence[Site]) -> np.ndarray:
    """The full matrix of a sum: plain terms, their adjoints, exponentials."""
    dim = int(np.prod([site.dim for site in sites]))
    total = np.zeros((dim, dim), dtype=complex)
    for term in H.written_out().terms:
        matrix = place(sites, term.factors)
        total += term.coefficient * matrix + term.adjoint_coefficient * matrix.conj().T
    for term in H.exponentials:
        for i in range(len(sites)):
            for j in range(i + 1, len(sites)):
                between = [(term.string, k) for k in range(i + 1, j)]
                matrix = place(sites, [(term.first, i), *between, (term.second, j)])
                total += term.coefficient * term.decay ** (j - i) * matrix
    return total


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
