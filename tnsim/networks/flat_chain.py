"""A chain on the CPU as a few flat arrays, on which whole layers of unitary gates act in one compiled call each.

--B--B--B--B--  ->  one call a layer, all bonds side by side, on as many threads as there are
 gate  gate
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from math import log

import numpy as np

from tnsim.backend import thread_count
from tnsim.errors import NumericalError
from tnsim.kernels.cpu import chain as chains
from tnsim.kernels.cpu import gate_layer
from tnsim.linalg import Truncation
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mps import MPS
from tnsim.networks.two_site_gate import TwoSiteGate
from tnsim.networks.two_site_split import cutoff_of
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor

Layer = Sequence[tuple[int, TwoSiteGate]]
# gates that are no farther from a multiple of the identity (Frobenius norm) leave the state's bases nearly alone
_SMALL = 0.3
_LAYERS = 256
# below this many cubes of sectors a layer takes about a millisecond, and waking threads a good part of it
_THREADED = 1e5
_BROKEN, _CHECK = "NaN, Inf or nothing but zeros", "check the Hamiltonian and the start state"
# more room than is needed now: bonds grow
_GROWTH = 1.5


@dataclass(frozen=True, eq=False)
class _Table:
    """A layer as arrays; see `gate_layer.apply_layer`."""

    bonds: np.ndarray
    numbers: np.ndarray
    entries: np.ndarray
    values: np.ndarray
    ends: np.ndarray
    small: np.ndarray


class FlatChain:
    """A finite state of norm 1, right-isometric, in flat arrays of 128-bit complex numbers; pending: whether layers
    acted on it since `finish`; from_warm_starts: whether some cuts since then were."""

    def __init__(self, psi: MPS, truncation: Truncation) -> None:
        psi = canonicalize(psi, 0)
        self.sites, self.truncation, self.pending = psi.sites, truncation, False
        self._weight, self.from_warm_starts = 0.0, False
        self._tables: dict[int, tuple[Layer, _Table]] = {}
        self._made: list[Tensor] = psi.tensors
        group = psi.tensors[0].legs[0].group
        self._group = group
        bonds = [tensor.legs[0] for tensor in psi.tensors] + [psi.tensors[-1].legs[2].dual]
        legs = [site.leg for site in psi.sites]
        empty, dtype = np.zeros(psi.L + 1, dtype=np.int64), psi.tensors[0].dtype
        nothing = np.zeros(0, dtype=dtype), empty, np.zeros(0, dtype=dtype), np.zeros(psi.L + 2, dtype=np.int64)
        self._chain: tuple[np.ndarray, ...] = (*nothing, *_padded(bonds), *_padded(legs), group.moduli_array)
        even, odd = (np.arange(first, psi.L - 1, 2) for first in (0, 1))
        sizes = np.array([tensor.data.size for tensor in psi.tensors])
        self._make_room([even, odd], sizes, np.array([2 * int((leg.dims_array**2).sum()) for leg in bonds]))
        store, starts = self._chain[:2]
        for i, tensor in enumerate(psi.tensors):
            store[starts[i] : starts[i] + tensor.data.size] = tensor.data
        self._since = np.zeros(len(bonds), dtype=np.int64)

    @staticmethod
    def takes(tensor: Tensor, method: str) -> bool:
        """Whether such data and such cuts are what the compiled layers are for."""
        return tensor.backend.kernels.name == "cpu" and tensor.dtype == np.complex128 and method == "leading"

    def holds(self, tensors: list[Tensor]) -> bool:
        """Whether the state is what these tensors became."""
        return self.pending or all(one is other for one, other in zip(self._made, tensors, strict=True))

    def apply(self, layer: Layer) -> float:
        """Gates on bonds (bond i lies right of site i) that do not overlap; returns the discarded weight, but for cuts
        from a warm start. Raises NumericalError for NaN."""
        if not self.pending:  # from the state alone, so that a run that was resumed has the same numbers
            self._since[:] = 0
            chains.fill_cores(self._chain)
        table = self._table(layer)
        self._make_room([table.bonds])
        cut, reports = self.truncation, np.zeros((len(table.bonds), gate_layer.REPORTED))
        limits = (
            cut.chi_max,
            cut.chi_min,
            cutoff_of("leading", cut, self._chain[0].dtype),
            cut.trunc_err,
            cut.degeneracy_tol,
        )
        arguments = (
            self._chain, table.bonds, table.numbers, table.entries, table.values, table.ends, limits, table.small,
            self._since, reports, np.zeros(1, dtype=np.int64),
        )  # fmt: skip
        _side_by_side(self._threads(table.bonds), arguments)
        for bond in table.bonds[reports[:, gate_layer.FAILED] > 0]:
            raise NumericalError(f"{_BROKEN} in the two-site tensor on sites {bond} and {bond + 1}: {_CHECK}.")
        weight = float(reports[:, gate_layer.CUT].sum())
        self._weight += weight
        self.from_warm_starts = self.from_warm_starts or bool(reports[:, gate_layer.WARM].any())
        self.pending = True
        return weight

    def _threads(self, bonds: np.ndarray) -> int:
        """As many as there are and gates are for, where the work is worth waking them."""
        threads = min(thread_count(), len(bonds))
        if threads > 1:
            dims, counts = self._chain[5][bonds + 1], self._chain[6][bonds + 1]
            used = np.where(np.arange(dims.shape[1]) < counts[:, None], dims, 0)
            return threads if (used**3).sum() >= _THREADED else 1
        return threads

    def finish(self) -> tuple[MPS, float, float]:
        """The state with norm 1 and its centre on the first site; the summed discarded weight and the logarithm of what
        cuts did to the norm since the last call. Cost of half a layer.

        As gates are unitary, what the norm lost is what cuts took, also those from a warm start, which do not know it.
        """
        norm = chains.restore(self._chain)
        if not 0 < norm < np.inf:
            raise NumericalError(
                "NaN, Inf or nothing but zeros in the state: check the Hamiltonian and the start state."
            )
        weight = max(self._weight, -2 * log(norm)) if self.from_warm_starts else self._weight
        self._weight, self.from_warm_starts, self.pending = 0.0, False, False
        self._made = self._tensors()
        return MPS(self._made.copy(), self.sites, 0), weight, log(norm)

    def _tensors(self) -> list[Tensor]:
        store, starts, keys, dims, counts = (self._chain[n] for n in (0, 1, 4, 5, 6))
        bonds = [
            Leg.from_keys(self._group, keys[i, :n].copy(), dims[i, :n].copy()) for i, n in enumerate(counts.tolist())
        ]
        tensors = []
        for i, site in enumerate(self.sites):
            size = chains.site_blocks(self._chain, i)[2]
            data = store[starts[i] : starts[i] + size].copy()
            tensors.append(Tensor((bonds[i], site.leg, bonds[i + 1].dual), data))
        return tensors

    def _table(self, layer: Layer) -> _Table:
        known = self._tables.get(id(layer))
        if known is None:
            if len(self._tables) > _LAYERS:
                self._tables.clear()
            known = self._tables[id(layer)] = layer, _table(layer)
        return known[1]

    def _make_room(self, layers: Sequence[np.ndarray], *least: np.ndarray) -> None:
        """Arrays that hold what layers on these bonds may need at most, larger ones where they do not.

        least: of every site and of every core, in any case."""
        chain, found = (
            list(self._chain),
            [gate_layer.room(self._chain, bonds, self.truncation.chi_max) for bonds in layers],
        )
        sectors = max(room[2] for room in found)
        for number, place in enumerate((0, 2)):
            needed, there = np.max([room[number][:-1] for room in found], axis=0), np.diff(chain[place + 1])
            if least or (needed > there).any():
                grown = np.maximum((_GROWTH * needed).astype(np.int64), least[number] if least else there)
                chain[place], chain[place + 1] = _moved(chain[place], chain[place + 1], grown)
        if sectors > chain[4].shape[1]:
            for place in (4, 5):
                wider = np.zeros((len(chain[place]), int(_GROWTH * sectors) + 1), dtype=np.int64)
                wider[:, : chain[place].shape[1]] = chain[place]
                chain[place] = wider
        self._chain = tuple(chain)


@cache
def _helpers() -> ThreadPoolExecutor:
    """Threads that stay from layer to layer; a process that is forked off starts its own."""
    return ThreadPoolExecutor(max((os.cpu_count() or 1) - 1, 1), "tnsim-layer")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)


def _side_by_side(threads: int, arguments: tuple) -> None:
    """One layer on so many threads, which claim its gates one by one."""
    others = [_helpers().submit(gate_layer.apply_layer, *arguments) for _ in range(threads - 1)]
    try:
        gate_layer.apply_layer(*arguments)
    finally:
        wait(others)
    for other in others:
        other.result()


def _table(layer: Layer) -> _Table:
    """A layer as arrays, every gate once."""
    known: dict[int, int] = {}
    gates: list[TwoSiteGate] = []
    for _, gate in layer:
        if id(gate) not in known:
            known[id(gate)] = len(gates)
            gates.append(gate)
    return _Table(
        np.array([bond for bond, _ in layer], dtype=np.int64),
        np.array([known[id(gate)] for _, gate in layer], dtype=np.int64),
        np.concatenate([gate.pattern.entries for gate in gates]).astype(np.int64),
        np.concatenate([gate.values for gate in gates]).astype(np.complex128),
        _starts(np.array([len(gate.values) for gate in gates])),
        np.array([_distance(gate) <= _SMALL for gate in gates]),
    )


def _distance(gate: TwoSiteGate) -> float:
    """Between a gate and the nearest multiple of the identity."""
    first, second = gate.pattern.first.dim, gate.pattern.second.dim
    tensor = np.zeros((first, second, first, second), dtype=np.complex128)
    tensor[tuple(gate.pattern.entries.T)] = gate.values
    matrix = tensor.reshape(first * second, first * second)
    return float(np.linalg.norm(matrix - np.trace(matrix) / len(matrix) * np.eye(len(matrix))))


def _starts(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _padded(legs: Sequence[Leg]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Charges and dimensions, a row a leg, and how many of a row are in use."""
    counts = np.array([len(leg) for leg in legs], dtype=np.int64)
    keys, dims = np.zeros((2, len(legs), counts.max()), dtype=np.int64)
    for i, leg in enumerate(legs):
        keys[i, : len(leg)], dims[i, : len(leg)] = leg.keys, leg.dims_array
    return keys, dims, counts


def _moved(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of a flat array in one with larger pieces."""
    places = _starts(sizes)
    out = np.empty(places[-1], dtype=data.dtype)
    for i, (a, b) in enumerate(zip(starts[:-1], starts[1:], strict=True)):
        out[places[i] : places[i] + b - a] = data[a:b]
    return out, places
