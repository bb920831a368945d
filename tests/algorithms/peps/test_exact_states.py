"""States that PEPS hold exactly: their norms, energies, correlations and entropies from boundary MPS."""

from itertools import product

import numpy as np
import pytest

import tnsim.models as models
from tnsim.algorithms.ground_state.dmrg import DMRG
from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement
from tnsim.algorithms.peps.finite.entanglement_cut import entanglement_below
from tnsim.algorithms.peps.infinite.cylinder_spectrum import cylinder_spectrum
from tnsim.errors import SettingsError, ShapeError
from tnsim.linalg import Truncation
from tnsim.measure.entanglement import entropy
from tnsim.networks.mps import MPS
from tnsim.networks.peps import PEPS, InfinitePEPS, PairTerm, PlaneTerms
from tnsim.networks.sites import custom_site, spin_site
from tnsim.networks.square_network import FLOWS
from tnsim.symmetry import TRIVIAL, trivial_leg
from tnsim.tensor import from_dense

RUN = BoundaryMeasurement(truncation=Truncation(chi_max=64, svd_min=1e-12))
PLAIN = spin_site(conserve=None)


def from_rule(shape, site_of, rule) -> PEPS:
    """rule(i, j) -> array (north, east, south, west, phys); site_of(i, j) -> Site."""
    rows = []
    for i in range(shape[0]):
        arrays = [np.asarray(rule(i, j), dtype=float) for j in range(shape[1])]
        legs = [[trivial_leg(d, flow) for d, flow in zip(a.shape, (*FLOWS, 1), strict=True)] for a in arrays]
        rows.append([from_dense(a, leg) for a, leg in zip(arrays, legs, strict=True)])
    return PEPS(rows, [[site_of(i, j) for j in range(shape[1])] for i in range(shape[0])])


def outside(i, j, shape):
    """Which of the directions north, east, south, west leave the lattice."""
    return i == 0, j == shape[1] - 1, i == shape[0] - 1, j == 0


def ghz(shape) -> PEPS:
    """All up plus all down."""

    def rule(i, j):
        array = np.zeros((2,) * 5)
        array[0, 0, 0, 0, 0] = array[1, 1, 1, 1, 1] = 1
        for axis in np.flatnonzero(outside(i, j, shape)):
            array = array.sum(axis=axis, keepdims=True)
        return array

    return from_rule(shape, lambda i, j: PLAIN, rule)


def test_ghz_states_are_correlated_over_any_distance():
    psi = ghz((3, 4))
    assert abs(RUN.norm(psi).log - np.log(2)) < 1e-12
    assert np.abs(RUN.means(psi, "Sz", "Sx")).max() < 1e-12
    np.testing.assert_allclose(RUN.correlation(psi, "Sz", (0, 1), "Sz"), 0.25, atol=1e-12)
    for row in range(2):
        assert abs(entanglement_below(psi, row, RUN).entropy - np.log(2)) < 1e-10


def loops(shape) -> PEPS:
    """The toric code on the edges of an open lattice: the sum of all closed loops, the two edges to the east and south
    of a vertex as one site of four states."""
    site = custom_site("edges", ["00", "01", "10", "11"], TRIVIAL, [()] * 4,
                       {"east": np.diag([1, 1, -1, -1]), "south": np.diag([1, -1, 1, -1])})  # fmt: skip

    def rule(i, j):
        array = np.zeros((2, 2, 2, 2, 4))
        for n, e, s, w in product((0, 1), repeat=4):
            array[n, e, s, w, 2 * e + s] = (n + e + s + w) % 2 == 0
        for axis in np.flatnonzero(outside(i, j, shape)):
            array = array.take([0], axis)
        return array

    return from_rule(shape, lambda i, j: site, rule)


def test_the_toric_code_counts_loops_and_has_topological_entropy():
    m, n = shape = (4, 4)
    psi = loops(shape)
    assert abs(RUN.norm(psi).log - (m - 1) * (n - 1) * np.log(2)) < 1e-10
    east, south = RUN.means(psi, "east", "south")
    assert np.abs(east[:, :-1]).max() < 1e-12 and np.abs(south[:-1]).max() < 1e-12
    # n bonds are cut, and their parity is even: the topological entropy is ln 2
    spectrum = entanglement_below(psi, 1, RUN)
    assert abs(spectrum.entropy - (n - 1) * np.log(2)) < 1e-10
    assert np.ptp(spectrum.energies) < 1e-10 and len(spectrum.energies) == 2 ** (n - 1)


def aklt(shape) -> PEPS:
    """Spins of half the number of neighbours, from singlets on all bonds."""

    def spin(i, j):
        return sum(not out for out in outside(i, j, shape)) / 2

    def rule(i, j):
        inner = [not out for out in outside(i, j, shape)]
        count = sum(inner)
        array = np.zeros((2,) * count + (count + 1,))
        for bits in product((0, 1), repeat=count):
            array[(*bits, sum(bits))] = 1 / np.sqrt(float(np.prod([(count - k) / (k + 1) for k in range(sum(bits))])))
        singlet = np.array([[0.0, 1.0], [-1.0, 0.0]])
        for axis, direction in enumerate(np.flatnonzero(inner)):
            if direction in (1, 2):
                array = np.moveaxis(np.tensordot(singlet, array, (1, axis)), 0, axis)
        return array.reshape([2 if kept else 1 for kept in inner] + [count + 1])

    return from_rule(shape, lambda i, j: spin_site(spin(i, j), conserve=None), rule)


