"""Operators that do not say whether they equal their adjoints, against dense matrices, and evolutions of them."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tnsim.errors import OperatorError
from tnsim.models import XXZ
from tnsim.networks.adjoint import adjoint_distance, is_own_adjoint

MODEL = XXZ(L=5, delta=0.5)
CUT = tn.Truncation(chi_max=16)


def products() -> tuple[tn.MPO, tn.MPO]:
    """H^2, and H times a field that does not commute with it."""
    H, field = MODEL.mpo(), tn.OperatorSum().add(1.0, "Sz", 0).add(-0.4, "Sz", 3).mpo(MODEL.sites)
    return H @ H, H @ field


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_distances_are_those_of_matrices(device, dtype):
    backend = backend_or_skip(device)
    for H in products():
        dense = H.to_dense()
        expected = np.linalg.norm(dense - dense.conj().T) / np.linalg.norm(dense)
        found = adjoint_distance(H.astype(dtype).to(backend))
        assert found == pytest.approx(expected, abs=200 * float(np.finfo(dtype).eps))
        assert is_own_adjoint(H) == (expected < 1e-12) and H.is_hermitian is None
    assert adjoint_distance(products()[0] * 0.0) == 0.0


@pytest.mark.parametrize("scheme", [tn.TDVP, tn.MPOEvolution, tn.KrylovEvolution])
def test_evolutions_look_at_operators_that_do_not_say(scheme):
    square, other = products()
    evolution = scheme(dt=0.05, truncation=CUT)
    evolved = evolution.run(square, MODEL.product("neel"), time=0.05)
    assert evolved.status.converged and evolved.energy is not None
    with pytest.raises(OperatorError, match="not equal to its adjoint"):
        evolution.run(other, MODEL.product("neel"), time=0.05)
    allowed = scheme(dt=0.05, truncation=CUT, non_hermitian=True)
    assert allowed.run(other, MODEL.product("neel"), time=0.05).energy is None
