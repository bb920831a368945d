"""block2: DMRGDriver with U(1) (SGB, the spin mode); its sweeps are half sweeps, so each stage has twice as many."""

import shutil
import tempfile
import time

import block2
import numpy as np
from pyblock2.driver.core import DMRGDriver, SymmetryTypes

from benchmarks.jobs import Job


def _driver(job: Job, L: int, threads: int, scratch: str) -> DMRGDriver:
    driver = DMRGDriver(scratch=scratch, symm_type=SymmetryTypes.SGB, n_threads=threads, stack_mem=4 << 30)
    driver.initialize_system(n_sites=L, heis_twos=2 if job.model == "spin1" else 1, heis_twosz=0)
    return driver


def _sweep(job: Job, L: int, chis: tuple[int, ...], threads: int) -> tuple[float, float, int]:
    scratch = tempfile.mkdtemp()
    try:
        driver = _driver(job, L, threads, scratch)
        b = driver.expr_builder()
        for i in range(L - 1):
            b.add_term("PM", [i, i + 1], 0.5)
            b.add_term("MP", [i, i + 1], 0.5)
            b.add_term("ZZ", [i, i + 1], 1.0)
        mpo = driver.get_mpo(b.finalize(), iprint=0)
        # a random state of small bond dimension: its product states do not start from every determinant
        ket = driver.get_random_mps(tag="KET", bond_dim=chis[0], nroots=1)
        half = 2 * job.sweeps
        dims = [chi for chi in chis for _ in range(half)]
        noises = [1e-5] * half + [0.0] * (len(dims) - half)
        began = time.perf_counter()
        energy = driver.dmrg(
            mpo, ket, n_sweeps=len(dims), bond_dims=dims, noises=noises, thrds=[1e-9] * len(dims),
            tol=0.0, cutoff=1e-16, iprint=0, dav_max_iter=50,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        return seconds, float(np.real(energy)), int(ket.info.bond_dim)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def run(job: Job, threads: int) -> dict:
    if job.model == "tfim":
        return {"skipped": "the field breaks U(1) and the spin mode has no Z2"}
    began = time.perf_counter()
    _sweep(job, 12, (8, 16), threads)
    compile_seconds = time.perf_counter() - began
    seconds, energy, chi = _sweep(job, job.L, job.chis, threads)
    return {
        "seconds": seconds, "energy": energy, "matvecs": None, "chi": chi, "compile_seconds": compile_seconds,
        "version": getattr(block2, "__version__", "0.5.4"),
        "notes": "SGB mode (U(1)), Davidson threshold 1e-9, random start, noise 1e-5 in the first stage",
    }  # fmt: skip
