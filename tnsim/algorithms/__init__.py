"""Algorithms: a settings object and a loop each."""

from tnsim.algorithms.chebyshev import Chebyshev, SpectralFunction
from tnsim.algorithms.circuit import Circuit, CircuitResult
from tnsim.algorithms.dmrg import DMRG
from tnsim.algorithms.dynamics import DynamicalCorrelation, dynamical_correlation
from tnsim.algorithms.evolution import Evolution, EvolutionReport, Evolved
from tnsim.algorithms.excited import ExcitedStates
from tnsim.algorithms.extrapolation import Extrapolation, extrapolate
from tnsim.algorithms.idmrg import IDMRG
from tnsim.algorithms.krylov_evolution import KrylovEvolution
from tnsim.algorithms.metts import METTS, ThermalSamples
from tnsim.algorithms.mpo_evolution import MPOEvolution
from tnsim.algorithms.quasiparticles import Dispersion, Excitations, Quasiparticles
from tnsim.algorithms.solution import BondReport, Progress, Solution, Status, SweepReport
from tnsim.algorithms.stages import run_stages
from tnsim.algorithms.tdvp import TDVP
from tnsim.algorithms.tebd import TEBD
from tnsim.algorithms.thermal import Purification, ThermalStates
from tnsim.algorithms.thermal_doubling import ThermalDoubling
from tnsim.algorithms.vumps import VUMPS

__all__ = [
    "BondReport", "Chebyshev", "Circuit", "CircuitResult", "DMRG", "Dispersion", "DynamicalCorrelation", "Evolution",
    "EvolutionReport", "Evolved", "Excitations", "ExcitedStates", "Extrapolation", "IDMRG", "KrylovEvolution",
    "METTS", "MPOEvolution", "Progress", "Purification", "Quasiparticles", "Solution", "SpectralFunction", "Status",
    "SweepReport", "TDVP", "TEBD", "ThermalDoubling", "ThermalSamples", "ThermalStates", "VUMPS",
    "dynamical_correlation", "extrapolate", "run_stages",
]  # fmt: skip
