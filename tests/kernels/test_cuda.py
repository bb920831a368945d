"""The CUDA sources: compiled for three generations of GPUs, run on the host, and how they are driven."""

import ctypes
import gc
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests import cuda_host
from tests.devices import backend_or_skip
from tests.kernels.test_products import assert_close, run_on
from tests.suites.plans import random_plan, run_plainly
from tnsim.kernels import table as t
from tnsim.kernels.cuda import CudaKernels, schedule
from tnsim.kernels.cuda.source import FILES, OPTIONS, SIDE, source


@pytest.fixture
def device() -> cuda_host.CudaHostBackend:
    """A backend of its own, with nothing uploaded yet."""
    backend_or_skip("cuda-host")
    return cuda_host.CudaHostBackend()


# -- NVRTC: no GPU is needed to compile for one --------------------------------------------------------


def nvrtc() -> ctypes.CDLL:
    try:
        import nvidia
    except ImportError:
        pytest.skip("no nvidia-cuda-nvrtc is installed (it comes with the test extra on Linux).")
    found = [path for folder in nvidia.__path__ for path in Path(folder).rglob("libnvrtc.so.*")]
    if not found:
        pytest.skip("the nvidia packages hold no libnvrtc.")
    return ctypes.CDLL(str(found[0]))


