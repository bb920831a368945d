"""TeNPy: two-site DMRG with TENPY_OPTIMIZE=3, no mixer, SVD cutoff as in tnsim; one TeNPy sweep is right and left."""

import logging
import time
import warnings

import tenpy
import tenpy.tools.optimization
from tenpy.algorithms.dmrg import TwoSiteDMRGEngine
from tenpy.models.spins import SpinModel
from tenpy.models.tf_ising import TFIChain
from tenpy.networks.mps import MPS

from benchmarks.jobs import Job

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)


def _model(job: Job, L: int):
    if job.model == "tfim":
        # TeNPy: -J sum Sigmax Sigmax - g sum Sigmaz
        model = TFIChain({"L": L, "J": 1.0, "g": 1.0, "bc_MPS": "finite", "conserve": job.conserve and "parity"})
        return model, ["up"] * L
    S = 1.0 if job.model == "spin1" else 0.5
    model = SpinModel({"L": L, "S": S, "Jx": 1, "Jy": 1, "Jz": 1, "bc_MPS": "finite", "conserve": job.conserve})
    return model, ["up", "down"] * (L // 2)


def _sweep(job: Job, L: int, chis: tuple[int, ...]) -> tuple[float, float, int, int]:
    model, states = _model(job, L)
    psi = MPS.from_product_state(model.lat.mps_sites(), states, bc="finite")
    began, matvecs = time.perf_counter(), 0
    engine = TwoSiteDMRGEngine(
        psi, model, {"trunc_params": {"chi_max": chis[0], "svd_min": 1e-8}, "mixer": False, "combine": True}
    )
    for chi in chis:
        engine.trunc_params.touch("chi_max")
        engine.trunc_params["chi_max"] = chi
        for _ in range(job.sweeps):
            engine.sweep()
            matvecs += sum(engine.update_stats["N_lanczos"][-2 * (L - 2) :])
    seconds = time.perf_counter() - began
    return seconds, float(engine.update_stats["E_total"][-1]), int(matvecs), max(psi.chi)


def run(job: Job, threads: int) -> dict:
    began = time.perf_counter()
    _sweep(job, 12, (8, 16))
    compile_seconds = time.perf_counter() - began
    seconds, energy, matvecs, chi = _sweep(job, job.L, job.chis)
    compiled = tenpy.tools.optimization.have_cython_functions
    notes = f"TENPY_OPTIMIZE=3, compiled helper: {compiled}, combine=True, no mixer, Lanczos defaults (2..20)"
    return {
        "seconds": seconds, "energy": energy, "matvecs": matvecs, "chi": chi, "compile_seconds": compile_seconds,
        "version": tenpy.__version__, "notes": notes,
    }  # fmt: skip
