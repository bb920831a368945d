"""TeNPy: two-site DMRG with TENPY_OPTIMIZE=3 and the compiled helper.

One TeNPy sweep goes right and back (`get_sweep_schedule`: 2 (L - 2) bond updates). Sweeps are driven one by one
because `run` measures norms and energies between them and does a sweep more than asked; the one thing `run` does
for speed, loosening Lanczos to 0.05 times the discarded weight (`run_iteration`), is done here in the same way.
"""

import logging
import warnings
from itertools import product

import tenpy
from tenpy.algorithms.dmrg import TwoSiteDMRGEngine
from tenpy.models.lattice import Chain
from tenpy.models.model import CouplingMPOModel
from tenpy.models.spins import SpinModel
from tenpy.models.tf_ising import TFIChain
from tenpy.networks.mps import MPS
from tenpy.networks.site import SpinHalfFermionSite, SpinHalfSite
from tenpy.tools import optimization

from benchmarks.job import Job
from benchmarks.measurement import Measurement, Stopwatch, Unsupported

VARIANTS = {"": "combine=True", "uncombined": "combine=False"}
SVD_MIN = 1e-8
_PER_TRUNCATION, _LOOSEST = 0.05, 1e-4

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)


class _Pairs(CouplingMPOModel):
    """Terms on given pairs of sites, in the order that all engines have."""

    def init_lattice(self, model_params):
        job = model_params["job"]
        site = SpinHalfFermionSite() if job.model == "hubbard" else SpinHalfSite("Sz")
        return Chain(job.L, site, bc_MPS="finite", bc="open")

    def init_terms(self, model_params):
        job = model_params["job"]
        if job.model == "hubbard":
            for i in range(job.L):
                self.add_onsite_term(8.0, i, "NuNd")
            for (i, j), spin in product(job.pairs(1), "ud"):
                self.add_local_term(-1.0, [(f"Cd{spin}", [i, 0]), (f"C{spin}", [j, 0])], plus_hc=True)
            return
        for order, J in ((1, 1.0), (2, 0.5)):
            for i, j in job.pairs(order):
                self.add_coupling_term(J, i, j, "Sz", "Sz")
                self.add_coupling_term(J / 2, i, j, "Sp", "Sm", plus_hc=True)


def _model(job: Job):
    if job.model in ("j1j2", "hubbard"):
        return _Pairs({"job": job})
    if job.model == "tfim":
        # TeNPy: -J sum Sigmax Sigmax - g sum Sigmaz
        return TFIChain({"L": job.L, "J": 1.0, "g": 1.0, "bc_MPS": "finite", "conserve": job.conserve})
    S = 1.0 if job.model == "spin1" else 0.5
    return SpinModel({"L": job.L, "S": S, "Jx": 1, "Jy": 1, "Jz": 1, "bc_MPS": "finite", "conserve": job.conserve})


def _loosen_lanczos(engine: TwoSiteDMRGEngine, trunc_err: float) -> None:
    tightest = _PER_TRUNCATION * SVD_MIN**2
    if trunc_err > tightest:
        engine.lanczos_params["P_tol"] = max(tightest, min(_LOOSEST, _PER_TRUNCATION * trunc_err))


def _product_state(job: Job) -> list[str]:
    """Neel's order on the two sublattices of a cylinder or chain; electrons spread evenly."""
    if job.electrons:
        return job.electron_states
    if job.start != "neel":
        return ["up"] * job.L
    return ["down" if (i // job.width + i % job.width) % 2 else "up" for i in range(job.L)]


def run(job: Job, threads: int, variant: str) -> Measurement:
    if job.model == "hydrogen":
        raise Unsupported("no Hamiltonian of quantum chemistry")
    model = _model(job)
    psi = MPS.from_product_state(model.lat.mps_sites(), _product_state(job), bc="finite")
    options = {
        "trunc_params": {"chi_max": job.chis[0], "svd_min": SVD_MIN},
        "combine": variant != "uncombined",
        "mixer": job.noisy > 0,
        "mixer_params": {"amplitude": 1e-5, "decay": 1.0, "disable_after": None},
    }
    watch, stages, seen = Stopwatch(), [], 0
    engine = TwoSiteDMRGEngine(psi, model, options)
    if job.noisy:
        engine.mixer_activate()
    for number, chi in enumerate(job.chis):
        if job.noisy and number == job.noisy:
            engine.mixer_deactivate()
        engine.trunc_params["chi_max"] = chi
        for _ in range(job.sweeps):
            _loosen_lanczos(engine, engine.sweep())
        counts, energies = engine.update_stats["N_lanczos"], engine.update_stats["E_total"]
        # -1 where a small matrix was diagonalised as a whole
        matvecs, seen = int(sum(max(0, count) for count in counts[seen:])), len(counts)
        stages.append(watch.stage(chi, float(energies[-1]), matvecs))
    helper = "loaded" if optimization.have_cython_functions else "NOT LOADED"
    return Measurement(
        stages=tuple(stages),
        half_sweeps=2 * engine.sweeps,
        chi=int(max(psi.chi)),
        version=tenpy.__version__,
        notes=f"TENPY_OPTIMIZE={optimization.get_level()}, compiled helper {helper}, {VARIANTS[variant]}, no mixer "
        f"(at 1e-5 in noisy stages), Lanczos 2 to 20 vectors with P_tol = {_PER_TRUNCATION} of the discarded weight",
    )
