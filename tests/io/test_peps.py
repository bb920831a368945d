"""PEPS and their results in files."""

import numpy as np
import pytest

import tnsim as tn
from tnsim.errors import FileForeignError
from tnsim.io.hdf5 import get_text, open_file, put_text, write_file
from tnsim.io.peps import LEGS, get_peps, load_peps_job, write_peps
from tnsim.models import Heisenberg, Lattice
from tnsim.networks.peps import PEPS, InfinitePEPS, finite_start, grown
from tnsim.networks.peps.weighted import WeightedPEPS
from tnsim.networks.sites import spin_site

SPIN = spin_site()
STATES = [
    PEPS.random([[SPIN] * 3] * 2, 2, states=[["up", "down", "up"], ["down", "up", "down"]], seed=0),
    InfinitePEPS.random([spin_site(conserve=None)], 3, [[0]], seed=1, dtype=np.complex64),
    grown(InfinitePEPS.product([SPIN] * 2, ["up", "down"], [[0, 1], [1, 0]]), 3, seed=2),
    finite_start(Heisenberg(lattice=Lattice("kagome", 2, 1))),
]


@pytest.mark.parametrize("psi", STATES, ids=repr)
def test_states_come_back(psi, tmp_path):
    path = tn.save(tmp_path / "psi.h5", psi)
    found = tn.load(path)
    assert type(found) is type(psi) and found.pattern == psi.pattern and repr(found) == repr(psi)
    for a, b in zip(psi.tensors, found.tensors, strict=True):
        assert a.legs == b.legs and a.charge == b.charge and a.dtype == b.dtype
        np.testing.assert_array_equal(a.data, b.data)
    assert found.kinds == psi.kinds
    weighted = tn.load(tn.save(path, WeightedPEPS.plain(psi)))
    assert isinstance(weighted, WeightedPEPS) and weighted.bond_dimensions == WeightedPEPS.plain(psi).bond_dimensions


def test_the_file_says_what_its_legs_are(tmp_path):
    path = tn.save(tmp_path / "psi.h5", STATES[0])
    with open_file(path) as file:
        assert get_text(file, "legs") == LEGS and "north east south west phys" in LEGS
    assert load_peps_job(path) == ""
    other = tmp_path / "other.h5"
    write_file(other, "peps", lambda file: put_text(file, "legs", "phys west south east north"))
    with open_file(other) as file, pytest.raises(FileForeignError, match="this version knows"):
        get_peps(file)
    write_peps(path, STATES[1], keep=2)
    assert (tmp_path / "psi.h5.1").exists()
    with pytest.raises(FileForeignError, match="not a PEPS"):
        load_peps_job(tn.save(tmp_path / "t.h5", STATES[0].tensors[0]))


class _Stop:
    """Stops a minimisation after so many iterations at D = 2."""

    def __init__(self, after):
        self.after = after

    def step(self, report, run):
        if report.D == 2 and report.iteration == self.after:
            run.request_stop("enough")


@pytest.mark.parametrize("kind", ["symmetric", "cell"])
def test_a_minimisation_from_a_file_goes_on_as_if_it_had_not_been_stopped(kind, tmp_path):
    model = Heisenberg(lattice=Lattice("square", 2, 2), conserve=None)
    rough = tn.MinimizationSettings(max_iterations=6)
    if kind == "symmetric":
        solver = tn.SymmetricVariationalPEPS(D=2, environment=tn.EnvironmentSettings(chi_max=8), minimization=rough)
        start = InfinitePEPS.random(model.sites[:1], 1, [[0]], seed=0)
    else:
        environment = tn.EnvironmentSettings(chi_max=4, tol=1e-7, svd_min=1e-4, gradient_tol=1e-3)
        solver = tn.VariationalPEPS(D=2, noise=0.3, environment=environment, minimization=rough)
        start = InfinitePEPS.product(model.sites[:2], ["up", "down"], [[0, 1], [1, 0]])
    whole = solver.solve(model, start, observers=[_Stop(4)])
    half = solver.solve(model, start, observers=[_Stop(2)])
    again = solver.solve(model, start, resume=tn.load(tn.save(tmp_path / "half.h5", half)), observers=[_Stop(4)])
    assert half.status.name == again.status.name == "interrupted"
    assert [report.energy for report in again.history] == [report.energy for report in whole.history]
    assert np.array_equal(again.optimizer.point, whole.optimizer.point)
