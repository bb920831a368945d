"""Where the sites of a lattice stand on the square lattice of a PEPS.

square, chain, ladder   cell (x, y) in column x, rows counted from the top
triangular              likewise; its third neighbour is the one across the diagonal of a square, south-east
honeycomb               a brick wall: zigzags along rows, every second vertical bond unused; the lattice is skew, so a
                        finite one has empty places in two corners. Fused: a cell of two sites in each place
kagome                  fused: the three sites of a cell in each place, its neighbours as on the triangular lattice
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tnsim.errors import SettingsError, suggest

Place = tuple[int, int]
_KINDS = ("chain", "ladder", "square", "triangular", "honeycomb", "kagome")
_ALWAYS_FUSED = ("kagome",)
# places around a cell within which a term has to end
REACH = 4


def is_fused(kind: str, fused: bool | None) -> bool:
    """Whether all sites of a cell stand in one place; by default only where they have to.

    Raises SettingsError for an unknown lattice, and where the sites of a kagome cell are to stand apart.
    """
    if kind not in _KINDS:
        raise SettingsError(f"a PEPS has no way to stand on the lattice {kind!r}. {suggest(kind, _KINDS)}")
    if fused is False and kind in _ALWAYS_FUSED:
        raise SettingsError(f"the sites of a {kind} cell share a place of the square lattice: leave fused out.")
    return kind in _ALWAYS_FUSED if fused is None else fused


def place_of(kind: str, vertex: Any, fused: bool) -> Place:
    """(row, column) of a site, its cell at height 0 in row 0; rows count downwards, so most are negative."""
    x, y = vertex.cell
    if kind == "honeycomb" and not fused:
        return -y, 2 * x + vertex.place + y
    return -y, x


def cells_for(kind: str, fused: bool, rows: Sequence[int], columns: Sequence[int]) -> tuple[range, range]:
    """Cells (x, y) whose sites fill all places with these rows and columns (first, last)."""
    heights = range(-rows[1], -rows[0] + 1)
    if kind == "honeycomb" and not fused:
        return range((columns[0] - heights[-1]) // 2 - 1, (columns[1] - heights[0]) // 2 + 2), heights
    return range(columns[0], columns[1] + 1), heights


def with_margin(model: Any, shape: Place, fused: bool) -> tuple[Any, list[Place]]:
    """The model on an open lattice that holds a cell, its neighbours and a margin, and the places of its sites.

    The cell has its corner at (0, 0). Raises SettingsError for a model on a chain or a ladder, and where couplings are
    not uniform.
    """
    (m, n), kind = shape, model.geometry.kind
    margin = REACH
    rows, columns = (-margin, 2 * m + margin), (-margin, 2 * n + margin)
    if model.geometry.cell.is_line or kind == "ladder":
        raise SettingsError(f"{model!r} lives on a {kind}: take an infinite MPS, or the lattice square.")
    xs, ys = cells_for(kind, fused, rows, columns)
    lattice = replace(model.geometry, Lx=len(xs), Ly=len(ys))
    larger = replace(model, lattice=lattice, L=None)
    origin = replace(lattice.vertices[0], cell=(-xs[0], -ys[0]), place=0)
    down, east = place_of(kind, origin, fused)
    base = place_of(kind, replace(origin, cell=(0, 0)), fused)
    shift = (down - base[0], east - base[1])
    places = [place_of(kind, vertex, fused) for vertex in lattice.vertices]
    return larger, [(i - shift[0], j - shift[1]) for i, j in places]
