"""Staged runs: settings one after the other, each from the state of the last."""

from collections.abc import Sequence
from dataclasses import replace

from tnsim.algorithms.ground_state.dmrg import DMRG
from tnsim.algorithms.solution import Observer, Progress, Solution
from tnsim.errors import SettingsError
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS


def run_stages(
    stages: Sequence[DMRG],
    H: MPO,
    psi: MPS,
    observers: Sequence[Observer] = (),
    progress: Progress | None = None,
    *,
    first: Solution | None = None,
) -> Solution:
    """Run settings one after the other, each from the state of the last; the history is that of all.

    A last stage of sites = 1 and expansion = 0 finds the best state on the bonds that there are; the discarded
    weights that it reports are those of the stage before. A run that was interrupted goes on, in its stage, from its
    state, progress and `first`. Raises SettingsError without stages, and what `DMRG.solve` raises.

    >>> from tnsim.linalg import Truncation
    >>> from tnsim.models import Heisenberg
    >>> model = Heisenberg(L=6)
    >>> stages = [DMRG(truncation=Truncation(chi_max=chi), max_sweeps=2) for chi in (2, 4, 8)]
    >>> [report.chi_max for report in run_stages(stages, model.mpo(), model.product()).history]
    [2, 2, 4, 4, 8, 8]
    """
    begin = progress.stage if progress else 0
    if begin >= len(stages):
        raise SettingsError(f"run_stages begins at stage {begin + 1}, and there are {len(stages)}: give more stages.")
    for number in range(begin, len(stages)):
        last = number == len(stages) - 1
        stage = stages[number] if last else replace(stages[number], second_start=False)
        solution = stage.solve(H, psi, observers, progress, first=first)
        done = solution.progress
        if last or solution.status.name == "interrupted":
            break
        following = stages[number + 1]
        keeps_bonds = following.sites == 1 and following.expansion == 0
        errors = done.bond_trunc_errs if keeps_bonds else ()
        psi, progress = solution.state, Progress(stage=number + 1, past=done.reports, bond_trunc_errs=errors)
    return replace(solution, history=done.reports)
