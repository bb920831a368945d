"""Sums of exponentials, and the models with power laws on chains, rings and lattices."""

import numpy as np
import pytest

import tnsim as tn
from tests.exact import dense
from tests.models.test_models import check_model
from tnsim.errors import NumericalError, SettingsError
from tnsim.models import HaldaneShastry, Lattice, LongRangeIsing, PowerLawHeisenberg
from tnsim.models.exponential_fit import fit_exponentials


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0, 3.0, 6.0])
@pytest.mark.parametrize(("N", "tolerance"), [(30, 1e-3), (99, 1e-6), (400, 1e-10)])
def test_fits_keep_their_promise(alpha, N, tolerance):
    r = np.arange(1, N + 1)
    fit = fit_exponentials(r**-alpha, tolerance)
    error = np.abs(fit(r) - r**-alpha).max()
    assert error == pytest.approx(fit.error, abs=1e-14) and error <= tolerance
    assert len(fit.decays) <= 16 and 0 < min(fit.decays) <= max(fit.decays) <= 1


def test_a_sum_of_exponentials_is_found_again():
    decays, weights = np.array([0.9, 0.5, 0.2]), np.array([1.0, -2.0, 0.7])
    fit = fit_exponentials(decays ** np.arange(1, 40)[:, None] @ weights, 1e-12)
    np.testing.assert_allclose(fit.decays, decays, atol=1e-9)
    np.testing.assert_allclose(fit.coefficients, weights, atol=1e-9)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fit_exponentials([1.0, -1.0] * 10, 1e-3), NumericalError, "no sum of decaying exponentials"),
        (lambda: fit_exponentials([r**-0.5 for r in range(1, 40)], 1e-17), NumericalError, "the best has"),
        (lambda: fit_exponentials([1.0, 0.5], 0.0), SettingsError, "must be positive"),
        (lambda: fit_exponentials([0.0, 0.0], 1e-3), SettingsError, "not all of them zero"),
        (lambda: LongRangeIsing(L=4, alpha=-1.0), SettingsError, "alpha must not be negative"),
        (lambda: LongRangeIsing(L=6, periodic=True, tolerance=1e-3), SettingsError, "fits an open chain"),
        (
            lambda: HaldaneShastry(lattice=Lattice("chain", 4)),
            SettingsError,
            "periodic closes a chain; give .* the boundary bc_x",
        ),
        (lambda: HaldaneShastry(lattice=Lattice("square", 2, 2)), SettingsError, "on the lattice chain"),
    ],
)
def test_what_cannot_be_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-10])
def test_fitted_models_are_as_close_as_stated(tolerance):
    for cls in (LongRangeIsing, PowerLawHeisenberg):
        exact, fitted = cls(L=7, alpha=1.5), cls(L=7, alpha=1.5, tolerance=tolerance)
        matrices = [dense.hamiltonian(model.operator_sum(), model.sites) for model in (exact, fitted)]
        np.testing.assert_allclose(fitted.mpo().to_dense(), matrices[1], atol=1e-12)
        # 21 pairs, each off by tolerance times an operator of norm 1 at most
        assert np.linalg.norm(matrices[0] - matrices[1], 2) <= 21 * tolerance
    wide, narrow = (LongRangeIsing(L=60, tolerance=t).mpo().bond_dimensions[30] for t in (0.0, tolerance))
    assert narrow == len(LongRangeIsing(L=60, tolerance=tolerance).fit.decays) + 2 < wide


def test_distances_on_rings_and_lattices():
    lattice = Lattice("triangular", 2, 3, bc_y="periodic")
    for model in (LongRangeIsing(lattice=lattice, alpha=3.0), PowerLawHeisenberg(L=6, periodic=True)):
        check_model(model)
    H = PowerLawHeisenberg(lattice=lattice, alpha=3.0).operator_sum()
    near = {round(term.coefficient, 12) for term in H if term.factors[0][0] == "Sz"}
    # over the short circumference all sites of a column touch
    assert sorted(near) == pytest.approx([3.0**-1.5, 1.0])


def test_a_ring_of_two():
    model = HaldaneShastry(L=2)
    assert check_model(model) == pytest.approx(-0.75 * np.pi**2 / 4)


def test_folded_ring():
    """Haldane-Shastry on the path that visits both ends in turn is the same model."""
    folded = HaldaneShastry(lattice=Lattice("chain", 8, bc_x="periodic", order="folded"))
    assert check_model(folded) == pytest.approx(HaldaneShastry(L=8).facts.energy, abs=1e-11)
    result = tn.DMRG(truncation=tn.Truncation(chi_max=40)).solve(folded.mpo(), folded.product())
    assert result.energy == pytest.approx(folded.facts.energy, abs=1e-9)


def test_power_laws_on_the_infinite_chain():
    H = PowerLawHeisenberg(L=2, tolerance=1e-4).infinite_mpo()
    chain = np.asarray(H.open_chain(3).to_dense())
    model = PowerLawHeisenberg(L=6, tolerance=1e-4)
    np.testing.assert_allclose(chain, dense.hamiltonian(model.operator_sum(), model.sites), atol=1e-12)
