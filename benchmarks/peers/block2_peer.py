"""block2: two-site DMRG through DMRGDriver. Its sweeps are half sweeps, so each stage has twice as many.

Spin chains with U(1) run in its native mode (SGB), molecules in SZ mode, both with SU(2) in SU2 mode; these can only
start from a random state, which has the first bond dimension here. Everything else, and `neel`, runs in its general
mode (SAny), which can start from the product state and knows Z2 and no symmetry. Products with H and times come from
its own log.
"""

import ctypes
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import product

import numpy as np
from pyblock2.driver.core import DMRGDriver, SymmetryTypes

from benchmarks.job import Job
from benchmarks.measurement import Measurement, Stage, Stopwatch, Unsupported
from tnsim.models import hydrogen_chain

VARIANTS = {
    "": "last Davidson threshold 1e-12",
    "loose": "last Davidson threshold 1e-11",
    "neel": "general mode from the product state, last Davidson threshold 1e-12",
    "su2": "SU(2), bond dimensions count multiplets, last Davidson threshold 1e-12",
}
_CUTOFF = 1e-16  # on squared singular values: 1e-8 squared
_PAULI = {"": np.eye(2), "X": np.array([[0.0, 1], [1, 0]]), "Z": np.diag([1.0, -1])}


def _spin_operators(twice_spin: int) -> dict[str, np.ndarray]:
    """Identity, S+, S-, Sz with rows and columns from m = S down to -S."""
    m = twice_spin / 2 - np.arange(twice_spin + 1)
    raise_ = np.diag(np.sqrt(twice_spin / 2 * (twice_spin / 2 + 1) - m[1:] * (m[1:] + 1)), 1)
    return {"": np.eye(len(m)), "P": raise_, "M": raise_.T, "Z": np.diag(m)}


