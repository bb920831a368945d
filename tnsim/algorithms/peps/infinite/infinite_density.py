"""Density matrices of places of an infinite PEPS, from the corners and edges around them.

C1--T1--T1--C2     strip: a western half with one site, an eastern half with the other     (two sites beside each other)
|   |   |   |
T4--a---b---T2     patch: the ring of four quadrants                                      (two sites of a plaquette)
|   |   |   |
C4--T3--T3--C3
"""

from collections.abc import Sequence

import numpy as np

from tnsim.algorithms.plane.directional_environment import DirectionalEnvironment, Surroundings
from tnsim.algorithms.plane.site_layers import through
from tnsim.errors import NumericalError, OperatorError
from tnsim.networks.gates import density_matrix
from tnsim.tensor import Tensor, contract, fuse, split

Place = tuple[int, int]
# places of a plaquette from the north-west clockwise
_CORNERS = ((0, 0), (0, 1), (1, 1), (1, 0))


def surroundings(environment: DirectionalEnvironment, i: int, j: int) -> Surroundings:
    """What surrounds a place, any integers: the cell repeats."""
    cell = environment.cell
    return cell[i % len(cell)][j % len(cell[0])]


def site_density(environment: DirectionalEnvironment, place: Place) -> np.ndarray:
    """The density matrix of one place, trace 1, in the basis of its site. Cost O(chi^2 D^6 d + chi^3 D^4), once."""
    first, known = _first(environment, place), environment.densities
    if (first,) not in known:
        known[first,] = _normalised(surroundings(environment, *first).density(), place)
    return known[first,]


def pair_density(
    environment: DirectionalEnvironment, first: Place, second: Place, *, patch: bool = False
) -> np.ndarray:
    """The density matrix of two places in the Kronecker basis (first, second), trace 1.

    Places in one row or column, from a strip: O(chi^2 D^6 d^2) a place between. Places across a plaquette, or with
    patch=True beside each other, from 2 x 2 places: O(chi^3 D^6 d^2). Once for pairs that are alike. Raises
    OperatorError for others.
    """
    down, east = second[0] - first[0], second[1] - first[1]
    place, known = _first(environment, first), environment.densities
    key = (place, (down, east), patch)
    if key not in known:
        raw = _pair(environment, place, (place[0] + down, place[1] + east), patch)
        known[key] = _normalised(contract("p q r s -> p r q s", raw), (first, second))
    return known[key]


def _first(environment: DirectionalEnvironment, place: Place) -> Place:
    """The first place that is like this one."""
    first = environment.first
    return first[place[0] % len(first)][place[1] % len(first[0])]


def _pair(environment: DirectionalEnvironment, first: Place, second: Place, patch: bool) -> Tensor:
    """Legs (ket, bra) of the first place, then of the second, not normalised."""
    down, east = second[0] - first[0], second[1] - first[1]
    if abs(down) <= 1 and abs(east) <= 1 and (patch or (down and east)):
        return _from_patch(environment, first, second)
    if down == 0 and east > 0:
        return _from_strip([surroundings(environment, first[0], first[1] + k) for k in range(east + 1)])
    if east == 0 and down > 0:
        column = [surroundings(environment, first[0] + k, first[1]) for k in range(down + 1)]
        return _from_strip([site.turned() for site in column])
    raise OperatorError(
        f"{first} and {second} are measured together in one row or column, east or south of the first, or "
        "across a plaquette: write the term that way round, or move it there."
    )


def next_column(vector: Tensor, site: Surroundings) -> Tensor:
    """A western half (south, site, north, and maybe more legs) with one more column taken in."""
    extra = " ".join("pqrs"[: vector.ndim - 3])
    north = contract(f"l e o {extra}, o n c -> l {extra} e n c", vector, site.edges[0])
    width = vector.ndim - 2
    legs = north.legs[:width]
    met = through(site.tensor, fuse(north, [tuple(range(width)), (width,), (width + 1,), (width + 2,)]), 0)
    met = split(met, 0, legs)
    return contract(f"l {extra} s c e, g s l -> g e c {extra}", met, site.edges[2])


def _from_strip(row: Sequence[Surroundings]) -> Tensor:
    """(ket, bra) of the first and of the last place of a row."""
    half = row[0].west_half(is_open=True)
    for site in row[1:-1]:
        half = next_column(half, site)
    return contract("l e o p q, l e o r s -> p q r s", half, row[-1].east_half(is_open=True))


def _from_patch(environment: DirectionalEnvironment, first: Place, second: Place) -> Tensor:
    """(ket, bra) of two places of a plaquette."""
    top, left = min(first[0], second[0]), min(first[1], second[1])
    numbers = [_CORNERS.index((place[0] - top, place[1] - left)) for place in (first, second)]
    quadrants, words = [], []
    names = ("i a j b", "j b k c", "k c l d", "l d i a")
    for number, (down, east) in enumerate(_CORNERS):
        site = surroundings(environment, top + down, left + east)
        is_open = number in numbers
        quadrants.append(site.open_quadrant(number) if is_open else site.quadrant(number))
        tail = ("p q", "r s")[numbers.index(number)] if is_open else ""
        words.append(f"{names[number]} {tail}")
    return contract(f"{', '.join(words)} -> p q r s", *quadrants)


def _normalised(raw: Tensor, where: object) -> np.ndarray:
    """As a matrix with rows of kets on the host; NumericalError for a trace of zero."""
    matrix = density_matrix(raw)
    trace = np.trace(matrix)
    if not abs(trace) > 1e-14 * np.abs(matrix).max(initial=0.0) or not np.isfinite(trace):
        raise NumericalError(
            f"the density matrix at {where} has trace {trace}: the environment has broken down; raise chi, or start it "
            "from the traced bulk."
        )
    return matrix / trace
