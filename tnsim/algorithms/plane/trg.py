"""Tensor renormalisation by splitting every tensor in two: TRG, and bond-weighted TRG.

Sources: M. Levin, C. P. Nave, Phys. Rev. Lett. 99, 120601 (2007) (TRG); D. Adachi, T. Okubo, S. Todo, Phys. Rev. B
105, L060402 (2022) (bond weights); S. Morita, R. Igarashi, H.-H. Zhao, N. Kawashima, Phys. Rev. E 97, 033310 (2018)
(random projection without the plaquette, O(chi^5)).
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tnsim.algorithms.plane.coarse_cell import Patch, SquareCell, first_patch
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.decompose import Spectrum
from tnsim.linalg.product_svd import product_svd
from tnsim.linalg.truncation import Truncation
from tnsim.networks.square_network import InfiniteNetwork
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, diagonal, fuse, split

# rows and columns of the two ways to split a tensor (north, east, south, west)
_NORTH_WEST, _SOUTH_WEST = ((0, 3), (1, 2)), ((2, 3), (0, 1))
# a matrix as factors whose product it is, and the legs of its rows and columns
_Matrix = tuple[tuple[Tensor, ...], tuple[tuple[Leg, ...], tuple[Leg, ...]]]


@dataclass(frozen=True, kw_only=True)
class TRG:
    """Every tensor is split along its diagonals, four halves make a tensor of the lattice turned by 45 degrees.

    chi_max: bond dimension. bond_weight: the share k of the singular values that stays on the bonds; 0 is plain TRG,
    -1/2 leaves scale-invariant tensors invariant (BTRG). Cost O(chi^5) a step; error at the critical point of the
    Ising model about chi^-3 (k = 0), chi^-4.4 (k = -1/2).

    >>> TRG(chi_max=16)
    TRG(chi_max=16, svd_min=1e-12, bond_weight=0.0, seed=0)
    """

    chi_max: int = field(metadata={"help": "largest bond dimension"})
    svd_min: float = field(default=1e-12, metadata={"help": "drop singular values below this (of the norm)"})
    bond_weight: float = field(default=0.0, metadata={"help": "exponent of the singular values left on the bonds"})
    seed: int = field(default=0, metadata={"help": "of the random projections"})

    def __post_init__(self) -> None:
        check_fields(self)
        if not -1 < self.bond_weight < 1:
            raise SettingsError(f"bond_weight must lie between -1 and 1, found {self.bond_weight}.")
        Truncation(chi_max=self.chi_max, svd_min=self.svd_min)  # refuses what is out of range

    @property
    def truncation(self) -> Truncation:
        """What survives a split."""
        return Truncation(chi_max=self.chi_max, svd_min=self.svd_min)

    def start(self, network: InfiniteNetwork, measure: tuple[str, ...] = ()) -> "_Whole":
        """The cell of a network."""
        if measure:
            raise SettingsError(f"{type(self).__name__} measures no impurities {measure}: use HOTRG or CTMRG for them.")
        tensor = network.tensor
        return _Whole(tensor, first_patch(network, max(tensor.shape)))

    def advance(self, cell: "_Whole | _Plaquette") -> "_Plaquette":
        """One step: two splits, and the four halves around a plaquette."""
        splits = [self._split(factors, legs) for factors, legs in cell.matrices]
        values = [spectrum for _, spectrum, _ in splits]
        scales = [float(spectrum.values.max(initial=0.0)) or 1.0 for spectrum in values]
        (a, b), (d, c) = (self._halves(*parts, scale) for parts, scale in zip(splits, scales, strict=True))
        # the weights of the old bonds lie inside the plaquette
        if cell.weights is not None:
            horizontal, vertical = cell.weights
            b = contract("x p q, p e, q s -> x e s", b, horizontal, vertical)
            a = contract("n r, w t, r t x -> n w x", vertical, horizontal, a)
        new = None
        if self.bond_weight:
            vertical, horizontal = (
                _power(spectrum, scale, self.bond_weight, a) for spectrum, scale in zip(values, scales, strict=True)
            )
            new = horizontal, vertical
        patch = cell.patch.doubled(
            float(np.log(scales).sum()),
            ratio=cell.patch.ratio,
            trunc_err=max(spectrum.discarded_weight for spectrum in values),
            chi=max(len(spectrum.values) for spectrum in values),
        )
        return _Plaquette((a, b, c, d), new, patch)

    def _split(
        self, factors: tuple[Tensor, ...], legs: tuple[tuple[Leg, ...], tuple[Leg, ...]]
    ) -> tuple[Tensor, Spectrum, Tensor]:
        u, spectrum, v = product_svd(factors, self.truncation, seed=self.seed)
        return split(u, 0, legs[0]), spectrum, split(v, 1, legs[1])

    def _halves(self, u: Tensor, spectrum: Spectrum, v: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Both factors with their share of the singular values."""
        root = _power(spectrum, scale, (1 - self.bond_weight) / 2, u)
        return contract("a b m, m n -> a b n", u, root), contract("m n, n a b -> m a b", root, v)


