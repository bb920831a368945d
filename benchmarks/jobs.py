"""Every job by its name."""

from benchmarks import heisenberg, hydrogen, ising_critical, spin1

JOBS = {job.name: job for module in (heisenberg, spin1, ising_critical, hydrogen) for job in module.JOBS}
