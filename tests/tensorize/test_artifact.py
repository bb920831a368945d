"""Chains in a file: they come back, and whatever was done to the file is seen."""

import json
import struct

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tnsim.errors import FileCorruptError, FileError, FileForeignError, FileTooNewError, ShapeError
from tnsim.io.safetensors import SafetensorsFile, encode, write_safetensors
from tnsim.networks.matrix_index import IndexOrder
from tnsim.networks.mpo import MPO
from tnsim.tensorize import ChainFile, save_chains


def chain(dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((7, 12)) + (1j if np.dtype(dtype).kind == "c" else 0) * rng.standard_normal((7, 12))
    index = IndexOrder(pad=True, rows=(6, 5, 4, 3, 2, 1, 0))
    return MPO.from_matrix(W.astype(dtype), (2, 4), (3, 4), 5, index=index)


@pytest.fixture
def saved(tmp_path):
    checkpoint = tmp_path / "model.bin"
    checkpoint.write_bytes(b"weights" * 1000)
    chains = {"fc1": chain(), "fc2": chain(seed=1)}
    return save_chains(
        tmp_path / "small.safetensors", chains, source=checkpoint, notes={"seed": 3, "loss": 1.5}
    ), checkpoint


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@pytest.mark.parametrize("device", ["numpy", "strict"])
def test_chains_come_back_bit_for_bit(tmp_path, dtype, device):
    mpo = chain(dtype).to(backend_or_skip(device))
    back = ChainFile(save_chains(tmp_path / "a.safetensors", {"fc": mpo}))["fc"]
    assert back.axes == mpo.axes and back.dtype == mpo.dtype
    for a, b in zip(back.tensors, mpo.tensors, strict=True):
        assert a.legs == b.legs and (a.data == mpo.backend.to_host(b.data)).all()


def test_notes_and_the_source_are_kept(saved):
    path, checkpoint = saved
    file = ChainFile(path)
    assert list(file) == ["fc1", "fc2"] and len(file) == 2 and file.notes == {"seed": 3, "loss": 1.5}
    file.check_source(checkpoint)
    changed = bytearray(checkpoint.read_bytes())
    changed[17] ^= 1
    checkpoint.write_bytes(changed)
    with pytest.raises(FileError, match="not made from"):
        file.check_source(checkpoint)
    with pytest.raises(FileError, match="cannot be read"):
        file.check_source(checkpoint.with_name("gone"))
    with pytest.raises(KeyError):
        file["fc3"]


def test_equal_chains_give_equal_bytes(tmp_path):
    a, b = (save_chains(tmp_path / name, {"fc": chain()}).read_bytes() for name in ("a", "b"))
    assert a == b


def test_one_flipped_bit_anywhere_is_seen(saved):
    path, _ = saved
    whole = path.read_bytes()
    for place in range(0, len(whole), 29):
        broken = bytearray(whole)
        broken[place] ^= 1
        path.write_bytes(broken)
        with pytest.raises((FileCorruptError, FileForeignError)):
            ChainFile(path)
    for end in (3, 40, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises((FileCorruptError, FileForeignError)):
            ChainFile(path)


def test_foreign_and_newer_files_are_refused(tmp_path, saved):
    path = tmp_path / "b.safetensors"
    write_safetensors(path, *encode({"w": np.eye(3)}, {}))
    np.testing.assert_array_equal(SafetensorsFile(path).read("w"), np.eye(3))
    with pytest.raises(FileForeignError, match="holds no chains"):
        ChainFile(path)
    for content in (b"\x80\x04K\x01.", b"", struct.pack("<Q", 2**40) + b"{}", struct.pack("<Q", 4) + b"[1] "):
        path.write_bytes(content)
        with pytest.raises(FileForeignError):
            ChainFile(path)
    with pytest.raises(FileError, match="cannot be read"):
        ChainFile(tmp_path / "gone")


def test_a_newer_version_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("tnsim.tensorize.artifact.VERSION", 3)
    path = save_chains(tmp_path / "new.safetensors", {"fc": chain()})
    monkeypatch.undo()
    with pytest.raises(FileTooNewError, match="version 3"):
        ChainFile(path)


def test_headers_that_lie_are_refused(tmp_path):
    path = tmp_path / "lie.safetensors"
    good = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    for change in ({"shape": [3]}, {"data_offsets": [0, 4]}, {"data_offsets": [4, 12]}, {"shape": [-2]}, {"shape": 2}):
        text = json.dumps({"w": good | change}).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
        with pytest.raises((FileCorruptError, FileForeignError)):
            SafetensorsFile(path)
    write_safetensors(path, *encode({"w": np.zeros(2, dtype=np.float32)}, {}))
    with pytest.raises(FileError, match='Did you mean "w"'):
        SafetensorsFile(path).read("W")
    with pytest.raises(FileError, match="no complex128"):
        encode({"z": np.zeros(2, dtype=complex)}, {})


def test_a_failed_write_leaves_the_old_file(saved, monkeypatch):
    path, _ = saved
    before = path.read_bytes()
    monkeypatch.setattr("tnsim.io.atomic.os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk gone")))
    with pytest.raises(OSError, match="disk gone"):
        save_chains(path, {"fc": chain()})
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 2


def test_chains_of_no_matrix_are_refused(tmp_path):
    with pytest.raises(ShapeError, match="'fc' stands for no matrix"):
        save_chains(tmp_path / "a", {"fc": MPO(chain().tensors)})
