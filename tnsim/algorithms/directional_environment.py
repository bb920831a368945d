"""The environment of a site in a lattice without any symmetry: four corners and four edges.

    C1--T1--C2      corners (in, out), edges (in, inward, out): bonds run clockwise
    |   |   |
    T4--a---T2      one move takes in a column from the west; the lattice is then turned, so that every side has one
    |   |   |
    C4--T3--C3

Sources: T. Nishino, K. Okunishi, J. Phys. Soc. Jpn. 65, 891 (1996); projectors from all four quadrants: P. Corboz,
T. M. Rice, M. Troyer, Phys. Rev. Lett. 113, 046402 (2014).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tnsim.backend import Array
from tnsim.errors import NumericalError
from tnsim.linalg import Spectrum, Truncation, svd
from tnsim.linalg.arnoldi import dominant
from tnsim.linalg.product_svd import product_svd
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.symmetry import Charge
from tnsim.tensor import Tensor, contract, fuse, random_tensor, split, transpose

Four = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class DirectionalEnvironment:
    """Corners from the north-west and edges from the north, clockwise, and the tensor that they surround.

    Bonds are cut by the singular values of the product around the ring, whose sum is the partition function: a cutoff
    of the boundary's Schmidt values is squared for them, and kept above rounding.
    """

    corners: Four
    edges: Four
    tensor: Tensor

    @property
    def chi(self) -> int:
        """The largest bond dimension of the boundary."""
        return max(corner.legs[0].dim for corner in self.corners)

    @cached_property
    def spectra(self) -> tuple[Spectrum, ...]:
        """Singular values of the four corners, the largest of each 1."""
        found = [svd(corner, (0,))[1] for corner in self.corners]
        return tuple(Spectrum(s.leg, s.values / max(float(s.values.max(initial=0.0)), 1e-300)) for s in found)

    @property
    def spectrum(self) -> Spectrum:
        """That of the north-western corner."""
        return self.spectra[0]

    @property
    def marks(self) -> tuple[np.ndarray, ...]:
        """What is compared from step to step: fourth powers of the corner spectra, largest first.

        They add up to the partition function, and are what the projectors resolve down to rounding.
        """
        return tuple(np.sort(spectrum.values**4)[::-1] for spectrum in self.spectra)

    # -- growing -----------------------------------------------------------------------------------------

    def grown(self, truncation: Truncation) -> tuple["DirectionalEnvironment", float]:
        """One step: a column or row from every side; the largest discarded weight. Cost O(chi^3 D^3)."""
        environment, worst = self, 0.0
        for _ in range(4):
            environment, weight = environment._moved(truncation)
            environment, worst = environment._turned(), max(worst, weight)
        return environment, worst

    def _turned(self) -> "DirectionalEnvironment":
        """A quarter turn counterclockwise: north becomes west."""
        first, *corners = self.corners
        north, *edges = self.edges
        tensor = transpose(self.tensor, (1, 2, 3, 0))
        return DirectionalEnvironment((*corners, first), (*edges, north), tensor)  # type: ignore[arg-type]

    def _moved(self, truncation: Truncation) -> tuple["DirectionalEnvironment", float]:
        """A column is taken in from the west.

        below (k | out, north) and above (in, south | k): together near the identity of the bonds they cut
        """
        (c1, c2, c3, c4), (t1, t2, t3, t4) = self.corners, self.edges
        above, below, weight = self._projectors(truncation)
        c1 = contract("k o n, o m, m n r -> k r", below, c1, t1)
        c4 = contract("l p o, o i, i p k -> l k", t3, c4, above)
        t4 = contract("k i s, i w o -> k s w o", below, t4)
        t4 = contract("k s w o, n e s w -> k o n e", t4, self.tensor)
        t4 = contract("k o n e, o n j -> k e j", t4, above)
        corners, edges = (_unit(c1), c2, c3, _unit(c4)), (t1, t2, t3, _unit(t4))
        return DirectionalEnvironment(corners, edges, self.tensor), weight

    def _projectors(self, truncation: Truncation) -> tuple[Tensor, Tensor, float]:
        """From the singular values of all four quadrants, cut in the west: those of the product around the ring."""
        north_west, north_east, south_east, south_west = self._quadrants()
        quadrants = [fuse(part, [(0, 1), (2, 3)], [1, -1]) for part in (south_east, south_west, north_west, north_east)]
        rounding = 50 * float(np.finfo(self.tensor.dtype).eps)
        ring = replace(truncation, svd_min=max(truncation.svd_min**2, rounding))
        u, spectrum, v = product_svd(quadrants, ring)
        upper = contract("a b, b c, k c -> a k", quadrants[2], quadrants[3], v.conj())
        lower = contract("a k, a b, b c -> k c", u.conj(), quadrants[0], quadrants[1])
        root = Spectrum(spectrum.leg, 1 / np.sqrt(spectrum.values))
        above = split(scale_columns(upper, root), 0, north_west.legs[:2])
        below = split(scale_rows(lower, root), 1, south_west.legs[2:])
        return above, below, spectrum.discarded_weight

    def _quadrants(self) -> Four:
        """Corners with their edges and the site: rows (in, leg of the site), columns (out, leg of the site)."""
        (c1, c2, c3, c4), (t1, t2, t3, t4), a = self.corners, self.edges, self.tensor
        quarter = "i x m, m n, n y o -> i x y o"
        return (
            _unit(contract("i w y o, y e s w -> i s o e", contract(quarter, t4, c1, t1), a)),
            _unit(contract("i n y o, n y s w -> i w o s", contract(quarter, t1, c2, t2), a)),
            _unit(contract("i e y o, n e y w -> i n o w", contract(quarter, t2, c3, t3), a)),
            _unit(contract("i s y o, n e s y -> i e o n", contract(quarter, t3, c4, t4), a)),
        )

    # -- reading -----------------------------------------------------------------------------------------

    def ring(self, tensor: Tensor) -> complex:
        """The sum over all with some tensor in the middle; 0 where it carries a charge."""
        if tensor.charge != self.tensor.charge:
            return 0.0
        (c1, c2, c3, c4), (t1, t2, t3, t4) = self.corners, self.edges
        upper = contract("a b, b n c, c d, d e f -> a n e f", c1, t1, c2, t2)
        lower = contract("f g, g s h, h i, i w a -> f s w a", c3, t3, c4, t4)
        return contract("a n e f, f s w a, n e s w -> ", upper, lower, tensor).item()

    def log_z(self) -> float:
        """ln Z per site of the middle: a site and four corners, less a row and a column. NaN where not positive."""
        (c1, c2, c3, c4), (t1, t2, t3, t4) = self.corners, self.edges
        row = contract("a b, b p c, c d, d e, e p f, f a -> ", c1, t1, c2, c3, t3, c4).item()
        column = contract("a b, b c, c p d, d e, e f, f p a -> ", c1, c2, t2, c3, c4, t4).item()
        corners = contract("a b, b c, c d, d a -> ", c1, c2, c3, c4).item()
        parts = np.array([self.ring(self.tensor), corners, row, column], dtype=complex)
        if not np.abs(parts).all() or not np.isfinite(parts).all():
            return float("nan")
        value = parts[0] * parts[1] / (parts[2] * parts[3])
        # products of many numbers of either sign: the phase of the whole has to be that of a positive one
        return float(np.log(abs(value))) if value.real > 1e6 * np.finfo(float).eps * abs(value.imag) else float("nan")

    def mean(self, impurity: Tensor) -> float:
        """The mean of what an impurity measures in the middle."""
        whole = self.ring(self.tensor)
        return float(np.real(self.ring(impurity) / whole)) if whole else float("nan")

    def means(self, impurities: Mapping[str, Tensor]) -> dict[str, float]:
        """The means of several impurities."""
        return {name: self.mean(impurity) for name, impurity in impurities.items()}

    def edge_spectrum(self, count: int = 2, charge: Charge | None = None, *, column: bool = False) -> np.ndarray:
        """Leading eigenvalues of the transfer matrix of two facing edges along a row (or column).

        charge: of the operators whose correlations are meant. Raises NumericalError where they do not converge.
        """
        first, second = (self.edges[1], self.edges[3]) if column else (self.edges[0], self.edges[2])
        legs = first.legs[0].dual, second.legs[2].dual
        start = random_tensor(legs, charge, dtype=first.dtype, seed=1, backend=first.backend)
        if start.size == 0:
            return np.zeros(0)

        def matvec(x: Array) -> Array:
            vector = Tensor(start.legs, x, start.charge)
            return contract("a b, a p c, d p b -> c d", vector, first, second).data

        pairs = dominant(matvec, start.data, first.backend, count=count, tolerance=1e-9)
        if not pairs.converged:
            raise NumericalError("the spectrum of the edges did not converge: the environment is nearly critical.")
        return pairs.values

    def correlation_length(self) -> float:
        """The longest one along a row or a column, in sites, of operators without charge."""
        lengths = []
        for column in (False, True):
            values = np.abs(self.edge_spectrum(2, column=column))
            ratio = values[1] / values[0] if len(values) > 1 else 0.0
            lengths.append(0.0 if ratio == 0 else float(-1 / np.log(ratio)) if ratio < 1 else float("inf"))
        return max(lengths)


def _unit(tensor: Tensor) -> Tensor:
    return tensor * (1 / (tensor.norm() or 1.0))
