"""Published numbers of two-dimensional models: bulk energies, critical points, and clusters by exact diagonalisation.

Energies per site in units of the nearest-neighbour exchange, spin 1/2.
"""

from collections.abc import Iterator

from tnsim.models.lattice import Lattice
from tnsim.models.model import Fact

_BULK = {
    "square": (-0.6694421, "Sandvik, Evertz 2010: Monte Carlo, -0.6694421(4)", 4e-7),
    "honeycomb": (-0.54455, "Loew 2009: Monte Carlo, -0.54455(20)", 2e-4),
    # no state lies below these for sure: the sign problem leaves only bounds from above and extrapolations
    "triangular": (-0.5458, "Capriotti, Trumper, Sorella 1999: Monte Carlo, -0.5458(1)", float("nan")),
    "kagome": (-0.4386, "Depenbrock, McCulloch, Schollwoeck 2012: DMRG, -0.4386(5)", float("nan")),
}
# square tori (size, J2 / J1): energy per site
_TORI = {
    (4, 0.0): (-0.7017802, "Schulz, Ziman, Poilblanc 1996: exact diagonalisation"),
    (6, 0.0): (-0.678872, "Schulz, Ziman, Poilblanc 1996: exact diagonalisation"),
    (4, 0.5): (-0.528620, "Schulz, Ziman, Poilblanc 1996: exact diagonalisation"),
    (6, 0.5): (-0.503810, "Schulz, Ziman, Poilblanc 1996: exact diagonalisation"),
}


def heisenberg_facts(lattice: Lattice, S: float, J: float) -> Iterator[Fact]:
    """What is known of the antiferromagnet beyond spin-1/2 chains."""
    if S == 1 and lattice.kind == "chain":
        yield Fact("bulk energy per site", J * -1.401484038971, "published", "White, Huse 1993")
        yield Fact("Haldane gap", J * 0.41047925, "published", "Golinelli, Jolicoeur, Lacaze 1994")
        if len(lattice) == 100 and lattice.bc_x == "open":
            yield Fact("energy (chi = 200 SU(2) DMRG)", J * -138.94008616656, "published", "block2")
    if S == 0.5 and lattice.kind == "ladder" and lattice.Ly == 2:
        yield Fact("bulk energy per site", J * -0.5780431402, "published", "Ramos, Xavier 2014: DMRG")
    if S == 0.5:
        yield from j1j2_facts(lattice, J, 0.0)


def j1j2_facts(lattice: Lattice, J1: float, J2: float) -> Iterator[Fact]:
    """Energies of the spin-1/2 model with second neighbours; J1 > 0."""
    torus = lattice.kind == "square" and lattice.Lx == lattice.Ly and lattice.bc_x == lattice.bc_y == "periodic"
    if torus and (lattice.Lx, J2 / J1) in _TORI:
        value, source = _TORI[lattice.Lx, J2 / J1]
        yield Fact("energy of the torus", J1 * value * len(lattice), "published", source)
    if J2 == 0 and lattice.kind in _BULK:
        value, source, error = _BULK[lattice.kind]
        yield Fact("bulk energy per site", J1 * value, "published", source, J1 * error)


def ising_facts(lattice: Lattice, J: float) -> Iterator[Fact]:
    """Critical field of the transverse-field Ising model in two dimensions."""
    if lattice.kind == "square" and J:
        yield Fact("bulk critical field", 3.04438 * abs(J), "published", "Bloete, Deng 2002: Monte Carlo, 3.04438(2)")
