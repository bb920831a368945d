"""A range of sites with all others contracted: the quadratic problem for its cores in the metric of the activations."""

from dataclasses import dataclass
from math import prod

from tnsim.backend import Array
from tnsim.networks.matrix_train import site_array
from tnsim.networks.mpo import MPO
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor, contract, transpose


@dataclass(frozen=True, eq=False)
class Window:
    """Sites first..last of <M| C |M> and <M| C |W>, for a chain M, a matrix W and a metric C (a matrix on in legs).

    metric: legs (p, P, i first..last, I first..last, q, Q): bonds of M (p, q) and of its conjugate (P, Q), in legs of
    M and of its conjugate. target: legs (P, o first, I first, ..., o last, I last, Q). One site: with a core c,
    <c|metric|c> - 2 Re <c|target> + <W|C|W> is the squared error.
    """

    first: int
    last: int
    metric: Tensor
    target: Tensor

    def without_first(self, core: Tensor) -> "Window":
        """The window from the next site on; cost and memory rank^2 * (in factors behind)^2 of the metric.

        p,P o--i,I ...          m,N ...
           [core]--m    ->
        """
        metric, target = self._words(self.first, self.last)
        i, o, big = f"i{self.first}", f"o{self.first}", f"I{self.first}"
        after = [word for word in metric if word not in (i, big, "p", "P")]
        words = f"{' '.join(metric)}, p o {i} m, P o {big} N -> m N {' '.join(after)}"
        rest = [word for word in target if word not in (o, big, "P")]
        bra = core.conj()
        return Window(
            self.first + 1,
            self.last,
            contract(words, self.metric, core, bra),
            contract(f"{' '.join(target)}, P {o} {big} N -> N {' '.join(rest)}", self.target, bra),
        )

    def without_last(self, core: Tensor) -> "Window":
        """The window up to the site before; the mirror image of `without_first`."""
        metric, target = self._words(self.first, self.last)
        i, o, big = f"i{self.last}", f"o{self.last}", f"I{self.last}"
        before = [word for word in metric if word not in (i, big, "q", "Q")]
        words = f"{' '.join(metric)}, m o {i} q, N o {big} Q -> {' '.join(before)} m N"
        rest = [word for word in target if word not in (o, big, "Q")]
        bra = core.conj()
        return Window(
            self.first,
            self.last - 1,
            contract(words, self.metric, core, bra),
            contract(f"{' '.join(target)}, N {o} {big} Q -> {' '.join(rest)} N", self.target, bra),
        )

    def system(self) -> tuple[Array, Array]:
        """Matrix and right sides of the linear system for the core or the merged cores: rows (p, i..., q), columns o...

        For cores as `as_columns` writes them.
        """
        count = self.last - self.first + 1
        bra, ket = [1, *range(2 + count, 2 + 2 * count), 3 + 2 * count], [0, *range(2, 2 + count), 2 + 2 * count]
        size = prod(self.metric.shape[n] for n in ket)
        matrix = transpose(self.metric, (*bra, *ket)).array.reshape((size, size))
        return matrix, as_columns(self.target)

    @staticmethod
    def _words(first: int, last: int) -> tuple[list[str], list[str]]:
        sites = range(first, last + 1)
        metric = ["p", "P", *(f"i{k}" for k in sites), *(f"I{k}" for k in sites), "q", "Q"]
        return metric, ["P", *(f"{kind}{k}" for k in sites for kind in "oI"), "Q"]


def as_columns(core: Tensor) -> Array:
    """A core (or merged cores) with legs (p, o, i, ..., q) as a matrix: rows (p, i, ..., q), columns (o, ...)."""
    outs, ins = range(1, core.ndim - 1, 2), range(2, core.ndim - 1, 2)
    ordered = transpose(core, (0, *ins, core.ndim - 1, *outs))
    rows = prod(core.shape[n] for n in (0, *ins, core.ndim - 1))
    return ordered.array.reshape((rows, ordered.size // rows))


def from_columns(columns: Array, like: Tensor) -> Tensor:
    """Undo `as_columns`: a tensor with the legs of `like`."""
    count = (like.ndim - 2) // 2
    outs, ins = range(1, like.ndim - 1, 2), range(2, like.ndim - 1, 2)
    legs = [like.legs[n] for n in (0, *ins, like.ndim - 1, *outs)]
    places = {0: 0, like.ndim - 1: count + 1}
    places |= {n: 1 + k for k, n in enumerate(ins)} | {n: count + 2 + k for k, n in enumerate(outs)}
    flat = columns.reshape(-1)
    return transpose(Tensor(legs, flat), tuple(places[n] for n in range(like.ndim)))


def whole_window(matrix: Array, metric: Array, mpo: MPO) -> Window:
    """All sites: the matrix and the metric (on its columns) in the order of the chain; memory of both."""
    axes = mpo.axes
    assert axes is not None
    backend, L = mpo.backend, mpo.L
    target = site_array(matrix @ metric, axes)
    for axis in (0, 1):
        metric = axes.columns.spread(metric, axis, backend)
    ins, outs = axes.columns.dims, axes.rows.dims
    ket, bra = [trivial_leg(d) for d in ins], [trivial_leg(d, -1) for d in ins]
    one, eno = trivial_leg(1), trivial_leg(1, -1)
    physical = [leg for o, into in zip(outs, bra, strict=True) for leg in (trivial_leg(o), into)]
    return Window(
        0,
        L - 1,
        Tensor([eno, one, *ket, *bra, one, eno], backend.copy(metric).reshape(-1)),
        Tensor([one, *physical, eno], target),
    )
