"""How fast is a frustrated magnet on a cylinder, where bonds need hundreds of states and H has tens of channels?"""

from dataclasses import replace

from benchmarks.job import Job

_CYLINDER = Job(
    name="j1j2",
    question="J1-J2 model at J2 = 0.5 on a square cylinder of 10 x 6 sites, U(1)",
    model="j1j2",
    L=60,
    width=6,
    start="neel",
    conserve="Sz",
    chis=(50, 100, 200, 400, 800),
    sweeps=1,
    noisy=2,
    energy=-29.8888,
    source="tnsim, linear in the discarded weight from 400 and 800 states; uncertain in the last digit",
    exact=False,
    engines=("tnsim", "tenpy", "block2"),
)
# the last bond dimension takes block2 a quarter of an hour: its row is in the first job, up to 400 states
JOBS = (
    _CYLINDER,
    replace(
        _CYLINDER,
        name="j1j2-wide",
        question="J1-J2 model at J2 = 0.5 on a square cylinder of 10 x 6 sites, U(1), to 800 states",
        engines=("tnsim", "tnsim:reflection", "tenpy"),
    ),
    replace(
        _CYLINDER,
        name="j1j2-variants",
        question="J1-J2 model at J2 = 0.5 on a square cylinder of 10 x 6 sites, U(1), other ways to search",
        chis=_CYLINDER.chis[:4],
        engines=("tnsim", "tnsim:budget", "tnsim:one-site", "tnsim:single", "tnsim:davidson", "tnsim:reflection"),
    ),
)
