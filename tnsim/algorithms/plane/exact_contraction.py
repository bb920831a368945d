"""Exact contraction of any network of tensors, in slices where memory is short; marginals of factor graphs."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, product

import numpy as np

from tnsim.backend import block_threads, one_thread, thread_count
from tnsim.errors import NumericalError, OperatorError, SettingsError, check_fields, suggest
from tnsim.networks.contraction_plan import ContractionPlan, Path, bytes_of, make_plan
from tnsim.networks.factor_graph import FactorGraph
from tnsim.networks.tensor_network import TensorNetwork, Words
from tnsim.tensor import Tensor, contract_words, select, trace, transpose

_PATHS = ("auto", "auto-hq", "branch-2", "branch-all", "dp", "greedy", "optimal", "random-greedy", "random-greedy-128")


@dataclass(frozen=True)
class Contracted:
    """A contracted network: the tensor of its open indices, the plan that was followed, and slices side by side."""

    result: Tensor
    plan: ContractionPlan
    threads: int

    @property
    def value(self) -> complex:
        """The number that a network without open indices stands for; ShapeError for others."""
        return self.result.item()

    def __repr__(self) -> str:
        result = repr(self.result) if self.result.legs else f"{self.value:.14g}"
        return f"Contracted: {result}\n  {self.plan!r}, {self.threads} at a time"


@dataclass(frozen=True, kw_only=True)
class ExactContraction:
    """Settings of an exact contraction: dense and symmetric tensors, any dtype, on the device they lie on.

    Where memory is short, indices are sliced: one contraction a value, summed. As many slices run side by side as there
    are threads and as the memory holds (on a GPU one after another). Sums of whole numbers are exact below 2^53 in
    float64. Cost: see `plan`, which nothing is computed for.

    >>> from tnsim.networks.factor_graph import colourings
    >>> square = colourings([(1, 2), (2, 3), (3, 4), (4, 1)], colours=3)
    >>> ExactContraction().solve(square.network()).value
    18.0
    >>> ExactContraction(memory=800).solve(square.network()).value
    18.0
    """

    memory: int | None = field(
        default=None, metadata={"help": "bytes for slices and intermediates beside the tensors; none: all, unsliced"}
    )
    path: str | Callable = field(
        default="auto", metadata={"help": "an opt_einsum optimizer by name, or as object (cotengra's work too)"}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.memory is not None and self.memory < 1:
            raise SettingsError(f"memory is at least 1 byte, found {self.memory}.")
        if isinstance(self.path, str) and self.path not in _PATHS:
            raise SettingsError(f"unknown path optimizer {self.path!r}. {suggest(self.path, _PATHS)}")

    def plan(self, network: TensorNetwork) -> ContractionPlan:
        """Path, slices, flops and memory.

        Raises SettingsError where no slicing fits into the memory, or where none was set and the machine has less than
        is needed; OperatorError for other things than a TensorNetwork.
        """
        if not isinstance(network, TensorNetwork):
            raise OperatorError(f"a TensorNetwork is contracted, found {type(network).__name__}.")
        plan = make_plan(network, self.path, self.memory, bytes_of(network))
        machine = machine_memory()
        if self.memory is None and network.backend.name == "numpy" and plan.memory > machine:
            fitting = make_plan(network, self.path, machine, bytes_of(network))
            raise SettingsError(
                f"this contraction needs {plan.memory:.3g} bytes, the machine has {machine:.3g}: with memory={machine} "
                f"it takes {fitting.slices} slices by {' '.join(fitting.sliced)} and {fitting.flops:.3g} flops "
                f"(without slices {plan.flops:.3g}); a better path may need less (see the setting path)."
            )
        return plan

    def solve(self, network: TensorNetwork) -> Contracted:
        """Contract a network; raises what `plan` raises, and NumericalError where the result overflows."""
        plan = self.plan(network)
        threads = self._threads(network, plan)
        pieces = [traced(network.indices[name], tensor) for name, tensor in network.tensors.items()]
        job = partial(_slice, pieces, plan.path, network.open_indices)
        dims = {word: leg.dim for words, tensor in pieces for word, leg in zip(words, tensor.legs, strict=True)}
        values = product(*(range(dims[word]) for word in plan.sliced))
        results = _run(job, (dict(zip(plan.sliced, place, strict=True)) for place in values), threads)
        total = next(results)
        for result in results:
            total.data += result.data
        if not total.backend.all_finite(total.data):
            raise NumericalError(f"the contraction overflows {total.dtype}: scale the tensors down.")
        return Contracted(total, plan, threads)

    def _threads(self, network: TensorNetwork, plan: ContractionPlan) -> int:
        """Slices side by side: as many as there are threads, on the host, and as the memory holds."""
        if self.memory is None or network.backend.name != "numpy":
            return 1
        return max(1, min(thread_count(), plan.slices, self.memory // max(1, plan.memory)))


def marginals(graph: FactorGraph, contraction: ExactContraction | None = None) -> dict[str, np.ndarray]:
    """Probability of every value of every variable, weights normalised; one contraction a variable.

    Raises OperatorError for weights that are negative or complex, NumericalError where all assignments weigh zero.

    >>> from tnsim.networks.factor_graph import satisfiability
    >>> marginals(satisfiability([[1, 2], [-1]]))["2"]
    array([0., 1.])
    """
    for names, table in graph.factors:
        if table.dtype.kind == "c" or (table < 0).any():
            raise OperatorError(f"probabilities need weights of at least 0; the factor of {names} has others.")
    contraction = contraction or ExactContraction()
    found = {}
    for name in graph.variables:
        result = contraction.solve(graph.network(open_variables=[name])).result
        weights = result.backend.to_host(result.array)
        if not weights.sum() > 0:
            raise NumericalError("no assignment has a weight above zero: there are no marginals.")
        found[name] = weights / weights.sum()
    return found


def machine_memory() -> int:
    """Bytes of main memory; a bound that nothing reaches where the system does not tell."""
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return 2**62
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def traced(words: Words, tensor: Tensor) -> tuple[Words, Tensor]:
    """A tensor with the indices that stand on it twice summed over."""
    while double := [word for word in words if words.count(word) == 2]:
        first = words.index(double[0])
        second = words.index(double[0], first + 1)
        tensor = trace(tensor, first, second)
        words = tuple(word for word in words if word != double[0])
    return words, tensor


def _run(job: Callable, places: Iterable[dict[str, int]], threads: int) -> Iterator[Tensor]:
    """Results of all slices in their order; no more of them at once than there are threads."""
    places = iter(places)
    if threads == 1:
        yield from map(job, places)
        return

    def alone(place: dict[str, int]) -> Tensor:
        with one_thread():
            return job(place)

    with block_threads(), ThreadPoolExecutor(threads, "tnsim-slice") as pool:
        while batch := list(islice(places, threads)):
            yield from pool.map(alone, batch)


def _slice(pieces: list[tuple[Words, Tensor]], path: Path, output: Words, place: dict[str, int]) -> Tensor:
    """The network with sliced indices at one place."""
    waiting = dict(enumerate(pieces))
    for number, (first, second) in enumerate(path, start=len(pieces)):
        (words_a, a), (words_b, b) = (_at(*waiting.pop(piece), place) for piece in (first, second))
        free = tuple(word for word in words_a + words_b if (word in words_a) != (word in words_b))
        words = output if number == len(pieces) + len(path) - 1 else free
        waiting[number] = words, contract_words(words_a, a, words_b, b, words)
    ((words, result),) = waiting.values()
    return transpose(result, tuple(words.index(word) for word in output))


def _at(words: Words, tensor: Tensor, place: dict[str, int]) -> tuple[Words, Tensor]:
    """A tensor with its sliced indices at one place; a result has them there already."""
    for axis, word in enumerate(words):
        if word in place and tensor.shape[axis] > 1:
            tensor = select(tensor, axis, place[word])
    return words, tensor
