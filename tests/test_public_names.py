"""What `import tnsim` offers."""

import subprocess
import sys
from pathlib import Path

import tnsim as tn

ROOT = Path(__file__).resolve().parents[1]


def test_completion_lists_public_names_only():
    names = dir(tn)
    assert names == sorted(tn.__all__)
    assert {"DMRG", "MPS", "expect", "load", "__version__"} <= set(names)
    assert not {name for name in names if name.startswith("_")} - {"__version__"}
    assert not {"Any", "import_module", "version"} & set(names)


def test_every_public_name_is_there_in_a_fresh_process():
    code = "import tnsim as tn; assert 'numpy' not in dir(tn); print(len([getattr(tn, name) for name in dir(tn)]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(tn.__all__)
