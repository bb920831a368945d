"""What all updates of a PEPS share: terms as gates along ways over the lattice, their layers, the stages of a step."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.evolution import Evolution, check_hermitian, evolving_dtype
from tnsim.algorithms.evolution.gate_layers import exponential
from tnsim.algorithms.evolution.splitting import composition_lengths, join_steps, stage_lengths
from tnsim.errors import OperatorError, ShapeError, StateError
from tnsim.linalg import Spectrum
from tnsim.measure.entanglement import entropy_of_weights
from tnsim.networks.gates import gate_tensor
from tnsim.networks.peps import PlaneTerms, SquareState
from tnsim.networks.peps.bond_graph import BondGraph, Walk, bond_graph
from tnsim.networks.purification import pair_tensor, purified_site
from tnsim.networks.sites import Site
from tnsim.tensor import Tensor, bra, contract

# the longest way that a gate is led over
LONGEST = 3


@dataclass(frozen=True, eq=False)
class WalkTerm:
    """A matrix on the ends of a walk, in the Kronecker basis of their sites; count: places of the cell it begins in."""

    walk: Walk
    matrix: np.ndarray
    sites: tuple[Site, Site]
    count: int


class PlaneGates(ABC):
    """Gates on a list of tensors, applied layer by layer; a propagator but for what one gate does.

    Sites that the terms do not know but for an ancilla (`purified_site`) keep that ancilla out of the gates.
    """

    conserves = False

    def __init__(self, settings: Evolution, H: PlaneTerms, psi: SquareState, order: int) -> None:
        check_input(settings, H, psi)
        self.settings, self.order, self.graph = settings, order, bond_graph(psi.pattern, psi.closed)
        self._sites = tuple(H.sites[i][j] for i, j in first_places(psi))
        self._terms = walk_terms(H, psi, self.graph)
        self._layers = layers_of([term.walk for term in self._terms])
        self._places = len(list(psi.places())) if psi.infinite else 1
        self._dtype = evolving_dtype(settings, psi.dtype, *(term.matrix.dtype for term in self._terms))
        self._known: dict[tuple[int, float], Tensor] = {}
        self.tensors: list[Tensor] = []
        self.weights: list[Spectrum] = []

    @abstractmethod
    def _apply(self, walk: Walk, gate: Tensor) -> tuple[float, float]:
        """One gate: the discarded weight, and the factor on the norm."""

    @property
    @abstractmethod
    def state(self) -> Any:
        """The state as it stands."""

    @abstractmethod
    def energy(self, time: float) -> float | None:
        """What the update itself sees of it; None where it sees none."""

    def advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Some steps: the summed discarded weight, and the logarithm of the factor on the norm (infinite: per site)."""
        weight, log_norm = 0.0, 0.0
        for gates in self._passes(steps):
            for number, length in gates:
                done = self._apply(self._terms[number].walk, self._gate(number, length * dt))
                weight += done[0]
                log_norm += float(np.log(max(done[1], 1e-300))) * self._terms[number].count
            self._layer_done()
        return weight, log_norm / self._places

    def schedule(self, steps: int) -> list[tuple[int, float]]:
        """(number of a layer, length of its gates in steps): all layers forwards, backwards, ...; equal ones in a row
        become one."""
        lengths = composition_lengths(join_steps([stage_lengths(self.order)] * steps))
        joined: list[tuple[int, float]] = []
        for turn, length in enumerate(lengths):
            numbers = range(len(self._layers))
            for layer in reversed(numbers) if turn % 2 else numbers:
                if joined and joined[-1][0] == layer:
                    joined[-1] = (layer, joined[-1][1] + length)
                else:
                    joined.append((layer, length))
        return joined

    def _passes(self, steps: int) -> Iterator[list[tuple[int, float]]]:
        """The gates of some steps in the order in which they act, layer by layer: (number, length in steps)."""
        for layer, length in self.schedule(steps):
            yield [(number, length) for number in self._layers[layer]]

    def _layer_done(self) -> None:  # noqa: B027
        """Called after the gates of a layer."""

    def entropy(self) -> float:
        """The largest entanglement entropy that the weights of a bond show."""
        return max((entropy_of_weights(weight.values**2) for weight in self.weights), default=0.0)

    def settle(self) -> None:  # noqa: B027
        """Bring the state to the form in which it is handed out."""

    def marks(self) -> list[np.ndarray]:
        """Singular values of every bond, largest first: what stands still when the state does."""
        return [np.sort(weight.values)[::-1] for weight in self.weights]

    def remember(self) -> Any:
        """Tensors and weights as they stand."""
        return list(self.tensors), list(self.weights)

    def return_to(self, memory: Any) -> None:
        """Undo what was done since."""
        self.tensors, self.weights = map(list, memory)

    def _gate(self, number: int, tau: float) -> Tensor:
        """exp(-H tau) or exp(-i H tau) of a term; equal ones are made once."""
        key = number, tau
        if key not in self._known:
            self._known[key] = self._operator(
                number, exponential(self.settings.generator * tau, self._terms[number].matrix)
            )
        return self._known[key]

    def _operator(self, number: int, matrix: np.ndarray) -> Tensor:
        """A matrix on the ends of a walk as a tensor (out, out, in, in) beside the state."""
        backend = self.tensors[0].backend
        return gate_tensor(matrix, self._terms[number].sites).astype(self._dtype).to(backend)

    def _energies(self, mean: Any) -> float | None:
        """The sum of `mean(walk, operator)` over all terms, per site if infinite; None where H is not Hermitian."""
        if self.settings.non_hermitian:
            return None
        total = sum(
            term.count * mean(term.walk, self._operator(number, term.matrix)) for number, term in enumerate(self._terms)
        )
        return total / self._places

    def _with_ancillas(self, tensors: Sequence[Tensor], kinds: Sequence[Site]) -> list[Tensor]:
        """Purified sites with their ancilla as a leg of its own, the last one."""
        made = []
        for tensor, kind, site in zip(tensors, kinds, self._sites, strict=True):
            tensor = tensor.astype(self._dtype)
            if kind != site:
                pairs = pair_tensor(site).astype(tensor.dtype).to(tensor.backend)
                tensor = contract("n e s w q, p a q -> n e s w p a", tensor, pairs)
            made.append(tensor)
        return made

    def _without_ancillas(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The inverse."""
        made = []
        for tensor, site in zip(tensors, self._sites, strict=True):
            if tensor.ndim == 6:
                pairs = pair_tensor(site).astype(tensor.dtype).to(tensor.backend)
                tensor = contract("n e s w p a, p a q -> n e s w q", tensor, bra(pairs, (0, 1)))
            made.append(tensor)
        return made


def check_input(settings: Evolution, H: Any, psi: Any) -> None:
    """OperatorError, StateError, ShapeError for input that an update of a PEPS cannot take."""
    if not isinstance(H, PlaneTerms):
        raise OperatorError(
            "updates of a PEPS take PlaneTerms: PlaneTerms.of(model) or PlaneTerms.infinite_of(model, pattern), "
            f"found {type(H).__name__}."
        )
    if not isinstance(psi, SquareState):
        raise StateError(f"an update starts from a PEPS or an InfinitePEPS, found {type(psi).__name__}.")
    if H.closed != psi.closed or H.shape != psi.shape:
        raise ShapeError(f"the terms, {H!r}, and the state, {psi!r}, do not fit.")
    check_hermitian(settings, H.is_hermitian)
    for i, j in psi.places():
        if psi.site(i, j) not in (H.sites[i][j], purified_site(H.sites[i][j])):
            raise StateError(
                f"at {(i, j)} the terms act on {H.sites[i][j]!r}, but the state has {psi.site(i, j)!r}: make both with "
                "the same sites and `conserve`."
            )


def first_places(psi: SquareState) -> list[tuple[int, int]]:
    """A place where every tensor stands."""
    found: dict[int, tuple[int, int]] = {}
    for place in psi.places():
        found.setdefault(psi.number(*place), place)
    return [found[number] for number in range(len(psi.tensors))]


def walk_terms(H: PlaneTerms, psi: SquareState, graph: BondGraph) -> list[WalkTerm]:
    """The terms by walk: one on sites that are no neighbours is shared by both ways that turn once.

    Raises OperatorError where terms differ between places with equal tensors, and for ways that cannot be led.
    """
    matrices: dict[Walk, dict[tuple[int, int], np.ndarray]] = defaultdict(dict)
    for term in H.bonds:
        walks = graph.walks(term.first, term.second, LONGEST)
        for walk in walks:
            known = matrices[walk].get(term.first, 0.0)
            matrices[walk][term.first] = known + term.matrix / len(walks)
    found = []
    for walk, by_place in matrices.items():
        first, *others = by_place.values()
        standing = sum(psi.number(*place) == walk.numbers[0] for place in psi.places())
        scale = float(np.abs(first).max())
        if len(by_place) != standing or any(np.abs(other - first).max() > 1e-12 * scale for other in others):
            raise OperatorError(
                f"the terms along tensors {walk.numbers} differ between places with equal tensors: take a pattern that "
                f"tells these places apart, found {psi.pattern}."
            )
        place, (down, right) = next(iter(by_place)), _offset(walk)
        sites = H.site(*place), H.site(place[0] + down, place[1] + right)
        found.append(WalkTerm(walk, first, sites, standing if psi.infinite else 1))
    return found


def _offset(walk: Walk) -> tuple[int, int]:
    """(rows down, columns east) from the first to the last tensor; legs count north, east, south, west."""
    steps = ((-1, 0), (0, 1), (1, 0), (0, -1))
    return sum(steps[leg][0] for leg in walk.legs), sum(steps[leg][1] for leg in walk.legs)


def layers_of(walks: Sequence[Walk]) -> list[list[int]]:
    """Numbers of walks that share no tensor, layer by layer: the first layer with room takes each walk."""
    layers: list[list[int]] = []
    taken: list[set[int]] = []
    for number, walk in sorted(enumerate(walks), key=lambda entry: (len(entry[1].legs), entry[1].legs)):
        for layer, used in zip(layers, taken, strict=True):
            if used.isdisjoint(walk.numbers):
                layer.append(number)
                used.update(walk.numbers)
                break
        else:
            layers.append([number])
            taken.append(set(walk.numbers))
    return layers
