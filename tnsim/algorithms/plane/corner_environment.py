"""The environment of a site in a lattice with all symmetries of the square: one corner and one edge.

C--E--C        corner (out, in), diagonal: its values are the corner spectrum
|  |  |        edge (left, inward, right)
E--T--E        rings run clockwise: right of one is left of the next
|  |  |
C--E--C
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tnsim.backend import Array, Backend
from tnsim.errors import NumericalError
from tnsim.linalg import Spectrum, Truncation, eigh, qr
from tnsim.linalg.arnoldi import dominant
from tnsim.networks.self_dual import directed
from tnsim.networks.square_network import FLOWS
from tnsim.symmetry import Charge, Leg
from tnsim.tensor import Tensor, contract, diagonal, fuse, random_tensor, split, transpose

_RING = (1, 1, 1, 1)
# random vectors that tell the discarded weight of a step by QR
_PROBES = 6
# the corner takes in a site (north and west) that leaves east and, turned, south
_CORNER_FLOWS = (1, -1, 1, 1)


def corner_of(spectrum: Spectrum, like: Tensor) -> Tensor:
    """A diagonal corner, in the dtype and on the backend of `like`."""
    return diagonal(like.backend.asarray(spectrum.values.astype(like.dtype)), spectrum.leg)


def length_of(*spectra: np.ndarray) -> float:
    """The correlation length in sites of the largest of these eigenvalues, the leading one of all being 1."""
    second = max((float(found[0]) for found in spectra if len(found)), default=0.0)
    return float(-1 / np.log(second)) if 0 < second < 1 else (0.0 if second == 0 else float("inf"))


def around(hole: Tensor) -> np.ndarray:
    """The numbers of what surrounds a site, norm 1, with the sign of the largest."""
    flat = hole.backend.to_host(hole.data)
    size = np.linalg.norm(flat)
    if not flat.size or not size > 0:
        return np.zeros(1)
    largest = flat[np.abs(flat).argmax()]
    return flat * (abs(largest) / largest / size)


@dataclass(frozen=True, eq=False)
class CornerEnvironment:
    """A corner, an edge, the corner's spectrum, and the tensor that they surround."""

    corner: Tensor
    edge: Tensor
    spectrum: Spectrum
    tensor: Tensor

    @property
    def chi(self) -> int:
        """The bond dimension of the boundary."""
        return self.corner.legs[0].dim

    def to(self, backend: str | Backend) -> "CornerEnvironment":
        """The same environment on another library's device."""
        corner, edge, tensor = (part.to(backend) for part in (self.corner, self.edge, self.tensor))
        return CornerEnvironment(corner, edge, self.spectrum, tensor)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """That of the site."""
        return (self.tensor,)

    @property
    def marks(self) -> tuple[np.ndarray, ...]:
        """What is compared from step to step: the corner spectrum, largest first, and what surrounds a site.

        A corner alone may stand still while the edges still move, as between chains that hardly couple.
        """
        return (np.sort(np.abs(self.spectrum.values))[::-1], around(self.hole()))

    def grown(self, truncation: Truncation, projector: str = "eigh") -> tuple["CornerEnvironment", float]:
        """One step: a row and a column are taken in, the largest values of the corner are kept; the discarded weight.

        projector: "eigh" of the grown corner, or "qr" of the half of it without the site, once bonds are as large as
        they may be: O(chi^3 D + chi^2 D^4) in place of O(chi^3 D^3) (Y. Zhang, Q. Yang, P. Corboz, arXiv 2505.00494);
        its discarded weight is an estimate, from random vectors.

        C--E--r         l--E--r
        |  |               |
        E--T--e         w--T--e
        |  |               |
        l  s               s
        """
        edge = self.edge
        half = contract("l p a, a b -> l p b", edge, self.corner)
        if projector == "qr" and self.chi == truncation.chi_max:
            basis, spectrum, walk = self._by_qr(half)
        else:
            wide = contract("l p b, b q r -> l p q r", half, edge)
            wide = contract("l p q r, q e s p -> l s r e", wide, directed(self.tensor, _CORNER_FLOWS))
            vectors, spectrum = eigh(fuse(wide, [(0, 1), (2, 3)], [1, -1]), truncation)
            basis = split(vectors, 0, wide.legs[:2])
            walk = self._walk(basis)
        grown = contract("l w x, l w s y -> x s y", basis.conj(), walk)
        # the reflection that rounding would lose
        grown = grown + directed(transpose(grown, (2, 1, 0)), (1, -1, -1))
        grown = grown * (1 / grown.norm())
        scaled = replace(spectrum, values=spectrum.values / np.abs(spectrum.values).max())
        return CornerEnvironment(corner_of(scaled, grown), grown, scaled, self.tensor), spectrum.discarded_weight

    def _walk(self, vectors: Tensor) -> Tensor:
        """The northern edge and the site, with vectors (right, east, number) on them: (left, west, south, number)."""
        walk = contract("l q r, r e y -> l q e y", self.edge, vectors)
        return contract("l q e y, q e s w -> l w s y", walk, directed(self.tensor, FLOWS))

    def _by_qr(self, half: Tensor) -> tuple[Tensor, Spectrum, Tensor]:
        """Eigenvectors and values of the grown corner within the columns of corner times edge, and the walk of them.

        At a fixed point the edge carries the corner into itself, C E = P C, and P are its eigenvectors.
        """
        rows = contract("a l, l p r -> a p r", self.corner, self.edge)
        basis, _ = qr(directed(rows, (1, 1, -1)), (0, 1))
        walk = self._walk(basis)
        image = self._image(half, walk)
        inner = contract("l s x, l s y -> x y", basis.conj(), image)
        vectors, spectrum = eigh((inner + directed(transpose(inner, (1, 0)), (1, -1))) * 0.5)
        leg = basis.legs[2]
        probes = random_tensor(
            (*basis.legs[:2], Leg(leg.group, leg.charges, [_PROBES] * len(leg), -1)),
            dtype=basis.dtype, seed=0, backend=basis.backend,
        )  # fmt: skip
        probe = self._image(half, self._walk(probes))
        beyond = probe - contract("l s x, x y -> l s y", basis, contract("l s x, l s y -> x y", basis.conj(), probe))
        # what leads out of the basis counts twice, as rows and as columns
        inside, leaves = inner.norm() ** 2, max(0.0, image.norm() ** 2 - inner.norm() ** 2)
        outside = leaves + beyond.norm() ** 2 / _PROBES
        weight = outside / ((inside + outside) or 1.0)
        walk = contract("l w s x, x y -> l w s y", walk, vectors)
        basis = contract("l s x, x y -> l s y", basis, vectors)
        return basis, replace(spectrum, discarded_weight=weight), walk

    @staticmethod
    def _image(half: Tensor, walk: Tensor) -> Tensor:
        """The grown corner times vectors."""
        return directed(contract("l w b, b w s y -> l s y", half, walk), (1, 1, -1))

    @cached_property
    def _side(self) -> Tensor:
        """Corner, edge, corner: (left, inward, right)."""
        return contract("a b, b p c, c d -> a p d", self.corner, self.edge, self.corner)

    def hole(self) -> Tensor:
        """What surrounds a site: legs (north, east, south, west) that its own fit. Cost O(chi^3 D^2)."""
        half = contract("a n b, b e c -> a n e c", self._side, self.edge)
        other = contract("c s d, d w a -> c s w a", self._side, self.edge)
        return contract("a n e c, c s w a -> n e s w", half, other)

    def ring(self, tensor: Tensor) -> complex:
        """The sum over all with some tensor in the middle; 0 where it carries a charge. Cost O(chi^3 D^2)."""
        if tensor.charge != self.tensor.charge:
            return 0.0
        return contract("n e s w, n e s w -> ", self.hole(), directed(tensor, _RING)).item()

    def log_z(self) -> float:
        """ln Z per site of the middle: a site and a corner more, two edges less. NaN where that is not positive."""
        opposite = directed(self._side, (1, 1, -1))
        edges = contract("a p b, b p a -> ", self._side, opposite).item()
        corners = float((self.spectrum.values**4).sum())
        value = np.real(self.ring(self.tensor)) * corners
        return float(np.log(value) - 2 * np.log(abs(edges))) if value > 0 and edges else float("nan")

    def mean(self, impurity: Tensor) -> float:
        """The mean of what an impurity measures in the middle."""
        whole = self.ring(self.tensor)
        return float(np.real(self.ring(impurity) / whole)) if whole else float("nan")

    # -- the row between two edges -----------------------------------------------------------------------

    def edge_spectrum(self, count: int = 2, charge: Charge | None = None) -> np.ndarray:
        """Leading eigenvalues of the transfer matrix of two edges facing each other, largest magnitude first.

        charge: of the operators whose correlations are meant. Raises NumericalError where they do not converge.
        """
        leg = self.edge.legs[0]
        start = random_tensor((leg, leg.dual), charge, dtype=self.edge.dtype, seed=1, backend=self.edge.backend)
        if start.size == 0:
            return np.zeros(0)
        facing = directed(self.edge, (-1, 1, 1))

        def matvec(x: Array) -> Array:
            vector = Tensor(start.legs, x, start.charge)
            return contract("r s, l p r, m p s -> l m", vector, self.edge, facing).data

        pairs = dominant(matvec, start.data, self.edge.backend, count=count, tolerance=1e-9)
        if not pairs.converged:
            raise NumericalError("the spectrum of the edges did not converge: the environment is nearly critical.")
        return pairs.values

    def spectra_by_charge(self, count: int = 2) -> dict[Charge, np.ndarray]:
        """`edge_spectrum` of every charge, over its largest value in size: exp(-1 / length) by sector."""
        group = self.edge.group
        charges = [tuple(map(int, place)) for place in np.ndindex(*group.moduli)] or [()]
        values = {charge: np.abs(self.edge_spectrum(count, charge)) for charge in charges}
        return {charge: found / values[group.identity][0] for charge, found in values.items()}

    def correlation_length(self) -> float:
        """The longest one along an axis, in sites, over all charges: -1 / ln|second / first|."""
        values = self.spectra_by_charge()
        return length_of(values.pop(self.edge.group.identity)[1:], *values.values())

    def sandwich_lengths(self) -> tuple[float, float]:
        """Along rows and columns: the same, as no lattice with these symmetries is a set of chains."""
        return (self.correlation_length(),) * 2

    def means(self, impurities: Mapping[str, Tensor]) -> dict[str, float]:
        """The means of several impurities."""
        return {name: self.mean(impurity) for name, impurity in impurities.items()}
