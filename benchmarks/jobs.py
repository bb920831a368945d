"""Every job by its name."""

from benchmarks import frustrated, heisenberg, hubbard, hydrogen, ising_critical, spin1

_MODULES = heisenberg, spin1, ising_critical, frustrated, hubbard, hydrogen
JOBS = {job.name: job for module in _MODULES for job in module.JOBS}
