"""More states on the bonds of an infinite state, along the directions in which its energy falls fastest.

Source: V. Zauner-Stauber et al., Phys. Rev. B 97, 045145 (2018), appendix B.
"""

from collections.abc import Sequence

from tnsim.linalg import Truncation, svd
from tnsim.networks.direct_sum import embed, embeddings
from tnsim.networks.infinite_effective import UniformHamiltonian
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.tensor import Tensor, contract


def two_site_gradient(heff: UniformHamiltonian, i: int) -> Tensor:
    """The part of H |AC_i AR_i+1> outside of both AL_i and AR_i+1, legs (left, phys, phys, right).

    Its squared norm is the weight per bond that the state misses to first order in H.
    """
    psi, H, after = heff.psi, heff.H, (i + 1) % heff.psi.L
    left, right = heff.environments.lefts[i], heff.environments.rights[after]
    a, b = psi.AL[i], psi.AR[after]
    first = contract("b o k, k s m, o t s p -> b t p m", left, psi.AC(i), H.tensors[i])
    second = contract("c p k, m s k, o t s p -> c t o m", right, b, H.tensors[after])
    first = first - contract("b t n, n p m -> b t p m", a, contract("b t n, b t p m -> n p m", a.conj(), first))
    second = second - contract("n t c, n o m -> c t o m", b, contract("n t c, c t o m -> n o m", b.conj(), second))
    return contract("b s p m, c t p m -> b s t c", first, second)


def expand(heff: UniformHamiltonian, extra: Sequence[int], svd_min: float = 1e-10) -> tuple[InfiniteMPS, list[float]]:
    """The same state with up to extra[i] more states right of site i, and the norms of the two-site gradients.

    New directions carry no weight yet: C is zero on them, so that canonical form and energy stay exactly.
    Singular values below svd_min times the norm of H psi's remainder are never taken. Cost O(n d^3 chi^3).
    """
    psi = heff.psi
    count = psi.L
    norms: list[float] = []
    added_left: list[Tensor | None] = []
    added_right: list[Tensor | None] = []
    for i in range(count):
        remainder = two_site_gradient(heff, i)
        norms.append(remainder.norm())
        if extra[i] < 1 or norms[-1] <= svd_min:
            added_left.append(None)
            added_right.append(None)
            continue
        u, _, v = svd(remainder, (0, 1), Truncation(chi_max=extra[i], svd_min=min(0.5, svd_min / norms[-1])))
        added_left.append(u)
        added_right.append(v)
    AL, AR, C = [], [], []
    for i in range(count):
        before, after = added_left[i - 1], added_left[i]
        AL.append(_grown(psi.AL[i], before, after, after, None))
        AR.append(_grown(psi.AR[i], before, after, None, added_right[i - 1]))
        c = psi.C[i]
        if after is not None:
            into = embeddings(c.legs[1], after.legs[2])[0]
            c = embed(embed(c, embeddings(c.legs[0], after.legs[2].dual)[0], 0), into, 1)
        C.append(c)
    return InfiniteMPS(AL, AR, C, psi.sites), norms


def _grown(
    site: Tensor, before: Tensor | None, after: Tensor | None, new_columns: Tensor | None, new_rows: Tensor | None
) -> Tensor:
    """A site tensor on the larger bonds, with new columns (right bond) or new rows (left bond) filled in.

    before, after: what the bonds left and right of the site gained (their last leg), or None.
    """
    left = embeddings(site.legs[0], before.legs[2].dual) if before is not None else None
    right = embeddings(site.legs[2], after.legs[2]) if after is not None else None
    result = embed(site, left[0], 0) if left else site
    result = embed(result, right[0], 2) if right else result
    if new_columns is not None and right:
        columns = embed(new_columns, left[0], 0) if left else new_columns
        result = result + embed(columns, right[1], 2)
    if new_rows is not None and left:
        rows = embed(new_rows, right[0], 2) if right else new_rows
        result = result + embed(rows, left[1], 0)
    return result
