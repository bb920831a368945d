"""The same for spin 1, where bonds need more states: fewer, larger blocks."""

from benchmarks.job import Job

JOBS = (
    Job(
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
    ),
)
