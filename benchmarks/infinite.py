"""How fast are infinite chains: VUMPS and iDMRG of tnsim beside those of TeNPy, until the energy stays within 1e-10?

`python -m benchmarks.infinite`: every engine in a process of its own, on one thread, after a tiny run that compiles and
imports. The transverse-field Ising chain (h = 1.2, no symmetry) is gapped, so its error is that of the search; at the
critical point (tfim-critical, h = 1) and at the Heisenberg chain (U(1)) the bond dimension limits it, so read there
whether engines agree. TeNPy's VUMPS is the one for two sites, which starts from a product state as the others do;
changes of energy and entropy end it, as its split error does not fall below what the cut leaves. `--only tfim-critical`
runs one job, `--chi 16` takes that bond dimension for all: does it work here?
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import quad

from benchmarks.process import ROOT, answer_of, peak_mb
from benchmarks.report import machine

TOLERANCE = 1e-10
FIELDS = {"tfim": 1.2, "tfim-critical": 1.0}
EXACT = {
    name: -quad(lambda k, h=h: np.sqrt(1 + h * h - 2 * h * np.cos(k)), 0, np.pi, epsabs=1e-14)[0] / np.pi
    for name, h in FIELDS.items()
} | {"heisenberg": 0.25 - np.log(2)}
CHIS = {"tfim": 24, "tfim-critical": 64, "heisenberg": 64}
Answer = tuple[float, int, str]


def tnsim(job: str, chi: int, method: str) -> Answer:
    """Energy per site, bond dimension, and how the search ended."""
    import tnsim as tn
    from tnsim.models import Heisenberg, TransverseIsing

    tn.set_threads(1)
    model = TransverseIsing(L=2, h=FIELDS[job], conserve=None) if job in FIELDS else Heisenberg(L=2)
    start = model.infinite_product("up" if job in FIELDS else "neel")
    cut = tn.Truncation(chi_max=chi)
    # the error of the energy is of the order of the squared gradient
    solver = tn.VUMPS(truncation=cut, gradient_tol=1e-6) if method == "vumps" else tn.IDMRG(
        truncation=cut, energy_tol=TOLERANCE / 10
    )  # fmt: skip
    found = solver.solve(model.infinite_mpo(), start)
    return found.energy, max(found.state.bond_dimensions), f"{found.status.name}, {len(found.history)} sweeps"


def tenpy(job: str, chi: int, method: str) -> Answer:
    """The same."""
    from tenpy.algorithms.dmrg import TwoSiteDMRGEngine
    from tenpy.algorithms.vumps import TwoSiteVUMPSEngine
    from tenpy.models.spins import SpinModel
    from tenpy.models.tf_ising import TFIChain
    from tenpy.networks.mps import MPS

    warnings.filterwarnings("ignore")
    if job in FIELDS:
        model = TFIChain({"L": 2, "J": 1.0, "g": FIELDS[job], "bc_MPS": "infinite", "conserve": None})
    else:
        model = SpinModel({"L": 2, "S": 0.5, "Jx": 1, "Jy": 1, "Jz": 1, "bc_MPS": "infinite", "conserve": "Sz"})
    states = ["up", "up"] if job in FIELDS else ["up", "down"]
    psi = MPS.from_product_state(model.lat.mps_sites(), states, bc="infinite")
    options = {
        "trunc_params": {"chi_max": chi, "svd_min": 1e-8}, "max_E_err": TOLERANCE / 10, "max_sweeps": 1000,
        "max_S_err": 1e-5, "mixer": False, "max_hours": _TENPY_SECONDS / 3600,
    }  # fmt: skip
    if method == "vumps":
        options |= {"max_split_err": 1.0, "check_overlap": False}
    engine = (TwoSiteVUMPSEngine if method == "vumps" else TwoSiteDMRGEngine)(psi, model, options)
    energy, psi = engine.run()
    ended = "ended" if engine.is_converged() else "did not end"
    return float(np.real(energy)), int(max(psi.chi)), f"{ended}, {engine.sweeps} sweeps"


LINES = (("tnsim", "vumps"), ("tnsim", "idmrg"), ("tenpy", "vumps"), ("tenpy", "idmrg"))
_TENPY_SECONDS = 300
ENGINES: dict[str, Callable[[str, int, str], Answer]] = {"tnsim": tnsim, "tenpy": tenpy}


def measure(engine: str, job: str, method: str, chi: int) -> dict[str, Any]:
    """A line of the table."""
    ENGINES[engine](job, 8, method)
    wall, cpu = time.perf_counter(), time.process_time()
    energy, chi, how = ENGINES[engine](job, chi, method)
    return {
        "engine": engine, "method": method, "chi": chi, "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu, "energy": energy, "error": energy - EXACT[job], "ended": how,
        "peak_mb": peak_mb(),
    }  # fmt: skip


def main(jobs: list[str], chi: int, output: Path | None) -> None:
    load, rows = os.getloadavg()[0], []
    print("| job | engine | method | chi | CPU s | error | peak MB | how it ended |")
    print("|---|---|---|---:|---:|---:|---:|---|")
    for job in jobs:
        for engine, method in LINES:
            row = {"job": job, "engine": engine, "method": method}
            found = answer_of("benchmarks.infinite", [engine, job, method, str(chi or CHIS[job])], 1, {})
            row |= found if isinstance(found, dict) else {"ended": found}
            cells = [f"{row.get(name, float('nan')):.3g}" for name in ("chi", "cpu_seconds", "error", "peak_mb")]
            print("| " + " | ".join([job, engine, method, *cells, row["ended"]]) + " |", flush=True)
            rows.append(row)
    part = f"-{jobs[0]}" if len(jobs) == 1 else ""
    command = (
        "python -m benchmarks.infinite" + (f" --only {jobs[0]}" if part else "") + (f" --chi {chi}" if chi else "")
    )
    content = {
        "job": "infinite", "date": date.today().isoformat(), "command": command,
        "machine": machine(), "load_before": load, "rows": rows,
    }  # fmt: skip
    path = output or ROOT / "benchmarks" / "results" / f"{date.today().isoformat()}-infinite{part}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in ENGINES:
        Path(sys.argv[5]).write_text(json.dumps(measure(*sys.argv[1:4], int(sys.argv[4]))))
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--chi", type=int, default=0, help="bond dimension of all jobs; 0: 24 and 64")
        parser.add_argument("--only", choices=list(EXACT), help="one job")
        parser.add_argument("--json", type=Path, default=None, help="result file")
        asked = parser.parse_args()
        main([asked.only] if asked.only else list(EXACT), asked.chi, asked.json)
