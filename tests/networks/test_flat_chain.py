"""Layers of gates in one call: the exact state where nothing is cut, and how much is cut where something is."""

import numpy as np
import pytest
from scipy.linalg import expm

import tnsim as tn
from tests.networks.test_gates import on_chain, random_unitary
from tests.suites.chains import CHAINS, random_state, vector
from tnsim.errors import NumericalError
from tnsim.models import XXZ, TransverseIsing
from tnsim.networks import flat_chain
from tnsim.networks.canonical import isometry_error
from tnsim.networks.flat_chain import FlatChain
from tnsim.networks.gated_state import GatedState
from tnsim.networks.pair_terms import pair_terms
from tnsim.networks.two_site_gate import TwoSiteGate, two_site_gate
from tnsim.tensor import from_dense


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)
def test_layers_are_kronecker_products(chain):
    """From bonds of any size, so that sectors come and go and arrays grow."""
    psi = random_state(chain, np.complex128)
    exact, flat = vector(psi) / psi.norm(), FlatChain(psi * (1 / psi.norm()), tn.Truncation(chi_max=256))
    for number in range(4):
        layer = []
        for bond in range(number % 2, psi.L - 1, 2):
            gate = random_unitary(psi.sites[bond : bond + 2], seed=10 * number + bond)
            exact = on_chain(psi.sites, gate, bond, 2) @ exact
            layer.append((bond, two_site_gate(gate, psi.sites[bond : bond + 2])))
        flat.apply(layer)
    found, weight, log_norm = flat.finish()
    np.testing.assert_allclose(vector(found), exact, atol=1e-12)
    assert abs(weight) < 1e-13 and abs(log_norm) < 1e-12 and found.center == 0
    assert max(isometry_error(tensor, left=False) for tensor in found.tensors[1:]) < 1e-13


def layers_of(model, dt: float) -> list[list[tuple[int, TwoSiteGate]]]:
    """Even and odd bonds for one step."""
    matrices, _ = pair_terms(model.operator_sum(), model.sites)
    gates = [(i, two_site_gate(expm(-1j * dt * h), model.sites[i : i + 2])) for (i, _), h in sorted(matrices.items())]
    return [gates[::2], gates[1::2]]


def start_of(model, start: str, chi: int, time: float) -> tn.MPS:
    """A state whose bonds are full, by the scheme with a centre and SVD."""
    cut = tn.Truncation(chi_max=chi)
    run = tn.TEBD(dt=0.1, order=2, truncation=cut, split="svd", every=1000)
    psi = run.run(model.operator_sum(), model.product(start), time=time).state
    return psi * (1 / psi.norm())


QUENCHES = pytest.mark.parametrize(
    ("model", "start", "time"),
    [(XXZ(L=12, delta=0.5), "neel", 4.0), (TransverseIsing(L=12, conserve=None), "up", 3.0)],
    ids=["Sz", "no symmetry"],
)


@QUENCHES
@pytest.mark.parametrize("dt", [0.05, 0.5])
def test_cuts_are_near_the_best_and_known(model, start, time, dt):
    """Against singular values: from a warm start where gates are small, from a factor where they are not."""
    chi, steps = 12, 6
    psi, cut = start_of(model, start, chi, time), tn.Truncation(chi_max=chi)
    best, flat, warm = GatedState(psi, cut, split="svd"), FlatChain(psi, cut), False
    for _ in range(steps):
        for layer in layers_of(model, dt):
            flat.apply(layer)
            for bond, gate in layer:
                best.on_bond(bond, gate, rightwards=True)
        warm = warm or flat.from_warm_starts
    found, weight, log_norm = flat.finish()
    assert warm == (dt < 0.1) and best.weight > 1e-7
    assert weight == pytest.approx(best.weight, rel=0.1) and weight == pytest.approx(-2 * log_norm, rel=0.2)
    assert abs(1 - abs(tn.overlap(found, best.state))) < best.weight


@pytest.mark.parametrize(
    ("model", "start", "time"),
    [(XXZ(L=12, delta=0.5), "neel", 1.2), (TransverseIsing(L=12, conserve=None), "up", 1.6)],
    ids=["Sz", "no symmetry"],
)
def test_small_weights_are_cut_as_well(model, start, time):
    """Cuts from warm starts are as good where weights of 1e-14 are cut."""
    cut = tn.Truncation(chi_max=16, svd_min=1e-9)
    psi = start_of(model, start, cut.chi_max, time)
    best, flat = GatedState(psi, cut, split="svd"), FlatChain(psi, cut)
    for layer in layers_of(model, 0.05) * 2:
        flat.apply(layer)
        for bond, gate in layer:
            best.on_bond(bond, gate, rightwards=True)
    warm = flat.from_warm_starts
    _, weight, _ = flat.finish()
    assert warm and 1e-14 < best.weight < 1e-10
    assert weight == pytest.approx(best.weight, rel=0.05)


