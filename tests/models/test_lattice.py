"""Lattices: coordination numbers, pairs against distances, paths of the MPS, and what is refused."""

from collections import Counter

import numpy as np
import pytest

from tnsim.errors import SettingsError
from tnsim.models import Lattice
from tnsim.models.unit_cells import UNIT_CELLS

ROOT3 = np.sqrt(3.0)
# kind: (neighbours of a site, their distance) for the nearest, second and third
COORDINATION = {
    "chain": [(2, 1.0), (2, 2.0), (2, 3.0)],
    "ladder": [(4, 1.0), (4, np.sqrt(2)), (4, 2.0)],
    "square": [(4, 1.0), (4, np.sqrt(2)), (4, 2.0)],
    "triangular": [(6, 1.0), (6, ROOT3), (6, 2.0)],
    "honeycomb": [(3, 1.0), (6, ROOT3), (3, 2.0)],
    "kagome": [(4, 1.0), (4, ROOT3), (6, 2.0)],
}


def torus(kind: str, **options) -> Lattice:
    if kind == "chain":
        return Lattice(kind, 8, bc_x="periodic", **options)
    return Lattice(kind, 6, 5, bc_x="periodic", bc_y="periodic", **options)


@pytest.mark.parametrize("kind", UNIT_CELLS)
def test_coordination_numbers(kind):
    lattice = torus(kind)
    for order, (count, distance) in enumerate(COORDINATION[kind], start=1):
        pairs = lattice.pairs(order)
        ends = Counter(i for pair in pairs for i in (pair.i, pair.j))
        assert len(ends) == len(lattice) and set(ends.values()) == {count}
        np.testing.assert_allclose([np.hypot(*pair.vector) for pair in pairs], distance)


@pytest.mark.parametrize("order", ["columns", "snake", "folded"])
@pytest.mark.parametrize("boundaries", [("open", "open"), ("open", "periodic"), ("periodic", "periodic")])
@pytest.mark.parametrize("kind", UNIT_CELLS)
def test_pairs_are_what_distances_say(kind, boundaries, order):
    bc_x, bc_y = boundaries
    if (order == "folded" and "periodic" not in boundaries) or (kind == "chain" and bc_x != bc_y):
        return
    lattice = Lattice("chain", 9, bc_x=bc_x, order=order) if kind == "chain" else Lattice(kind, 5, 5, bc_x, bc_y, order)
    assert lattice.distances.shape == (len(lattice),) * 2
    np.testing.assert_allclose(lattice.distances, lattice.distances.T)
    for n, (_, distance) in enumerate(COORDINATION[kind], start=1):
        expected = {frozenset(pair) for pair in np.argwhere(abs(lattice.distances - distance) < 1e-9).tolist()}
        pairs = lattice.pairs(n)
        assert {frozenset((pair.i, pair.j)) for pair in pairs} == expected and len(pairs) == len(expected)


def test_the_way_of_a_pair_leads_from_one_site_to_the_other():
    lattice = Lattice("triangular", 4, 4, bc_y="periodic")
    for pair in lattice.pairs(2):
        gap = lattice.positions[pair.i] + pair.vector - lattice.positions[pair.j]
        np.testing.assert_allclose(gap, [0, 4 * pair.turns], atol=1e-12)
        assert pair.vector[0] > 0 or pair.vector[1] > 0


def test_paths():
    assert [v.cell for v in Lattice("square", 2, 3, order="snake").vertices] == [
        (0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0),
    ]  # fmt: skip
    ring = Lattice("chain", 7, bc_x="periodic", order="folded")
    assert [v.cell[0] for v in ring.vertices] == [0, 6, 1, 5, 2, 4, 3]
    assert max(abs(pair.i - pair.j) for pair in ring.pairs()) == 2
    cylinder = Lattice("square", 3, 6, bc_y="periodic", order="folded")
    assert [v.cell[1] for v in cylinder.vertices[:6]] == [0, 5, 1, 4, 2, 3]
    for kind in UNIT_CELLS:
        for order in ("columns", "snake", "folded"):
            lattice = torus(kind, order=order)
            assert sorted(lattice.index.values()) == list(range(len(lattice)))
            np.testing.assert_allclose(lattice.positions[lattice.index[3, 0, 0]], 3 * np.array(lattice.cell.a1))


def test_two_sublattices():
    assert Lattice("chain", 2, bc_x="periodic").two_colouring == (0, 1)
    for lattice in (Lattice("ladder", 3, 3), Lattice("honeycomb", 1, 4), Lattice("square", 3, 4, bc_y="periodic")):
        colours = lattice.two_colouring
        assert all(colours[pair.i] != colours[pair.j] for pair in lattice.pairs())
    for lattice in (Lattice("kagome", 2, 2), Lattice("triangular", 2, 2), Lattice("square", 3, 3, bc_y="periodic")):
        assert lattice.two_colouring is None


def test_repr_is_what_one_types():
    for text in ("Lattice('square', 4, 3, bc_y='periodic')", "Lattice('chain', 5)", "Lattice('kagome', 2, 1)"):
        assert repr(eval(text)) == text  # noqa: S307


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lattice("squre", 2, 2), 'no kind \'squre\'. Did you mean "square"'),
        (lambda: Lattice("square", 2, 2, bc_y="closed"), "no bc_y 'closed'"),
        (lambda: Lattice("square", 2, 2, order="spiral"), "Known: \"columns\", \"snake\", \"folded\""),
        (lambda: Lattice("square", 0, 2), "Lx >= 1"),
        (lambda: Lattice("square", 100_000, 10_000), "1,000,000,000 sites, more than 10,000,000"),
        (lambda: Lattice("square", 2.5, 2), "Lx must be of type int"),
        (lambda: Lattice("chain", 4, 2), "take a ladder"),
        (lambda: Lattice("square", 4, 3, order="folded"), "open ends: take columns or snake"),
        (lambda: Lattice("square", 4, 2, bc_y="periodic").pairs(), "too narrow for nearest .* sites 1 and 0"),
        (lambda: Lattice("square", 4, 3, bc_y="periodic").pairs(3), "too narrow for third .* Take more cells around"),
        (lambda: Lattice("triangular", 4, 1, bc_y="periodic").pairs(), "too narrow"),
        (lambda: Lattice("chain", 6).pairs(9), "too small for 9th neighbours: no two sites .* Take more cells"),
        (lambda: Lattice("square", 4, 4).pairs(0), "1 .nearest., 2, 3, ..., found 0"),
    ],
)  # fmt: skip
def test_bad_lattices(make, message):
    with pytest.raises(SettingsError, match=message):
        make()
