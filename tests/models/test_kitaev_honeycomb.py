"""Kitaev's honeycomb model against exact diagonalisation, and its free Majorana fermions."""

import numpy as np
import pytest

import tnsim as tn
from tests.exact import sparse
from tests.models.test_models import check_model
from tnsim.errors import SettingsError
from tnsim.models import KitaevHoneycomb, Lattice
from tnsim.models.exact.kitaev import bulk_energy, vortex_free_energy
from tnsim.models.kitaev_honeycomb import bond_type


def cylinder(Lx: int, Ly: int, **options) -> Lattice:
    return Lattice("honeycomb", Lx, Ly, bc_y="periodic", **options)


@pytest.mark.parametrize("K", [(1.0, 1.0, 1.0), (0.4, 0.5, 1.3), (-1.0, 1.0, 0.7), (0.3, -0.4, -1.2)])
@pytest.mark.parametrize(
    "lattice",
    [Lattice("honeycomb", 5, 1), Lattice("honeycomb", 3, 2), Lattice("honeycomb", 2, 3, order="snake"),
     Lattice("honeycomb", 4, 1, bc_x="periodic"), Lattice("honeycomb", 3, 2, bc_x="periodic"),
     cylinder(2, 2), cylinder(3, 2), cylinder(2, 3), cylinder(2, 3, order="folded")],
    ids=repr,
)  # fmt: skip
def test_free_majoranas_against_exact_diagonalisation(lattice, K):
    """Strips and cylinders, in the sector of the product state that a run starts from, which is the lower one."""
    model = KitaevHoneycomb(lattice=lattice, Kx=K[0], Ky=K[1], Kz=K[2], conserve="parity")
    energies = [sparse.ground_energies(model.operator_sum(), model.sites, (parity,))[0] for parity in (0, 1)]
    assert min(energies) == energies[model.product().charge[0]] == pytest.approx(model.facts.energy, abs=1e-10)


def test_every_site_has_one_bond_of_each_type():
    lattice = Lattice("honeycomb", 4, 3, "periodic", "periodic")
    for wanted in "xyz":
        ends = [i for pair in lattice.pairs() if bond_type(pair) == wanted for i in (pair.i, pair.j)]
        assert sorted(ends) == list(range(len(lattice)))
    # rings around the cylinder have x and y bonds only
    assert all(bond_type(pair) != "z" for pair in lattice.pairs() if pair.turns)


def test_bulk_energy():
    assert bulk_energy(1.0, 1.0, 1.0) == pytest.approx(-1.5745972 / 8, abs=1e-7)  # Kitaev 2006: -1.5746 |J| a cell
    assert bulk_energy(0.0, 0.0, 1.0) == pytest.approx(-1 / 8)
    assert bulk_energy(0.6, 0.9, 1.1) == pytest.approx(bulk_energy(1.1, 0.6, 0.9), abs=1e-10)
    # the slope of the energy of long, wide cylinders
    energies = []
    for Lx in (20, 22):
        lattice = cylinder(Lx, 20)
        energies.append(vortex_free_energy(lattice, [(pair, 1.0) for pair in lattice.pairs()]))
    assert (energies[1] - energies[0]) / 80 == pytest.approx(bulk_energy(1.0, 1.0, 1.0), abs=1e-4)


def test_all_terms():
    """With a field and Heisenberg exchange no answer is known; the MPO and DMRG meet exact diagonalisation."""
    model = KitaevHoneycomb(lattice=cylinder(2, 2), Kx=-1.0, Ky=-0.7, Kz=-1.2, J=0.3, hx=0.1, hy=-0.2, hz=0.15)
    assert check_model(model) is None
    (energy,) = sparse.ground_energies(model.operator_sum(), model.sites, ())
    options = {"max_sweeps": 20, "energy_tol": 1e-11}
    result = tn.DMRG(truncation=tn.Truncation(chi_max=80, svd_min=1e-10), **options).solve(model.mpo(), model.product())
    assert result.energy == pytest.approx(energy, abs=1e-9)


def test_by_dmrg():
    model = KitaevHoneycomb(lattice=cylinder(3, 2), Kz=1.5)
    result = tn.DMRG(truncation=tn.Truncation(chi_max=80)).solve(model.mpo(), model.product())
    assert result.energy == pytest.approx(model.facts.energy, abs=1e-7)
    wide = KitaevHoneycomb(lattice=Lattice("honeycomb", 3, 3, "periodic", "periodic"))
    assert wide.facts.energy is None and np.isfinite(wide.facts["bulk energy per site"].value)


def test_what_it_does_not_live_on():
    with pytest.raises(SettingsError, match="lives on the lattice honeycomb"):
        KitaevHoneycomb(lattice=Lattice("square", 2, 2))
    with pytest.raises(SettingsError, match="L = 5 is no whole number of honeycomb cells: give an even L"):
        KitaevHoneycomb(L=5).mpo()