def _general_driver(job: Job, driver: DMRGDriver) -> np.ndarray:
    """Sites of the general mode; returns the product state as places in the local basis."""
    group = {"Sz": "U1", "parity": "Z2", None: "Z1"}[job.conserve]
    driver.set_symmetry_groups(group)
    charge = driver.bw.SX
    if job.model == "tfim":
        operators = _PAULI
        basis = [(charge(0), 1), (charge(1), 1)] if job.conserve else [(charge(0), 2)]
    else:
        twice_spin = 2 if job.model == "spin1" else 1
        operators = _spin_operators(twice_spin)
        basis = [(charge(twice_spin - 2 * k), 1) for k in range(twice_spin + 1)]
    driver.initialize_system(n_sites=job.L, vacuum=charge(0), target=charge(0), hamil_init=False)
    driver.ghamil = driver.get_custom_hamiltonian([basis] * job.L, [operators] * job.L)
    lowest = 0 if job.start == "up" else len(operators["Z"]) - 1
    return np.array([[0, lowest] * (job.L // 2)], dtype=np.uint8)


def _hamiltonian(job: Job, driver: DMRGDriver, su2: bool):
    terms = driver.expr_builder()
    if job.model == "hubbard":
        for i in range(job.L):
            terms.add_term("cdCD", [i, i, i, i], 8.0)
        for (i, j), spin in product(job.pairs(1), ("cd", "CD")):
            terms.add_term(spin, [i, j], -1.0)
            terms.add_term(spin, [j, i], -1.0)
        return driver.get_mpo(terms.finalize(), iprint=0)
    bonds = [(pair, J) for order, J in ((1, 1.0), (2, 0.5)) for pair in job.pairs(order)]
    if job.model != "j1j2":
        bonds = [(pair, 1.0) for pair in job.pairs(1)]
    if su2:
        for pair, J in bonds:
            terms.add_term("(T+T)0", list(pair), -np.sqrt(3) / 2 * J)
        return driver.get_mpo(terms.finalize(adjust_order=False), iprint=0)
    couplings = (("XX", -1.0),) if job.model == "tfim" else (("PM", 0.5), ("MP", 0.5), ("ZZ", 1.0))
    for (pair, J), (name, value) in product(bonds, couplings):
        terms.add_term(name, list(pair), value * J)
    if job.model == "tfim":
        for i in range(job.L):
            terms.add_term("Z", [i], -1.0)
    return driver.get_mpo(terms.finalize(), iprint=0)


def _prepare(job: Job, threads: int, variant: str, scratch: str):
    """Driver, MPO, start state and a word on the mode."""
    if job.model == "hydrogen":
        return _prepare_molecule(job, threads, variant, scratch)
    general = variant == "neel" or job.model == "tfim"
    mode = SymmetryTypes.SAny if general else SymmetryTypes.SU2 if variant == "su2" else SymmetryTypes.SGB
    if job.model == "hubbard":
        mode = SymmetryTypes.SZ
    driver = DMRGDriver(scratch=scratch, symm_type=mode, n_threads=threads, stack_mem=1 << 30)
    if general:
        places = _general_driver(job, driver)
        mpo = _hamiltonian(job, driver, su2=False)
        ket = driver.get_mps_from_csf_coefficients(places, [1.0], tag="KET", dot=2, iprint=0)
        return driver, mpo, ket, "SAny mode from the product state"
    if job.model == "hubbard":
        driver.initialize_system(n_sites=job.L, n_elec=job.electrons, spin=0)
    else:
        driver.initialize_system(n_sites=job.L, heis_twos=2 if job.model == "spin1" else 1, heis_twosz=0)
    driver.bw.b.Random.rand_seed(1234)
    mpo = _hamiltonian(job, driver, variant == "su2")
    filling = [job.electrons / job.L] * job.L if job.model == "hubbard" else None
    ket = driver.get_random_mps(tag="KET", bond_dim=job.chis[0], nroots=1, occs=filling)
    return driver, mpo, ket, f"{mode.name} mode from a random state"


def _prepare_molecule(job: Job, threads: int, variant: str, scratch: str):
    """The same for a molecule, from the same integrals as tnsim's."""
    mode = SymmetryTypes.SU2 if variant == "su2" else SymmetryTypes.SZ
    driver = DMRGDriver(scratch=scratch, symm_type=mode, n_threads=threads, stack_mem=1 << 30)
    driver.initialize_system(n_sites=job.L, n_elec=job.L, spin=job.L % 2)
    driver.bw.b.Random.rand_seed(1234)
    chain = hydrogen_chain(job.L, 1.0)
    h, eri = chain.one_body[0].copy(), chain.two_body[0].copy()
    if variant != "su2":
        h, eri = (h, h), (eri, eri, eri)
    mpo = driver.get_qc_mpo(h1e=h, g2e=eri, ecore=chain.core_energy, iprint=0)
    ket = driver.get_random_mps(tag="KET", bond_dim=job.chis[0], nroots=1)
    return driver, mpo, ket, f"{mode.name} mode from a random state"


@contextmanager
def _log() -> Iterator[list[str]]:
    """What the C++ side prints inside, line by line, filled on leaving."""
    lines: list[str] = []
    sys.stdout.flush()
    kept = os.dup(1)
    with tempfile.TemporaryFile("w+") as file:
        os.dup2(file.fileno(), 1)
        try:
            yield lines
        finally:
            sys.stdout.flush()
            ctypes.CDLL(None).fflush(None)
            os.dup2(kept, 1)
            os.close(kept)
            file.seek(0)
            lines += file.read().splitlines()


def _stages(job: Job, lines: list[str], energies: list[float], seconds: float, cpu: float) -> tuple[Stage, ...]:
    """Cut the log into stages of equal half sweeps; what the log does not cover is counted with the first.

    The log tells wall time; a stage gets its share of the CPU time.
    """
    ends, counts, products = [], [], 0
    for line in lines:
        if found := re.search(r"Ndav = *(\d+)", line):
            products += int(found[1])
        elif found := re.search(r"Time elapsed = *([\d.]+)", line):
            ends.append(float(found[1]))
            counts.append(products)
    step = 2 * job.sweeps
    ends, counts = ends[step - 1 :: step], counts[step - 1 :: step]
    starts, before = [ends[-1] - seconds, *ends[:-1]], [0, *counts[:-1]]
    return tuple(
        Stage(
            chi=chi,
            seconds=ends[k] - starts[k],
            cpu_seconds=(ends[k] - starts[k]) * cpu / seconds,
            energy=energies[step * (k + 1) - 1],
            matvecs=counts[k] - before[k],
        )
        for k, chi in enumerate(job.chis)
    )


def run(job: Job, threads: int, variant: str) -> Measurement:
    if variant == "su2" and job.model == "tfim":
        raise Unsupported("the field breaks SU(2)")
    if variant == "neel" and job.model == "hydrogen":
        raise Unsupported("no start from a product state here")
    if variant in ("neel", "su2") and job.model == "hubbard":
        raise Unsupported("U(1) x U(1) only here")
    scratch = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    last = 1e-11 if variant == "loose" else 1e-12
    half = 2 * job.sweeps
    thresholds = [*(10.0 ** -(7 + k) for k in range(len(job.chis) - 1)), last]
    noises = [1e-5 if number < job.noisy else 0.0 for number in range(len(job.chis)) for _ in range(half)]
    try:
        driver, mpo, ket, mode = _prepare(job, threads, variant, scratch)
        watch = Stopwatch()
        with _log() as lines:
            driver.dmrg(
                mpo, ket, n_sweeps=job.half_sweeps, bond_dims=[chi for chi in job.chis for _ in range(half)],
                thrds=[t for t in thresholds for _ in range(half)], noises=noises, tol=0.0,
                cutoff=_CUTOFF, iprint=2,
            )  # fmt: skip
        seconds, cpu_seconds = watch.lap()
        energies = [float(np.real(values[0])) for values in driver._dmrg.energies]
        chi = max(dims.n_states_total for dims in ket.info.left_dims)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Measurement(
        stages=_stages(job, lines, energies, seconds, cpu_seconds),
        half_sweeps=len(energies),
        chi=chi,
        version=version("block2"),
        notes=f"{mode}, no noise (1e-5 in noisy stages), "
        f"Davidson thresholds (squared residual) {', '.join(f'{t:.0e}' for t in thresholds)}; "
        "environments in scratch files, in memory where the system has /dev/shm, and not in its peak",
    )
