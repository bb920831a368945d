"""tnsim: the settings a user would write, with fixed sweep counts and no noise."""

from collections.abc import Iterator

import tnsim as tn
from benchmarks.job import Job
from benchmarks.measurement import Measurement, Stage, Stopwatch
from tnsim.kernels.cpu import ahead
from tnsim.models import J1J2, Heisenberg, Hubbard, Lattice, QuantumChemistry, TransverseIsing, hydrogen_chain

VARIANTS = {
    "": "no noise (its default in noisy stages); a bond update ends once the residual fell to 0.3 of itself or below "
    "the root of the discarded weight"
}


def _model(job: Job):
    if job.model == "hydrogen":
        chain = hydrogen_chain(job.L, 1.0)
        return QuantumChemistry(
            one_body=chain.one_body, two_body=chain.two_body, core_energy=chain.core_energy, electrons=job.L
        )
    if job.model == "j1j2":
        lattice = Lattice("square", job.L // job.width, job.width, bc_y="periodic")
        return J1J2(J2=0.5, lattice=lattice, conserve=job.conserve)
    if job.model == "hubbard":
        return Hubbard(L=job.L, U=8.0, N=job.electrons, conserve=job.conserve)
    if job.model == "tfim":
        return TransverseIsing(L=job.L, conserve=job.conserve)
    return Heisenberg(L=job.L, S=1 if job.model == "spin1" else 0.5, conserve=job.conserve)


def _settings(job: Job, chi: int, noisy: bool) -> tn.DMRG:
    # min_sweeps above max_sweeps: no stage stops early
    return tn.DMRG(
        truncation=tn.Truncation(chi_max=chi),
        max_sweeps=job.sweeps,
        min_sweeps=job.sweeps + 1,
        noise_sweeps=job.sweeps if noisy else 0,
    )


def stages(job: Job) -> Iterator[tuple[Stage, tn.MPS]]:
    """Every stage as it ends, and the state; models, operators and the start state are built before the first."""
    model = _model(job)
    H, psi = model.mpo(), model.product(job.start)
    watch = Stopwatch()
    for number, chi in enumerate(job.chis):
        run = _settings(job, chi, number < job.noisy).start(H, psi)
        reports = list(run.sweeps())
        psi, matvecs = run.state, sum(report.matvecs for report in reports)
        yield watch.stage(chi, reports[-1].energy, matvecs), psi


def run(job: Job, threads: int, variant: str) -> Measurement:
    tn.set_threads(threads)
    done = list(stages(job))
    ahead.wait(to_the_end=True)  # a second process may still compile what helper threads do
    return Measurement(
        stages=tuple(stage for stage, _ in done),
        half_sweeps=job.half_sweeps,
        chi=max(done[-1][1].bond_dimensions),
        version=tn.__version__,
        notes=VARIANTS[variant],
    )
