"""Eight tensors of three legs in the place of four on a ring: alternating least squares.

Source: S. Yang, Z.-C. Gu, X.-G. Wen, Phys. Rev. Lett. 118, 110504 (2017).
"""

from collections.abc import Sequence

from tnsim.linalg.decompose import Spectrum, svd
from tnsim.linalg.solve_positive import solve_positive
from tnsim.linalg.truncation import Truncation
from tnsim.networks.ring import closed, cut_bonds, double, product
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, fuse, split

_PAIRS = ((0, 1), (2, 3))


def halved(ring: Sequence[Tensor], truncation: Truncation) -> list[Tensor]:
    """Every tensor (left, p, q, right) as two, (left, p, bond) and (bond, q, right), the bonds cut within the ring."""
    twice = Truncation(chi_max=2 * truncation.chi_max, svd_min=truncation.svd_min)
    halves = []
    for site in ring:
        u, spectrum, v = svd(site, (0, 1), twice)
        root = Spectrum(spectrum.leg, spectrum.values**0.5)
        halves += [scale_columns(u, root), scale_rows(v, root)]
    return cut_bonds(halves, truncation, settled=1e-6)  # sweeps improve on it


class LoopOptimization:
    """The distance between a ring of tensors (left, p, q, right) and one of twice as many halves.

    error: squared distance over the squared norm of the ring. Cost O(chi^6) a sweep.
    """

    def __init__(self, ring: Sequence[Tensor], halves: Sequence[Tensor]) -> None:
        self.ring, self.halves = list(ring), list(halves)
        self.square = closed([double(site) for site in ring]).real
        self._doubles = [double(half) for half in self.halves]
        self._mixed = [self._mix(k) for k in range(len(self.ring))]
        self.error = self._error(self._doubles, self._mixed)

    def sweep(self) -> float:
        """One update of every half, the best while all others stay; returns the error, which does not grow."""
        after, mixed_after = _suffixes(self._doubles), _suffixes(self._mixed)
        before = mixed_before = None
        for k in range(len(self.ring)):
            around = _times(mixed_after[k], mixed_before)
            for part in (2 * k, 2 * k + 1):
                self._update(part, self._system(_times(after[part], before), part), self._right(around, part))
                before = _times(before, self._doubles[part])
            self._mixed[k] = self._mix(k)
            mixed_before = _times(mixed_before, self._mixed[k])
        assert before is not None and mixed_before is not None  # a ring has sites
        self.error = self._error([before], [mixed_before])
        return self.error

    def _update(self, part: int, system: Tensor, right: Tensor) -> None:
        old = self.halves[part]
        columns = (fuse(tensor, [(0, 2), (1,)], [1, old.legs[1].flow]) for tensor in (right, old))
        found = split(solve_positive(system, *columns), 0, (old.legs[0], old.legs[2]))
        self.halves[part] = contract("l x p -> l p x", found)
        self._doubles[part] = double(self.halves[part])

    def _system(self, around: Tensor, part: int) -> Tensor:
        """The square of the halves around one, as a matrix of its inner legs."""
        left, _, right = self.halves[part].legs
        opened = _opened(around, (right, right.dual, left, left.dual))
        return fuse(contract("a' a b' b -> b' a' b a", opened), _PAIRS, [1, -1])

    def _right(self, around: Tensor, part: int) -> Tensor:
        """The overlap of the ring with the halves around one."""
        site, first, second = self.ring[part // 2], self.halves[part & ~1], self.halves[part | 1]
        opened = _opened(around, (second.legs[2], site.legs[3].dual, first.legs[0], site.legs[0].dual))
        if part % 2:
            return contract("a' a b' b, b p q a, b' p x -> x q a'", opened, site, first.conj())
        return contract("a' a b' b, b p q a, x q a' -> b' p x", opened, site, second.conj())

    def _mix(self, k: int) -> Tensor:
        first, second = (self.halves[2 * k + n].conj() for n in (0, 1))
        part = contract("l' p x, l p q r -> l' l x q r", first, self.ring[k])
        return fuse(contract("l' l x q r, x q r' -> l' l r' r", part, second), _PAIRS, [1, -1])

    def _error(self, norm: Sequence[Tensor], overlap: Sequence[Tensor]) -> float:
        distance = self.square + closed(norm).real - 2 * closed(overlap).real
        return max(0.0, distance / self.square) if self.square > 0 else 0.0


def _opened(matrix: Tensor, legs: tuple[Leg, Leg, Leg, Leg]) -> Tensor:
    """Both legs of a matrix as the two of which they were made."""
    return split(split(matrix, 1, legs[2:]), 0, legs[:2])


def _times(first: Tensor | None, second: Tensor | None) -> Tensor:
    """The product of two matrices; None stands for the identity."""
    if first is None or second is None:
        return first if second is None else second  # type: ignore[return-value]
    return product(first, second)


def _suffixes(matrices: Sequence[Tensor]) -> list[Tensor | None]:
    """The product of all behind every one."""
    found: list[Tensor | None] = [None]
    for matrix in reversed(matrices[1:]):
        found.append(_times(matrix, found[-1]))
    return found[::-1]
