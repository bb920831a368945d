"""Reflections of a chain: what they do to sites, operators and states, and what plans save by them."""

from functools import reduce

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact import dense
from tnsim.backend import thread_count
from tnsim.models import J1J2, TJ, XXZ, Heisenberg, Hubbard, KondoLattice, Lattice, RandomFieldHeisenberg
from tnsim.networks import effective
from tnsim.networks.canonical import canonicalize, isometry_error
from tnsim.networks.effective import TwoSiteHamiltonian
from tnsim.networks.environments import Environments
from tnsim.networks.mirror_gauge import mirror_gauge, parity_sector_size
from tnsim.networks.reflection import ChainMirror, images, reflected_channels, site_reflection, site_reflections
from tnsim.networks.two_site_split import split_two_site

ELECTRONS = ["up", "down", "empty", "full"]
# models, and start states whose charge is its own reflection
MODELS = {
    "spins": (Heisenberg(L=6), ["up", "down"] * 3),
    "spins 1": (Heisenberg(L=5, S=1), ["1", "-1", "0", "1", "-1"]),
    "a cylinder": (J1J2(J2=0.5, lattice=Lattice("square", 2, 4, bc_y="periodic")), ["up", "down"] * 4),
    "electrons": (Hubbard(L=4, U=3.0, V=0.5), ELECTRONS),
    "a flux": (Hubbard(L=4, U=3.0, periodic=True, flux=0.4), ELECTRONS),
    "projected electrons": (TJ(L=5, N=4, J=0.3), ["up", "down", "up", "down", "empty"]),
    "localized spins": (KondoLattice(L=3), ["up,down", "down,up", "up,down"]),
}


def flip_of(sites):
    """The flip of all sites as a dense matrix."""
    return reduce(np.kron, [site.op("Flip") for site in sites])


def mirrored(model, states, *, chi=8, center=0, parity=1, seed=3):
    """A random state of one parity in mirror gauge, and the mirror of the chain."""
    psi = tn.symmetrized(tn.MPS.random(model.sites, chi=chi, like=states, seed=seed), "Flip", parity)
    H, sites = model.mpo(), site_reflections(model.sites, "Flip")
    psi = psi.astype(np.result_type(psi.dtype, H.dtype))
    psi, even = mirror_gauge(canonicalize(psi, center), "Flip", parity)
    return H, psi, ChainMirror(sites, reflected_channels(H.site_operators, sites), even)


