"""Infinite PEPS in their corner environment against states that are known exactly."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ellipe, ellipk

import tests.strict_device  # noqa: F401
import tnsim.models as models
from tests.algorithms.peps.infinite_states import PLAIN, aklt_state, ising_state, plain
from tnsim.algorithms.peps.infinite.energy_certificate import certify_energy, memory_of
from tnsim.algorithms.peps.infinite.infinite_density import pair_density, site_density
from tnsim.algorithms.peps.infinite.infinite_measure import correlations, measure_infinite
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.algorithms.plane.directional_environment import _projectors, first_alike
from tnsim.algorithms.plane.site_layers import open_bond, site_legs, through
from tnsim.errors import OperatorError, SettingsError, ShapeError
from tnsim.linalg import Truncation
from tnsim.models import Lattice
from tnsim.models.classical import Ising
from tnsim.networks.double_layer import overlap_network
from tnsim.networks.peps import PEPS, InfinitePEPS, PlaneTerms
from tnsim.networks.sites import spin_site
from tnsim.symmetry import Leg, trivial_leg
from tnsim.tensor import contract, from_dense

SQUARE = Lattice("square", 3, 3)


def corners(chi: int, **changed) -> CTMRG:
    return CTMRG(truncation=Truncation(chi_max=chi), symmetric=False, **{"tol": 1e-9, **changed})


def zz_terms(psi: InfinitePEPS, J: float = -4.0) -> PlaneTerms:
    return PlaneTerms.infinite_of(models.XYZ(lattice=SQUARE, Jx=0.0, Jy=0.0, Jz=J, conserve=None), psi.pattern)


@pytest.mark.parametrize(
    ("beta", "start", "energy", "spin"),
    [(0.3, "", -0.704499070832445, 0.0), (0.5, "first", -1.745564575312554, 0.911319377877496)],
)
def test_the_ising_state_has_the_energy_of_onsager(beta, start, energy, spin):
    psi = ising_state(beta)
    found = corners(16, start=start).solve(psi)
    assert found.status.converged and found.log_z == pytest.approx(
        {0.3: 0.790559070951262866, 0.5: 1.025792812694917578}[beta], abs=1e-9
    )
    for patch in (False, True):
        measured = measure_infinite(found.environment, zz_terms(psi), patch=patch)
        assert measured.energy == pytest.approx(energy, abs=1e-9)
        assert 2 * abs(measured.moments[0, 0]["Sz"]) == pytest.approx(spin, abs=1e-9)
    assert measured.asymmetry < 1e-12 and measured.negative > -1e-12
    assert 2 * measured.order == pytest.approx(np.hypot(spin, 2 * measured.moments[0, 0]["Sx"]), abs=1e-9)


@pytest.mark.parametrize(
    ("J", "h", "vector", "energy"),
    [(1.0, 0.0, [1.0, 1.0], -2.0), (0.0, 3.0, [0.0, 1.0], -3.0), (1.0, 2.5, [0.6, 0.8], -2 * 0.96**2 - 2.5 * 0.28)],
)
def test_product_states_have_the_energy_of_mean_field(J, h, vector, energy):
    """The limits of the transverse-field Ising model, -J sum XX - h sum Z, and a state between them."""
    model = models.TransverseIsing(lattice=SQUARE, J=J, h=h)
    psi = InfinitePEPS.product([PLAIN], [vector], [[0]])
    environment = corners(4).solve(psi).environment
    assert measure_infinite(environment, PlaneTerms.infinite_of(model, [[0]])).energy == pytest.approx(
        energy, abs=1e-12
    )


def test_next_nearest_and_long_correlations_of_the_ising_state():
    """Exact: <s00 s11> of the isotropic lattice is a complete elliptic integral (B. Kaufman, L. Onsager 1949)."""
    beta = 0.3
    k = np.sinh(2 * beta) ** 2
    diagonal = 2 / np.pi * (ellipe(k**2) - (1 - k**2) * ellipk(k**2)) / k
    environment = corners(16).solve(ising_state(beta)).environment
    zz = np.kron(*(2 * PLAIN.op("Sz"),) * 2)
    for second in ((1, 1), (1, -1)):
        density = pair_density(environment, (0, 0), second)
        assert np.sum(density.T * zz) == pytest.approx(diagonal, abs=1e-10)
    row, column = (4 * correlations(environment, PLAIN, "Sz", "Sz", 6, column=way) for way in (False, True))
    np.testing.assert_allclose(row, column, atol=1e-9)
    assert np.sum(pair_density(environment, (0, 0), (0, 2)).T * zz) == pytest.approx(row[1], abs=1e-10)
    # ln tanh(beta) + 2 beta: the inverse correlation length along an axis (Onsager)
    decay = -(np.log(np.tanh(beta)) + 2 * beta)
    lengths = environment.correlation_lengths()  # a band of eigenvalues, whose edge is met from below as chi grows
    assert lengths == pytest.approx((1 / decay, 1 / decay), rel=5e-2) and max(lengths) < 1 / decay
    apart = correlations(environment, PLAIN, "Sz", "Sz", 2, connected=True)
    np.testing.assert_allclose(4 * apart, row[:2], atol=1e-9)


def test_the_aklt_state_has_no_pair_of_the_largest_spin():
    psi = aklt_state()
    environment = corners(16, max_steps=60).solve(psi).environment
    site = psi.sites[0]
    dot = sum(np.kron(site.op(name), site.op(name)) for name in ("Sx", "Sy", "Sz")).real
    values, vectors = np.linalg.eigh(dot)
    top = vectors[:, values > 4 - 1e-9]  # spin 4 of two spins 2
    assert top.shape[1] == 9
    for second in ((0, 1), (1, 0)):
        density = pair_density(environment, (0, 0), second)
        assert abs(np.trace(top.T @ density @ top)) < 1e-12
    np.testing.assert_allclose(site_density(environment, (0, 0)), np.eye(5) / 5, atol=1e-10)


@pytest.mark.parametrize("conserve", ["Sz", None])
def test_dimers_are_exact_in_a_cell_of_two(conserve):
    """Singlets on every second bond along rows: -3/4 on these bonds and 0 on all others."""
    site = spin_site(conserve=conserve)
    singlet = np.array([[0.0, 1.0], [-1.0, 0.0]])
    left = np.einsum("ep->ep", np.eye(2)).reshape(1, 2, 1, 1, 2)
    right = np.einsum("wp->wp", singlet).reshape(1, 1, 1, 2, 2)
    one = [Leg(site.group, [site.group.identity], [1], flow) for flow in (1, -1, -1, 1)]
    bond = Leg(site.group, site.leg.charges, site.leg.dims, -1)
    a = from_dense(left, [one[0], bond, one[2], one[3], site.leg])
    b = from_dense(right, [one[0], one[1], one[2], bond.dual, site.leg])
    psi = InfinitePEPS([a, b], [[0, 1]], [site] * 2)
    terms = PlaneTerms.infinite_of(models.Heisenberg(lattice=SQUARE, conserve=conserve), psi.pattern)
    measured = measure_infinite(corners(4).solve(psi).environment, terms)
    assert measured.energy == pytest.approx(-0.375, abs=1e-12)
    expected = {((0, 0), (0, 1)): -0.75, ((0, 1), (0, 2)): 0.0, ((0, 0), (1, 0)): 0.0, ((0, 1), (1, 1)): 0.0}
    assert measured.pairs == pytest.approx(expected, abs=1e-12)
    environment = corners(4).solve(psi).environment
    found = correlations(environment, site, "S+", "S-", 3)
    np.testing.assert_allclose(found, [-0.5, 0.0, 0.0], atol=1e-12)


def test_a_symmetric_state_is_the_dense_one():
    """Random U(1) tensors in a checkerboard, against the same numbers without blocks."""
    psi = InfinitePEPS.random([spin_site()] * 2, 2, [[0, 1], [1, 0]], states=["up", "down"], seed=4)
    unblocked = []
    for tensor in psi.tensors:
        legs = [trivial_leg(n, flow) for n, flow in zip(tensor.shape, (1, -1, -1, 1, 1), strict=True)]
        unblocked.append(from_dense(tensor.to_dense(), legs))
    dense = InfinitePEPS(unblocked, psi.pattern, [PLAIN] * 2)
    values = []
    for state, conserve in ((psi, "Sz"), (dense, None)):
        terms = PlaneTerms.infinite_of(models.J1J2(lattice=SQUARE, J2=0.5, conserve=conserve), psi.pattern)
        values.append(measure_infinite(corners(12, max_steps=24).solve(state).environment, terms))
    assert values[0].energy == pytest.approx(values[1].energy, abs=1e-6)
    assert values[0].pairs == pytest.approx(values[1].pairs, abs=1e-6)


def test_layers_apart_are_the_fused_double_layer():
    """One row and column of the environment by ket and bra, and by tensors of D^4 elements."""
    psi = PEPS.random([[PLAIN] * 2] * 2, 2, seed=0)
    fused = overlap_network(psi.rows, psi.rows)
    for number in range(4):
        for i, j in psi.places():
            state, plain_site = psi.tensor(i, j), fused.rows[i][j]
            assert site_legs(state) == plain_site.legs
            sides = [(0, 3), (1, 0), (2, 1), (3, 2)][number]
            x, y = open_bond(state, sides[1]), open_bond(state, sides[0])
            unit = open_bond(plain(np.ones((1, 1, 1, 1, 2))).tensors[0], 0)
            quarter = contract("i, x, y, o -> i x y o", unit, x, y, unit)
            apart, together = (through(t, quarter, number) for t in (state, plain_site))
            np.testing.assert_allclose(apart.to_dense(), together.to_dense(), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_the_device_does_the_same(dtype):
    psi = ising_state(0.3).astype(dtype)
    ctmrg = corners(4, tol=1e-3, max_steps=8)
    here, there = (
        measure_infinite(ctmrg.solve(state).environment, zz_terms(psi)).energy for state in (psi, psi.to("strict"))
    )
    assert here == pytest.approx(there, rel=1e-4) and here == pytest.approx(-0.7045, abs=5e-3)


def test_a_good_environment_is_certified():
    psi = ising_state(0.3)
    ctmrg = corners(6)
    made = certify_energy(ctmrg, psi, ctmrg.solve(psi), zz_terms(psi), bound=-2.0)
    assert not made.problems and made.error < 1e-6 and made.sides < 1e-6 and "nothing is wrong" in repr(made)
    assert made.patch == pytest.approx(made.energy, abs=1e-6)


def test_what_is_wrong_is_said():
    psi = ising_state(0.43)
    ctmrg = corners(2, max_steps=3)
    made = certify_energy(ctmrg, psi, ctmrg.solve(psi), zz_terms(psi), bound=-0.5)
    text = repr(made)
    assert "max_steps" in text and "below the known bound" in text and "at 3/2 chi" in text


def test_superposed_states_are_flagged():
    psi = ising_state(0.55)
    ctmrg = corners(4, max_steps=40)
    found = ctmrg.solve(psi)
    assert abs(measure_infinite(found.environment, zz_terms(psi)).moments[0, 0]["Sz"]) < 1e-6
    assert any("superposed" in problem for problem in ctmrg.certify(psi, found).problems)


def test_bad_input_is_refused():
    psi = ising_state(0.3)
    found = corners(4, max_steps=20).solve(psi)
    with pytest.raises(SettingsError, match="symmetric=False"):
        CTMRG(truncation=Truncation(chi_max=4)).solve(psi)
    with pytest.raises(SettingsError, match="no edge 'fixed'"):
        corners(4, start="fixed").solve(psi)
    with pytest.raises(ShapeError, match="1 x 1 places"):
        measure_infinite(found.environment, zz_terms(InfinitePEPS.product([PLAIN], ["up"], [[0, 0]])))
    with pytest.raises(ShapeError, match="no state on a site"):
        measure_infinite(found.environment, PlaneTerms.infinite_of(models.Heisenberg(lattice=SQUARE), [[0]]))
    single = CTMRG(truncation=Truncation(chi_max=4), max_steps=4).solve(Ising(beta=0.3)).environment
    with pytest.raises(OperatorError, match="four corners"):
        measure_infinite(single, zz_terms(psi))
    with pytest.raises(OperatorError, match="across a plaquette"):
        pair_density(found.environment, (0, 0), (2, 3))
    with pytest.raises(ShapeError, match="at least one place"):
        correlations(found.environment, PLAIN, "Sz", "Sz", 0)
    assert memory_of(psi, 100) > memory_of(psi, 10) > 0


def test_places_that_are_one_have_one_environment(monkeypatch):
    """A checkerboard of two tensors: half of the work, and the numbers of four environments."""
    rng = np.random.default_rng(5)
    arrays = [np.ones((2, 2, 2, 2, 2)) + 0.4 * rng.standard_normal((2, 2, 2, 2, 2)) for _ in "ab"]
    states = [plain(array) for array in arrays]
    psi = InfinitePEPS([state.tensors[0] for state in states], [[0, 1], [1, 0]], [PLAIN, PLAIN])
    made = []
    monkeypatch.setattr(
        "tnsim.algorithms.plane.directional_environment._projectors", lambda *w: made.append(1) or _projectors(*w)
    )
    one, apart = corners(8), corners(8, share=False)
    found, other = one.solve(psi), apart.solve(psi)
    cell = found.environment.cell
    assert cell[0][0] is cell[1][1] and cell[0][1] is cell[1][0] and cell[0][0] is not cell[0][1]
    assert len({id(site) for row in other.environment.cell for site in row}) == 4
    assert found.log_z == pytest.approx(other.log_z, abs=1e-12)
    terms = zz_terms(psi)
    measured = [measure_infinite(each.environment, terms) for each in (found, other)]
    assert measured[0].energy == pytest.approx(measured[1].energy, abs=1e-10)
    # two places and two bonds of each to the east and to the south, not four and eight
    assert (len(found.environment.densities), len(other.environment.densities)) == (6, 12)
    for pair, energy in measured[1].pairs.items():
        assert measured[0].pairs[pair] == pytest.approx(energy, abs=1e-10)
    # a step takes in one column of two places from every side; else two columns
    for environment, count in ((found.environment, 8), (other.environment, 16)):
        made.clear()
        environment.grown(one.truncation)
        assert len(made) == count


def test_an_order_that_breaks_the_translation_takes_environments_of_their_own():
    """The ordered antiferromagnet of Ising in one tensor: up and down in turn (Yang), as no single environment is."""
    beta, one = 0.8, np.eye(2)
    weights = np.exp(-beta / 2 * np.array([[1.0, -1.0], [-1.0, 1.0]]))
    psi = plain(np.einsum("np,ep,sp,wp->neswp", one, weights, weights, one), [[0, 0], [0, 0]])
    shared = corners(4, start="first", max_steps=30)
    swinging = shared.solve(psi)
    assert not swinging.status.converged and "share=False" in swinging.status.advice
    apart = corners(4, start="first", share=False, tol=1e-6)
    found = apart.solve(psi)
    assert found.status.converged
    spins = [2 * site_density(found.environment, place).T.ravel() @ PLAIN.op("Sz").ravel()
             for place in np.ndindex(2, 2)]  # fmt: skip
    spin = (1 - np.sinh(2 * beta) ** -4) ** 0.125
    assert spins == pytest.approx(np.array([1, -1, -1, 1]) * np.sign(spins[0]) * spin, abs=1e-6)
    # what is gone on from stays apart unless it is told to be one
    again = replace(apart, share=None).solve(psi, resume=found)
    assert again.status.converged and len({id(site) for row in again.environment.cell for site in row}) == 4


def test_equal_letters_are_one_only_where_they_see_the_same():
    assert first_alike([[0, 1], [1, 0]]) == [[(0, 0), (0, 1)], [(0, 1), (0, 0)]]
    assert first_alike([[0, 0, 1]]) == [[(0, 0), (0, 1), (0, 2)]]
    assert first_alike([[0, 0], [0, 0]]) == [[(0, 0)] * 2] * 2
    assert first_alike([[0, 1], [0, 1]]) == [[(0, 0), (0, 1)]] * 2


def test_chains_and_a_start_of_rank_one_are_flagged():
    """A state of chains beside each other (TeNeS #115), and one of two parts of which the start sees one."""
    weights = [np.exp(beta / 2 * np.array([[1.0, -1.0], [-1.0, 1.0]])) for beta in (1.0, 0.0)]
    values = [np.linalg.eigh(matrix) for matrix in weights]
    along, across = (vectors * np.sqrt(np.maximum(w, 0)) @ vectors.T for w, vectors in values)
    chains = plain(np.einsum("np,ep,sp,wp->neswp", across, along, across, along))
    both = np.zeros((2, 2, 2, 2, 2))
    both[0, 0, 0, 0, 0] = both[1, 1, 1, 1, 1] = 1
    for psi, start, words in ((chains, "", "set of chains"), (plain(both), "first", "rank 1")):
        run = corners(4, start=start)
        certificate = certify_energy(run, psi, run.solve(psi), zz_terms(psi))
        assert certificate.environment.saturated and any(words in problem for problem in certificate.problems)
        assert "as bonds end there by themselves" in repr(certificate)
