"""Block Davidson, compiled and in array operations, against dense eigenvalues; and the diagonal it divides by."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact import sparse
from tnsim.algorithms.ground_state.dmrg_run import choose_eigensolver
from tnsim.backend import get_backend
from tnsim.errors import NumericalError, SettingsError
from tnsim.kernels.cpu import half_terms
from tnsim.kernels.cpu import lanczos as lanczos_kernel
from tnsim.linalg.complement import orthonormal_rows
from tnsim.linalg.davidson import davidson
from tnsim.linalg.lanczos import Krylov, lanczos
from tnsim.models import J1J2, XXZ, Heisenberg, Hubbard, Lattice, TransverseIsing
from tnsim.networks.canonical import canonicalize
from tnsim.networks.diagonal_share import diagonal_share
from tnsim.networks.effective import TwoSiteHamiltonian
from tnsim.networks.environments import Environments

NUMPY = get_backend("numpy")
MODELS = {
    "two charges": Hubbard(L=6, U=8.0, conserve="N,Sz"),
    "several states a charge": Hubbard(L=6, U=8.0, conserve="parity"),
    "one charge": XXZ(L=8, delta=0.5),
    "none": TransverseIsing(L=6, h=0.7),
    "channels that are sums": J1J2(J2=0.5, lattice=Lattice("square", 2, 4, bc_y="periodic")),
}


def effective(name: str, dtype: str, place: str = "numpy", scale: float = 1.0) -> tuple[TwoSiteHamiltonian, np.ndarray]:
    """H_eff in the middle of a chain, and its dense matrix; scale: what the Hamiltonian is multiplied by."""
    model, backend = MODELS[name], backend_or_skip(place)
    bond = model.L // 2 - 1
    psi = canonicalize(tn.MPS.random(model.sites, chi=5, like=model.product(), seed=1, dtype=dtype), bond).to(backend)
    operators = (scale * model.mpo()).to(backend).site_operators
    environments = Environments(list(psi.tensors), operators)
    heff = TwoSiteHamiltonian(
        environments.left(bond), operators[bond], operators[bond + 1], environments.right(bond + 1), hermitian=True
    )
    unit = np.eye(heff.plan.size, dtype=dtype)
    columns = [backend.to_host(heff.apply(backend.asarray(row))) for row in unit]
    return heff, np.array(columns).T


@pytest.mark.parametrize("place", ["numpy", "strict", pytest.param("cupy", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("name", MODELS)
def test_the_diagonal_is_that_of_the_matrix(name, place):
    for dtype in "dF":
        heff, matrix = effective(name, dtype, place)
        found = heff.backend.to_host(heff.diagonal())
        assert found.dtype == dtype
        np.testing.assert_allclose(found, np.diag(matrix), atol=50 * np.finfo(dtype).eps * np.abs(matrix).max())


@pytest.mark.parametrize("place", ["numpy", "strict", pytest.param("cupy", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("dtype", "dF")
@pytest.mark.parametrize("name", ["two charges", "one charge"])
def test_lowest_levels_are_the_dense_ones(name, dtype, place):
    heff, matrix = effective(name, dtype, place)
    rng, backend = np.random.default_rng(3), heff.backend
    guesses = [backend.asarray(rng.normal(size=heff.plan.size).astype(dtype)) for _ in range(3)]
    pairs = heff.lowest_few(guesses, Krylov(k_max=40, tolerance=1e-5 if dtype in "fF" else 1e-7))
    exact, scale = np.linalg.eigvalsh(matrix.astype("D"))[:3], np.abs(matrix).max()
    accuracy = float(200 * np.finfo(dtype).eps * scale)
    np.testing.assert_allclose([pair.energy for pair in pairs], exact, atol=accuracy)
    vectors = np.array([backend.to_host(pair.vector) for pair in pairs])
    np.testing.assert_allclose(vectors.conj() @ vectors.T, np.eye(3), atol=accuracy)
    np.testing.assert_allclose(matrix @ vectors.T, vectors.T * exact, atol=1e3 * accuracy**0.5)
    single = heff.lowest(guesses[0], Krylov(k_max=60, tolerance=1e-6, method="davidson"))
    assert single.energy == pytest.approx(exact[0], abs=accuracy)


@pytest.mark.parametrize("dtype", "dD")
@pytest.mark.parametrize("method", ["lanczos", "davidson"])
def test_directions_in_single_precision_leave_the_residual_of_double_precision(monkeypatch, method, dtype):
    """Also where the residual is far below what single precision sees of the vector."""
    heff, matrix = effective("two charges", dtype)
    ground, rng = np.linalg.eigh(matrix)[1][:, 0], np.random.default_rng(2)
    for away in (1e-3, 1e-7):
        start, pairs = ground + away * rng.normal(size=len(matrix)), []
        for worth in (np.inf, 0.0):
            monkeypatch.setattr(lanczos_kernel, "_WORTH", worth)
            pairs.append(heff.lowest(start.astype(dtype), Krylov(tolerance=0.0, gain=0.01, method=method)))
        double, single = pairs
        left = [np.linalg.norm(matrix @ pair.vector - pair.energy * pair.vector) for pair in pairs]
        assert double.matvecs == single.matvecs > 3
        assert not np.array_equal(double.vector, single.vector)
        assert single.energy == pytest.approx(double.energy, abs=1e-7 * single.start_residual**2 + 1e-13)
        assert np.linalg.norm(single.vector) == pytest.approx(1, abs=1e-14)
        assert left[1] == pytest.approx(left[0], rel=1e-3)
        assert left[1] < 0.01 * single.start_residual


@pytest.mark.parametrize("scale", [1e-25, 1e25])
@pytest.mark.parametrize("method", ["lanczos", "davidson"])
def test_operators_beyond_the_range_of_single_precision_stay_in_double_precision(monkeypatch, method, scale):
    """Squares of numbers of 1e-25 vanish in it, and those of 1e25 overflow."""
    monkeypatch.setattr(lanczos_kernel, "_WORTH", 0.0)
    heff, matrix = effective("two charges", "d", scale=scale)
    values, vectors = np.linalg.eigh(matrix / scale)
    start = vectors[:, 0] + 1e-2 * np.random.default_rng(4).normal(size=len(matrix))
    pair = heff.lowest(start, Krylov(k_max=60, tolerance=0.0, gain=0.002, method=method))
    assert pair.matvecs > 3
    left = np.linalg.norm(matrix @ pair.vector - pair.energy * pair.vector)
    assert left < 0.0021 * pair.start_residual
    assert pair.energy / scale == pytest.approx(values[0], abs=1e-6)


def test_blocks_of_an_environment_that_stand_in_one_place_are_summed():
    """Between two columns of a cylinder, where the MPO has fewer channels than sites and every one is a sum."""
    heff, matrix = effective("channels that are sums", "d")
    terms, sizes = heff.plan.left.terms, heff.plan.left.panels.sizes
    sums = terms[terms[:, half_terms.WHAT] == half_terms.DENSE]
    assert (sums[:, half_terms.ROWS] < sizes[sums[:, half_terms.TO]]).any()
    sites = MODELS["channels that are sums"].mpo().tensors[3:5]
    parts = [part.to_dense() for part in (heff.left.environment, *sites, heff.right.environment)]
    dense = np.einsum("aob,oste,euvr,crd->asucbtvd", *parts)
    values, exact = np.linalg.eigvalsh(matrix), np.linalg.eigvalsh(dense.reshape(int(dense.size**0.5), -1))
    assert np.abs(values[:, None] - exact).min(axis=1).max() < 1e-10


def test_compiled_and_portable_take_the_same_steps():
    heff, _ = effective("two charges", "d")
    rng = np.random.default_rng(5)
    guesses = [rng.normal(size=heff.plan.size) for _ in range(2)]
    for krylov in (Krylov(), Krylov(k_min=1, k_max=3), Krylov(gain=0.3, tolerance=1e-6)):
        ours = heff.lowest_few(guesses, krylov)
        theirs = davidson(heff.apply, guesses, heff.diagonal(), NUMPY, krylov)
        for a, b in zip(ours, theirs, strict=True):
            assert a.matvecs == b.matvecs
            assert (a.energy, a.start_energy, a.start_residual) == pytest.approx(
                (b.energy, b.start_energy, b.start_residual), abs=1e-9
            )


@pytest.mark.parametrize("place", ["numpy", "strict"])
def test_constraints_are_kept_and_dependent_guesses_are_dropped(place):
    heff, matrix = effective("one charge", "d", place)
    backend = heff.backend
    values, vectors = np.linalg.eigh(matrix)
    rows = orthonormal_rows(backend.asarray(np.ascontiguousarray(vectors[:, :2].T)), backend, most=2)
    start = np.random.default_rng(0).normal(size=len(values))
    start = backend.asarray(start - vectors[:, :2] @ (vectors[:, :2].T @ start))
    krylov = Krylov(k_max=40, tolerance=1e-7, method="davidson")
    found = heff.lowest(start, krylov, rows)
    assert found.energy == pytest.approx(values[2], abs=1e-9)
    assert np.abs(vectors[:, :2].T @ backend.to_host(found.vector)).max() < 1e-12
    assert len(heff.lowest_few([start, start * 2.0], krylov)) == 1


def test_a_large_diagonal_spares_products():
    size, rng = 400, np.random.default_rng(1)
    matrix = rng.normal(size=(size, size)) * 0.05
    matrix = np.diag(np.linspace(0, 50, size)) + matrix + matrix.T
    krylov, start = Krylov(k_max=200, tolerance=1e-6), np.eye(size)[0] + 0.01
    ours = davidson(lambda x: matrix @ x, [start], np.diag(matrix), NUMPY, krylov)[0]
    theirs = lanczos(lambda x: matrix @ x, start, NUMPY, krylov, check_every=1)
    assert ours.energy == pytest.approx(theirs.energy, abs=1e-10)
    assert ours.matvecs < 0.5 * theirs.matvecs


def test_nan_is_named():
    with pytest.raises(NumericalError, match="Davidson matrix"):
        davidson(lambda x: x * np.nan, [np.ones(3)], np.ones(3), NUMPY, Krylov())
    for guess in (np.zeros(3), np.full(3, np.nan)):
        with pytest.raises(NumericalError, match="no start vector"):
            davidson(lambda x: x, [guess], np.ones(3), NUMPY, Krylov())


@pytest.mark.parametrize("sites", [1, 2])
def test_dmrg_with_davidson_finds_the_same_levels_with_fewer_products(sites):
    model = Hubbard(L=8, U=8.0)
    runs = {
        eigensolver: tn.DMRG(
            truncation=tn.Truncation(chi_max=64), max_sweeps=8, eigensolver=eigensolver, sites=sites
        ).excited(model.mpo(), model.product(), n=2)
        for eigensolver in ("lanczos", "davidson")
    }
    exact = sparse.ground_energies(model.operator_sum(), model.sites, model.product().charge, 2)
    spent = {}
    for eigensolver, levels in runs.items():
        np.testing.assert_allclose(levels.energies, exact, atol=1e-6)
        spent[eigensolver] = sum(report.matvecs for report in levels[0].history[:3])
    assert spent["davidson"] < spent["lanczos"]


def test_davidson_is_chosen_where_the_diagonal_is_strong():
    electrons, spins = Hubbard(L=6, U=8.0), Heisenberg(L=6)
    assert choose_eigensolver("auto", electrons.mpo()) == "davidson"
    assert choose_eigensolver("auto", Hubbard(L=6, U=2.0).mpo()) == "lanczos"
    assert choose_eigensolver("auto", spins.mpo()) == "lanczos"
    assert choose_eigensolver("davidson", spins.mpo()) == "davidson"
    # two neighbours of S.S: 1/16 on the diagonal, 1/8 beside it
    assert diagonal_share(spins.mpo().site_operators) == pytest.approx(1 / 3)
    # of U/2 (n n + n n) and four hoppings: U^2 3/32 on the diagonal, 1 beside it
    assert diagonal_share(electrons.mpo().site_operators) == pytest.approx(6 / 7)


def test_an_eigensolver_that_is_none_is_named():
    with pytest.raises(SettingsError, match="eigensolver must be one of .*lanczos.*davidson.*found 'arnoldi'"):
        tn.DMRG(truncation=tn.Truncation(chi_max=4), eigensolver="arnoldi")
