"""A reader of files that knows the README only: h5py, NumPy and the section "Files", nothing of tnsim."""

import hashlib
import json
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest

import tnsim as tn
from tests.suites.structures import STRUCTURES
from tnsim.io import Job, RunOptions, RunRecord, save_run
from tnsim.models import Heisenberg

README = Path(__file__).resolve().parents[2] / "README.md"


def open_sealed(path: Path) -> h5py.File:
    raw = path.read_bytes()
    lines = raw[:512].rstrip(b"\0").decode("ascii").split("\n")
    assert lines[:2] == ["tnsim", "schema 1"]
    assert lines[2].startswith("version ")
    assert lines[3:] == [f"bytes {len(raw)}", f"sha256 {hashlib.sha256(raw[512:]).hexdigest()}", ""]
    return h5py.File(path)


def read_tensor(dataset: h5py.Dataset, moduli: list[int]) -> np.ndarray:
    """The dense array."""
    numbers, legs = dataset.attrs["legs"].tolist(), []
    for _ in range(dataset.attrs["rank"]):
        flow, count = numbers[:2]
        dims, flat = numbers[2 : 2 + count], numbers[2 + count : 2 + count + count * len(moduli)]
        charges = [flat[k * len(moduli) : (k + 1) * len(moduli)] for k in range(count)]
        legs.append((flow, dims, charges, np.cumsum([0, *dims])))
        numbers = numbers[2 + count + count * len(moduli) :]
    assert not numbers
    dense, data = np.zeros([sum(leg[1]) for leg in legs], dtype=dataset.dtype), dataset[()]
    for sectors in product(*(range(len(leg[1])) for leg in legs)):
        total = [
            sum(flow * charges[k][j] for k, (flow, _, charges, _) in zip(sectors, legs, strict=True))
            for j in range(len(moduli))
        ]
        if [q % n if n else q for q, n in zip(total, moduli, strict=True)] == dataset.attrs["charge"].tolist():
            places = tuple(slice(leg[3][k], leg[3][k + 1]) for k, leg in zip(sectors, legs, strict=True))
            shape = [leg[1][k] for k, leg in zip(sectors, legs, strict=True)]
            dense[places], data = data[: np.prod(shape, dtype=int)].reshape(shape), data[np.prod(shape, dtype=int) :]
    assert not data.size
    return dense


def read_chain(group: h5py.Group) -> list[np.ndarray]:
    moduli = group.attrs["group_moduli"].tolist()
    return [read_tensor(group["tensors"][str(i)], moduli) for i in range(len(group["tensors"]))]


def dense_state(tensors: list[np.ndarray]) -> np.ndarray:
    state = np.ones((1, 1))
    for tensor in tensors:
        state = np.einsum("xl,lsr->xsr", state, tensor).reshape(-1, tensor.shape[2])
    return state[:, 0]


def dense_operator(tensors: list[np.ndarray]) -> np.ndarray:
    operator = np.ones((1, 1, 1))
    for tensor in tensors:
        operator = np.einsum("xyl,lsur->xsyur", operator, tensor)
        rows, out, columns, into, right = operator.shape
        operator = operator.reshape(rows * out, columns * into, right)
    return operator[:, :, 0]


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", ["f", "D"])
def test_tensors(tmp_path, structure, dtype):
    legs = [structure.legs[0], structure.legs[1], structure.legs[2].dual]
    tensor = tn.random_tensor(legs, structure.charge, dtype=dtype, seed=1)
    with open_sealed(tn.save(tmp_path / "t.h5", tensor)) as file:
        names = json.loads(file.attrs["group_names"])
        assert names == list(tensor.group.names)
        np.testing.assert_array_equal(
            read_tensor(file["thing"], file.attrs["group_moduli"].tolist()), tensor.to_dense()
        )