def highest_spin(a, b) -> np.ndarray:
    """The projector on the highest total spin of two sites."""
    S = [np.kron(a.op(name), np.eye(b.dim)) + np.kron(np.eye(a.dim), b.op(name)) for name in ("Sx", "Sy", "Sz")]
    values, vectors = np.linalg.eigh(sum(s @ s for s in S))
    kept = vectors[:, values > values.max() - 1e-6]
    return (kept @ kept.conj().T).real


def test_the_aklt_state_has_energy_zero_on_every_bond():
    psi = aklt((3, 3))
    pairs = tuple(
        PairTerm(bond.first, bond.second, highest_spin(psi.site(*bond.first), psi.site(*bond.second)))
        for bond in psi.bonds()
    )
    found = RUN.measure(psi, PlaneTerms(psi.sites, {}, pairs, False, True))
    assert np.abs(list(found.pairs.values())).max() < 1e-12
    assert np.abs(RUN.means(psi, "Sz")).max() < 1e-12  # a singlet
    # next to an edge two spins 1/2 remain of a corner and its bonds: no pair has total spin zero for sure
    assert RUN.correlation(psi, "Sz", (0, 0), "Sz")[0, 1] < -0.1


@pytest.mark.parametrize("upright", [False, True])
def test_a_chain_is_what_dmrg_says(upright):
    model = models.Heisenberg(L=8)
    plain = models.Heisenberg(L=8, conserve=None)
    start = MPS.product(model.sites, ["up", "down"] * 4)
    found = DMRG(truncation=Truncation(chi_max=16), max_sweeps=12).solve(model.mpo(), start)
    tensors = [np.asarray(tensor.array) for tensor in found.state.without_symmetry().tensors]
    shape, order = ((8, 1), (0, 2, 1)) if upright else ((1, 8), (2, 0, 1))
    axes = (1, 3) if upright else (0, 2)
    psi = from_rule(shape, lambda i, j: PLAIN, lambda i, j: np.expand_dims(tensors[i + j].transpose(*order), axes))
    places = [(i, 0) if upright else (0, i) for i in range(8)]
    terms = PlaneTerms.from_sum(plain.operator_sum(), plain.sites, places)
    measured = RUN.measure(psi, terms)
    assert abs(measured.energy - found.energy) < 1e-9 and abs(measured.log_norm) < 1e-10
    if upright:
        assert abs(entanglement_below(psi, 3, RUN).entropy - entropy(found.state)[3]) < 1e-8


def test_cuts_that_cannot_be_are_refused():
    psi = ghz((3, 4))
    with pytest.raises(SettingsError, match="rows 0 to 1, found row = 2"):
        entanglement_below(psi, 2, RUN)
    wide = PEPS.product([[PLAIN] * 13] * 2, [["up"] * 13] * 2)
    wide = PEPS.random(wide.sites, 2, seed=0)
    with pytest.raises(ShapeError, match="span 8192 states"):
        entanglement_below(wide, 0, RUN)


def uniform(array, site) -> InfinitePEPS:
    legs = [trivial_leg(d, flow) for d, flow in zip(array.shape, (*FLOWS, 1), strict=True)]
    return InfinitePEPS([from_dense(np.asarray(array, dtype=float), legs)], [[0]], [site])


def test_edges_of_ghz_and_toric_code_cylinders():
    array = np.zeros((2,) * 5)
    array[0, 0, 0, 0, 0] = array[1, 1, 1, 1, 1] = 1
    assert abs(cylinder_spectrum(uniform(array, PLAIN), 4).entropy - np.log(2)) < 1e-10
    # both parities of loops through the cut: flat, 2^L states, of which each sector of the topological order has half
    site = loops((2, 2)).site(0, 0)
    array = np.zeros((2, 2, 2, 2, 4))
    for n, e, s, w in product((0, 1), repeat=4):
        array[n, e, s, w, 2 * e + s] = (n + e + s + w) % 2 == 0
    for L in (2, 5):
        spectrum = cylinder_spectrum(uniform(array, site), L)
        assert np.ptp(spectrum.energies) < 1e-10 and len(spectrum.energies) == 2**L


def test_the_edge_of_the_aklt_cylinder_is_a_heisenberg_ring():
    """Its levels are multiplets of the total spin, and near those of a ring of spins 1/2 (Cirac et al. 2011)."""
    L = 6
    bulk = aklt((3, 3)).tensor(1, 1)
    spectrum = cylinder_spectrum(uniform(np.asarray(bulk.array), spin_site(2, conserve=None)), L)
    energies = spectrum.energies
    assert len(energies) == 2**L and spectrum.negative < 1e-12
    sizes = np.diff(np.flatnonzero(np.concatenate([[True], np.diff(energies) > 1e-7, [True]])))
    ring = models.Heisenberg(lattice=models.Lattice("chain", L, bc_x="periodic"), conserve=None)
    levels = np.linalg.eigvalsh(ring.mpo().to_dense())
    exact = np.diff(np.flatnonzero(np.concatenate([[True], np.diff(levels) > 1e-7, [True]])))
    assert sizes[0] == exact[0] == 1 and sizes[1] == exact[1] == 3
    assert np.corrcoef(energies, levels)[0, 1] > 0.95


def test_cylinders_that_cannot_be_are_refused():
    neel = InfinitePEPS.product([PLAIN] * 2, ["up", "down"], [[0, 1], [1, 0]])
    with pytest.raises(SettingsError, match="no whole number of cells"):
        cylinder_spectrum(neel, 3)
    wide = InfinitePEPS.random([PLAIN], 5, [[0]], seed=0)
    with pytest.raises(ShapeError, match="span 15625 states"):
        cylinder_spectrum(wide, 6)
