"""Free fermions after a quench against exact diagonalisation."""

import numpy as np
import pytest

from tests.exact import dense
from tests.exact.evolution import evolved
from tnsim.models import XXZ, TransverseIsing
from tnsim.models.exact.free_fermions import open_ising
from tnsim.models.exact.quenches import HoppingState, MajoranaState, ising_matrix

L, TIME = 6, 0.7


def expected(operator: str, i: int, state: np.ndarray, sites) -> float:
    return float(np.vdot(state, dense.place(sites, [(operator, i)]) @ state).real)


def test_hopping():
    model = XXZ(L=L, delta=0.0)
    state = evolved(model.operator_sum(), model.sites, model.product("neel").to_dense(), -1j * TIME)
    filled = np.arange(L) % 2 == (0 if model.product("neel").tensors[0].legs[2].charges[0] == (1,) else 1)
    free = HoppingState(np.diag(1.0 * filled)).evolved((np.eye(L, k=1) + np.eye(L, k=-1)) / 2, TIME)
    spins = [expected("Sz", i, state, model.sites) for i in range(L)]
    np.testing.assert_allclose(free.occupations() - 0.5, spins, atol=1e-13)
    for cut in (1, 2, 3):
        assert free.entropy(cut) == pytest.approx(dense.entropy(state, 2**cut), abs=1e-12)


@pytest.mark.parametrize("start", ["up", "ground"])
def test_pairing(start):
    J, h = 0.8, 0.6
    model = TransverseIsing(L=L, J=J, h=h)
    H0 = TransverseIsing(L=L, J=1.0, h=1.5).operator_sum()
    if start == "up":
        begin, free = model.product("up").to_dense(), MajoranaState.of(np.eye(L))
    else:
        begin = np.linalg.eigh(dense.hamiltonian(H0, model.sites))[1][:, 0]
        free = MajoranaState.of(open_ising(L, 1.0, 1.5).covariance)
    state = evolved(model.operator_sum(), model.sites, begin, -1j * TIME)
    later = free.evolved(ising_matrix(L, J, h), TIME)
    np.testing.assert_allclose(
        later.magnetization(), [expected("Z", i, state, model.sites) for i in range(L)], atol=1e-12
    )
    bond = np.vdot(state, dense.place(model.sites, [("X", 1), ("X", 2)]) @ state).real
    assert later.bond_correlation()[1] == pytest.approx(bond, abs=1e-12)
    for cut in (1, 3):
        assert later.entropy(cut) == pytest.approx(dense.entropy(state, 2**cut), abs=1e-10)