@pytest.mark.parametrize("conserve", ["Sz", "parity", None])
def test_states_operators_and_sites(tmp_path, conserve):
    model = Heisenberg(L=5, S=1, conserve=conserve)
    psi, H = tn.MPS.random(model.sites, chi=7, seed=2, dtype=complex), model.mpo()
    with open_sealed(tn.save(tmp_path / "psi.h5", psi)) as file, open_sealed(tn.save(tmp_path / "H.h5", H)) as other:
        state, operator, site = file["thing"], other["thing"], file["thing/sites/0"]
        vector, matrix = dense_state(read_chain(state)), dense_operator(read_chain(operator))
        np.testing.assert_allclose(matrix, H.to_dense(), atol=1e-14)
        assert np.vdot(vector, matrix @ vector) == pytest.approx(tn.expect(psi, H), abs=1e-12)
        assert state.attrs["center"] == psi.center
        assert operator.attrs["is_hermitian"] == 1
        assert state["site_of"][()].tolist() == [0] * 5
        place = json.loads(site.attrs["operator_names"]).index("Sz")
        states = json.loads(site.attrs["states"])
        assert sorted(states) == ["-1", "0", "1"]
        assert len(site.attrs["charges"]) == 3
        np.testing.assert_array_equal(site[str(place)][()], np.diag([float(state) for state in states]))


def test_a_run_and_every_name_in_it():
    """The energy of the file is that of its state; the README names every attribute and dataset."""
    with open_sealed(Path(__file__).parent / "schema-1.h5") as file:
        texts = {name: file[name][()].tobytes().decode() for name in ("job", "progress", "result")}
        result, vector = json.loads(texts["result"]), dense_state(read_chain(file["state"]))
        matrix = Heisenberg(L=6).mpo().to_dense()
        assert np.vdot(vector, matrix @ vector) == pytest.approx(result["energy"], abs=1e-12)
        names = {*file.attrs, *result, "history"}
        file.visititems(lambda path, item: names.update(path.split("/"), item.attrs))
    text = README.read_text().split("## Files")[1].split("## Speed")[0]
    assert [name for name in sorted(names) if not name.isdigit() and name not in text] == []


def test_a_run_for_several_levels(tmp_path):
    model = Heisenberg(L=4)
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=8))
    levels = dmrg.excited(model.mpo(), model.product(), n=2)
    job = Job(model, dmrg, RunOptions(levels=2, out=str(tmp_path / "run.h5")))
    save_run(job.run.out, RunRecord(job, levels[0].state, levels[0].progress, levels=levels.levels))
    with open_sealed(Path(job.run.out)) as file:
        assert sorted(file["levels"]) == ["0", "1"]
        for number, level in enumerate(levels):
            group = file["levels"][str(number)]
            assert sorted(group) == ["progress", "result", "state"]
            result = json.loads(group["result"][()].tobytes())
            assert sorted(result) == ["advice", "converged", "energy", "name", "overlaps", "variance"]
            vector = dense_state(read_chain(group["state"]))
            assert np.vdot(vector, model.mpo().to_dense() @ vector) == pytest.approx(result["energy"], abs=1e-12)
            assert len(result["overlaps"]) == number
            assert len(json.loads(group["progress"][()].tobytes())["history"]) == len(level.history)
    for name in ("levels/K", "overlaps", "converged"):
        assert f"`{name}`" in README.read_text()


def test_a_matrix_can_be_read_by_the_readme(tmp_path):
    W = np.random.default_rng(0).standard_normal((5, 7))
    index = tn.IndexOrder(rows=(4, 2, 0, 1, 3), pad=True)
    path = tn.save(tmp_path / "W.h5", tn.MPO.from_matrix(W, (2, 3), (2, 4), index=index))
    with open_sealed(path) as file:
        first, last = read_chain(file["thing"])
        dense = np.einsum("aoim,mpjb->opij", first, last).reshape(6, 8)
        for row, column in product(range(6), range(8)):
            there = file["thing/rows"][row], file["thing/columns"][column]
            inside = there[0] < file["thing/rows"].attrs["size"] and there[1] < file["thing/columns"].attrs["size"]
            assert abs(dense[row, column] - (W[there] if inside else 0)) < 1e-12
