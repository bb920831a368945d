"""How fast is a spin-1/2 Heisenberg chain of 100 sites with U(1), from the Neel state to an error below 1e-9?"""

from dataclasses import replace

from benchmarks.job import Job

_CHAIN = Job(
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
)
JOBS = (
    _CHAIN,
    replace(
        _CHAIN,
        name="heisenberg-dense",
        question="spin-1/2 Heisenberg chain, no symmetry: dense tensors that fill 200 and 400 states",
        L=64,
        conserve=None,
        chis=(50, 100, 200, 400),
        sweeps=1,
        energy=-28.1754248597432,
        engines=("tnsim", "tenpy", "quimb"),
    ),
)
