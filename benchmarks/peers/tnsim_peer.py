"""tnsim: the settings a user would write, with fixed sweep counts and no noise."""

from collections.abc import Iterator
from dataclasses import replace

import tnsim as tn
from benchmarks.job import Job
from benchmarks.measurement import Measurement, Stage, Stopwatch
from tnsim.kernels.cpu import ahead
from tnsim.models import J1J2, Heisenberg, Hubbard, Lattice, QuantumChemistry, TransverseIsing, hydrogen_chain
from tnsim.networks.environment_store import GIB
from tnsim.networks.environments import largest_environment

# of the variant "budget", in units of the largest environment
_BUDGET = 3.0

VARIANTS = {
    "": "no noise (its default in noisy stages); a bond update ends once the residual fell to 0.3 of itself or below "
    "the root of the discarded weight",
    "davidson": "Davidson, also where its choice is Lanczos",
    "lanczos": "Lanczos, also where its choice is Davidson",
    "one-site": "one site at a time, with bonds that grow by a tenth before each update",
    "single": "all stages but the last in single precision",
    "reflection": "the spin flip, which H keeps and a singlet too, halves the work: Sz = 0 states of one parity alone",
    "budget": "environments within three times the largest one, the rest made again or on disk",
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
        size = (
            {"lattice": Lattice("square", job.L // job.width, job.width, bc_y="periodic")}
            if job.width > 1
            else {"L": job.L}
        )
        return Hubbard(U=8.0, N=job.electrons, conserve=job.conserve, **size)
    if job.model == "tfim":
        return TransverseIsing(L=job.L, conserve=job.conserve)
    return Heisenberg(L=job.L, S=1 if job.model == "spin1" else 0.5, conserve=job.conserve)


def _settings(job: Job, number: int, variant: str, largest: float) -> tn.DMRG:
    """Of a stage; `largest`: GiB of the largest environment there. min_sweeps above max_sweeps: none stops early."""
    settings = tn.DMRG(
        truncation=tn.Truncation(chi_max=job.chis[number]),
        max_sweeps=job.sweeps,
        min_sweeps=job.sweeps + 1,
        noise_sweeps=job.sweeps if number < job.noisy else 0,
    )
    if variant == "single":
        return replace(settings, float32_sweeps=0 if number == len(job.chis) - 1 else job.sweeps)
    changes = {name: {"eigensolver": name} for name in ("davidson", "lanczos")} | {"one-site": {"sites": 1}}
    changes["reflection"] = {"reflection": "Flip", "parity": _singlet_parity(job)}
    changes["budget"] = {"environment_gib": _BUDGET * largest}
    return replace(settings, **changes.get(variant, {}))


def _singlet_parity(job: Job) -> int:
    """Of a singlet under a flip of all spins: (-1)^(N/2) for N electrons or spins 1/2, (-1)^L for spins 1."""
    spins = job.electrons or job.L
    return (-1) ** (spins if job.model == "spin1" else spins // 2)


def stages(job: Job, variant: str = "") -> Iterator[tuple[Stage, tn.MPS]]:
    """Every stage as it ends, and the state; models, operators and the start state are built before the first."""
    model = _model(job)
    H, psi = model.mpo(), model.product(job.electron_states if job.electrons else job.start)
    sizes = [largest_environment(psi.sites, psi.charge, H.site_operators, chi)[0] for chi in job.chis]
    watch = Stopwatch()
    for number, (chi, size) in enumerate(zip(job.chis, sizes, strict=True)):
        run = _settings(job, number, variant, 8 * size / GIB).start(H, psi)
        reports = list(run.sweeps())
        psi, matvecs = run.state, sum(report.matvecs for report in reports)
        yield watch.stage(chi, reports[-1].energy, matvecs), psi


def run(job: Job, threads: int, variant: str) -> Measurement:
    tn.set_threads(threads)
    done = list(stages(job, variant))
    ahead.wait(to_the_end=True)  # a second process may still compile what helper threads do
    return Measurement(
        stages=tuple(stage for stage, _ in done),
        half_sweeps=job.half_sweeps,
        chi=max(done[-1][1].bond_dimensions),
        version=tn.__version__,
        notes=VARIANTS[variant],
    )
