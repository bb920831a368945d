"""Products in single precision inside of updates: energies keep their digits where spectra or scales are difficult."""

import numpy as np
import pytest

import tnsim as tn
from tests.exact import dense
from tnsim.kernels.cpu import lanczos
from tnsim.models import XXZ, Heisenberg, TransverseIsing
from tnsim.networks import effective


def shifted(model, constant):
    """The sum and a constant of site 0."""
    H = model.operator_sum()
    H += constant, np.eye(model.sites[0].dim), 0
    return H


ISING = TransverseIsing(L=8, h=0.15, conserve="none")
SPINS = XXZ(L=8, delta=0.7)
CURRENT = XXZ(L=8, delta=0.7, D=0.4)
# the sum, and what it is as large as
CASES = {
    "two levels a millionth apart": (ISING, ISING.operator_sum(), 1.0),
    "complex": (CURRENT, CURRENT.operator_sum(), 1.0),
    "a million times": (SPINS, SPINS.operator_sum() * 1e6, 1e6),
    "a millionth": (SPINS, SPINS.operator_sum() * 1e-6, 1e-6),
    "far from zero": (SPINS, shifted(SPINS, 1e5), 1.0),
    "far below zero": (SPINS, shifted(SPINS, -1e8), 1.0),
}


def spy_on_precision(monkeypatch):
    """Dtypes of coefficients that Lanczos goes on with after its first product."""
    seen, lowest = set(), lanczos.lowest

    def spy(rows, alphas, *rest):
        seen.add(alphas.dtype.char)
        return lowest(rows, alphas, *rest)

    monkeypatch.setattr(lanczos, "lowest", spy)
    return seen


@pytest.mark.parametrize("name", CASES)
def test_energies_are_those_of_double_precision_and_exact(monkeypatch, name):
    """To 1e-10 of the operator, or to rounding of double precision in the constant that is added to it."""
    model, H, scale = CASES[name]
    seen, energies = spy_on_precision(monkeypatch), []
    for worth in (np.inf, 0.0):
        monkeypatch.setattr(lanczos, "_WORTH", worth)
        settings = tn.DMRG(
            truncation=tn.Truncation(chi_max=20), max_sweeps=6, energy_tol=1e-14 * scale, gradient_tol=1e-9 * scale,
            eigensolver="lanczos", second_start=False,
        )  # fmt: skip
        mpo = H.mpo(model.sites)
        energies.append(settings.solve(mpo, tn.MPS.product(model.sites, ["up", "down"] * 4)).energy)
        double = {"D"} if mpo.dtype.kind == "c" else {"d"}
        assert worth == np.inf or seen > double or name == "far below zero"  # there single precision hides all
        assert worth == 0.0 or seen == double
    exact = np.linalg.eigvalsh(dense.hamiltonian(H, model.sites))[0]
    tolerance = 1e-10 * scale + 50 * np.finfo(float).eps * abs(exact)
    assert energies[1] == pytest.approx(energies[0], rel=0, abs=tolerance)
    assert energies[1] == pytest.approx(exact, rel=0, abs=tolerance + 1e-8 * scale)


def test_two_threads_take_the_steps_of_one(monkeypatch):
    monkeypatch.setattr(lanczos, "_WORTH", 0.0)
    monkeypatch.setattr(effective, "_THREADED", 0.0)
    seen, model, reports = spy_on_precision(monkeypatch), Heisenberg(L=16), []
    settings = tn.DMRG(truncation=tn.Truncation(chi_max=30), max_sweeps=3, min_sweeps=4)
    try:
        for threads in (1, 2):
            tn.set_threads(threads)
            reports.append(list(settings.sweeps(model.mpo(), model.product())))
    finally:
        tn.set_threads(None)
    assert "f" in seen
    for one, two in zip(*reports, strict=True):
        assert one.matvecs == two.matvecs
        assert one.energy == pytest.approx(two.energy, rel=0, abs=1e-12)
        assert one.sum_trunc_err == pytest.approx(two.sum_trunc_err, rel=1e-9, abs=1e-18)
