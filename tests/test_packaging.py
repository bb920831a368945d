"""The package as others get it: the list of packages, the wheel, a bare checkout, a read-only install."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# touches kernels, models and package data
PROBE = """
import numpy as np
import tnsim as tn
import tnsim.kernels.cpu
from tnsim.kernels.cuda.source import FILES, source
from tnsim.models import Heisenberg
assert all(source(name, 16) for name in FILES)
assert Heisenberg(L=4).facts.energy < -1.6
print(tn.__file__)
"""
# compiles a few kernels
CONTRACTION = """
x = tn.from_dense(np.eye(3))
assert abs(tn.contract("a b, b c -> a c", x, x).norm() ** 2 - 3) < 1e-12
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """The output of a command in a clean environment; its errors in the failure."""
    names = "PATH", "LANG", "TMPDIR", "PYTHONPYCACHEPREFIX"
    kept = {name: os.environ[name] for name in names if name in os.environ}
    home = {"HOME": os.environ.get("HOME", "/nonexistent"), "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=kept | home | environment, capture_output=True, text=True
    )
    assert result.returncode == 0, f"{command} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}"
    return result.stdout.strip()


def copy_sources(target: Path) -> Path:
    """What a checkout holds, without caches and builds."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("pyproject.toml", "LICENSE", "README.md", "tnsim", "kernels", "models"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif source.exists():
            shutil.copy(source, target / name)
    return target


# -- the list ------------------------------------------------------------------------------------------


def test_every_package_is_listed():
    found = set()
    for folder, name in (("tnsim", "tnsim"), ("kernels", "tnsim.kernels"), ("models", "tnsim.models")):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).parts[:-1]
            found.add(".".join((name, *parts)))
    assert set(SETTINGS["tool"]["setuptools"]["packages"]) == found


def test_every_package_has_an_init():
    for folder in ("tnsim", "kernels", "models"):
        for path in (ROOT / folder).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), f"{path.parent} has no __init__.py"


def test_the_short_names_are_refused():
    result = subprocess.run([sys.executable, "-c", "import kernels"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode != 0 and "use 'import tnsim.kernels'" in result.stderr


def test_the_version_is_stated_once():
    version = run(sys.executable, "-c", "import tnsim; print(tnsim.__version__)", cwd=ROOT)
    assert version == SETTINGS["project"]["version"]


def test_import_is_quick_and_lazy():
    code = "import sys, tnsim; print([m for m in ('numba', 'scipy', 'h5py', 'matplotlib', 'cupy') if m in sys.modules])"
    assert run(sys.executable, "-c", code, cwd=ROOT) == "[]"


# -- the wheel -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy of the sources with the setuptools that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = copy_sources(folder / "sources")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", folder / "out"]
    run(*pip, sources, cwd=folder)
    (built,) = (folder / "out").glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_all_sources(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = set()
    for folder, prefix in (("tnsim", "tnsim"), ("kernels", "tnsim/kernels"), ("models", "tnsim/models")):
        for pattern in ("*.py", "*.cu", "*.cuh", "py.typed"):
            for path in (ROOT / folder).rglob(pattern):
                expected.add(f"{prefix}/{path.relative_to(ROOT / folder).as_posix()}")
    assert inside == expected


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked as an installer does."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


@pytest.mark.slow
def test_the_wheel_runs_from_elsewhere(installed, tmp_path):
    place = run(sys.executable, "-c", PROBE, cwd=tmp_path, PYTHONPATH=str(installed))
    assert Path(place).is_relative_to(installed)


@pytest.mark.slow
def test_the_command_line_starts_from_the_wheel(installed, tmp_path):
    code = "import sys; from tnsim.cli import main; sys.argv[1:] = ['--help']; main()"
    assert "dmrg" in run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed))


# -- a checkout, nothing installed ---------------------------------------------------------------------


def bare_python() -> list[str]:
    """This interpreter without site hooks, so that an editable install is not seen."""
    return [sys.executable, "-S"]


def dependencies() -> str:
    """Where numpy and the others lie."""
    return sysconfig.get_paths()["purelib"]


@pytest.mark.slow
def test_a_checkout_runs_from_its_root(tmp_path):
    root = copy_sources(tmp_path / "checkout")
    place = run(*bare_python(), "-c", PROBE, cwd=root, PYTHONPATH=f"{root}{os.pathsep}{dependencies()}")
    assert Path(place).is_relative_to(root)


@pytest.mark.slow
def test_a_checkout_shadows_an_installed_copy_as_a_whole(installed, tmp_path):
    """`python script.py` at the root after a plain install: tnsim from here, so kernels and models from here too."""
    root = copy_sources(tmp_path / "checkout")
    code = "import tnsim, tnsim.kernels.table, tnsim.models; print(tnsim.kernels.table.__file__, tnsim.models.__file__)"
    path = os.pathsep.join(map(str, (root, installed, dependencies())))
    for place in run(*bare_python(), "-c", code, cwd=root, PYTHONPATH=path).split():
        assert Path(place).is_relative_to(root)


def test_a_checkout_shadows_an_editable_install_of_another(tmp_path):
    """An editable install answers for kernels and models by name; the checkout that is used must come first."""
    root, other = copy_sources(tmp_path / "checkout"), copy_sources(tmp_path / "other")
    code = f"""
import sys
from importlib.util import spec_from_file_location
class Editable:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in ("tnsim.kernels", "tnsim.models"):
            place = {str(other)!r} + "/" + name.split(".")[1]
            return spec_from_file_location(name, place + "/__init__.py", submodule_search_locations=[place])
sys.meta_path.insert(0, Editable)
import tnsim, tnsim.kernels.table, tnsim.models
print(tnsim.kernels.table.__file__, tnsim.models.__file__)
"""
    path = os.pathsep.join(map(str, (root, dependencies())))
    for place in run(*bare_python(), "-c", code, cwd=root, PYTHONPATH=path).split():
        assert Path(place).is_relative_to(root)


# -- read-only, no home --------------------------------------------------------------------------------


@pytest.fixture
def read_only(installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An install that its user may read only."""
    folder = Path(shutil.copytree(installed, tmp_path_factory.mktemp("read-only") / "site"))
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)


def without_privileges() -> list[str]:
    """Root writes where it may not; without these capabilities file modes hold for it too."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root without setpriv: nothing is read-only for this user.")
    dropped = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="file modes of POSIX")
def test_a_read_only_install_without_a_home_caches_elsewhere(read_only, tmp_path):
    code = PROBE + CONTRACTION + "from tnsim.kernels import CACHE_DIRECTORY\nprint(CACHE_DIRECTORY)\n"
    command = [*without_privileges(), sys.executable, "-B", "-c", code]
    environment = {"HOME": "/dev/null/home", "TMPDIR": str(tmp_path), "PYTHONPATH": str(read_only)}
    place, cache = run(*command, cwd=tmp_path, **environment).split()
    assert Path(place).is_relative_to(read_only) and Path(cache).is_relative_to(tmp_path)
    assert any(Path(cache).rglob("*.nbi")), "nothing was cached"
