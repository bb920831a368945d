"""How fast are electrons: a Hubbard chain at half filling, with two conserved numbers?"""

from benchmarks.job import Job

JOBS = (
    Job(
        name="hubbard",
        question="Hubbard chain, U = 8, half filling, U(1) x U(1)",
        model="hubbard",
        L=64,
        electrons=64,
        start="neel",
        conserve="N,Sz",
        chis=(50, 100, 200, 400),
        sweeps=1,
        noisy=2,
        energy=-20.755137189470908,
        source="open Lieb-Wu equations",
        engines=("tnsim", "tenpy", "block2"),
    ),
)
