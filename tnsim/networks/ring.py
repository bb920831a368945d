"""Tensors on a ring, (left, outer legs ..., right) each: what a bond carries, and cutting bonds to that.

.--T0--T1--.        What circles inside the ring and never reaches an outer leg has no part in
|  |   |   |        the product of both triangular factors of a bond, and is cut away with it.
'--T3--T2--'
"""

from collections.abc import Sequence
from functools import reduce

from tnsim.linalg.decompose import Spectrum, lq, qr, svd
from tnsim.linalg.truncation import Truncation
from tnsim.networks.scaling import scale_columns
from tnsim.tensor import Tensor, contract, eye, fuse, trace

# most turns round the ring in search of the triangular factors
_TURNS = 40


def bond_projectors(
    ring: Sequence[Tensor], truncation: Truncation, *, settled: float = 1e-12
) -> list[tuple[Tensor, Tensor]]:
    """For the bond behind every site what is put on the right leg of the site and on the left leg of the next one.

    Both are matrices (old bond, new bond). settled: change of the triangular factors in a turn at which they are good.

    Their product is the identity as far as outer legs can tell, but for a factor of the ring as a whole: what circles
    has a trace, of which the largest term is left. Cost O(chi^3 d) a site and turn, d the dimension of
    its outer legs. Source: S. Yang, Z.-C. Gu, X.-G. Wen, Phys. Rev. Lett. 118, 110504 (2017) (entanglement filtering).
    """
    lefts, rights, found = _triangles_to_the_right(ring, settled), _triangles_to_the_left(ring, settled), []
    for k, left in enumerate(lefts):
        right = rights[(k + 1) % len(ring)]
        u, spectrum, v = svd(contract("b m, m c -> b c", left, right), (0,), truncation)
        roots = spectrum.values**-0.5 if spectrum.values.any() else spectrum.values
        inverse, flipped = Spectrum(spectrum.leg, roots), Spectrum(spectrum.leg.dual, roots)
        into = scale_columns(contract("m c, x c -> m x", right, v.conj()), inverse)
        found.append((into, scale_columns(contract("b m, b x -> m x", left, u.conj()), flipped)))
    return found


def cut_bonds(ring: Sequence[Tensor], truncation: Truncation, *, settled: float = 1e-12) -> list[Tensor]:
    """The ring with every bond cut to the leading values of what it carries."""
    return with_bonds_cut(ring, bond_projectors(ring, truncation, settled=settled))


def with_bonds_cut(ring: Sequence[Tensor], projectors: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """The ring with projectors on its bonds."""
    cut = list(ring)
    for k, (into, out) in enumerate(projectors):
        after = (k + 1) % len(ring)
        cut[k], cut[after] = put_on(cut[k], cut[k].ndim - 1, into), put_on(cut[after], 0, out)
    return cut


def put_on(tensor: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """A matrix on one leg of a tensor, by its first leg."""
    words = [f"a{n}" for n in range(tensor.ndim)]
    result = [*words[:axis], "x", *words[axis + 1 :]]
    return contract(f"{' '.join(words)}, {words[axis]} x -> {' '.join(result)}", tensor, matrix)


def double(site: Tensor, bra: Tensor | None = None) -> Tensor:
    """A site times the conjugate of another (or of itself), as a matrix from the left to the right pair of legs."""
    outer = " ".join(f"o{n}" for n in range(site.ndim - 2))
    pair = contract(f"l' {outer} r', l {outer} r -> l' l r' r", (site if bra is None else bra).conj(), site)
    return fuse(pair, [(0, 1), (2, 3)], [1, -1])


def product(first: Tensor, second: Tensor) -> Tensor:
    """Of two matrices."""
    return contract("a b, b c -> a c", first, second)


def closed(matrices: Sequence[Tensor]) -> complex:
    """The trace of a product of matrices."""
    return complex(trace(reduce(product, matrices), 0, 1).item())


def _triangles_to_the_right(ring: Sequence[Tensor], settled: float) -> list[Tensor]:
    """R of the bond behind every site, (inner, right): what all sites before it tell of the bond."""
    triangle = eye(ring[0].legs[0], dtype=ring[0].dtype, backend=ring[0].backend)
    found: list[Tensor] = []
    for _ in range(_TURNS):
        before, found = found, []
        for site in ring:
            outer = " ".join(f"o{n}" for n in range(site.ndim - 2))
            moved = contract(f"b l, l {outer} r -> b {outer} r", triangle, site)
            _, triangle = qr(moved, tuple(range(moved.ndim - 1)))
            triangle = triangle / (triangle.norm() or 1.0)
            found.append(triangle)
        if before and _change(*(contract("b m, b n -> m n", t.conj(), t) for t in (before[-1], triangle))) <= settled:
            break
    return found


def _triangles_to_the_left(ring: Sequence[Tensor], settled: float) -> list[Tensor]:
    """L of the bond before every site, (left, inner)."""
    triangle = eye(ring[-1].legs[-1].dual, dtype=ring[0].dtype, backend=ring[0].backend)
    found: list[Tensor] = []
    for _ in range(_TURNS):
        before, found = found, []
        for site in reversed(ring):
            outer = " ".join(f"o{n}" for n in range(site.ndim - 2))
            moved = contract(f"l {outer} r, r b -> l {outer} b", site, triangle)
            triangle, _ = lq(moved, (0,))
            triangle = triangle / (triangle.norm() or 1.0)
            found.append(triangle)
        if before and _change(*(contract("m b, n b -> m n", t.conj(), t) for t in (before[-1], triangle))) <= settled:
            break
    return found[::-1]


def _change(before: Tensor, now: Tensor) -> float:
    return (now - before).norm()