def test_bonds_whose_probes_all_win_are_cut_anew():
    """Two entangled pairs of spins 5/2 and four states of nearly no weight on the bond between them, which a diagonal
    gate does not mix with the five directions that it brings: the four probes win, and the best four of five count."""
    sites, cut, rng = tn.spin_sites(4, S=2.5, conserve=None), tn.Truncation(chi_max=5), np.random.default_rng(0)
    one = np.eye(6, dtype=complex)
    ends = [(one[None], np.diag(weights)[:, :, None]) for weights in rng.uniform(1, 2, (2, 6)).astype(complex)]
    psi = tn.MPS([from_dense(tensor) for end in ends for tensor in end], sites)
    for k in range(4):
        places = (k, k + 1, k, k + 1)
        psi = psi + tn.MPS([from_dense(one[place][None, :, None]) for place in places], sites) * 1e-9
    psi = psi * (1 / psi.norm())
    h = rng.normal(size=36)
    gate = two_site_gate(np.diag(np.exp(-0.25j * h / np.linalg.norm(h))), sites[1:3])
    best, flat = GatedState(psi, cut, split="svd"), FlatChain(psi, cut)
    flat.apply([(1, gate)])
    best.on_bond(1, gate, rightwards=True)
    anew = not flat.from_warm_starts
    assert anew and flat.finish()[1] == pytest.approx(best.weight, rel=0.1)


@pytest.mark.parametrize("every", [1, 60], ids="{} steps".format)
@pytest.mark.parametrize("conserve", ["Sz", None], ids=["Sz", "no symmetry"])
def test_new_sectors_come_in_where_all_bonds_are_full(conserve, every):
    """A domain wall of free fermions: sectors, named or not, have to replace each other on six states.

    Without full cuts the state ends with an infidelity of 0.077, by singular values with 0.02 to 0.05: near-ties of
    mirror images are decided by rounding.
    """
    model, cut, steps = XXZ(L=12, delta=0.0, conserve=conserve), tn.Truncation(chi_max=6), 120
    start = model.product(["up"] * 6 + ["down"] * 6).astype(complex)
    exact = GatedState(start, tn.Truncation(chi_max=64, svd_min=1e-12), split="svd")
    flat, weight, layers = FlatChain(start, cut), 0.0, layers_of(model, 0.05)
    for step in range(1, steps + 1):
        for layer in layers:
            flat.apply(layer)
            for bond, gate in layer:
                exact.on_bond(bond, gate, rightwards=True)
        if step % every == 0:
            found, more, _ = flat.finish()
            weight += more
    assert 1 - abs(tn.overlap(found, exact.state)) ** 2 < 0.06
    assert weight < 0.0021  # at most 0.0017 by singular values, 0.0024 without full cuts


@QUENCHES
def test_threads_share_a_layer_and_give_the_same_bits(model, start, time, monkeypatch):
    monkeypatch.setattr(flat_chain, "_THREADED", 0)
    psi, results = start_of(model, start, 12, time), []
    for threads in (1, 2):
        tn.set_threads(threads)
        flat = FlatChain(psi, tn.Truncation(chi_max=12))
        for layer in layers_of(model, 0.05):
            flat.apply(layer)
        results.append(flat.finish()[0])
    tn.set_threads(None)
    for one, two in zip(*(psi.tensors for psi in results), strict=True):
        assert (one.data == two.data).all()


def test_tiny_layers_wake_no_threads(monkeypatch):
    used, run = [], flat_chain._side_by_side
    monkeypatch.setattr(flat_chain, "_side_by_side", lambda threads, *rest: (used.append(threads), run(threads, *rest)))
    model, dense = XXZ(L=12), TransverseIsing(L=12, conserve=None)
    large = tn.MPS.random(dense.sites, chi=64, seed=1, dtype=np.complex128)
    tn.set_threads(2)
    for psi, owner in ((model.product("neel").astype(complex), model), (large / large.norm(), dense)):
        flat = FlatChain(psi, tn.Truncation(chi_max=64))
        flat.apply(layers_of(owner, 0.05)[1])
    tn.set_threads(None)
    assert used == [1, 2]


def test_nan_is_an_error_that_names_the_sites():
    model = XXZ(L=6)
    flat = FlatChain(model.product("neel").astype(complex), tn.Truncation(chi_max=8))
    (bond, gate), *others = layers_of(model, 0.1)[1]
    broken = TwoSiteGate(gate.pattern, np.full_like(gate.values, np.nan))
    with pytest.raises(NumericalError, match="on sites 1 and 2: check the Hamiltonian"):
        flat.apply([(bond, broken), *others])
