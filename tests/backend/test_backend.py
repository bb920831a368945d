"""The switch between array libraries: names, errors, threads, random numbers."""

import subprocess
import sys

import numpy as np
import pytest

from tnsim.backend import Backend, backend_of, default_backend, get_backend, normal, set_threads
from tnsim.backend import thread_count as threads_in_use
from tnsim.backend.threads import available_threads
from tnsim.errors import BackendError, SettingsError


def test_every_backend_keeps_the_protocol(backend):
    assert isinstance(backend, Backend)
    array = backend.asarray(np.arange(6.0))
    assert backend_of(array) is backend
    for name in ("run_products", "copy_blocks", "svd_blocks", "qr_blocks", "lq_blocks", "eigh_blocks"):
        assert callable(getattr(backend.kernels, name))


def test_array_operations(backend, dtype):
    rng = np.random.default_rng(0)
    host = rng.standard_normal(12).astype(dtype)
    if dtype.kind == "c":
        host = host + 1j * rng.standard_normal(12).astype(dtype)
    host = host.astype(dtype)
    x = backend.asarray(host)

    def same(found, expected):
        np.testing.assert_allclose(backend.to_host(found), expected, rtol=1e-5)

    same(backend.conj(x), host.conj())
    same(backend.real(x), host.real)
    same(backend.absolute(x), np.abs(host))
    same(backend.sqrt(backend.absolute(x)), np.sqrt(np.abs(host)))
    same(backend.concatenate([x, x]), np.concatenate([host, host]))
    same(backend.strided(x, 2, (2, 3), (4, 1)), np.stack([host[2:5], host[6:9]]))
    assert abs(backend.read(backend.sum(x)) - host.sum()) < 1e-5
    assert abs(backend.read(backend.vdot(x, x * 2)) - 2 * np.vdot(host, host)) < 1e-4
    assert abs(backend.read(backend.norm(x)) - np.linalg.norm(host)) < 1e-5
    assert backend.norm(x).dtype == np.empty(0, dtype).real.dtype
    assert backend.all_finite(x) and not backend.all_finite(x * float("nan"))
    copied = backend.copy(x)
    copied *= 0
    same(x, host)
    assert backend.astype(x, "D").dtype == np.complex128
    backend.synchronize()


def test_normal_numbers_are_the_same_everywhere(backend, dtype):
    here = backend.to_host(normal(50, dtype, 4, backend))
    np.testing.assert_array_equal(here, normal(50, dtype, 4, get_backend("numpy")))
    many = normal(20000, dtype, 1, get_backend("numpy"))
    assert abs(np.mean(np.abs(many) ** 2) - 1) < 0.05


def test_unknown_backends_name_the_nearest():
    with pytest.raises(BackendError, match='Did you mean "numpy"'):
        get_backend("nunpy")
    with pytest.raises(BackendError, match="list is no array of a known backend"):
        backend_of([1.0])


def test_the_environment_chooses_the_default(monkeypatch):
    assert default_backend().name == "numpy"
    monkeypatch.setenv("TNSIM_BACKEND", "strict")
    assert default_backend() is get_backend("strict")
    monkeypatch.setenv("TNSIM_BACKEND", "nunpy")
    with pytest.raises(BackendError, match="unknown backend 'nunpy'"):
        default_backend()


def test_cupy_without_wheel_or_driver_says_what_to_do():
    """In a process of its own: with a GPU the backend is made, without one the error names the remedy."""
    code = (
        "from tnsim.backend import get_backend\n"
        "from tnsim.errors import BackendError\n"
        "try:\n    print(get_backend('cupy').name)\n"
        "except BackendError as error:\n    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    words = result.stdout.strip()
    if words != "cupy":
        assert "use 'numpy'" in words
        assert any(remedy in words for remedy in ("pip install", "nvidia-smi", "CUDA_VISIBLE_DEVICES"))


def test_thread_counts(monkeypatch):
    for variable in ("TNSIM_THREADS", "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(variable, raising=False)
    assert available_threads() >= 1
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "7")
    assert available_threads() == 7
    monkeypatch.setenv("OMP_NUM_THREADS", "3,1")
    assert available_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    assert available_threads() == 7
    for value in ("x", "0", "-2", "1.5", "²"):
        monkeypatch.setenv("TNSIM_THREADS", value)
        with pytest.raises(SettingsError, match=f"TNSIM_THREADS must be .* found '{value}'"):
            available_threads()
    monkeypatch.setenv("TNSIM_THREADS", " ")
    assert available_threads() == 7
    monkeypatch.setenv("TNSIM_THREADS", "2")
    assert available_threads() == 2
    with pytest.raises(SettingsError, match="at least 1, found 0"):
        set_threads(0)
    set_threads(1)
    assert threads_in_use() == 1
    set_threads(None)
    assert threads_in_use() == 2