def compile_for(library: ctypes.CDLL, text: str, architecture: str) -> tuple[int, str, int]:
    """(status, log, bytes of machine code)."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None) == 0
    options = [option.encode() for option in (*OPTIONS, f"--gpu-architecture={architecture}")]
    status = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    size.value = 0
    if status == 0:
        assert library.nvrtcGetCUBINSize(program, ctypes.byref(size)) == 0
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return status, log.value.decode(), size.value


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize("file", FILES)
def test_sources_compile_to_machine_code(file, architecture):
    status, log, size = compile_for(nvrtc(), source(file, SIDE), architecture)
    assert status == 0, log
    assert size > 1000 and "warning" not in log, log


def test_a_mistake_in_a_source_is_seen():
    status, log, _ = compile_for(nvrtc(), source("products", SIDE).replace("run_item<T>", "run_itme<T>"), "sm_90")
    assert status != 0 and "run_itme" in log


def test_every_source_is_compiled_here():
    folder = Path(source.__code__.co_filename).parent
    assert {path.stem for path in folder.glob("*.cu")} == set(FILES)


# -- the same sources on the host ----------------------------------------------------------------------


def test_the_tile_of_the_device(device, dtype):
    """The index arithmetic with 16 x 16 threads, as launched on a GPU."""
    device.kernels = CudaKernels(device, cuda_host.HostDevice(cuda_host.CudaHostArray, side=SIDE))
    plan = random_plan(3, dtype, tasks=1, rows_per_task=5)
    assert_close(run_on(device, plan), run_plainly(plan), dtype)


def test_blocks_larger_than_a_tile(device):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((13, 9)), rng.standard_normal((9, 11))
    rows = np.zeros((1, t.COLUMNS), dtype=np.int64)
    rows[0, [t.M, t.N, t.K, t.A_STRIDE, t.B_BUFFER, t.B_STRIDE, t.C_BUFFER, t.C_STRIDE]] = 13, 11, 9, 9, 1, 11, 2, 11
    out = device.zeros(13 * 11, "d")
    buffers = (device.asarray(a.reshape(-1)), device.asarray(b.reshape(-1)), out)
    device.kernels.run_products(rows, np.full(1, 2.0), np.array([0, 1]), np.ones(1), buffers)
    np.testing.assert_allclose(device.to_host(out).reshape(13, 11), 2 * a @ b, atol=1e-12)


def test_large_products_go_to_the_library(device, dtype, monkeypatch):
    """With the threshold at 2, some targets run on the portable path, in order with the launches."""
    monkeypatch.setattr(schedule.make_schedule, "__defaults__", (2,))
    for seed in range(4):
        plan = random_plan(seed, dtype)
        made = schedule.make_schedule(plan.rows, plan.starts, 4)
        assert any(len(level.large) for level in made.levels)
        assert_close(run_on(device, plan), run_plainly(plan), dtype)


def test_large_blocks_are_decomposed_on_the_device(device):
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((70, 66))
    blocks = np.array([[0, 70, 66]])
    data = device.asarray(matrix.reshape(-1))
    before = device.reads
    u, s, vh = device.kernels.svd_blocks(data, blocks)
    assert device.reads == before, "a large block went to the host"
    product = device.to_host(u).reshape(70, 66) * device.to_host(s) @ device.to_host(vh).reshape(66, 66)
    np.testing.assert_allclose(product, matrix, atol=1e-10)


def test_small_blocks_are_decomposed_on_the_host_at_once(device):
    data = device.asarray(np.random.default_rng(2).standard_normal(5 * 9))
    before = device.reads
    device.kernels.qr_blocks(data, np.array([[9 * n, 3, 3] for n in range(5)]))
    assert device.reads == before + 1


def test_a_plan_is_uploaded_once_and_forgotten_with_its_table(device):
    plan = random_plan(0, np.dtype("d"))
    uploads = []
    upload = device.kernels.device.upload
    device.kernels.device.upload = lambda host: uploads.append(host.nbytes) or upload(host)
    run_on(device, plan)
    assert uploads
    first = len(uploads)
    run_on(device, plan)
    assert len(uploads) == first
    plan.alphas[0] += 1
    assert_close(run_on(device, plan), run_plainly(plan), np.dtype("d"))
    assert len(uploads) == first + 1
    assert len(device.kernels._kept) == 1
    del plan
    gc.collect()
    assert not device.kernels._kept


def test_coefficients_take_the_precision_of_the_data(device):
    plan = random_plan(5, np.dtype("f"))
    exact = run_plainly(plan)
    plan.alphas = plan.alphas.astype("d")
    assert_close(run_on(device, plan), exact, np.dtype("f"))


def test_too_many_buffers_are_refused(device):
    plan = random_plan(0, np.dtype("d"))
    buffers = tuple(device.zeros(1, "d") for _ in range(t.BUFFERS + 1))
    with pytest.raises(ValueError, match=f"{t.BUFFERS} buffers"):
        device.kernels.run_products(plan.rows, plan.alphas, plan.starts, plan.weights, buffers)


# -- races ---------------------------------------------------------------------------------------------

RACE_MAIN = """
#include <cstdio>
#include <cstring>
static std::vector<long long> read_words(const char *path)
{
    std::vector<long long> words;
    std::FILE *file = std::fopen(path, "rb");
    for (long long word; std::fread(&word, 8, 1, file) == 1;) words.push_back(word);
    std::fclose(file);
    return words;
}
int main(int, char **paths)
{
    auto rows = read_words(paths[1]), items = read_words(paths[2]);
    std::vector<double> alphas(rows.size() / COLUMNS, 1.0), data[8];
    long long words[11] = {(long long)rows.data(), (long long)alphas.data(), (long long)items.data()};
    for (int n = 0; n < 8; n++) data[n].assign(1000, 0.5), words[3 + n] = (long long)data[n].data();
    launch_run_products_d(items.size() / 4, words);
    return 0;
}
"""


def _sanitized(folder: Path, text: str) -> Path:
    """A program under ThreadSanitizer; a skip where the compiler has none."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++ is installed.")
    (folder / "race.cpp").write_text(f'#include "{cuda_host.HEADER}"\n{text}')
    command = [compiler, "-std=c++20", "-g", "-O1", "-pthread", "-fsanitize=thread", "race.cpp", "-o", "race"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"no ThreadSanitizer: {built.stderr[-300:]}")
    return folder / "race"


@pytest.mark.slow
@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "without its barriers"])
def test_threads_of_a_block_do_not_race(tmp_path, broken):
    """Four threads a block under ThreadSanitizer: clean as written, and caught where the barriers are taken out."""
    text = source("products", 2)
    if broken:
        text = text.replace("__syncthreads();", "")
    program = _sanitized(tmp_path, text + "\nHOST_LAUNCH(run_products_d)\n" + RACE_MAIN)
    plan = random_plan(1, np.dtype("d"))
    made = schedule.make_schedule(plan.rows, plan.starts, 4)
    (tmp_path / "rows").write_bytes(made.rows.tobytes())
    reports = ""
    for level in made.levels:
        (tmp_path / "items").write_bytes(level.items.tobytes())
        run = subprocess.run([program, tmp_path / "rows", tmp_path / "items"], capture_output=True, text=True)
        if "unexpected memory mapping" in run.stderr:
            pytest.skip("ThreadSanitizer cannot run under this kernel's address layout.")
        reports += run.stderr
    assert ("data race" in reports) == broken, reports[:3000]
