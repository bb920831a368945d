"""How fast is a spin-1/2 Heisenberg chain of 100 sites with U(1), from the Neel state to an error below 1e-9?"""

from benchmarks.job import Job

JOBS = (
    Job(
        name="heisenberg",
        question="spin-1/2 Heisenberg chain, U(1)",
        model="heisenberg",
        L=100,
        start="neel",
        conserve="Sz",
        chis=(20, 50, 100, 200),
        energy=-44.1277398932962,
        source="open Bethe equations",
        engines=("tnsim", "tenpy", "block2", "block2:loose", "block2:su2"),
    ),
)
