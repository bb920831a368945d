"""What do small tensors cost without charges and with Z2: the transverse-field Ising chain at its critical point?"""

from dataclasses import replace

from benchmarks.job import Job

_DENSE = Job(
    name="tfim",
    question="critical transverse-field Ising chain, no symmetry",
    model="tfim",
    L=100,
    start="up",
    conserve=None,
    chis=(20, 50, 100),
    energy=-126.9618767396807,
    source="free fermions",
    engines=("tnsim", "tenpy", "block2", "quimb"),
)
JOBS = (
    _DENSE,
    replace(
        _DENSE,
        name="tfim-z2",
        question="critical transverse-field Ising chain, Z2 parity",
        conserve="parity",
        engines=("tnsim", "tenpy", "block2"),
    ),
    replace(
        _DENSE,
        name="tfim-wide",
        question="critical transverse-field Ising chain, no symmetry, room for 400 states (the cut leaves some fifty)",
        chis=(50, 100, 200, 400),
        sweeps=1,
        engines=("tnsim", "tenpy", "quimb"),
    ),
)