@dataclass(frozen=True, kw_only=True)
class BTRG(TRG):
    """Bond-weighted TRG: 15 to 100 times smaller errors than TRG at the same cost.

    >>> BTRG(chi_max=16).bond_weight
    -0.5
    """

    bond_weight: float = field(default=-0.5, metadata={"help": "exponent of the singular values left on the bonds"})


def _power(spectrum: Spectrum, scale: float, exponent: float, like: Tensor) -> Tensor:
    """(values / scale)^exponent with legs (bond, bond.dual)."""
    values = (spectrum.values / scale) ** exponent if spectrum.values.any() else np.zeros(len(spectrum.values))
    return diagonal(like.backend.asarray(values.astype(like.dtype)), spectrum.leg)


class _Whole(SquareCell):
    """A tensor as it is, without weights."""

    weights = None

    def __init__(self, tensor: Tensor, patch: Patch) -> None:
        self.tensor, self.patch = tensor, patch

    @property
    def matrices(self) -> list[_Matrix]:
        """Both ways to split the tensor."""
        legs = self.tensor.legs
        return [
            (
                (fuse(self.tensor, [rows, columns], [1, -1]),),
                (tuple(legs[n] for n in rows), tuple(legs[n] for n in columns)),
            )
            for rows, columns in (_NORTH_WEST, _SOUTH_WEST)
        ]

    def whole(self, impurity: str | None = None) -> Tensor:
        return self.tensor


class _Plaquette(SquareCell):
    """Four halves around a plaquette; the tensor that they make is not formed.

       north x
             |
             b--p--d--y east       a (north west x), b (x east south),
             q     r               c (y north east), d (south west y)
    west y---c--t--a
                   |
                   x south
    """

    def __init__(
        self, halves: tuple[Tensor, Tensor, Tensor, Tensor], weights: tuple[Tensor, Tensor] | None, patch: Patch
    ) -> None:
        self.halves, self.weights, self.patch = halves, weights, patch

    @cached_property
    def _factors(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """(north west | inner) (inner | east south), and (south west | inner) (inner | north east)."""
        a, b, c, d = self.halves
        first = contract("x p q, y q t -> x y p t", b, c), contract("r p y, r t x -> p t y x", d, a)
        second = contract("r t x, y q t -> x y r q", a, c), contract("r p y, x p q -> r q x y", d, b)
        return first, second

    @property
    def matrices(self) -> list[_Matrix]:
        """As of a whole tensor, in two factors."""
        return [
            (tuple(fuse(part, [(0, 1), (2, 3)], [1, -1]) for part in pair), (pair[0].legs[:2], pair[1].legs[2:]))
            for pair in self._factors
        ]

    def whole(self, impurity: str | None = None) -> Tensor:
        west, east = self._factors[0]
        if self.weights is None:
            return contract("n w p t, p t e s -> n e s w", west, east)
        horizontal, vertical = self.weights
        return contract("n w p t, p t x y, x e, y s -> n e s w", west, east, horizontal, vertical)

    def transfer(self, impurity: str | None = None) -> Tensor:
        """As of any cell, in O(chi^5): the tensor is not formed."""
        west, east = self._factors[0]
        if self.weights is None:
            return contract("n w p t, p t w s -> n s", west, east)
        horizontal, vertical = self.weights
        return contract("n w p t, p t e m, e w, m s -> n s", west, east, horizontal, vertical)
