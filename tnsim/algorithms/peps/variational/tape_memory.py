"""What a tape of energies keeps: all that lies between the tensors of a state and its energy, in bytes.

Sizes are those of the tensors in the order in which `finite_energy`, `cell_energy` and `symmetric_energy` make them,
without charges; `share_of` says how much of that charges leave.
"""

from math import prod

from tnsim.linalg.gradient import FixedPointGradient
from tnsim.networks.peps import PEPS, PlaneTerms, SquareState

# beside what is kept: gradients on their way back, vectors of decompositions at work, and all that is small
_BESIDE = 1.5


def tape_memory(psi: SquareState, terms: PlaneTerms, chi: int, D: int, *, symmetric: bool = False) -> int:
    """Bytes that an evaluation of energy and gradient takes at its peak, by D of the state and chi around it.

    symmetric: of one tensor with all symmetries of the square. Measured at D = 2 and 3 without charges the peak is 0.6
    to 0.9 of it; with charges less, as those of a state yet to come are not known.
    """
    if isinstance(psi, PEPS):
        return finite_tape(psi, chi, D)
    across = sum(not term.is_nearest for term in terms.pairs)
    if symmetric:
        return symmetric_tape(psi, chi, D, diagonals=across > 0)
    bonds = {
        (psi.pattern[term.first[0]][term.first[1]], term.offset): 1 + (not term.is_nearest) for term in terms.pairs
    }
    return cell_tape(psi, chi, D, sum(bonds.values()))


def share_of(psi: SquareState, D: int) -> float:
    """How many of the numbers of a tensor charges leave: as of the state where it has bonds of D, else at most half."""
    if not psi.tensors[0].group.names:
        return 1.0
    if psi.bond_dimension < D:
        return 0.5
    whole = sum(prod(tensor.shape) for tensor in psi.tensors)
    return sum(tensor.size for tensor in psi.tensors) / whole


def finite_tape(psi: PEPS, chi: int, D: int) -> int:
    """Of the energy of a finite state with bonds of D through boundaries of chi: those along rows and along columns,
    and one row (or column) between two of them at a time."""
    (m, n), d = psi.shape, max(site.dim for site in psi.kinds)
    ways = _Lattice(m, n, D, chi), _Lattice(n, m, D, chi)
    kept = sum(2 * _zipped(way, i, j, d) for way in ways for i in range(way.m - 1) for j in range(way.n))
    row = max(sum(_measured(way, i, j, d) for j in range(way.n)) for way in ways for i in range(way.m))
    return int(_BESIDE * share_of(psi, D) * psi.dtype.itemsize * (kept + row))


def cell_tape(psi: SquareState, chi: int, D: int, bonds: int) -> int:
    """Of the energy of a cell with bonds of D in an environment of chi: a step of it, terms on so many bonds (across a
    diagonal they count twice), and the vectors of GMRES."""
    places, d = len(psi.tensors), max(site.dim for site in psi.kinds)
    quadrant, opened = 2 + d, 1 + d + 2 * d * d
    # quadrants, each with norm 1 and as a matrix, of which two change from side to side; on all four sides the ring of
    # four and its singular vectors, and a new edge
    step = places * (10 * (quadrant + 2) + 4 * (5 + quadrant))
    krylov = (FixedPointGradient().krylov_max + 3) * places * 4 * (1 + D * D)
    total = chi**2 * (D**4 * (step + 2 * opened * bonds) + krylov)
    return int(_BESIDE * share_of(psi, D) * psi.dtype.itemsize * total)


def symmetric_tape(psi: SquareState, chi: int, D: int, *, diagonals: bool) -> int:
    """Of the energy of one symmetric tensor, with terms across diagonals or without."""
    d = max(site.dim for site in psi.kinds)
    wide = 2 + d + 1 + d + d * d + (5 + d + 3 * d * d if diagonals else 0)
    narrow = D * D * (15 + d * d) + (FixedPointGradient().krylov_max + 3) * (1 + D * D)
    return int(_BESIDE * share_of(psi, D) * psi.dtype.itemsize * chi**2 * (D**4 * wide + narrow))


class _Lattice:
    """Dimensions of bonds: of the state, and of the boundaries above (or below) so many rows."""

    def __init__(self, m: int, n: int, D: int, chi: int) -> None:
        self.m, self.n, self.D, self.chi = m, n, D, chi

    def across(self, j: int) -> int:
        """Of the state, west of column j."""
        return self.D if 0 < j < self.n else 1

    def down(self, i: int) -> int:
        """Of the state, north of row i."""
        return self.D if 0 < i < self.m else 1

    def boundary(self, rows: int, j: int) -> int:
        """West of column j, after so many rows."""
        return min(self.chi, self.D ** (2 * min(rows, j, self.n - j)))


def _zipped(lattice: _Lattice, i: int, j: int, d: int) -> int:
    """A site of row i taken into the boundary above it, and the decomposition after it."""
    x, right = lattice.boundary(i + 1, j), lattice.boundary(i, j + 1)
    w, e, k, s = lattice.across(j), lattice.across(j + 1), lattice.down(i), lattice.down(i + 1)
    rows, columns = x * s * s, right * e * e
    kept = x * w * w * k * k * right + x * w * k * right * e * s * d + 3 * rows * columns
    return kept + min(rows, columns) * (rows + columns)


def _measured(lattice: _Lattice, i: int, j: int, d: int) -> int:
    """A column of row i between its boundaries, taken in from both ends, closed and with open physical legs."""
    total, (k, s) = 0, (lattice.down(i), lattice.down(i + 1))
    for near, far in ((j, j + 1), (j + 1, j)):
        e, f = lattice.across(near), lattice.across(far)
        above, below = (lattice.boundary(i, far), lattice.boundary(lattice.m - 1 - i, near))
        total += above * below * (e * e * k * k + e * k * f * s * d + f * f * s * s * (1 + d * d))
        total += above * f * f * lattice.boundary(lattice.m - 1 - i, far) * (2 + d * d)
    return total
