"""Signatures, older versions, chains in few bits, other arrays: what a file of chains promises, it keeps."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tnsim.errors import FileCorruptError, FileError, FileForeignError
from tnsim.io.safetensors import SafetensorsFile, encode, write_safetensors
from tnsim.networks.matrix_index import IndexOrder
from tnsim.networks.mpo import MPO
from tnsim.tensorize import ChainFile, Quantization, migrate, save_chains
from tnsim.tensorize.artifact_seal import BLANK, FORMAT

OLD = Path(__file__).parent / "data" / "chains_v1.safetensors"
KEY = b"sixteen or more bytes"


def chain(seed=0):
    W = np.random.default_rng(seed).standard_normal((7, 12)).astype(np.float32)
    return MPO.from_matrix(W, (2, 4), (3, 4), 5, index=IndexOrder(pad=True))


def same(a, b):
    return a.axes == b.axes and all((s.data == t.data).all() for s, t in zip(a.tensors, b.tensors, strict=True))


def test_e4_a_signature_tells_who_wrote_it_and_metadata_come_back(tmp_path):
    path = save_chains(tmp_path / "a", {"fc": chain()}, notes={"seed": 1, "metrics": {"loss": 0.5}}, key=KEY)
    file = ChainFile(path, key=KEY)
    assert file.is_signed and file.notes == {"seed": 1, "metrics": {"loss": 0.5}} and file.version == 2
    assert file.layout["fc"] | {} == {
        "kind": "chain", "sites": 2, "shape": [7, 12], "dtype": "float32", "ranks": [5],
        "cores": [[1, 2, 3, 5], [5, 4, 4, 1]],
    }  # fmt: skip
    assert same(ChainFile(path)["fc"], chain())
    with pytest.raises(FileCorruptError, match="not signed with this key"):
        ChainFile(path, key=b"another key")
    unsigned = save_chains(tmp_path / "b", {"fc": chain()})
    with pytest.raises(FileError, match="is not signed"):
        ChainFile(unsigned, key=KEY)
    with pytest.raises(FileError, match="empty key"):
        save_chains(tmp_path / "c", {"fc": chain()}, key=b"")


def test_e4_whoever_seals_a_changed_file_anew_has_no_signature(tmp_path, monkeypatch):
    path = save_chains(tmp_path / "a", {"fc": chain()}, key=KEY)
    signature = SafetensorsFile(path).metadata["hmac"]
    monkeypatch.setattr("tnsim.tensorize.artifact_seal.sign", lambda *_: signature)
    save_chains(path, {"fc": chain(seed=1)}, key=b"of a forger")
    monkeypatch.undo()
    ChainFile(path)
    with pytest.raises(FileCorruptError, match="not signed with this key"):
        ChainFile(path, key=KEY)


@pytest.mark.parametrize("place", ["signature", "seal"])
def test_flipped_bits_of_seal_and_signature_are_seen(tmp_path, place):
    path = save_chains(tmp_path / "a", {"fc": chain()}, key=KEY)
    name = b'"hmac":"' if place == "signature" else b'"sha256":"'
    whole = bytearray(path.read_bytes())
    whole[whole.index(name) + len(name) + 3] ^= 1
    path.write_bytes(whole)
    with pytest.raises((FileCorruptError, FileForeignError)):
        ChainFile(path, key=KEY)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("hmac", "\u00e9" * 64, "not signed with this key"),
        ("chains", "[", "does not tell"),
        ("notes", "[1]", "does not tell"),
        ("version", "0", "does not tell"),
    ],
    ids=["signature", "chains", "notes", "version"],
)
def test_a_sealed_file_of_nonsense_is_refused_as_such(tmp_path, name, value, message):
    metadata = {"format": FORMAT, "version": "2", "sha256": BLANK, "hmac": "", "chains": "{}", "notes": "{}"}
    metadata[name] = value
    head, data = encode({"a": np.ones(3)}, metadata)
    seal = hashlib.sha256(b"".join([head, *data])).hexdigest()
    write_safetensors(tmp_path / "a", head.replace(b'"sha256":"' + BLANK.encode(), f'"sha256":"{seal}'.encode()), data)
    with pytest.raises(FileCorruptError, match=message):
        ChainFile(tmp_path / "a", key=KEY if name == "hmac" else None)


def test_e5_a_file_of_version_1_is_read_and_rewritten(tmp_path):
    assert SafetensorsFile(OLD).metadata["version"] == "1"
    old = ChainFile(OLD)
    W = (np.arange(84.0).reshape(7, 12) % 5 - 2).astype(np.float32)
    anew = MPO.from_matrix(W, (2, 4), (3, 4), 5, index=IndexOrder(pad=True, rows=(6, 5, 4, 3, 2, 1, 0)))
    assert old["fc"].axes == anew.axes
    np.testing.assert_allclose(old["fc"].to_matrix(), anew.to_matrix(), atol=1e-5)
    assert old.notes == {"seed": 7, "metrics": {"loss": 1.5}} and not old.is_signed and old.version == 1
    new = ChainFile(migrate(OLD, tmp_path / "new", key=KEY), key=KEY)
    assert same(new["fc"], old["fc"]) and new.notes == old.notes and new.source_sha256 == old.source_sha256
    assert SafetensorsFile(new.path).metadata["version"] == "2"
    source = tmp_path / "source.bin"
    source.write_bytes(b"weights of version 1")
    new.check_source(source)


@pytest.mark.parametrize("rule", ["int8", "int4", "fp8"])
def test_chains_in_few_bits_stay_in_few_bits(tmp_path, rule):
    small = Quantization.of(rule).quantize(chain())
    path = save_chains(tmp_path / "a", {"fc": small, "plain": chain()}, arrays={"fc.bias": np.arange(7.0)})
    file = ChainFile(path)
    back = file.quantized("fc")
    assert back.bytes == small.bytes and back.kind == small.kind and file.quantized("plain") is None
    assert same(file["fc"], small.to_mpo())
    assert file.arrays == ("fc.bias",) and (file.array("fc.bias") == np.arange(7.0)).all()
    again = ChainFile(migrate(path, tmp_path / "b"))
    assert same(again["fc"], file["fc"]) and again.quantized("fc").bytes == small.bytes


def test_e6_two_processes_write_the_same_bytes(tmp_path):
    """Truncation, a fit to activations, the randomised decomposition and rounding: signs and seeds are fixed."""
    code = (
        "import sys, numpy as np\n"
        "from tnsim.networks.mpo import MPO\n"
        "from tnsim.networks.rank_rule import RankRule\n"
        "from tnsim.tensorize import Gram, MetricFit, Quantization, save_chains\n"
        "rng = np.random.default_rng(0)\n"
        "W, x = rng.standard_normal((24, 24)), rng.standard_normal((50, 24))\n"
        "plain = MPO.from_matrix(W, (2, 3, 4), (4, 3, 2), 5)\n"
        "fitted = MetricFit(max_sweeps=3).solve(W, plain, Gram.collect([x])).mpo\n"
        "few = MPO.from_matrix(W, (4, 6), (4, 6), RankRule(ranks=(6,), method='rsvd'))\n"
        "chains = {'plain': plain, 'fitted': fitted, 'few': few, 'int4': Quantization(bits=4).quantize(plain)}\n"
        "save_chains(sys.argv[1], chains)\n"
    )
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        subprocess.run([sys.executable, "-c", code, str(path)], cwd=Path(__file__).parents[2], check=True)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_e5_a_process_killed_while_saving_leaves_the_old_file(tmp_path):
    path = save_chains(tmp_path / "a.safetensors", {"fc": chain()})
    before = path.read_bytes()
    code = (
        "import os, signal, sys, numpy as np\n"
        "import tnsim.io.atomic as atomic\n"
        "from tnsim.networks.mpo import MPO\n"
        "from tnsim.tensorize import save_chains\n"
        "atomic.os.fsync = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "save_chains(sys.argv[1], {'fc': MPO.from_matrix(np.eye(16), (4, 4), (4, 4))})\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=Path(__file__).parents[2], env=os.environ)
    assert done.returncode == -signal.SIGKILL and path.read_bytes() == before
    save_chains(path, {"fc": chain(seed=1)})
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"] and same(ChainFile(path)["fc"], chain(seed=1))
