"""Start states for Hamiltonians that change no product state, such as Ising couplings with fields.

Every product state is an eigenstate there, and no update of one or two sites leaves it for a better one further away.
Moves of charge are added to the Hamiltonian and fade away, as in T. Kadowaki, H. Nishimori, Phys. Rev. E 58, 5355
(1998).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tnsim.measure.variance import energy_and_variance
from tnsim.networks.mixing import mixing_sum
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS

if TYPE_CHECKING:
    from tnsim.algorithms.ground_state.dmrg import DMRG

# weights of the moves, in units of the spread of energies per root of a site; sweeps and bond dimension at each
_FADING = (2.0, 1.0, 0.5, 0.25, 0.1, 0.03)
_SWEEPS = 2
_CHI = 32


def annealed(dmrg: "DMRG", H: MPO, psi: MPS, orthogonal_to: Sequence[MPS] = ()) -> MPS:
    """psi after a search under H and moves of charge that fade away; psi itself where there are none.

    Bonds take up to 32 states. The search under H goes on from there.
    """
    moves, spread = mixing_sum(psi.sites), energy_and_variance(H, psi)[1]
    if not spread or not moves.terms:
        return psi
    truncation = replace(dmrg.truncation, chi_max=_CHI, chi_min=min(_CHI, dmrg.truncation.chi_min))
    settings = replace(
        dmrg, truncation=truncation, max_sweeps=_SWEEPS, chi_ramp=(), float32_sweeps=0, environment_gib=0.0
    )
    mixing = moves.mpo(psi.sites).to(psi.backend) * (spread / psi.L) ** 0.5
    for weight in _FADING:
        run = settings.start(H + mixing * weight, psi, None, orthogonal_to)
        for _ in run.sweeps():
            pass
        psi = run.state
    return psi
