"""What tests of minimisations begin with, and how they are stopped."""

import tnsim as tn
from tnsim.models import Heisenberg, Lattice

SQUARE = Lattice("square", 2, 2)
HEISENBERG = Heisenberg(lattice=SQUARE, conserve=None)
# J. Hasik, D. Poilblanc, F. Becca, SciPost Phys. 10, 012 (2021), stored states
OPTIMUM = -0.6602310934799586
NARROW = tn.EnvironmentSettings(chi_max=12)


class Stop:
    """Stops a minimisation in one attempt after so many iterations."""

    def __init__(self, D, attempt, after):
        self.place = D, attempt, after

    def step(self, report, run):
        if (report.D, report.attempt, report.iteration) == self.place:
            run.request_stop("enough")
