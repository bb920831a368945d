"""How the rows and columns of a matrix are spread over the sites of a chain: factors, their order, permutations."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from tnsim.backend import Array, Backend
from tnsim.errors import SettingsError, ShapeError, check_fields

# a longest factor beyond so many times the shortest makes one site carry nearly everything
_BALANCE = 4


@dataclass(frozen=True, kw_only=True)
class IndexOrder:
    """Which factors of the rows and columns stand on which site, and which rows and columns are exchanged first.

    order: "interleaved" puts out factor k and in factor k on site k, "split" the out factors on the first sites and
    the in factors on the rest; any other order lists the sites, as in "o1 | o0 i0 | i1", every factor once.

    >>> IndexOrder(order="split").sites((4, 16), (8,))
    [('o0',), ('o1',), ('i0',)]
    """

    order: str = field(default="interleaved", metadata={"help": 'interleaved, split, or sites such as "o1 | o0 i0"'})
    rows: tuple[int, ...] | None = field(default=None, metadata={"help": "row that comes first, second, ..."})
    columns: tuple[int, ...] | None = field(default=None, metadata={"help": "column that comes first, second, ..."})
    pad: bool = field(default=False, metadata={"help": "fill up with zero rows and columns to the product of factors"})

    def __post_init__(self) -> None:
        for name in ("rows", "columns"):
            if isinstance(getattr(self, name), np.ndarray):
                object.__setattr__(self, name, tuple(getattr(self, name).tolist()))
        check_fields(self)

    def sites(self, out_factors: Sequence[int], in_factors: Sequence[int]) -> list[tuple[str, ...]]:
        """The factors of every site as words: o0, o1, ... of the rows, i0, i1, ... of the columns."""
        outs, ins = ([f"{kind}{k}" for k in range(len(f))] for kind, f in (("o", out_factors), ("i", in_factors)))
        if self.order == "split":
            return [(word,) for word in outs + ins]
        if self.order == "interleaved":
            if len(outs) != len(ins):
                raise ShapeError(
                    f"the interleaved order pairs factors, found {len(outs)} of the rows and {len(ins)} of the "
                    'columns: give as many (a factor may be 1), or order="split".'
                )
            return list(zip(outs, ins, strict=True))
        sites = [tuple(part.split()) for part in self.order.split("|")]
        words = [word for site in sites for word in site]
        if sorted(words) != sorted(outs + ins) or not all(sites):
            raise SettingsError(
                f'an order is "interleaved", "split", or sites that hold each of {" ".join(outs + ins)} once, such as '
                f'"{" ".join(outs)} | {" ".join(ins)}"; found {self.order!r}.'
            )
        return sites


@dataclass(frozen=True)
class MatrixAxis:
    """What the physical legs of a chain stand for, on one side: rows (out legs) or columns (in legs) of a matrix.

    size: of the matrix; dims: of the legs, site by site; places: the row of every product state of the legs in
    Kronecker order, from `size` on zero rows that fill up; None where they are in order.
    """

    size: int
    dims: tuple[int, ...]
    places: tuple[int, ...] | None = field(default=None, repr=False)

    @property
    def padding(self) -> int:
        """Zero rows that the matrix does not have."""
        return prod(self.dims) - self.size

    def spread(self, array: Array, axis: int, backend: Backend) -> Array:
        """Rows (axis 0) or columns (axis 1) of a matrix in the order of the chain, with the padding."""
        if self.padding:
            shape = list(array.shape)
            shape[axis] = prod(self.dims)
            wide = backend.zeros(prod(shape), array.dtype).reshape(tuple(shape))
            wide[tuple(slice(0, d) for d in array.shape)] = array
            array = wide
        return array if self.places is None else backend.take(array, np.array(self.places), axis)

    def gather(self, array: Array, axis: int, backend: Backend) -> Array:
        """Undo `spread`."""
        if self.places is not None:
            array = backend.take(array, np.argsort(self.places), axis)
        return array[tuple(slice(0, self.size if n == axis else None) for n in range(array.ndim))]


@dataclass(frozen=True)
class MatrixAxes:
    """Rows and columns of the matrix that a chain of tensors (left, out, in, right) stands for."""

    rows: MatrixAxis
    columns: MatrixAxis

    @property
    def transposed(self) -> "MatrixAxes":
        return MatrixAxes(self.columns, self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        """That of the matrix, without padding."""
        return self.rows.size, self.columns.size


def matrix_axes(
    shape: Sequence[int], out_factors: Sequence[int], in_factors: Sequence[int], index: IndexOrder
) -> MatrixAxes:
    """Check factors, order and permutations against the shape of a matrix; nothing large is allocated.

    >>> axes = matrix_axes((6, 4), (2, 3), (2, 2), IndexOrder(order="o1 | o0 i0 | i1"))
    >>> axes.rows
    MatrixAxis(size=6, dims=(3, 2, 1))
    >>> axes.rows.places
    (0, 3, 1, 4, 2, 5)
    """
    if len(shape) != 2:
        raise ShapeError(f"a matrix has two axes, found shape {tuple(shape)}: reshape it first.")
    factors = _checked(out_factors, "out_factors"), _checked(in_factors, "in_factors")
    sites = index.sites(*factors)
    sides = []
    for kind, size, dims, order in zip("oi", shape, factors, (index.rows, index.columns), strict=True):
        _check_product(kind, size, dims, index.pad)
        words = [int(word[1:]) for site in sites for word in site if word[0] == kind]
        places = np.arange(prod(dims))
        if words != sorted(words):  # arrays have no more than 64 axes, chains may have more sites
            places = places.reshape(dims).transpose(words).reshape(-1)
        if order is not None:
            places = _permutation(order, size, prod(dims), "rows" if kind == "o" else "columns")[places]
        on_site = tuple(prod(dims[int(word[1:])] for word in site if word[0] == kind) for site in sites)
        in_order = bool((places == np.arange(len(places))).all())
        sides.append(MatrixAxis(int(size), on_site, None if in_order else tuple(places.tolist())))
    return MatrixAxes(*sides)


def _checked(factors: Sequence[int], name: str) -> tuple[int, ...]:
    found = tuple(factors) if isinstance(factors, (tuple, list)) else None
    if not found or any(isinstance(f, bool) or not isinstance(f, (int, np.integer)) or f < 1 for f in found):
        raise ShapeError(f"{name} are integers of at least 1, at least one of them, found {factors!r}.")
    return tuple(int(f) for f in found)


def _check_product(kind: str, size: int, dims: tuple[int, ...], pad: bool) -> None:
    side, product = ("rows" if kind == "o" else "columns"), prod(dims)
    if product == size or (pad and product > size):
        return
    how = " x ".join(map(str, dims))
    advice = "" if product < size else " (or fill up with zeros: IndexOrder(pad=True))"
    raise ShapeError(
        f"{'out' if kind == 'o' else 'in'}_factors {how} = {product} do not multiply to the {size} {side} of the "
        f"matrix: choose factors of {size}{advice}."
    )


def _permutation(order: tuple[int, ...], size: int, padded: int, side: str) -> np.ndarray:
    found = np.array(order)
    if len(found) != size or not (np.sort(found) == np.arange(size)).all():
        raise ShapeError(
            f"a permutation of {size} {side} holds each of 0 to {size - 1} once, found {len(found)} places."
        )
    return np.concatenate([found, np.arange(size, padded)])


def balanced_factors(size: int, count: int = 2, *, pad: bool = False) -> tuple[int, ...]:
    """`count` factors of a size, ascending and as equal as they come; the largest at most 4 times the smallest.

    Where a size has no such factors (primes), ShapeError; with pad=True, those of the next larger number that has
    them, for `IndexOrder(pad=True)`, which fills up and records it.

    >>> balanced_factors(2048, 3), balanced_factors(1000, 3), balanced_factors(4099, 2, pad=True)
    ((8, 16, 16), (10, 10, 10), (50, 82))
    """
    if size < 1 or count < 1:
        raise ShapeError(f"factors need a size and a count of at least 1, found {size} and {count}.")
    padded = size
    while not _is_balanced(found := _near_root(padded, count)):
        if not pad:
            wider = balanced_factors(size, count, pad=True)
            raise ShapeError(
                f"{size} has no {count} balanced factors (the best are {' x '.join(map(str, found))}): fill up to "
                f"{' x '.join(map(str, wider))} = {prod(wider)} with pad=True."
            )
        padded += 1
    return found


def _is_balanced(factors: tuple[int, ...]) -> bool:
    return factors[-1] <= _BALANCE * factors[0]


def _near_root(size: int, count: int) -> tuple[int, ...]:
    """Factors found one by one: the largest divisor up to the root of what is left."""
    factors = []
    for left in range(count, 0, -1):
        root = int(round(size ** (1 / left)))
        root += (root + 1) ** left <= size
        root -= root**left > size
        divisor = next(d for d in range(root, 0, -1) if size % d == 0) if left > 1 else size
        factors.append(divisor)
        size //= divisor
    return tuple(sorted(factors))
