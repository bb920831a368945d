"""Momenta of Schmidt states on infinite cylinders: dimers across the cut, whose Schmidt states are known."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

import tnsim as tn
from tests.devices import BACKENDS, backend_or_skip
from tnsim.errors import ShapeError, StateError
from tnsim.models import SpinlessFermions, TransverseIsing

PI = np.pi


def dimers(closing, opening, Ly: int, sign) -> tn.InfiniteMPS:
    """sum_s |s> |opposite of s> between every site of an opening column and its neighbour in the next, closing one.

    A bond holds the states of the sites that still wait for their neighbours: the first of them is the next. sign: of a
    closing site's state and the states that wait behind it.
    """
    waiting = [list(product((0, 1), repeat=k)) for k in range(Ly + 1)]
    charges = [[sum(opening.charges[s][0] for s in states) for states in row] for row in waiting]
    orders = [np.argsort(row, kind="stable") for row in charges]
    tensors = []
    for k in [*range(Ly, 0, -1), *range(Ly)]:
        opens = len(tensors) >= Ly
        left, right, site = (k, k + 1, opening) if opens else (k, k - 1, closing)
        array = np.zeros((2**left, 2, 2**right))
        for row, states in enumerate(waiting[left]):
            for t in (0, 1):
                if opens:
                    array[row, t, waiting[right].index((*states, t))] = 1.0
                elif t == 1 - states[0]:
                    array[row, t, waiting[right].index(states[1:])] = sign(t, states[1:])
        legs = [leg_of(site.group, charges[k], flow) for k, flow in ((left, 1), (right, -1))]
        array = array[orders[left]][:, :, orders[right]]
        tensors.append(tn.from_dense(array, (legs[0], site.leg, legs[1])))
    return tn.InfiniteMPS.from_tensors(tensors, [closing] * Ly + [opening] * Ly)


def leg_of(group, charges, flow: int) -> tn.Leg:
    known = sorted(set(charges))
    return tn.Leg(group, [(q,) for q in known], [charges.count(q) for q in known], flow)


def singlets(Ly: int) -> tn.InfiniteMPS:
    site = tn.spin_site(0.5, "Sz")
    return dimers(site, site, Ly, lambda t, behind: (-1) ** t)


def shared_fermions(Ly: int) -> tn.InfiniteMPS:
    """One fermion on each pair: a creator passes those that wait behind it."""
    site = tn.fermion_site("N")
    return dimers(tn.neutral_cell([site], 1)[0], site, Ly, lambda t, behind: (-1) ** (t * sum(behind)))


def by_charge(spectrum) -> dict:
    """Momenta in units of pi in every sector, sorted, relative to that of the first sector, which holds one state."""
    zero = spectrum.momenta[spectrum.charges.index(min(spectrum.charges))]
    turned = np.round(np.mod((spectrum.momenta - zero) / PI + 1e-7, 2), 5)
    return {
        q: sorted(float(k) for k, p in zip(turned, spectrum.charges, strict=True) if p == q)
        for q in sorted(set(spectrum.charges))
    }


@pytest.mark.parametrize("Ly", [3, 4])
def test_spins_on_a_ring(Ly):
    spectrum = tn.momentum_spectrum(singlets(Ly), Ly)
    np.testing.assert_allclose(spectrum.values, np.full(2**Ly, 2 ** (-Ly / 2)), atol=1e-10)
    assert spectrum.overlap == pytest.approx(1, abs=1e-10)
    # states that turn into each other, k of them, have the momenta 2 pi / k
    all_of_them = [2 * k / Ly for k in range(Ly)]
    inner = {3: [all_of_them] * 2, 4: [all_of_them, sorted([0.0, 1.0, *all_of_them]), all_of_them]}[Ly]
    found = list(by_charge(spectrum).values())
    for momenta, exact in zip(found, [[0.0], *inner, [0.0]], strict=True):
        np.testing.assert_allclose(momenta, exact, atol=2e-5)


@pytest.mark.parametrize("Ly", [3, 4])
def test_fermions_on_a_ring(Ly):
    spectrum = tn.momentum_spectrum(shared_fermions(Ly), Ly)
    assert spectrum.overlap == pytest.approx(1, abs=1e-10)
    for N, found in enumerate(by_charge(spectrum).values()):
        # N different plane waves: the sign of those that pass each other decides
        sums = [np.mod(2 * sum(k) / Ly + 1e-7, 2) for k in combinations(range(Ly), N)]
        np.testing.assert_allclose(found, sorted(np.round(sums, 5)), atol=2e-5)


def with_uneven_charges(psi: tn.InfiniteMPS, shifts) -> tn.InfiniteMPS:
    """The same state, where the charges of each site are shifted, and bonds carry what comes together."""

    def moved(tensor, *offsets):
        legs = [
            tn.Leg(leg.group, [(q + offset,) for (q,) in leg.charges], leg.dims, leg.flow)
            for leg, offset in zip(tensor.legs, offsets, strict=True)
        ]
        return tn.Tensor(legs, tensor.data)

    sites, sums = list(psi.sites), [0, *np.cumsum(shifts).tolist()]
    for i, shift in enumerate(shifts):
        sites[i] = replace(sites[i], charges=tuple((q + shift,) for (q,) in sites[i].charges))
    tensors = [moved(A, sums[i], shifts[i], sums[i + 1]) for i, A in enumerate(psi.AL)]
    return tn.InfiniteMPS.from_tensors(tensors, sites)


@pytest.mark.parametrize("shifts", [(1, -1, 0, 0, 0, 0), (0, 2, 0, 0, -1, -1)])
def test_charges_may_be_measured_from_different_origins(shifts):
    """As neutral_cell does where the density is no whole number: momenta, values and charges stay what they are."""
    psi = shared_fermions(3)
    uneven = with_uneven_charges(psi, shifts)
    found, exact = tn.momentum_spectrum(uneven, 3), tn.momentum_spectrum(psi, 3)
    np.testing.assert_allclose(found.values, exact.values, atol=1e-10)
    assert found.overlap == pytest.approx(1, abs=1e-10) and by_charge(found) == by_charge(exact)


def test_a_third_of_the_sites_filled():
    """One fermion a ring of three, from the model: its band of momentum zero is full, and nothing else.

    Rings are products of that orbital, (c_0 + c_1 + c_2) / sqrt(3), with one Schmidt value between them.
    """
    lattice = tn.Lattice("square", 1, 3, bc_y="periodic")
    model = SpinlessFermions(lattice=lattice, N=1, V=0.0, t=lambda pair: 0.0 if pair.vector[0] else 1.0)
    settings = tn.VUMPS(truncation=tn.Truncation(chi_max=4, svd_min=1e-8), gradient_tol=1e-6, max_sweeps=40)
    result = settings.solve(model.infinite_mpo(), model.infinite_product())
    assert result.energy == pytest.approx(-2 / 3, abs=1e-9)
    spectrum = tn.momentum_spectrum(result.state, 3)
    np.testing.assert_allclose(spectrum.values, [1.0], atol=1e-6)
    assert spectrum.charges == ((0,),) and spectrum.overlap == pytest.approx(1, abs=1e-6)


@pytest.fixture(scope="module")
def ising() -> tn.InfiniteMPS:
    """Three sites around, in a strong field."""
    lattice = tn.Lattice("square", 1, 3, bc_y="periodic")
    model = TransverseIsing(lattice=lattice, h=4.0)
    settings = tn.VUMPS(truncation=tn.Truncation(chi_max=8, svd_min=1e-9), gradient_tol=1e-6)
    return settings.solve(model.infinite_mpo(), model.infinite_product("up")).state


@pytest.mark.parametrize("place", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_pairs_of_momenta_on_an_ising_cylinder(ising, place, dtype):
    spectrum = tn.momentum_spectrum(ising.astype(dtype).to(backend_or_skip(place)), 3)
    steps = spectrum.momenta[:4] / (2 * PI / 3)
    # the vacuum, and one flip across the cut: with momentum 0, and two that go around either way
    np.testing.assert_allclose(sorted(steps), [-1, 0, 0, 1], atol=1e-3)
    pair = spectrum.values[:4][np.abs(steps) > 0.5]
    assert pair[0] == pytest.approx(pair[1], rel=1e-3) and spectrum.energies[0] == spectrum.energies.min()
    assert spectrum.overlap == pytest.approx(1, abs=1e-5)
    assert repr(spectrum).startswith("MomentumSpectrum(8 values, overlap with the turned state ")


def test_what_cannot_be_turned_is_refused():
    mixed = tn.InfiniteMPS.product([*tn.spin_sites(1), *tn.spin_sites(1, 1.5)] * 2, ["up", "-1/2", "up", "-1/2"])
    assert tn.momentum_spectrum(mixed, 2, 2).overlap == pytest.approx(1)
    with pytest.raises(ShapeError, match="the sites of a column differ from cell to cell"):
        tn.momentum_spectrum(mixed, 4)
    psi = tn.InfiniteMPS.product(tn.spin_sites(4), ["up", "down", "up", "down"])
    assert tn.momentum_spectrum(psi, 2, 2).overlap == pytest.approx(1)
    with pytest.raises(StateError, match="turned by one cell is 0.000000 per unit cell"):
        tn.momentum_spectrum(psi, 4)
    with pytest.raises(ShapeError, match="no whole number of columns with 3 cells of 1 sites"):
        tn.momentum_spectrum(psi, 3)
    with pytest.raises(ShapeError, match="no whole number"):
        tn.momentum_spectrum(psi, 0)
    with pytest.raises(ShapeError, match="no whole number"):
        tn.momentum_spectrum(psi, 2.0)
