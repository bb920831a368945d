"""How fast is a molecule: 14 electrons in 14 orbitals, with a Hamiltonian of 55,000 terms and hundreds of channels?"""

from benchmarks.job import Job

JOBS = (
    Job(
        name="h14",
        question="H14, STO-3G, 1 Angstrom apart, local orbitals, U(1) x U(1)",
        model="hydrogen",
        L=14,
        start="aufbau",
        conserve="N,Sz",
        chis=(50, 100, 200, 500),
        energy=-7.52596147874,
        source="block2, SU(2), 400 multiplets, 3e-10 below 200 of them",
        exact=False,
        engines=("tnsim", "block2", "block2:su2"),
    ),
)
