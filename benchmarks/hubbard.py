"""How fast are electrons, with two conserved numbers: a Hubbard chain at half filling, a cylinder with holes?"""

from dataclasses import replace

from benchmarks.job import Job

_CHAIN = Job(
    name="hubbard",
    question="Hubbard chain, U = 8, half filling, U(1) x U(1)",
    model="hubbard",
    L=64,
    electrons=64,
    start="neel",
    conserve="N,Sz",
    chis=(50, 100, 200, 400, 800),
    sweeps=1,
    noisy=2,
    energy=-20.755137189470908,
    source="open Lieb-Wu equations",
    engines=("tnsim", "tnsim:lanczos", "tenpy", "block2"),
)
_CYLINDER = replace(
    _CHAIN,
    name="hubbard-cylinder",
    question="Hubbard cylinder of 8 x 4 sites, U = 8, 28 electrons, U(1) x U(1)",
    L=32,
    width=4,
    electrons=28,
    chis=(100, 200, 400),
    energy=float("nan"),
    source="the lowest of all engines",
    exact=False,
)
# the last bond dimension takes block2 more than half an hour: its rows are in the first jobs, up to 400 states
JOBS = (
    _CHAIN,
    replace(
        _CHAIN,
        name="hubbard-wide",
        question="Hubbard chain, U = 8, half filling, U(1) x U(1), to 800 states",
        engines=("tnsim", "tnsim:reflection", "tenpy"),
    ),
    _CYLINDER,
    replace(
        _CYLINDER,
        name="hubbard-cylinder-wide",
        question="Hubbard cylinder of 8 x 4 sites, U = 8, 28 electrons, U(1) x U(1), to 1000 states",
        chis=(100, 200, 400, 1000),
        engines=("tnsim", "tenpy"),
    ),
)
