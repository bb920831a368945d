"""Algorithms: a settings object and a loop each."""

from tnsim.algorithms.dmrg import DMRG, run_stages
from tnsim.algorithms.solution import BondReport, Progress, Solution, Status, SweepReport

__all__ = ["BondReport", "DMRG", "Progress", "Solution", "Status", "SweepReport", "run_stages"]
