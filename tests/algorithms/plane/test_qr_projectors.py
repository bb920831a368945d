"""Projectors from corners with one edge have the fixed point of those from full decompositions."""

import numpy as np
import pytest

import tnsim as tn
from tests.algorithms.plane.cells import gauged
from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.linalg import Truncation
from tnsim.models.classical import HardSquares, HoneycombIsing, Ising, Potts, SixVertex, TriangularIsing
from tnsim.networks.square_network import FLOWS, InfiniteNetwork
from tnsim.symmetry import trivial_leg
from tnsim.tensor import from_dense


def run(chi: int, model, projector: str = "qr", **settings):
    return CTMRG(truncation=Truncation(chi_max=chi), projector=projector, **settings).solve(model)


def norm_network(D: int, seed: int) -> InfiniteNetwork:
    """Ket and bra of a random symmetric tensor near a product; its corners have values of both signs."""
    site = 0.2 * np.random.default_rng(seed).standard_normal((D,) * 4 + (2,))
    site[0, 0, 0, 0] += (1.0, 0.3)
    site = sum(np.moveaxis(site, range(4), [(sign * n + turn) % 4 for n in range(4)]) for turn in range(4)
               for sign in (1, -1)) / 8  # fmt: skip
    double = np.einsum("neswp,NESWp->nNeEsSwW", site, site).reshape((D * D,) * 4)
    return InfiniteNetwork([[from_dense(double, [trivial_leg(D * D, flow) for flow in FLOWS])]])


@pytest.mark.parametrize("seed", range(3))
def test_one_corner_with_values_of_both_signs(seed):
    """What edge times corner spans, in place of corner times edge, leads to another fixed point, or to none."""
    network = norm_network(3, seed)
    by_eigh, by_qr = (run(8, network, name, max_steps=400) for name in ("eigh", "qr"))
    assert by_eigh.environment.spectrum.values.min() < -1e-4
    assert by_qr.status.converged and by_qr.history[-1].projector == "qr"
    assert by_qr.log_z == pytest.approx(by_eigh.log_z, abs=1e-10)
    np.testing.assert_allclose(by_qr.environment.marks[0], by_eigh.environment.marks[0], atol=1e-6)
    # an estimate from six random vectors
    weights = [found.history[-1].trunc_err for found in (by_qr, by_eigh)]
    assert 0.3 * weights[1] < weights[0] < 3 * weights[1]


def test_corners_with_values_below_zero_go_on_in_plain_steps():
    """No positive gauge leads to their fixed point."""
    model = Ising(beta=0.42, J=-1.0)
    result = run(10, model.plaquettes(), "eigh")
    assert result.environment.spectrum.values.min() < -1e-3 and result.history[-1].step > 100
    assert result.status.converged
    assert result.log_z == pytest.approx(model.facts["ln Z per site"].value, abs=1e-9)


@pytest.mark.parametrize(
    "model",
    [
        Ising(beta=0.5),
        Ising(beta=0.42, field=0.05),
        Ising(beta=0.3, Jy=0.6, conserve="parity"),
        TriangularIsing(beta=0.35),
        TriangularIsing(beta=0.3, J=-1.0, conserve="parity"),
        HoneycombIsing(beta=0.5),
        HardSquares(),
        SixVertex(a=1.0, b=1.0, c=8.0),
        Potts(states=3, beta=0.9, conserve="charge"),
    ],
    ids=repr,
)
def test_four_corners_have_the_fixed_point_of_the_full_ring(model):
    full, found = (run(4, model, name, symmetric=False) for name in ("full", "qr"))
    assert found.status.converged and found.environment.chi == 4
    assert found.history[-1].projector == "qr"
    assert found.log_z == pytest.approx(full.log_z, abs=1e-11)
    assert found.means == pytest.approx(full.means, abs=1e-7)


def test_a_cell_of_different_tensors():
    """Complex gauge matrices on the bonds of a 2 x 2 cell."""
    rng, model = np.random.default_rng(3), Ising(beta=0.35, Jy=0.5)

    def gauge() -> np.ndarray:
        return np.eye(2) + 0.3 * (rng.standard_normal((2, 2)) + 1j * rng.standard_normal((2, 2)))

    cell = gauged(model.network(), gauge)
    result = run(4, cell, symmetric=False)
    assert result.status.converged and result.history[-1].projector == "qr"
    assert result.log_z == pytest.approx(model.facts["ln Z per site"].value, rel=1e-10)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("stop", [4, 32])
def test_a_run_goes_on_from_a_file_bit_by_bit(symmetric, stop, tmp_path):
    """Before and after the first step by QR."""
    settings = CTMRG(
        truncation=Truncation(chi_max=6), symmetric=symmetric, projector="qr", check_every=4, accelerate=False,
        tol=1e-13, max_steps=80,
    )  # fmt: skip
    model = Ising(beta=0.5)

    class Stop:
        def step(self, report, run) -> None:
            if report.step == stop:
                run.request_stop("stopped by a test")

    whole, stopped = settings.solve(model), settings.solve(model, [Stop()])
    assert [report.projector == "qr" for report in (stopped.history[-1], whole.history[-1])] == [stop == 32, True]
    tn.save(tmp_path / "run.h5", stopped)
    resumed = settings.solve(model, resume=tn.load(tmp_path / "run.h5"))
    assert resumed.history[-1].step == whole.history[-1].step and resumed.log_z == whole.log_z
    for first, second in zip(whole.environment.marks, resumed.environment.marks, strict=True):
        assert np.array_equal(first, second)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_steps_by_qr_run_on_every_device(device, dtype, symmetric):
    if symmetric and dtype.kind == "c":
        pytest.skip("one corner takes real tensors")
    model = Ising(beta=0.3, Jy=None if symmetric else 0.4, conserve="parity")
    network = model.network(dtype=dtype, backend=backend_or_skip(device))
    result = run(4, network, symmetric=symmetric, max_steps=16, check_every=4)
    environment = result.environment
    edge = environment.edge if symmetric else environment.edges[0]
    assert result.history[-1].projector == "qr" and edge.dtype == dtype and edge.backend is network.backend
    exact = model.facts["ln Z per site"].value
    assert result.log_z == pytest.approx(exact, abs=2e-5 if dtype.char in "fF" else 1e-7)


def test_networks_that_name_no_edge_start_from_their_leading_vector():
    model = Ising(beta=0.4)
    network = model.network()
    bare = InfiniteNetwork([[network.tensor]], log_scale=network.log_scale)
    result = run(10, bare, "eigh")
    assert result.status.converged and result.log_z == pytest.approx(model.facts["ln Z per site"].value, abs=1e-9)
