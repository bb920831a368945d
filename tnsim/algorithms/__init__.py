"""Algorithms: a settings object and a loop each."""

from tnsim.algorithms.evolution.chebyshev import Chebyshev, SpectralFunction
from tnsim.algorithms.evolution.circuit import Circuit, CircuitResult
from tnsim.algorithms.evolution.dynamics import DynamicalCorrelation, dynamical_correlation
from tnsim.algorithms.evolution.evolution import Evolution, EvolutionReport, Evolved
from tnsim.algorithms.evolution.krylov_evolution import KrylovEvolution
from tnsim.algorithms.evolution.metts import METTS, ThermalSamples
from tnsim.algorithms.evolution.mpo_evolution import MPOEvolution
from tnsim.algorithms.evolution.tdvp import TDVP
from tnsim.algorithms.evolution.tebd import TEBD
from tnsim.algorithms.evolution.thermal import Purification, ThermalStates
from tnsim.algorithms.evolution.thermal_doubling import ThermalDoubling
from tnsim.algorithms.ground_state.dmrg import DMRG
from tnsim.algorithms.ground_state.excited import ExcitedStates
from tnsim.algorithms.ground_state.extrapolation import Extrapolation, extrapolate
from tnsim.algorithms.ground_state.idmrg import IDMRG
from tnsim.algorithms.ground_state.quasiparticles import Dispersion, Excitations, Quasiparticles
from tnsim.algorithms.ground_state.stages import run_stages
from tnsim.algorithms.ground_state.vumps import VUMPS
from tnsim.algorithms.solution import BondReport, Progress, Solution, Status, SweepReport

__all__ = [
    "BondReport", "Chebyshev", "Circuit", "CircuitResult", "DMRG", "Dispersion", "DynamicalCorrelation", "Evolution",
    "EvolutionReport", "Evolved", "Excitations", "ExcitedStates", "Extrapolation", "IDMRG", "KrylovEvolution",
    "METTS", "MPOEvolution", "Progress", "Purification", "Quasiparticles", "Solution", "SpectralFunction", "Status",
    "SweepReport", "TDVP", "TEBD", "ThermalDoubling", "ThermalSamples", "ThermalStates", "VUMPS",
    "dynamical_correlation", "extrapolate", "run_stages",
]  # fmt: skip
