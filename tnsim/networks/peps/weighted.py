"""A PEPS beside the weights of its bonds: the state in the Vidal gauge, in which every bond is a Schmidt-like cut.

A tensor with the weights of all its bonds absorbed ("dressed") is what updates work on: its surroundings, as far as the
weights tell, are identities, and a bond needs the inverse of its own weight alone.
Sources: G. Vidal, Phys. Rev. Lett. 91, 147902 (2003); M. B. Hastings, J. Math. Phys. 50, 095207 (2009).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tnsim.backend import Backend
from tnsim.errors import LegError, ShapeError
from tnsim.linalg import Spectrum
from tnsim.networks.peps.bond_graph import BondGraph, bond_graph
from tnsim.networks.peps.square_state import SquareState
from tnsim.symmetry import Charge, Leg, layout
from tnsim.tensor import Tensor, contract, diagonal

# numbers in a tensor up to which scaling a leg takes a factor for each; a product with a matrix has less to keep
_SMALL = 1 << 16


class WeightedPEPS:
    """A PEPS and a Spectrum for each of its bonds, whose squares add up to 1; half of a weight lies on either side.

    psi: PEPS or InfinitePEPS; weights: in the order of `bond_graph(psi.pattern, psi.closed).links`, their legs those of
    the tensor that lies east or south. Raises ShapeError, LegError for weights that do not fit.

    >>> from tnsim.networks.peps import InfinitePEPS
    >>> from tnsim.networks.sites import spin_site
    >>> WeightedPEPS.plain(InfinitePEPS.product([spin_site()] * 2, ["up", "down"], [[0, 1], [1, 0]])).bond_dimensions
    (1, 1, 1, 1)
    """

    def __init__(self, psi: SquareState, weights: Sequence[Spectrum]) -> None:
        self.psi, self.weights = psi, tuple(weights)
        links = self.graph.links
        if len(links) != len(self.weights):
            raise ShapeError(f"{len(links)} bonds need as many weights, found {len(self.weights)}.")
        for link, weight in zip(links, self.weights, strict=True):
            leg = psi.tensors[link.second].legs[(link.direction + 2) % 4]
            if weight.leg is not leg:
                raise LegError(f"the bond {link} has the leg {leg!r}, its weight {weight.leg!r}.")

    @classmethod
    def plain(cls, psi: SquareState) -> "WeightedPEPS":
        """With equal weights, which is no Vidal gauge but where bonds have dimension 1: see `super_orthogonal`."""
        links = bond_graph(psi.pattern, psi.closed).links
        legs = [psi.tensors[link.second].legs[(link.direction + 2) % 4] for link in links]
        return cls(psi, [Spectrum(leg, np.full(leg.dim, leg.dim**-0.5)) for leg in legs])

    @classmethod
    def undressed(cls, like: SquareState, tensors: Sequence[Tensor], weights: Sequence[Spectrum]) -> "WeightedPEPS":
        """From tensors that hold the whole weight of every bond; `like` gives pattern and sites."""
        graph = bond_graph(like.pattern, like.closed)
        return cls(like.with_tensors(scaled(graph, tensors, weights, -0.5)), weights)

    @property
    def graph(self) -> BondGraph:
        """The bonds by number."""
        return bond_graph(self.psi.pattern, self.psi.closed)

    def dressed(self) -> list[Tensor]:
        """The tensors with the whole weight of every bond on each of its ends."""
        return scaled(self.graph, self.psi.tensors, self.weights, 0.5)

    @property
    def bond_dimensions(self) -> tuple[int, ...]:
        """Of every bond."""
        return tuple(weight.leg.dim for weight in self.weights)

    @property
    def dtype(self) -> np.dtype:
        return self.psi.dtype

    @property
    def backend(self) -> Backend:
        return self.psi.backend

    def to(self, backend: str | Backend) -> "WeightedPEPS":
        """The same state on another library's device; weights stay on the host."""
        return WeightedPEPS(self.psi.to(backend), self.weights)

    def astype(self, dtype: Any) -> "WeightedPEPS":
        """The same state in another dtype."""
        return WeightedPEPS(self.psi.astype(dtype), self.weights)

    def __repr__(self) -> str:
        return f"WeightedPEPS with {len(self.weights)} bonds: {self.psi!r}"


def without_weights(psi: Any) -> Any:
    """The PEPS of a WeightedPEPS; what is none as it is."""
    return psi.psi if isinstance(psi, WeightedPEPS) else psi


def scaled(graph: BondGraph, tensors: Sequence[Tensor], weights: Sequence[Spectrum], power: float) -> list[Tensor]:
    """Tensors times a power of the weight on every bond."""
    made = list(tensors)
    for link, weight in zip(graph.links, weights, strict=True):
        factors = weight.values**power
        made[link.first] = scale_leg(made[link.first], link.direction, factors)
        made[link.second] = scale_leg(made[link.second], (link.direction + 2) % 4, factors)
    return made


def scale_leg(tensor: Tensor, leg: int, factors: np.ndarray) -> Tensor:
    """diag(factors) on one leg, in its dense order."""
    backend, factors = tensor.backend, factors.astype(tensor.dtype)
    if tensor.size <= _SMALL:
        each = factors[_dense_places(tensor.legs, tensor.charge, leg)]
        return Tensor(tensor.legs, tensor.data * backend.asarray(each), tensor.charge)
    words = [f"l{k}" for k in range(tensor.ndim)]
    out = ["x" if k == leg else word for k, word in enumerate(words)]
    matrix = diagonal(backend.asarray(factors), tensor.legs[leg].dual)
    return contract(f"{' '.join(words)}, {words[leg]} x -> {' '.join(out)}", tensor, matrix)


@lru_cache(maxsize=4096)
def _dense_places(legs: tuple[Leg, ...], charge: Charge, axis: int) -> np.ndarray:
    """The dense index on one leg of every stored number."""
    table = layout(legs, charge)
    places = np.empty(table.size, dtype=np.int32)
    for number, (row, shape) in enumerate(zip(table.indices.tolist(), table.shapes.tolist(), strict=True)):
        first = int(legs[axis].starts[row[axis]])
        index = np.arange(first, first + shape[axis], dtype=np.int32)
        block = np.broadcast_to(np.expand_dims(index, tuple(range(1, len(shape) - axis))), shape)
        places[table.offsets[number] : table.offsets[number + 1]] = block.ravel()
    return places
