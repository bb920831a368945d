"""tnsim: the settings a user would write, with fixed sweep counts."""

import time

import tnsim as tn
from benchmarks.jobs import Job
from tnsim.models import Heisenberg, TransverseIsing


def _model(job: Job, L: int):
    if job.model == "tfim":
        return TransverseIsing(L=L, conserve=job.conserve), "up"
    return Heisenberg(L=L, S=1 if job.model == "spin1" else 0.5, conserve=job.conserve), "neel"


def _sweep(job: Job, L: int, chis: tuple[int, ...]) -> tuple[float, float, int, int]:
    model, start = _model(job, L)
    H, psi = model.mpo(), model.product(start)
    began, matvecs, energy, chi_reached = time.perf_counter(), 0, 0.0, 0
    for chi in chis:
        # energy_tol = gradient_tol = 0: every stage does all its sweeps
        dmrg = tn.DMRG(
            truncation=tn.Truncation(chi_max=chi),
            max_sweeps=job.sweeps,
            min_sweeps=job.sweeps + 1,
            noise=0.0,
            noise_sweeps=0,
        )
        run = dmrg.start(H, psi)
        for report in run.sweeps():
            matvecs, energy, chi_reached = matvecs + report.matvecs, report.energy, report.chi
        psi = run.state
    return time.perf_counter() - began, energy, matvecs, chi_reached


def run(job: Job, threads: int) -> dict:
    tn.set_threads(threads)
    began = time.perf_counter()
    _sweep(job, 12, (8, 16))
    if threads > 1:
        _sweep(job, 24, (64,))
    compile_seconds = time.perf_counter() - began
    seconds, energy, matvecs, chi = _sweep(job, job.L, job.chis)
    notes = "no noise, krylov_gain 0.1"
    return {
        "seconds": seconds, "energy": energy, "matvecs": matvecs, "chi": chi, "compile_seconds": compile_seconds,
        "version": tn.__version__, "notes": notes,
    }  # fmt: skip
