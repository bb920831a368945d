"""quimb: DMRG2 on dense tensors (it has no charges of its own here), with its default eigensolver settings."""

import warnings

import numpy as np
import quimb
import quimb.tensor as qtn

from benchmarks.job import Job
from benchmarks.measurement import Measurement, Stopwatch, Unsupported

VARIANTS = {"": "dense tensors, default eigensolver (tolerance 1e-3, 4 vectors)"}
_CUTOFF = 1e-16  # quimb's default mode bounds the sum of dropped squares

warnings.filterwarnings("ignore")


def _operator(job: Job):
    """quimb's names are spin operators: X = 2 Sx, Z = 2 Sz."""
    terms = qtn.SpinHam1D(S=1 if job.model == "spin1" else 1 / 2)
    if job.model == "tfim":
        terms += -4.0, "X", "X"
        terms += -2.0, "Z"
    else:
        terms += 0.5, "+", "-"
        terms += 0.5, "-", "+"
        terms += 1.0, "Z", "Z"
    return terms.build_mpo(job.L)


def _product(job: Job):
    up, down = np.eye(3 if job.model == "spin1" else 2)[[0, -1]]
    arrays = [up if job.start == "up" or i % 2 == 0 else down for i in range(job.L)]
    return qtn.MPS_product_state(arrays)


def run(job: Job, threads: int, variant: str) -> Measurement:
    if job.model == "hydrogen":
        raise Unsupported("no Hamiltonian of quantum chemistry")
    if job.model in ("j1j2", "hubbard"):
        raise Unsupported("dense tensors only, of nearest neighbours here")
    if job.conserve == "parity":
        raise Unsupported("dense tensors only: the row without symmetry says it all")
    solver = qtn.DMRG2(_operator(job), bond_dims=list(job.chis), cutoffs=_CUTOFF, p0=_product(job))
    watch, stages = Stopwatch(), []
    for chi in job.chis:
        # a quimb sweep is one half; a negative tolerance is never reached
        solver.solve(
            tol=-1.0, bond_dims=[chi] * 2 * job.sweeps, cutoffs=_CUTOFF, max_sweeps=2 * job.sweeps, sweep_sequence="RL",
            suppress_warnings=True,
        )  # fmt: skip
        stages.append(watch.stage(chi, float(np.real(solver.energy)), None))
    return Measurement(
        stages=tuple(stages),
        half_sweeps=len(solver.energies),
        chi=solver.state.max_bond(),
        version=quimb.__version__,
        notes=VARIANTS[variant],
    )
