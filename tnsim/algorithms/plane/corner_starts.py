"""What CTMRG starts from: corners and edges of bond dimension 1 around the sites of a network."""

from collections.abc import Sequence

import numpy as np

from tnsim.algorithms.plane.corner_environment import CornerEnvironment, corner_of
from tnsim.algorithms.plane.directional_environment import DirectionalEnvironment, Surroundings
from tnsim.algorithms.plane.site_layers import open_bond
from tnsim.errors import LegError, OperatorError, SettingsError, suggest
from tnsim.linalg import Spectrum, Truncation, eigh
from tnsim.networks.peps import NormNetwork
from tnsim.networks.self_dual import directed, is_self_dual
from tnsim.networks.square_network import InfiniteNetwork
from tnsim.symmetry import Leg, trivial_leg
from tnsim.tensor import Tensor, contract, diagonal, from_dense, transpose

Network = InfiniteNetwork | NormNetwork
# far bonds of a state: summed over, or in their first state, which breaks a symmetry
STATE_STARTS = ("traced", "first")


def symmetric_tensor(network: Network) -> Tensor:
    """The tensor of the cell, which has to have all symmetries of the square."""
    assert isinstance(network, InfiniteNetwork)  # as settings with symmetric=True let in no other
    tensor = network.tensor
    if not is_self_dual(tensor.group):
        raise LegError(f"CTMRG conserves Z_2 charges, found {tensor.group!r}: build the network without it.")
    if tensor.dtype.kind == "c":
        raise OperatorError("CTMRG needs a real tensor, found complex numbers.")
    even = directed(tensor, (1, 1, 1, 1))
    for order, what in (((1, 2, 3, 0), "a quarter turn"), ((0, 3, 2, 1), "a reflection")):
        if len(set(tensor.shape)) > 1:
            raise LegError(f"CTMRG needs four equal legs, found {list(tensor.legs)}.")
        off = (transpose(even, order) - even).norm() / even.norm()
        if not off <= 1e3 * np.finfo(tensor.dtype).eps:
            raise OperatorError(
                f"CTMRG needs a tensor that all symmetries of the square leave alone; {what} changes it by {off:.1e} "
                "of its norm: use CTMRG(symmetric=False), or the model's plaquettes() where bonds are alike."
            )
    return tensor


def _edge_vector(network: InfiniteNetwork, name: str) -> np.ndarray | None:
    """The edge of a network to start from, if it has one."""
    edges = network.edges
    if name and name not in edges:
        raise SettingsError(f"this network has no edge {name!r} to start from. {suggest(name, edges)}")
    return next((edges[known] for known in (name, "fixed", "free") if known in edges), None)


def _edge(vector: np.ndarray, inward: Leg, like: Tensor) -> Tensor:
    """An edge of bond dimension 1."""
    one = trivial_leg(1, 1, like.group)
    array = (np.asarray(vector) / np.linalg.norm(vector)).astype(like.dtype).reshape(1, -1, 1)
    return from_dense(array, (one, inward, one.dual), tolerance=1e-9).to(like.backend)


def corner_start(network: InfiniteNetwork, name: str) -> CornerEnvironment:
    """A corner and an edge of bond dimension 1."""
    tensor = symmetric_tensor(network)
    vector = _edge_vector(network, name)
    edge = _edge(_leading(tensor) if vector is None else vector, tensor.legs[0].with_flow(-1), tensor)
    spectrum = Spectrum(edge.legs[0], np.ones(1))
    return CornerEnvironment(corner_of(spectrum, edge), edge, spectrum, tensor)


def directional_start(network: Network, name: str) -> DirectionalEnvironment:
    """Corners and edges of bond dimension 1 around every site of the cell; states are traced at the far bonds."""
    if isinstance(network, NormNetwork):
        if name and name not in STATE_STARTS:
            raise SettingsError(f"a PEPS has no edge {name!r} to start from. {suggest(name, STATE_STARTS)}")
        first = name == "first"
        traced = [[[open_bond(t, side, first=first) for side in range(4)] for t in row] for row in network.rows]
    else:
        vector = _edge_vector(network, name)
        traced = [[_open_ends(tensor, vector) for tensor in row] for row in network.rows]
    pairs = (zip(row, ends, strict=True) for row, ends in zip(network.rows, traced, strict=True))
    return DirectionalEnvironment(tuple(tuple(_surroundings(tensor, ends) for tensor, ends in row) for row in pairs))


def _surroundings(tensor: Tensor, ends: Sequence[Tensor]) -> Surroundings:
    """A site whose edges are vectors on its legs."""
    one = trivial_leg(1, 1, tensor.group)
    unit = from_dense(np.ones((1, 1), dtype=tensor.dtype), (one, one.dual)).to(tensor.backend)
    edges = tuple(contract("a b, p -> a p b", unit, end / end.norm()) for end in ends)
    return Surroundings((unit,) * 4, edges, tensor)  # type: ignore[arg-type]


def _open_ends(tensor: Tensor, vector: np.ndarray | None) -> list[Tensor]:
    """A vector on what an edge sees of every leg."""
    ends = []
    for leg in tensor.legs:
        own = vector
        if own is None or len(own) != leg.dim:
            # without a known edge: all states of the neutral sector alike
            if leg.index_of(tensor.group.identity) is None:
                raise LegError(f"CTMRG starts in the neutral sector, which {leg!r} lacks.")
            group = tensor.group
            if {group.dual(charge) for charge in leg.charges} != set(leg.charges):
                raise LegError(
                    f"CTMRG starts in the neutral sector, which charges of one sign, as of {leg!r}, never leave: build "
                    "the network without them."
                )
            own = np.zeros(leg.dim)
            own[leg.slice_of(tensor.group.identity)] = 1.0
        array = np.asarray(own).astype(tensor.dtype)
        ends.append(from_dense(array, [leg.dual], tolerance=1e-9 * float(np.abs(array).max())).to(tensor.backend))
    return ends


def _leading(tensor: Tensor) -> np.ndarray:
    """A vector for networks that name no edge: that of the closed transfer matrix, in the neutral sector."""
    delta = diagonal(tensor.backend.asarray(np.ones(tensor.legs[1].dim, dtype=tensor.dtype)), tensor.legs[1])
    matrix = contract("n e s w, w e -> n s", tensor, delta)
    vectors, spectrum = eigh((matrix + directed(transpose(matrix, (1, 0)), (1, -1))) * 0.5, Truncation(chi_max=1))
    return vectors.backend.to_host(vectors.to_dense())[:, 0]