@pytest.mark.parametrize("name", MODELS)
def test_flip_turns_spins_round_and_keeps_hamiltonians(name):
    model, _ = MODELS[name]
    for site in set(model.sites):
        flip = site.op("Flip")
        assert np.array_equal(flip @ site.op("S+") @ flip, site.op("S-"))
        assert np.array_equal(flip @ site.op("Sz") @ flip, -site.op("Sz"))
    flip, H = flip_of(model.sites), model.mpo().to_dense()
    np.testing.assert_allclose(flip @ H @ flip, H, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("parity", [1, -1])
def test_symmetrized_is_the_part_of_one_parity(name, parity):
    model, states = MODELS[name]
    psi = tn.MPS.random(model.sites, chi=5, like=states, seed=1)
    vector, flip = psi.to_dense(), flip_of(model.sites)
    expected = vector + parity * flip @ vector
    np.testing.assert_allclose(tn.reflected(psi, "Flip").to_dense(), flip @ vector, atol=1e-14)
    part = tn.symmetrized(psi, "Flip", parity)
    np.testing.assert_allclose(part.to_dense(), expected / np.linalg.norm(expected), atol=1e-12)
    again = tn.symmetrized(part * 3.0, "Flip", parity)
    np.testing.assert_allclose(again.to_dense(), part.to_dense(), atol=1e-12)
    assert again.bond_dimensions == part.bond_dimensions


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("center", [0, 2])
@pytest.mark.parametrize("parity", [1, -1])
def test_mirror_gauge_moves_bases_without_mixing(name, center, parity):
    """The state is the same, sites stay isometric, and every site is its own reflection with the signs of its bonds."""
    model, states = MODELS[name]
    before = tn.symmetrized(tn.MPS.random(model.sites, chi=8, like=states, seed=3), "Flip", parity)
    psi, even = mirror_gauge(canonicalize(before, center), "Flip", parity)
    np.testing.assert_allclose(psi.to_dense(), before.to_dense(), atol=1e-12)
    factors = site_reflections(model.sites, "Flip")[0].factors
    for i, (tensor, other) in enumerate(zip(psi.tensors, tn.reflected(psi, "Flip").tensors, strict=True)):
        assert i == center or isometry_error(tensor, left=i < center) < 1e-12
        left, right = (_signs(tensor.legs[axis], even[bond], factors) for axis, bond in ((0, i), (2, i + 1)))
        expected = left[:, None, None] * tensor.to_dense() * right
        np.testing.assert_allclose(other.to_dense(), expected, atol=1e-10)


def _signs(leg, even, factors):
    """Of every state of a bond in mirror gauge: -1 for the odd ones of sectors that are their own images."""
    goals = images(leg.with_flow(1), factors)
    signs = [
        np.where((np.arange(dim) < n) | (goal != x), 1, -1)
        for x, (dim, n, goal) in enumerate(zip(leg.dims, even, goals, strict=True))
    ]
    return np.concatenate(signs)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("parity", [1, -1])
def test_updates_with_a_mirror_are_those_without(name, parity):
    """Products and environments, with half of the work: the reflection of a random state and of H are what they are."""
    model, states = MODELS[name]
    bond = model.L // 2 - 1
    H, psi, mirror = mirrored(model, states, center=bond, parity=parity)
    environments = Environments(list(psi.tensors), H.site_operators)
    around = environments.left(bond), *H.site_operators[bond : bond + 2], environments.right(bond + 1)
    plain = TwoSiteHamiltonian(*around, hermitian=True)
    heff = TwoSiteHamiltonian(*around, hermitian=True, mirror=mirror.around(bond))
    theta = plain.join(*psi.tensors[bond : bond + 2])
    np.testing.assert_allclose(heff.join(*psi.tensors[bond : bond + 2]), theta, atol=1e-12)
    np.testing.assert_allclose(heff.apply(theta), plain.apply(theta), atol=1e-11)
    assert heff.plan.matvec.flops < (0.7 if name in ("spins", "a cylinder") else 0.95) * plain.plan.matvec.flops
    theta = theta / np.linalg.norm(theta)
    for rightwards in (True, False):
        for method, noise in (("svd", 0.0), ("gram", 0.0), ("leading", 0.0), ("gram", 1e-2), ("leading", 1e-2)):
            given = {"rightwards": rightwards, "method": method, "noise": noise}
            cut = split_two_site(heff, theta, tn.Truncation(chi_max=99), **given)
            best = split_two_site(plain, theta, tn.Truncation(chi_max=99), **given)
            product = plain.join(cut.first, cut.second)
            np.testing.assert_allclose(product / np.linalg.norm(product), theta, atol=2e-7)
            assert cut.bond is best.bond or noise > 0
            if noise == 0:
                np.testing.assert_allclose(np.sort(cut.weights), np.sort(best.weights), atol=1e-12)
            grown = heff.grow(cut.bond, cut.isometry, rightwards, cut.even)
            full = plain.grow(cut.bond, cut.isometry, rightwards)
            np.testing.assert_allclose(grown.data, full.data, atol=1e-12)


@pytest.mark.parametrize("method", ["svd", "gram", "leading"])
@pytest.mark.parametrize("chi", [1, 2, 5, 8])
def test_cuts_keep_states_with_their_images(method, chi):
    """The discarded weight is that of the best cut, but for one state that has no room for its image."""
    model, states = MODELS["a cylinder"]
    H, psi, mirror = mirrored(model, states, chi=16, center=3)
    environments = Environments(list(psi.tensors), H.site_operators)
    around = environments.left(3), *H.site_operators[3:5], environments.right(4)
    heff = TwoSiteHamiltonian(*around, hermitian=True, mirror=mirror.around(3))
    plain = TwoSiteHamiltonian(*around, hermitian=True)
    theta = plain.join(*psi.tensors[3:5])
    cut = split_two_site(heff, theta, tn.Truncation(chi_max=chi), rightwards=True, method=method)
    best, wider = (
        split_two_site(plain, theta, tn.Truncation(chi_max=n), rightwards=True, method="svd") for n in (chi, chi - 1)
    ) if chi > 1 else (None, None)  # fmt: skip
    images(cut.bond, (-1,))  # raises where a sector has other dimensions than its image
    assert cut.bond.dim <= max(chi, 2)  # a pair that has no room, but nothing else to keep
    if best is not None:
        slack = 1.02 if method == "leading" else 1 + 1e-10
        assert best.trunc_err * (1 - 1e-10) <= cut.trunc_err <= wider.trunc_err * slack
    product = plain.join(cut.first, cut.second)
    assert abs(1 - float(product @ theta) ** 2 - cut.trunc_err) < 1e-10 + 1e-3 * cut.trunc_err


def results_of(psi, H, mirror):
    """What an update of sites 1 and 2 computes, on the host: a product, a cut with noise, the environment beyond it."""
    environments, read = Environments(list(psi.tensors), H.to(psi.backend).site_operators), psi.backend.to_host
    around = environments.left(1), *H.site_operators[1:3], environments.right(2)
    heff = TwoSiteHamiltonian(*around, hermitian=True, mirror=mirror.around(1))
    theta = heff.join(*psi.tensors[1:3])
    cut = split_two_site(heff, theta, tn.Truncation(chi_max=6), rightwards=True, method="gram", noise=1e-3)
    grown = heff.grow(cut.bond, cut.isometry, True, cut.even)
    product = heff.join(cut.first, cut.second)  # sites and environments are fixed up to signs of states
    return [read(heff.apply(theta)), np.sort(cut.weights), read(product), np.sort(np.abs(read(grown.data)))]


@pytest.mark.parametrize("backend", ["strict", "cuda-host"])
def test_updates_with_a_mirror_on_devices(backend):
    model, states = MODELS["spins 1"]
    H, psi, mirror = mirrored(model, states, center=1)
    device = backend_or_skip(backend)
    for one, other in zip(results_of(psi, H, mirror), results_of(psi.to(device), H, mirror), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-10)


def test_threads_share_updates_with_a_mirror(monkeypatch):
    """With helpers for however little work, so that tasks of all plans run side by side."""
    model, states = MODELS["a flux"]
    H, psi, mirror = mirrored(model, states, center=1)
    alone, before = results_of(psi, H, mirror), thread_count()
    monkeypatch.setattr(effective, "_THREADED", 0.0)
    try:
        tn.set_threads(2)
        for _ in range(5):
            for one, other in zip(alone, results_of(psi, H, mirror), strict=True):
                np.testing.assert_allclose(other, one, atol=1e-10)
    finally:
        tn.set_threads(before)


def test_channels_of_what_is_not_its_own_reflection():
    for model in (RandomFieldHeisenberg(L=6, W=1.0, seed=1), XXZ(L=6, D=0.3)):
        with pytest.raises(tn.errors.OperatorError, match="not its own reflection"):
            reflected_channels(model.mpo().site_operators, site_reflections(model.sites, "Flip"))


def test_what_is_no_reflection():
    site = tn.spin_site()
    for name in ("S+", "Sz", "Sx"):
        with pytest.raises(tn.errors.OperatorError, match="is no reflection"):
            site_reflection(site, name)
    with pytest.raises(tn.errors.OperatorError, match="no operator 'Flop'"):
        site_reflection(site, "Flop")
    turn = tn.spin_site(S=1).with_operator("Turn", np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]))
    with pytest.raises(tn.errors.OperatorError, match="keep each kind of charge"):
        site_reflection(turn, "Turn")


