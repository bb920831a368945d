"""Every lattice model with nearest and next-nearest terms as a PEPS on a small cluster, against exact energies."""

import numpy as np
import pytest

import tnsim.models as models
from tests.exact.fock import fock_state
from tests.exact.plane import dense_hamiltonian
from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement
from tnsim.algorithms.peps.ground_state import PEPSGroundState
from tnsim.algorithms.peps.infinite.infinite_measure import measure_infinite, sites_of
from tnsim.algorithms.peps.updates.cooling import Cooling
from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.linalg import Truncation
from tnsim.models import MODELS, Lattice
from tnsim.networks.peps import PlaneTerms, finite_start, infinite_start

# name, lattice, parameters
CLUSTERS = [
    ("heisenberg", ("square", 3, 2), {}),
    ("heisenberg", ("triangular", 2, 3), {}),
    ("heisenberg", ("honeycomb", 2, 2), {}),
    ("heisenberg", ("kagome", 2, 1), {}),
    ("xxz", ("square", 3, 2), {"delta": 0.5}),
    ("xx", ("square", 3, 2), {}),
    ("xyz", ("square", 3, 2), {"Jx": 0.5, "Jy": 0.7, "hz": 0.2}),
    ("tfim", ("square", 3, 2), {"h": 2.0}),
    ("j1j2", ("square", 3, 2), {"J2": 0.2}),
    ("j1j2", ("honeycomb", 2, 2), {"J2": 0.1}),
    ("bilinear-biquadratic", ("square", 2, 2), {"biquadratic": 0.2}),
    ("kitaev-honeycomb", ("honeycomb", 2, 2), {"J": 0.3, "hz": 0.2}),
    ("random-field-heisenberg", ("square", 3, 2), {"W": 0.5}),
    ("t-v", ("square", 3, 2), {"V": 0.8}),
    ("t-v", ("triangular", 2, 3), {"V": 0.8}),
    ("hubbard", ("square", 2, 2), {"U": 4.0}),
    ("t-j", ("square", 2, 2), {"J": 0.5}),
    ("bose-hubbard", ("square", 2, 2), {"U": 4.0, "n_max": 2}),
]


# what a short simple update of D = 3 may leave of the energy between the start and the ground state
LEFT = 0.15


def in_sector(terms: PlaneTerms, member: int) -> np.ndarray:
    """Which basis states have the charges of one of them."""
    sites = [site for row in terms.sites for site in row]
    group = sites[0].group
    total = [group.identity]
    for site in sites:
        total = [group.fuse(q, charge)[0] for q in total for charge in site.charges]
    return np.array([q == total[member] for q in total])


@pytest.mark.parametrize(("name", "lattice", "given"), CLUSTERS, ids=[f"{c[0]}-{c[1][0]}" for c in CLUSTERS])
def test_models_run_by_name(name, lattice, given):
    model = MODELS[name](lattice=Lattice(*lattice), **given)
    fused = True if (name, lattice[0]) == ("j1j2", "honeycomb") else None
    terms = PlaneTerms.of(model, fused=fused)
    D = 6 if name == "hubbard" else 3  # four kinds of particles and spins are exchanged
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=D), imaginary=True)
    cooling = Cooling(update=update, dts=(0.1, 0.03), tol=1e-2, max_steps=60, every=20)
    measured = BoundaryMeasurement(truncation=Truncation(chi_max=81, svd_min=1e-12))
    found = PEPSGroundState(preparation=cooling, contraction=measured).solve(terms, finite_start(model, fused=fused))
    matrix, vector = dense_hamiltonian(terms), fock_state(found.state)
    vector = vector / np.linalg.norm(vector)
    assert found.energy * sites_of(terms) == pytest.approx(np.real(vector.conj() @ matrix @ vector), abs=1e-8)
    start = fock_state(finite_start(model, fused=fused))
    sector = in_sector(terms, int(np.abs(start).argmax()))
    exact = np.linalg.eigvalsh(matrix[np.ix_(sector, sector)])[0]
    gap = np.real(start.conj() @ matrix @ start) - exact
    assert exact - 1e-9 <= found.energy * sites_of(terms) <= exact + LEFT * gap


def test_every_lattice_model_has_its_terms():
    """All that live on a lattice, fermions and ladders included; those that reach over the whole lattice are chains."""
    named = set()
    for name, cls in MODELS.items():
        if not issubclass(cls, models.LatticeModel) or name in (
            "long-range-ising",
            "power-law-heisenberg",
            "haldane-shastry",
        ):
            continue
        kind = (cls.kinds or ("square",))[0]
        lattice = Lattice(kind, 4) if kind == "chain" else Lattice(kind, 2, 2)
        assert PlaneTerms.of(cls(lattice=lattice)).is_hermitian
        named.add(name)
    assert len(named) > 12


def test_the_kitaev_honeycomb_comes_near_its_exact_energy():
    """Majorana fermions: -0.19682 a site (0.78730 / 4); the best product state has -0.125."""
    model = models.KitaevHoneycomb(lattice=Lattice("honeycomb", 2, 2))
    exact = next(fact.value for fact in model.facts if fact.name == "bulk energy per site")
    cell = [[0, 1], [1, 0]]
    terms, start = PlaneTerms.infinite_of(model, cell), infinite_start(model, cell, "random")
    update = SimpleUpdate(dt=0.4, truncation=Truncation(chi_max=2), imaginary=True)
    cooled = Cooling(update=update, dts=(0.4, 0.1), tol=1e-3).solve(terms, start)
    corners = CTMRG(truncation=Truncation(chi_max=12), symmetric=False, tol=1e-5).solve(cooled.state.psi)
    assert corners.status.converged
    assert exact < measure_infinite(corners.environment, terms).energy < 0.95 * exact
