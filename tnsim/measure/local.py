"""Local operators as measurements use them, and the norm that they divide by."""

from collections.abc import Mapping

import numpy as np

from tnsim.errors import OperatorError, StateError
from tnsim.networks.canonical import canonicalize, center_tensors
from tnsim.networks.mps import MPS
from tnsim.networks.precision import matching_dtype
from tnsim.networks.sites import Site
from tnsim.symmetry import Charge
from tnsim.tensor import Tensor, contract, from_dense

Operator = str | np.ndarray


def checked_site(psi: MPS, site: int) -> int:
    """The site, if the state has it."""
    if not 0 <= site < psi.L:
        raise OperatorError(f"the state has sites 0 to {psi.L - 1}, found {site}.")
    return site


def norm_squared(psi: MPS) -> float:
    """<psi|psi>; StateError where it is zero or not finite, since nothing can be measured then."""
    norm = psi.norm()
    if not 0 < norm < np.inf:
        raise StateError(f"a measurement needs a state of finite norm, not zero; found norm {norm}.")
    return norm**2


def is_hermitian(matrix: np.ndarray) -> bool:
    """Whether a matrix is its own adjoint, up to rounding."""
    return bool(np.allclose(matrix, matrix.conj().T, rtol=0, atol=1e-13 * np.abs(matrix).max(initial=0.0)))


def components(site: Site, matrix: np.ndarray) -> dict[Charge, Tensor]:
    """Parts of a local operator by the charge and fermion parity that they add (`Site.operator_group`), on the host.

    Tensors have legs (out, in) and the charge without the parity.
    """
    legs = (site.leg, site.leg.dual)
    return {charge: from_dense(part, legs, charge[:-1]) for charge, part in sorted(site.parts(matrix).items())}


def local_values(psi: MPS, matrices: Mapping[int, np.ndarray]) -> np.ndarray:
    """<matrix> for one matrix at each of some ascending sites; the centre moves along, two reads in all.

    Parts that change the charge or the fermion parity give 0.

    .--t--.
    l  |  r      sum of conj(A) matrix A
    '--s--'
    """
    places = list(matrices)
    psi = canonicalize(psi.astype(matching_dtype(psi.dtype, *matrices.values())), places[0])
    norm, neutral = norm_squared(psi), psi.sites[0].operator_group.identity
    found, data = [], []
    for n, (i, a) in enumerate(zip(places, center_tensors(psi, places), strict=True)):
        part = components(psi.sites[i], matrices[i]).get(neutral)
        if part is not None:
            found.append(n)
            operator = part.astype(psi.dtype).to(psi.backend)
            data.append(contract("t s, l s r, l t r -> ", operator, a, a.conj()).data)
    values = np.zeros(len(places), dtype=psi.dtype)
    if found:
        values[found] = psi.backend.to_host(psi.backend.concatenate(data)) / norm
    return values.real.copy() if all(map(is_hermitian, matrices.values())) else values