def test_states_without_the_parity_asked_for():
    neel = tn.MPS.product(tn.spin_sites(4), ["up", "down"] * 2)
    with pytest.raises(tn.errors.StateError, match="even under 'Flip'"):
        tn.symmetrized(tn.symmetrized(neel, "Flip", 1), "Flip", -1)
    with pytest.raises(tn.errors.StateError, match="parity 1"):
        tn.symmetrized(neel, "Flip", 0)
    with pytest.raises(tn.errors.ChargeError, match="2 Sz = 0"):
        tn.symmetrized(tn.MPS.product(tn.spin_sites(4), ["up"] * 3 + ["down"]), "Flip", 1)
    random = tn.MPS.random(tn.spin_sites(6), chi=4, charge=0, seed=1)
    with pytest.raises(tn.errors.StateError, match="off by"):
        mirror_gauge(canonicalize(random, 0), "Flip", 1)
    with pytest.raises(tn.errors.StateError, match="other dimensions"):
        mirror_gauge(neel, "Flip", 1)
    with pytest.raises(tn.errors.StateError, match="reflection is 1.000000, not -1"):
        mirror_gauge(canonicalize(tn.symmetrized(random, "Flip", 1), 0), "Flip", -1)


def test_sector_sizes_of_each_parity():
    """Against the trace of the projectors."""
    for model, states in MODELS.values():
        psi = tn.MPS.product(model.sites, states)
        kept = (dense.charges(model.sites) == np.array(psi.charge)).all(axis=1)
        flip = flip_of(model.sites)[np.ix_(kept, kept)]
        for parity in (1, -1):
            expected = round(np.trace(np.eye(len(flip)) + parity * flip) / 2)
            assert parity_sector_size(model.sites, psi.charge, "Flip", parity) == expected


def test_sites_without_charges_take_the_factors_of_the_others():
    spin, flag = tn.spin_site(), np.array([[0.0, 1.0], [1.0, 0.0]])
    level = tn.custom_site("level", ("a", "b"), spin.group, [0, 0], {"Flip": flag, "N": np.diag([0.0, 1.0])})
    for sites in ((spin, level, spin), (level, spin, spin)):
        assert {reflection.factors for reflection in site_reflections(sites, "Flip")} == {(-1,)}
    other = tn.custom_site("other", ("a", "b"), spin.group, [1, 2], {"Flip": np.eye(2)})
    with pytest.raises(tn.errors.OperatorError, match="does the same to all"):
        site_reflections((spin, other), "Flip")
