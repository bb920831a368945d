"""Any network of tensors: which index of which tensor is summed with which."""

from collections.abc import Mapping, Sequence

from tnsim.backend import Backend
from tnsim.errors import BackendError, LegError, NumericalError, OperatorError, ShapeError
from tnsim.tensor import Tensor

Words = tuple[str, ...]
Entry = tuple[Tensor, str | Sequence[str]]


class TensorNetwork:
    """Tensors with a name for every index: two legs of one name are summed over, `open_indices` stay.

    tensors: (tensor, indices) by name, or as a list (the names are then "0", "1", ...); indices as "a b c" or
    ["a", "b", "c"]. Summed legs have equal sectors and opposite flow, and may belong to one tensor (a trace). The legs
    of the result stand in the order of `open_indices`.

    Raises ShapeError for an index that stands once and is not open, or more than twice; LegError for legs that do not
    fit; BackendError for mixed devices; NumericalError for NaN or Inf.

    >>> import numpy as np
    >>> from tnsim.tensor import from_dense
    >>> A, B = from_dense(np.ones((2, 3))), from_dense(np.ones((3, 2)))
    >>> TensorNetwork({"A": (A, "a b"), "B": (B, "b a")})
    TensorNetwork of 2 tensors: 2 indices summed over, none open
    """

    def __init__(self, tensors: Mapping[str, Entry] | Sequence[Entry], open_indices: str | Sequence[str] = ()) -> None:
        named = tensors if isinstance(tensors, Mapping) else {str(n): entry for n, entry in enumerate(tensors)}
        if not named:
            raise ShapeError("a network needs at least one tensor, found none.")
        self.tensors: dict[str, Tensor] = {}
        self.indices: dict[str, Words] = {}
        for name, entry in named.items():
            self.tensors[name], self.indices[name] = _entry(name, entry)
        self.open_indices = _words(open_indices)
        self._check_tensors()
        self._check_counts()
        self._check_legs()

    def __repr__(self) -> str:
        summed = len(self.places()) - len(self.open_indices)
        is_open = " ".join(self.open_indices) or "none"
        count = len(self.tensors)
        return f"TensorNetwork of {count} tensor{'s' * (count != 1)}: {summed} indices summed over, {is_open} open"

    @property
    def backend(self) -> Backend:
        return next(iter(self.tensors.values())).backend

    def places(self) -> dict[str, list[tuple[str, int]]]:
        """(name of the tensor, axis) of every leg, by index."""
        found: dict[str, list[tuple[str, int]]] = {}
        for name, words in self.indices.items():
            for axis, word in enumerate(words):
                found.setdefault(word, []).append((name, axis))
        return found

    def _check_tensors(self) -> None:
        for name, tensor in self.tensors.items():
            if len(self.indices[name]) != tensor.ndim:
                raise ShapeError(
                    f"tensor {name!r} has {tensor.ndim} legs, {len(self.indices[name])} indices were given: "
                    f"{' '.join(self.indices[name])!r}."
                )
            if tensor.backend is not self.backend:
                raise BackendError(
                    f"tensor {name!r} lies on {tensor.backend.name}, {next(iter(self.tensors))!r} on "
                    f"{self.backend.name}: move one with .to(...)."
                )
            if not tensor.backend.all_finite(tensor.data):
                raise NumericalError(f"tensor {name!r} holds NaN or Inf.")

    def _check_counts(self) -> None:
        places, is_open = self.places(), self.open_indices
        for word in is_open:
            if len(places.get(word, ())) != 1 or is_open.count(word) != 1:
                raise ShapeError(
                    f"an open index stands on one tensor and once in open_indices, {word!r} stands on "
                    f"{_listed(places.get(word, []))}, and {is_open.count(word)} times in open_indices."
                )
        for word, found in places.items():
            if len(found) == 1 and word not in is_open:
                raise ShapeError(
                    f"index {word!r} stands once, on {_listed(found)}: sum it with another leg, or name it in "
                    "open_indices."
                )
            if len(found) > 2:
                raise ShapeError(
                    f"index {word!r} stands {len(found)} times, on {_listed(found)}; a sum joins two legs: join more "
                    "through a copy tensor."
                )

    def _check_legs(self) -> None:
        for word, found in self.places().items():
            legs = [self.tensors[name].legs[axis] for name, axis in found]
            if len(legs) == 2 and legs[0].dual is not legs[1]:
                raise LegError(
                    f"index {word!r} joins {_listed(found)}, which do not fit: {legs[0]!r} and {legs[1]!r} (they need "
                    "equal sectors and opposite flow; flip_leg turns a flow)."
                )


def _entry(name: str, entry: Entry) -> tuple[Tensor, Words]:
    if not (isinstance(entry, tuple | list) and len(entry) == 2 and isinstance(entry[0], Tensor)):
        raise OperatorError(
            f"tensor {name!r} needs a pair (Tensor, indices), found {type(entry).__name__}: for arrays see from_dense."
        )
    return entry[0], _words(entry[1])


def _words(words: str | Sequence[str]) -> Words:
    return tuple(words.split() if isinstance(words, str) else map(str, words))


def _listed(places: list[tuple[str, int]]) -> str:
    return " and ".join(f"leg {axis} of {name!r}" for name, axis in places) or "no tensor"
