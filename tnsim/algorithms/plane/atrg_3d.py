"""Anisotropic tensor renormalisation in three dimensions: two tensors become one at O(chi^7).

Source: D. Adachi, T. Okubo, S. Todo, Phys. Rev. B 102, 054432 (2020).
"""

from dataclasses import dataclass, field, replace

import numpy as np

from tnsim.algorithms.plane.atrg import all_first, root_of, split_product
from tnsim.algorithms.plane.coarse_cell import Patch
from tnsim.algorithms.plane.hotrg_3d import CubicCell, cubic_patch
from tnsim.errors import OperatorError, SettingsError, check_fields
from tnsim.linalg import Spectrum, Truncation, eigh, svd
from tnsim.networks.cubic_network import CubicNetwork
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.tensor import Tensor, contract, fuse, split


@dataclass(frozen=True, kw_only=True)
class ATRG3D:
    """Tensors of the cubic lattice in two factors, (north west up) and (east south down), stacked as by ATRG.

    The bond between the two inner factors of a stack is swapped, then the two pairs of bonds beside it are cut; the
    axes are turned, so that directions take turns. Cost O(chi^7) a step and O(chi^6) memory: larger chi are within
    reach than of HOTRG3D, which is more precise at the same chi.

    >>> ATRG3D(chi_max=12)
    ATRG3D(chi_max=12, svd_min=1e-12, seed=0)
    """

    chi_max: int = field(metadata={"help": "largest bond dimension"})
    svd_min: float = field(default=1e-12, metadata={"help": "drop singular values below this (of the norm)"})
    seed: int = field(default=0, metadata={"help": "of the random projections"})

    def __post_init__(self) -> None:
        check_fields(self)
        Truncation(chi_max=self.chi_max, svd_min=self.svd_min)  # refuses what is out of range

    @property
    def truncation(self) -> Truncation:
        """What survives a cut."""
        return Truncation(chi_max=self.chi_max, svd_min=self.svd_min)

    def start(self, network: CubicNetwork, measure: tuple[str, ...] = ()) -> "_CubicPair":
        """The cell of a network: all of its tensor in the first factor."""
        if not isinstance(network, CubicNetwork):
            raise OperatorError(f"ATRG3D works on a CubicNetwork, found {network!r}: use ATRG for a square lattice.")
        if measure:
            raise SettingsError(f"ATRG3D measures no impurities {measure}: use HOTRG3D for them.")
        n, e, s, w, u, d = network.tensor.legs
        matrix = fuse(network.tensor, [(0, 3, 4), (1, 2, 5)], [1, -1])
        return _CubicPair(*all_first(matrix, (n, w, u), (e, s, d)), cubic_patch(network))

    def advance(self, cell: "_CubicPair") -> "_CubicPair":
        """One step: split, swap the bond between two tensors, cut the two pairs of bonds beside them, turn.

        u--a--n1 w1          u--a--n1 w1          u--.
           |                    |                    G==n w
           b--e1 s1             x--n2 w2             |
           |m         to        |            to      |
           c--n2 w2             y--e1 s1             H==e s
           |                    |                    |
           d--e2 s2             d--e2 s2             '--d
        """
        factors = fuse(cell.first, [(0, 1, 2), (3,)], [1, -1]), fuse(cell.second, [(0,), (1, 2, 3)], [1, -1])
        a, weights, d = split_product(factors, cell.first.legs[:3], cell.second.legs[1:], self.truncation, self.seed)
        scale = float(weights.values.max(initial=0.0)) or 1.0
        weights = replace(weights, values=weights.values / scale)
        b, c = scale_rows(d, weights), scale_columns(a, weights)
        swapped = contract("a e s m, n w m b -> a n w e s b", b, c)
        matrix = fuse(swapped, [(0, 1, 2), (3, 4, 5)], [1, -1])
        x, roots, y = split_product([matrix], swapped.legs[:3], swapped.legs[3:], self.truncation, self.seed)
        x, y = scale_columns(x, root_of(roots)), scale_rows(y, root_of(roots))
        south, north, lost = _projectors(_above(a, x, 0), _below(y, d, 2), self.truncation)
        east, west, cut = _projectors(_above(a, x, 1), _below(y, d, 1), self.truncation)
        first, second = _upper(a, x, north, west), _lower(y, d, east, south)
        norms = first.norm() or 1.0, second.norm() or 1.0
        patch = cell.patch.doubled(
            float(2 * np.log(scale) + np.log(norms).sum()),
            ratio=1.0,
            trunc_err=max(weights.discarded_weight, roots.discarded_weight, lost, cut),
            chi=max(north.shape[0], west.shape[0], len(roots.values)),
        )
        return _CubicPair(first / norms[0], second / norms[1], patch)


