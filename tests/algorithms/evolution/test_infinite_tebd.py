"""Infinite TEBD against exact energies per site, and against free fermions after a quench."""

import numpy as np
import pytest
from scipy.special import j0

import tnsim as tn
from tests.devices import backend_or_skip
from tnsim.errors import OperatorError, ShapeError
from tnsim.models import XX, Heisenberg, TransverseIsing
from tnsim.models.exact.free_fermions import infinite_ising_energy


def cooled(model, psi, steps, *, chi: int, time: float = 10.0) -> tn.Evolved:
    """Imaginary time with ever smaller steps."""
    for dt in steps:
        evolution = tn.TEBD(dt=dt, imaginary=True, order=2, every=1000, truncation=tn.Truncation(chi_max=chi))
        result = evolution.run(model.infinite_sum(), psi, time=time)
        psi = result.state
    return result


@pytest.mark.parametrize(("h", "chi", "error"), [(1.5, 12, 2e-6), (1.0, 16, 3e-5)])
def test_ising_ground_state(h, chi, error):
    """At h = 1 the exact energy is -4 / pi; the state is variational, so it lies above."""
    model = TransverseIsing(L=2, h=h)
    result = cooled(model, model.infinite_product("up"), (0.2, 0.05), chi=chi)
    exact = infinite_ising_energy(1.0, h)
    assert -1e-11 < result.energy - exact < error
    assert result.history[-1].log_norm / result.times[-1] == pytest.approx(-exact, abs=2e-3)


def test_heisenberg_ground_state_in_a_cell_of_four():
    result = cooled(Heisenberg(L=4), Heisenberg(L=4).infinite_product("neel"), (0.2, 0.05), chi=16)
    assert 0 < result.energy - (0.25 - np.log(2)) < 5e-4


@pytest.mark.parametrize("place", ["numpy", "strict"])
@pytest.mark.parametrize("cell", [2, 4])
def test_quench_of_the_xx_chain(cell, place):
    """From the Neel state <Sz> is J0(2 t) / 2, with alternating sign."""
    model = XX(L=cell)
    evolution = tn.TEBD(dt=0.1, truncation=tn.Truncation(chi_max=32), every=5 if place == "numpy" else 2)
    time = 1.5 if place == "numpy" else 0.2
    psi = model.infinite_product("neel").to(backend_or_skip(place))
    result = evolution.run(model.infinite_sum(), psi, time=time, observe={"Sz": lambda state: tn.expect(state, "Sz")})
    signs = np.sign(result["Sz"][0])
    np.testing.assert_allclose(result["Sz"], np.outer(j0(2 * result.times), signs) / 2, atol=2e-6)
    assert abs(result.history[-1].energy_drift) < 1e-10 and result.state.backend is psi.backend
    again = evolution.run(model.infinite_sum(), result.state, time=-time)
    np.testing.assert_allclose(tn.expect(again.state, "Sz"), signs / 2, atol=1e-6)


def test_a_field_that_turns():
    """One spin after the other in a rotating field: exact, as nothing couples them."""
    sites = tn.spin_sites(2, conserve=None)

    def field(time: float) -> tn.OperatorSum:
        H = tn.OperatorSum()
        for i in range(2):
            H += np.cos(2 * time), "Sx", i
            H += np.sin(2 * time), "Sy", i
            H += 1.0, "Sz", i
        return H

    result = tn.TEBD(dt=0.1, truncation=tn.Truncation(chi_max=4)).run(
        field, tn.InfiniteMPS.product(sites, ["up", "up"]), time=1.0
    )
    # in the frame that turns with the field, H = Sx + (1 - 2) Sz
    exact = 0.5 - 0.5 * np.sin(np.sqrt(2) / 2) ** 2
    np.testing.assert_allclose(tn.expect(result.state, "Sz"), exact, atol=1e-6)
    assert result.history[-1].energy_drift is None and result.energy is not None


@pytest.mark.parametrize("split", ["leading", "qr", "gram", "svd"])
def test_every_way_to_cut(split):
    model = Heisenberg(L=2)
    cooling = tn.TEBD(dt=0.1, truncation=tn.Truncation(chi_max=12), order=2, imaginary=True, split=split, every=50)
    evolved = cooling.run(model.infinite_sum(), model.infinite_product("neel"), time=10.0)
    assert evolved.energy == pytest.approx(0.25 - np.log(2), abs=2e-3)


def test_bad_input():
    model, cut = XX(L=2), tn.Truncation(chi_max=4)
    three = tn.neutral_cell(tn.spin_sites(3), (1,))
    with pytest.raises(ShapeError, match=r"even number of sites, found 3: psi.repeated\(2\)"):
        tn.TEBD(dt=0.1, truncation=cut).run(
            model.infinite_sum(), tn.InfiniteMPS.product(three, ["up", "up", "down"]), time=1
        )
    with pytest.raises(OperatorError, match="not equal to its adjoint"):
        tn.TEBD(dt=0.1, truncation=cut).run(model.infinite_sum() * 1j, model.infinite_product("neel"), time=1)
