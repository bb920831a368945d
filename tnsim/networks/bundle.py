"""Several states in one basis: their two-site tensors as one with a leg that counts states, and its split.

Only the centre differs from state to state; all other site tensors are shared. Source: T. E. Baker, A. Foley,
D. Senechal, arXiv:2109.08181 (2021); S. R. White, Phys. Rev. B 48, 10345 (1993), section III (target states).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tnsim.backend import Array
from tnsim.errors import StateError
from tnsim.linalg import Truncation, eigh, svd
from tnsim.linalg.complement import as_rows
from tnsim.networks.effective import TwoSiteHamiltonian, isometry_of, run, trace_of_blocks
from tnsim.networks.effective_plans import LEFT, RIGHT, split_plan
from tnsim.networks.two_site_split import TwoSiteSplit
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, transpose

# eigenvalues of a density matrix with noise below this, and of the overlaps of cut states, are rounding
_WEAK = 1e-12


def split_bundle(
    heff: TwoSiteHamiltonian,
    thetas: Sequence[Array],
    truncation: Truncation,
    *,
    rightwards: bool,
    noise: float = 0.0,
) -> tuple[TwoSiteSplit, list[Tensor]]:
    """Cut orthonormal two-site tensors in the basis that suits their mean density matrix best.

    Returns the split of the first and the centres of all, orthonormal again. The discarded weight is the mean one.
    noise > 0 adds that share of the products of the first with the parts of H, as in `split_two_site`. Cost
    O(n chi^3 d^3). Raises StateError where the bond dimension does not hold so many states.
    """
    unit, bundle = _stacked(heff, thetas, rightwards)
    basis, weights = _basis(heff, thetas[0], bundle, truncation, rightwards, noise)
    if rightwards:
        site = contract("l s m, m x -> l s x", unit, basis)
        kept = contract("m t r k, m x -> x t r k", bundle, basis.conj())
    else:
        site = contract("x m, m t r -> x t r", basis, unit)
        kept = contract("l s m k, x m -> l s x k", bundle, basis.conj())
    centers, trunc_err = _orthonormal(kept, truncation.chi_max)
    first, second = (site, centers[0]) if rightwards else (centers[0], site)
    bond = first.legs[2].with_flow(1)
    isometry = isometry_of(LEFT if rightwards else RIGHT, site, heff.plan.left.center)
    return TwoSiteSplit(first, second, bond, isometry, weights, trunc_err, "svd"), centers


def _stacked(heff: TwoSiteHamiltonian, thetas: Sequence[Array], rightwards: bool) -> tuple[Tensor, Tensor]:
    """A site that only fuses its legs, and all states behind it: (l s m) and (m t r k), or (m t r) and (l s m k)."""
    backend, dtype, left, right = heff.backend, heff.dtype, heff.plan.left, heff.plan.right
    sizes = heff.plan.blocks[:, 1 if rightwards else 2]
    bond = Leg.from_keys(left.center.group, left.center.keys, sizes)
    plan = split_plan(left.bond, left.operator.phys, bond, right.operator.phys, right.bond, rightwards, dtype.char)
    identity = backend.asarray(np.concatenate([np.eye(n, dtype=dtype).reshape(-1) for n in sizes.tolist()]))
    data = []
    for theta in thetas:
        pair = [backend.zeros(size, dtype) for size in plan.sizes]
        run(plan.rows, (theta, identity, backend.zeros(plan.rows.size, dtype), *pair), backend)
        data.append(pair[1 if rightwards else 0])
    place = 1 if rightwards else 0
    states = Leg(bond.group, [bond.group.identity], [len(thetas)], 1)
    table = as_rows(data, backend)
    return Tensor(plan.legs[1 - place], pair[1 - place]), Tensor((*plan.legs[place], states), table.T.reshape(-1))


def _basis(
    heff: TwoSiteHamiltonian, theta: Array, bundle: Tensor, truncation: Truncation, rightwards: bool, noise: float
) -> tuple[Tensor, np.ndarray]:
    """Kept eigenvectors of the mean density matrix, as columns (m, x) or rows (x, m), and their weights."""
    if noise == 0:
        u, spectrum, v = svd(bundle, (0,) if rightwards else (0, 1, 3), truncation)
        weights = spectrum.values**2
        return u if rightwards else v, weights / weights.sum()
    if rightwards:
        matrix = contract("m t r k, n t r k -> m n", bundle, bundle.conj())
    else:
        matrix = contract("l s m k, l s n k -> m n", bundle.conj(), bundle)
    extra = Tensor(matrix.legs, heff.noise(theta, rightwards))
    trace = trace_of_blocks(extra.data, matrix.legs[0].dims_array, heff.backend)
    share = noise * bundle.legs[3].dim / trace if trace > 0 else 0.0
    vectors, spectrum = eigh(matrix + extra * share, replace(truncation, svd_min=_WEAK, trunc_err=0.0))
    weights = np.maximum(spectrum.values, 0.0)
    return vectors if rightwards else transpose(vectors.conj(), (1, 0)), weights / weights.sum()


def _orthonormal(bundle: Tensor, chi_max: int) -> tuple[list[Tensor], float]:
    """The states of a cut bundle, turned as little as makes them orthonormal, and the mean weight that they lost."""
    backend, count = bundle.backend, bundle.legs[3].dim
    rows = bundle.data.reshape(-1, count).T
    gram = backend.to_host(backend.conj(rows) @ rows.T)
    weights, vectors = np.linalg.eigh(gram)
    if not weights[0] > _WEAK:
        raise StateError(f"bonds of dimension {chi_max} do not hold {count} states at once: raise chi_max.")
    mixing = (vectors / np.sqrt(weights)) @ vectors.conj().T
    table = backend.asarray(np.ascontiguousarray(mixing.T.astype(bundle.dtype))) @ rows
    centers = [Tensor(bundle.legs[:3], backend.copy(table[k])) for k in range(count)]
    return centers, max(0.0, 1 - float(weights.mean()))
