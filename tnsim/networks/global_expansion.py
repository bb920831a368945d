"""More states on all bonds at once, so that a state's basis also holds other states: global subspace expansion.

Source: M. Yang, S. R. White, Phys. Rev. B 102, 094315 (2020), section III.
"""

from collections.abc import Sequence

from tnsim.errors import ShapeError
from tnsim.linalg import Truncation, lq, svd
from tnsim.networks.canonical import canonicalize
from tnsim.networks.direct_sum import embed, injection, side_by_side
from tnsim.networks.mps import MPS
from tnsim.tensor import Tensor, contract


def expand_basis(psi: MPS, others: Sequence[MPS], *, chi_max: int, tolerance: float = 1e-6) -> MPS:
    """The same state, its centre on the first site, on larger bonds whose right halves also span those of `others`.

    From the right, every bond gains what the others (each taken with norm 1) have outside of its basis, strongest
    first, above singular values of `tolerance` and up to `chi_max` states. The new states have no weight yet. Exact
    for psi, whose dtype is kept; cost O(n L d chi^3) for n others. Raises ShapeError where they live on other sites
    or in another sector.
    """
    for phi in others:
        if phi.L != psi.L or phi.sites != psi.sites or phi.charge != psi.charge:
            raise ShapeError(f"a basis is expanded by states on its own sites and of its charge, found {phi!r}.")
    last = psi.L - 1
    tensors = list(canonicalize(psi, last).tensors)
    weighty = [phi.astype(psi.dtype) for phi in others if phi.norm() > 0]
    added = [list(canonicalize(phi / phi.norm(), last).tensors) for phi in weighty]
    for i in range(last, 0, -1):
        rest, basis = lq(tensors[i], (0,))
        larger = _grown(basis, [other[i] for other in added], chi_max - basis.legs[0].dim, tolerance)
        tensors[i - 1] = contract("l s m, m n -> l s n", tensors[i - 1], rest)
        if larger is not basis:
            place = injection(basis.legs[0].dual, larger.legs[0].dual, like=larger)
            tensors[i - 1] = embed(tensors[i - 1], place, 2)
        for other in added:
            seen = contract("l s r, n s r -> l n", other[i], larger.conj())
            other[i - 1] = contract("k s l, l n -> k s n", other[i - 1], seen)
        tensors[i] = larger
    return MPS(tensors, psi.sites, 0)


def _grown(basis: Tensor, others: Sequence[Tensor], room: int, tolerance: float) -> Tensor:
    """Orthonormal rows (bond, phys, right) and more of them, from what other tensors have outside."""
    outside = [_outside(other, basis) for other in others]
    rows = side_by_side(outside, 0) if outside else None
    size = 0.0 if rows is None else rows.norm()
    if rows is None or room < 1 or size <= tolerance:
        return basis
    _, _, found = svd(rows, (0,), Truncation(chi_max=room, svd_min=min(0.5, tolerance / size)))
    # the second time for what rounding left: small singular values magnify it
    found = lq(_outside(found, basis), (0,))[1]
    return side_by_side([basis, found], 0)


def _outside(tensor: Tensor, basis: Tensor) -> Tensor:
    """What orthonormal rows leave out of a tensor with the same legs behind the first."""
    inside = contract("q s r, n s r -> q n", tensor, basis.conj())
    return tensor - contract("q n, n s r -> q s r", inside, basis)