def _upper(a: Tensor, x: Tensor, north: Tensor, west: Tensor) -> Tensor:
    """Both upper factors as one, turned: up becomes north, north west, and west up."""
    half = contract("k n o, n w u a -> k o w u a", north, a)
    half = contract("k o w u a, a o v b -> k w u v b", half, x)
    return contract("l w v, k w u v b -> u k l b", west, half)


def _lower(y: Tensor, d: Tensor, east: Tensor, south: Tensor) -> Tensor:
    """Both lower factors as one, turned: down becomes south, south east, and east down."""
    half = contract("b f t d, s t k -> b f s d k", d, south)
    half = contract("a e s b, b f s d k -> a e f d k", y, half)
    return contract("a e f d k, e f l -> a k d l", half, east)


def _open(tensor: Tensor, leg: int, bond: int) -> Tensor:
    """A tensor times its conjugate, open at a leg and a bond: legs (leg, leg', bond, bond')."""
    ket, bra = list("abcd"), list("abcd")
    bra[leg], bra[bond] = "x", "y"
    return contract(f"{' '.join(ket)}, {' '.join(bra)} -> {ket[leg]} x {ket[bond]} y", tensor, tensor.conj())


def _above(a: Tensor, x: Tensor, leg: int) -> Tensor:
    """The metric of the two northern (leg 0) or western (1) bonds of the upper factors: legs (two, two')."""
    return contract("n m a b, o p a b -> n o m p", _open(a, leg, 3), _open(x, leg + 1, 0))


def _below(y: Tensor, d: Tensor, leg: int) -> Tensor:
    """The metric of the two eastern (leg 1) or southern (2) bonds of the lower factors: legs (two, two')."""
    return contract("s t b c, f g b c -> s f t g", _open(y, leg, 3), _open(d, leg, 0))


def _projectors(above: Tensor, below: Tensor, truncation: Truncation) -> tuple[Tensor, Tensor, float]:
    """What is put on two bonds from below (bond, bond, k) and from above (k, bond, bond), and the discarded weight.

    They keep the leading singular values of all below times all above, of which only the metrics are known; what lies
    below the root of rounding is noise.
    """
    upper = _root(fuse(above, [(0, 1), (2, 3)], [1, -1]))
    lower = _root(fuse(below, [(0, 1), (2, 3)], [-1, 1]))
    least = float(np.sqrt(10 * np.finfo(above.dtype).eps))
    kept = replace(truncation, svd_min=max(truncation.svd_min, least))
    u, spectrum, v = svd(contract("h k, h l -> k l", lower, upper), (0,), kept)
    inverse = Spectrum(spectrum.leg, 1 / np.sqrt(spectrum.values))
    east = scale_columns(contract("h l, k l -> h k", upper, v.conj()), inverse)
    west = scale_rows(contract("l k, h l -> k h", u.conj(), lower), inverse)
    return split(east, 0, above.legs[:2]), split(west, 1, below.legs[:2]), spectrum.discarded_weight


def _root(metric: Tensor) -> Tensor:
    """M with M M^dagger the metric, which is positive up to rounding."""
    vectors, spectrum = eigh(metric)
    return scale_columns(vectors, replace(spectrum, values=np.sqrt(np.maximum(spectrum.values, 0.0))))


class _CubicPair(CubicCell):
    """first (north, west, up, bond) and second (bond, east, south, down)."""

    def __init__(self, first: Tensor, second: Tensor, patch: Patch) -> None:
        self.first, self.second, self.patch = first, second, patch

    def transfer(self, impurity: str | None = None) -> Tensor:
        """From north to south, closed from up to down and from east to west, in O(chi^5)."""
        return contract("n w u a, a w s u -> n s", self.first, self.second)
