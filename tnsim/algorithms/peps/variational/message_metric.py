"""What belief propagation tells of the norm around every tensor of a finite state, for steps that go as far in every
direction as they should: the norm as a product of matrices on the legs of a tensor, exact on trees.

Sources: X.-Y. Zhang, Q. Yang, P. Corboz, J. Haegeman, W. Tang, arXiv 2511.09546 (the norm as a metric); R. Alkabetz,
I. Arad, Phys. Rev. Research 3, 023073 (2021) (the messages).
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tnsim.algorithms.peps.variational.norm_metric import HOLD
from tnsim.linalg import eigh
from tnsim.networks.peps.bond_graph import BondGraph
from tnsim.networks.peps.weighted import scale_leg
from tnsim.networks.square_network import EAST, NORTH, SOUTH, WEST
from tnsim.tensor import Tensor, bra, contract, eye, transpose

Messages = list[Tensor]
# a metric need not be precise: the largest change of a message in a round, and rounds at most
_SETTLED, _ROUNDS = 3e-2, 10


def messages_of(tensors: Sequence[Tensor], graph: BondGraph) -> list[Messages]:
    """For the legs of every tensor what the rest of the state makes there of its norm: (leg, leg.dual), of norm 1.

    Cost O(D^5 d) a tensor and round.
    """
    around = [[eye(leg, dtype=t.dtype, backend=t.backend) / leg.dim**0.5 for leg in t.legs[:4]] for t in tensors]
    for turn in range(_ROUNDS):
        change = 0.0
        # to and fro, so that what a tensor tells reaches all that come after it
        for number in range(len(tensors)) if turn % 2 == 0 else range(len(tensors) - 1, -1, -1):
            for leg, message in enumerate(_sent(tensors[number], around[number])):
                there, opposite = graph.neighbour(number, leg), (leg + 2) % 4
                if there is not None:
                    change = max(change, (message - around[there][opposite]).norm())
                    around[there][opposite] = message
        if change < _SETTLED:
            break
    return around


def inverse_messages(messages: Messages, like: Tensor) -> Callable[[Tensor], Tensor]:
    """Applies (N + hold)^-1 to tensors of one structure, N being the product of the messages at the legs; positive.

    Directions that the norm tells less of are held as those of `inverse_metric`. Cost O(D^5 d).
    """
    bases, weights = [], Tensor(like.legs, like.backend.asarray(np.ones(like.size, dtype=like.dtype)), like.charge)
    for leg, message in enumerate(messages):
        basis, spectrum = eigh(message)
        bases.append(basis)
        weights = scale_leg(weights, leg, np.abs(spectrum.values) / (np.abs(spectrum.values).max() or 1.0))
    factors = 1 / (weights.backend.to_host(weights.data).real + HOLD)
    factors = like.backend.asarray(factors.astype(like.dtype))

    def apply(tensor: Tensor) -> Tensor:
        for leg, basis in enumerate(bases):
            tensor = _on(tensor, leg, transpose(basis.conj(), (1, 0)))
        tensor = Tensor(tensor.legs, tensor.data * factors, tensor.charge)
        for leg, basis in enumerate(bases):
            tensor = _on(tensor, leg, basis)
        return tensor

    return apply


def _sent(tensor: Tensor, messages: Messages) -> Iterator[Tensor]:
    """What a tensor tells the neighbours at its four legs."""
    tall = _on(_on(tensor, NORTH, messages[NORTH]), SOUTH, messages[SOUTH])
    wide = _on(_on(tensor, EAST, messages[EAST]), WEST, messages[WEST])
    for leg, pair in ((NORTH, wide), (EAST, tall), (SOUTH, wide), (WEST, tall)):
        opposite = (leg + 2) % 4
        yield _to(leg, _on(pair, opposite, messages[opposite]), tensor)


def _to(leg: int, ket: Tensor, tensor: Tensor) -> Tensor:
    """A ket that holds its messages beside the conjugate, open at a leg: (leg of the bra, of the ket), Hermitian."""
    words = [f"l{k}" for k in range(ket.ndim)]
    below = ["x" if k == leg else word for k, word in enumerate(words)]
    traced = [k for k in range(ket.ndim) if k != leg]
    found = contract(f"{' '.join(words)}, {' '.join(below)} -> x {words[leg]}", ket, bra(tensor, traced))
    found = found + transpose(found.conj(), (1, 0))
    return found / (found.norm() or 1.0)


def _on(tensor: Tensor, leg: int, matrix: Tensor) -> Tensor:
    """A matrix (leg, leg.dual) applied to a leg."""
    words = [f"l{k}" for k in range(tensor.ndim)]
    out = ["x" if k == leg else word for k, word in enumerate(words)]
    return contract(f"x {words[leg]}, {' '.join(words)} -> {' '.join(out)}", matrix, tensor)
