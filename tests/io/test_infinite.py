"""Infinite states and operators written and read again."""

import numpy as np
import pytest

import tnsim as tn
from tests.suites.structures import dense
from tnsim.errors import FileError
from tnsim.models import XX, TransverseIsing
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import spin_sites


@pytest.mark.parametrize("conserve", ["Sz", None])
def test_a_state_comes_back(tmp_path, conserve):
    psi = tn.InfiniteMPS.random(spin_sites(2, 1, conserve), chi=6, seed=0, dtype=complex)
    again = tn.load(tn.save(tmp_path / "psi.h5", psi))
    assert repr(again) == repr(psi) and again.sites == psi.sites
    for a, b in zip((*psi.AL, *psi.AR, *psi.C), (*again.AL, *again.AR, *again.C), strict=True):
        np.testing.assert_array_equal(dense(a), dense(b))


def test_an_operator_comes_back(tmp_path):
    for H in (XX(L=2).infinite_mpo(), InfiniteMPO.from_sum(
        OperatorSum().add_exponential(1.0, "Sz", "Sz", 0.5), spin_sites(1)
    )):  # fmt: skip
        again = tn.load(tn.save(tmp_path / "H.h5", H))
        assert (again.starts, again.finishes, again.reach, again.is_hermitian) == (
            H.starts, H.finishes, H.reach, H.is_hermitian,
        )  # fmt: skip
        np.testing.assert_array_equal(dense(again.tensors[0]), dense(H.tensors[0]))


def test_a_run_goes_on_from_a_file(tmp_path):
    model = TransverseIsing(L=2, h=1.5)
    settings = tn.VUMPS(truncation=tn.Truncation(chi_max=8), max_sweeps=6)
    tn.save(tmp_path / "psi.h5", settings.solve(model.infinite_mpo(), model.infinite_product("up")).state)
    result = tn.VUMPS(truncation=tn.Truncation(chi_max=8)).solve(model.infinite_mpo(), tn.load(tmp_path / "psi.h5"))
    assert result.status.converged and result.energy == pytest.approx(-1.6719262215362, abs=1e-9)


def test_other_things_are_refused(tmp_path):
    with pytest.raises(FileError, match="found list"):
        tn.save(tmp_path / "x.h5", [1, 2])
