"""Sparse oracles: lowest energies in a charge sector of chains too long for full matrices (up to about 10^5 states)."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import eigsh

from tests.exact.dense import charges
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site


def embedded(sites: Sequence[Site], op, i: int) -> sp.csr_array:
    """One operator of definite fermion parity on the whole chain, with F on the sites to its left where it is odd."""
    matrix, parities = sites[i].op(op), np.array(sites[i].parities)
    odd = matrix[parities[:, None] != parities[None, :]].any()
    left = np.ones(1)
    for site in sites[:i]:
        left = np.kron(left, (-1.0) ** np.array(site.parities) if odd else np.ones(site.dim))
    right = int(np.prod([site.dim for site in sites[i + 1 :]]))
    return sp.csr_array(sp.kron(sp.kron(sp.diags_array(left), sp.csr_array(matrix)), sp.eye_array(right)))


def ground_energies(H: OperatorSum, sites: Sequence[Site], charge: tuple[int, ...], count: int = 1) -> np.ndarray:
    """The lowest eigenvalues of a sum of plain terms in one sector."""
    kept = np.flatnonzero((charges(sites) == np.array(charge)).all(axis=1))
    known: dict = {}
    total = sp.csr_array((len(kept), len(kept)), dtype=complex)
    for term in H.written_out().terms:
        product = None
        for op, i in term.factors:
            if (op, i) not in known:
                known[op, i] = embedded(sites, op, i)
            product = known[op, i] if product is None else product @ known[op, i]
        inside = product[kept][:, kept]
        total = total + term.coefficient * inside + term.adjoint_coefficient * inside.conj().T
    if np.abs(total.imag).max() == 0:
        total = total.real
    if len(kept) < 400:
        return np.linalg.eigvalsh(total.toarray())[:count]
    return np.sort(eigsh(total, k=count, which="SA", tol=1e-13, ncv=max(40, 4 * count))[0])
