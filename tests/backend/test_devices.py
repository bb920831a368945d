"""Whole runs on every device: the same physics as on the host, and few reads on the way."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import BACKENDS, backend_or_skip
from tests.strict_device import STRICT, sync_budget
from tnsim.linalg.lanczos import Krylov, lanczos
from tnsim.models import Heisenberg, TransverseIsing

DEVICES = [param for param in BACKENDS if param != "numpy"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("model", "start"), [(Heisenberg(L=8), "neel"), (TransverseIsing(L=8), "up")], ids=["Heisenberg", "Ising"]
)
def test_ground_states_agree_with_the_host(device, model, start):
    backend = backend_or_skip(device)
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=16), max_sweeps=8, energy_tol=1e-11)
    H, psi = model.mpo(), model.product(start)
    host = dmrg.solve(H, psi)
    result = dmrg.solve(H.to(backend), psi.to(backend))
    assert all(tensor.backend is backend for tensor in result.state.tensors)
    assert result.energy == pytest.approx(host.energy, abs=1e-10)
    assert result.energy == pytest.approx(model.facts.energy, abs=1e-8)
    np.testing.assert_allclose(tn.entropy(result.state), tn.entropy(host.state), atol=1e-6)


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
def test_products_of_the_effective_hamiltonian_agree(backend, dtype):
    """Energies of single sweeps in every dtype: the plans of join, matvec, split and environments."""
    model = Heisenberg(L=6)
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=8), max_sweeps=2, noise=0.0)
    H, psi = model.mpo().to(backend), tn.MPS.random(model.sites, chi=8, charge=(0,), seed=1, dtype=dtype).to(backend)
    energy = dmrg.solve(H, psi).energy
    assert energy == pytest.approx(model.facts.energy, abs=1e-8 if dtype in "dD" else 1e-4)


def test_a_run_reads_the_device_a_few_times_per_bond():
    model = Heisenberg(L=10)
    H, psi = model.mpo().to("strict"), model.product("neel").to("strict")
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=16), max_sweeps=4, min_sweeps=4)
    with sync_budget(10_000) as spent:
        result = dmrg.solve(H, psi)
    bonds = 2 * (model.L - 1) * len(result.history)
    assert spent.reads <= 5 * bonds


@pytest.mark.parametrize(("products", "allowed"), [(8, 3), (20, 6)])
def test_lanczos_reads_once_every_few_products(products, allowed):
    size = 60
    rng = np.random.default_rng(0)
    host = rng.standard_normal((size, size))
    matrix = STRICT.asarray(host + host.T)
    start = STRICT.asarray(rng.standard_normal(size))
    with sync_budget(allowed):
        result = lanczos(lambda x: matrix @ x, start, STRICT, Krylov(k_max=products, tolerance=0.0))
    assert result.matvecs == products
