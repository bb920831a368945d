"""The same for spin 1, where bonds need more states: fewer, larger blocks."""

from dataclasses import replace

from benchmarks.job import Job

_U1 = Job(
    name="spin1",
    question="spin-1 Heisenberg chain, U(1)",
    model="spin1",
    L=100,
    start="neel",
    conserve="Sz",
    chis=(50, 100, 200),
    energy=-138.94008616656,
    source="block2, SU(2), 200 multiplets, discarded weight 1e-20",
    exact=False,
    engines=("tnsim", "tenpy", "block2", "block2:su2"),
)
JOBS = (
    _U1,
    replace(
        _U1,
        name="spin1-wide",
        question="spin-1 Heisenberg chain, U(1), 400 states",
        chis=(50, 100, 200, 400),
        sweeps=1,
        engines=("tnsim", "tenpy", "block2"),
    ),
)
