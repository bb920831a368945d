"""TeNPy: two-site DMRG with TENPY_OPTIMIZE=3 and the compiled helper.

One TeNPy sweep goes right and back (`get_sweep_schedule`: 2 (L - 2) bond updates). Sweeps are driven one by one
because `run` measures norms and energies between them and does a sweep more than asked; the one thing `run` does
for speed, loosening Lanczos to 0.05 times the discarded weight (`run_iteration`), is done here in the same way.
"""

import logging
import warnings

import tenpy
from tenpy.algorithms.dmrg import TwoSiteDMRGEngine
from tenpy.models.spins import SpinModel
from tenpy.models.tf_ising import TFIChain
from tenpy.networks.mps import MPS
from tenpy.tools import optimization

from benchmarks.job import Job
from benchmarks.measurement import Measurement, Stage, Stopwatch, Unsupported

VARIANTS = {"": "combine=True", "uncombined": "combine=False"}
SVD_MIN = 1e-8
_PER_TRUNCATION, _LOOSEST = 0.05, 1e-4

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)


def _model(job: Job):
    if job.model == "tfim":
        # TeNPy: -J sum Sigmax Sigmax - g sum Sigmaz
        return TFIChain({"L": job.L, "J": 1.0, "g": 1.0, "bc_MPS": "finite", "conserve": job.conserve})
    S = 1.0 if job.model == "spin1" else 0.5
    return SpinModel({"L": job.L, "S": S, "Jx": 1, "Jy": 1, "Jz": 1, "bc_MPS": "finite", "conserve": job.conserve})


def _loosen_lanczos(engine: TwoSiteDMRGEngine, trunc_err: float) -> None:
    tightest = _PER_TRUNCATION * SVD_MIN**2
    if trunc_err > tightest:
        engine.lanczos_params["P_tol"] = max(tightest, min(_LOOSEST, _PER_TRUNCATION * trunc_err))


def run(job: Job, threads: int, variant: str) -> Measurement:
    if job.model == "hydrogen":
        raise Unsupported("no Hamiltonian of quantum chemistry")
    model = _model(job)
    product = ["up", "down"] * (job.L // 2) if job.start == "neel" else ["up"] * job.L
    psi = MPS.from_product_state(model.lat.mps_sites(), product, bc="finite")
    options = {
        "trunc_params": {"chi_max": job.chis[0], "svd_min": SVD_MIN},
        "combine": variant != "uncombined",
        "mixer": False,
    }
    watch, stages, seen = Stopwatch(), [], 0
    engine = TwoSiteDMRGEngine(psi, model, options)
    for chi in job.chis:
        engine.trunc_params["chi_max"] = chi
        for _ in range(job.sweeps):
            _loosen_lanczos(engine, engine.sweep())
        counts, energies = engine.update_stats["N_lanczos"], engine.update_stats["E_total"]
        matvecs, seen = int(sum(counts[seen:])), len(counts)
        stages.append(Stage(chi=chi, seconds=watch.lap(), energy=float(energies[-1]), matvecs=matvecs))
    helper = "loaded" if optimization.have_cython_functions else "NOT LOADED"
    return Measurement(
        stages=tuple(stages),
        cpu_seconds=watch.cpu_seconds,
        half_sweeps=2 * engine.sweeps,
        chi=int(max(psi.chi)),
        version=tenpy.__version__,
        notes=f"TENPY_OPTIMIZE={optimization.get_level()}, compiled helper {helper}, {VARIANTS[variant]}, no mixer, "
        f"Lanczos 2 to 20 vectors with P_tol = {_PER_TRUNCATION} of the discarded weight",
    )
