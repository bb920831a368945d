"""Algorithms: a settings object and a loop each."""

from tnsim.algorithms.dmrg import DMRG
from tnsim.algorithms.excited import ExcitedStates
from tnsim.algorithms.extrapolation import Extrapolation, extrapolate
from tnsim.algorithms.idmrg import IDMRG
from tnsim.algorithms.quasiparticles import Dispersion, Excitations, Quasiparticles
from tnsim.algorithms.solution import BondReport, Progress, Solution, Status, SweepReport
from tnsim.algorithms.stages import run_stages
from tnsim.algorithms.vumps import VUMPS

__all__ = [
    "BondReport", "DMRG", "Dispersion", "Excitations", "ExcitedStates", "Extrapolation", "IDMRG", "Progress",
    "Quasiparticles", "Solution", "Status", "SweepReport", "VUMPS", "extrapolate", "run_stages",
]  # fmt: skip
