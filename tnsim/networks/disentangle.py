"""Unitaries on the ancillas of a purified state, for less entanglement: they change no average of the physical part.

Source: J. Hauschild, E. Leviatan, J. H. Bardarson, E. Altman, M. P. Zaletel, F. Pollmann, Phys. Rev. B 98, 235163
(2018), section III.
"""

from collections.abc import Sequence

from tnsim.linalg import Truncation, svd
from tnsim.linalg.polar import polar
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mps import MPS
from tnsim.networks.purification import pair_tensor
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.networks.sites import Site
from tnsim.tensor import Tensor, contract, fuse, random_tensor, split

_STEPS, _SMALL_GAIN, _NOISE = 30, 1e-4, 0.5


def disentangled(psi: MPS, sites: Sequence[Site], truncation: Truncation, *, sweeps: int = 2) -> tuple[MPS, float]:
    """The same mixed state with its ancillas turned so that bonds need fewer states, and the summed discarded weight.

    Every pair of neighbouring ancillas is turned by the unitary that raises the purity of the cut between them, found
    by iteration, and the bond is cut anew; the norm stays. sites: those without ancillas. Cost O(L d^6 chi^3) an
    iteration, at most 30 a bond. Raises ShapeError where psi does not live on purified sites.
    """
    norm, psi = psi.norm(), canonicalize(psi, 0)
    tensors, last, weight = psi.tensors.copy(), psi.L - 1, 0.0
    for _ in range(sweeps):
        for bond, rightwards in (*((n, True) for n in range(last)), *((n, False) for n in reversed(range(last)))):
            here = slice(bond, bond + 2)
            tensors[here], cut = _turned(tensors[here], sites[here], truncation, rightwards)
            weight += cut
    result = MPS(tensors, psi.sites, 0)
    return result * (norm / result.norm()), weight


def _turned(
    pair: Sequence[Tensor], sites: Sequence[Site], truncation: Truncation, rightwards: bool
) -> tuple[list[Tensor], float]:
    """Two site tensors after the best unitary on their ancillas, the centre on the right or left one; what was cut."""
    first, second = pair
    pairs = [pair_tensor(site).astype(first.dtype).to(first.backend) for site in sites]
    #   s  a      t  b
    #    \/        \/
    # l--[first]--[second]--r
    theta = contract("l p m, s a p, m q r, t b q -> l s a t b r", first, pairs[0], second, pairs[1])
    turned = _purest(theta / theta.norm())
    joined = contract("l s a t b r, s a p, t b q -> l p q r", turned, pairs[0].conj(), pairs[1].conj())
    left, values, right = svd(joined, (0, 1), truncation)
    turned_pair = [left, scale_rows(right, values)] if rightwards else [scale_columns(left, values), right]
    return turned_pair, values.discarded_weight


def _purest(theta: Tensor) -> Tensor:
    """theta under the unitary on a and b that raises the purity of l s a: from a guess beside 1, by polar parts.

    1 itself is often a saddle, as exp(-beta H / 2) treats sites and ancillas alike.
    """
    legs = theta.legs[2], theta.legs[4], theta.legs[2].dual, theta.legs[4].dual
    noise = random_tensor(legs, seed=0, dtype=theta.dtype).to(theta.backend)
    turned = _under(contract("l s a t b r, l s x t y r -> a b x y", theta, theta.conj()) + noise * _NOISE, theta)
    purity, least = 0.0, float(_density(theta).norm()) ** 2
    for _ in range(_STEPS):
        rho = _density(turned)
        found = float(rho.norm()) ** 2
        if found <= purity * (1 + _SMALL_GAIN):
            break
        purity = found
        gradient = contract("l s a k u c, k u c t b r -> l s a t b r", rho, turned)
        turned = _under(contract("l s a t b r, l s x t y r -> a b x y", gradient, theta.conj()), theta)
    return turned if purity > least else theta


def _density(theta: Tensor) -> Tensor:
    return contract("l s a t b r, k u c t b r -> l s a k u c", theta, theta.conj())


def _under(matrix: Tensor, theta: Tensor) -> Tensor:
    """theta under the unitary nearest to a matrix (a b, x y) on its ancillas."""
    unitary = polar(fuse(matrix, [(0, 1), (2, 3)], [1, -1]), (0,))[0]
    unitary = split(split(unitary, 1, matrix.legs[2:]), 0, matrix.legs[:2])
    return contract("a b x y, l s x t y r -> l s a t b r", unitary, theta)
