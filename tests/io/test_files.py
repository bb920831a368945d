"""HDF5 round trips, and files that are damaged, cut short, foreign or newer."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import tnsim as tn
from tests.suites.structures import STRUCTURES
from tnsim.errors import FileCorruptError, FileError, FileForeignError, FileTooNewError
from tnsim.io import hdf5, load, load_run, save
from tnsim.models import Heisenberg
from tnsim.tensor import random_tensor


@pytest.fixture
def state_file(tmp_path):
    return save(tmp_path / "state.h5", tn.MPS.random(tn.spin_sites(8), chi=6, seed=1))


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
def test_tensors_come_back(tmp_path, structure, dtype):
    tensor = random_tensor(
        [structure.legs[0], structure.legs[1], structure.legs[2].dual], structure.charge, dtype=dtype, seed=1
    )
    back = load(save(tmp_path / "t.h5", tensor))
    assert back.legs == tensor.legs
    assert back.charge == tensor.charge
    assert back.dtype == tensor.dtype
    np.testing.assert_array_equal(back.data, tensor.data)


def test_states_and_operators_come_back(tmp_path):
    for conserve in ("Sz", "parity", None):
        sites = tn.spin_sites(6, 1, conserve)
        psi = tn.MPS.random(sites, chi=7, seed=2, dtype=complex)
        back = load(save(tmp_path / "psi.h5", psi))
        assert back.sites == psi.sites
        assert back.center == psi.center
        assert abs(tn.overlap(back, psi) - 1) < 1e-13
        H = Heisenberg(L=6, S=1, conserve=conserve).mpo()
        operator = load(save(tmp_path / "H.h5", H))
        assert operator.is_hermitian is True
        np.testing.assert_array_equal(operator.to_dense(), H.to_dense())


def test_matrices_come_back_with_their_permutation_and_padding(tmp_path):
    W = np.random.default_rng(0).standard_normal((5, 7))
    index = tn.IndexOrder(order="i1 o1 | o0 i0", rows=(4, 2, 0, 1, 3), pad=True)
    mpo = tn.MPO.from_matrix(W, (2, 3), (2, 4), index=index)
    back = load(save(tmp_path / "W.h5", mpo))
    assert back.axes == mpo.axes
    np.testing.assert_array_equal(back.to_matrix(), mpo.to_matrix())


def test_data_on_a_device_is_written(tmp_path):
    psi = tn.MPS.random(tn.spin_sites(4), chi=4, seed=2)
    back = load(save(tmp_path / "psi.h5", psi.to("strict")))
    assert abs(tn.overlap(back, psi) - 1) < 1e-13


def test_every_flipped_bit_is_found(state_file):
    good = state_file.read_bytes()
    rng = np.random.default_rng(0)
    for position in [*range(0, 640, 7), *rng.integers(0, len(good), 100)]:
        bad = bytearray(good)
        bad[position] ^= 1 << int(rng.integers(8))
        state_file.write_bytes(bad)
        with pytest.raises(FileError, match="damaged"):
            load(state_file)


def test_every_lost_sector_is_found(state_file):
    # zeros in its metadata can keep the HDF5 library busy for ever
    good = state_file.read_bytes()
    for start in range(0, len(good), 512):
        state_file.write_bytes(good[:start] + bytes(512) + good[start + 512 :])
        if any(good[start : start + 512]):
            with pytest.raises(FileError, match="damaged"):
                load(state_file)


def test_files_of_the_first_schema_are_read():
    """Never written again: a file of a published schema stays readable."""
    record = load_run(Path(__file__).parent / "schema-1.h5")
    assert record.energy == pytest.approx(record.job.model.facts.energy, abs=1e-10)
    assert record.status == "converged"
    assert tn.variance(record.job.model.mpo(), record.state) < 1e-10


def test_files_cut_short(state_file):
    good = state_file.read_bytes()
    for length in (0, 4, 100, len(good) // 2, len(good) - 1):
        state_file.write_bytes(good[:length])
        with pytest.raises(FileError, match="state.h5"):
            load(state_file)


def test_foreign_files(tmp_path):
    text = tmp_path / "notes.h5"
    text.write_text("not HDF5 at all")
    with pytest.raises(FileForeignError, match="no tnsim file"):
        load(text)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = np.ones(3)
    with pytest.raises(FileForeignError, match="not one of tnsim"):
        load(other)
    with pytest.raises(FileError, match="no file"):
        load(tmp_path / "absent.h5")
    with pytest.raises(FileError, match="is a folder"):
        load(tmp_path)


def test_newer_files_name_the_version(state_file, monkeypatch):
    monkeypatch.setattr(hdf5, "SCHEMA", 99)
    save(state_file, load(state_file))
    monkeypatch.undo()
    with pytest.raises(FileTooNewError, match="schema 99, this version reads up to 1"):
        load(state_file)


def test_swapped_contents_are_found(state_file):
    with h5py.File(state_file, "r+") as file:
        file["thing/tensors/3"][...] = 0.0
    with pytest.raises(FileCorruptError, match="checksum"):
        load(state_file)


def test_outputs_that_cannot_be_written(tmp_path):
    psi = tn.MPS.product(tn.spin_sites(2), ["up", "down"])
    with pytest.raises(FileError, match="does not exist"):
        save(tmp_path / "absent" / "a.h5", psi)
    with pytest.raises(FileError, match="is a folder"):
        save(tmp_path, psi)


def test_a_write_that_fails_is_an_error_and_leaves_the_old_file(state_file):
    resource = pytest.importorskip("resource")
    before, limits = state_file.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    psi = tn.MPS.random(tn.spin_sites(20), chi=30, seed=1)
    for size in (6000, 20000, 40000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            with pytest.raises(OSError, match="too large"):
                save(state_file, psi)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert state_file.read_bytes() == before
    assert list(state_file.parent.iterdir()) == [state_file]
    assert save(state_file, psi).stat().st_size > 40000


def test_no_pickle_and_no_objects(state_file):
    with h5py.File(state_file) as file:
        kinds = []
        file.visititems(lambda name, item: kinds.append(item.dtype.kind) if isinstance(item, h5py.Dataset) else None)
    assert set(kinds) <= set("fciu")


def test_only_files_of_one_kind_and_damaged_ones_are_replaced(tmp_path):
    path = tmp_path / "chain.h5"
    save(path, tn.MPS.product(tn.spin_sites(2), ["up", "down"]))
    hdf5.check_replaceable(path, "mps")
    with pytest.raises(FileForeignError, match="holds a mps, no run: choose another --out"):
        hdf5.check_replaceable(path, "run")
    path.write_bytes(path.read_bytes()[:-8])
    hdf5.check_replaceable(path, "run")
