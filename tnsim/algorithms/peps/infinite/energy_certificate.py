"""How far the energy of an infinite PEPS can be trusted: wrong environments give energies below the exact one."""

from dataclasses import dataclass, field

import numpy as np

from tnsim.algorithms.peps.infinite.infinite_density import pair_density, site_density
from tnsim.algorithms.peps.infinite.infinite_measure import InfiniteMeasurement, measure_infinite, sites_of
from tnsim.algorithms.plane.corner_certificate import Certificate, certificate_of
from tnsim.algorithms.plane.ctmrg import CTMRG, CornerSolution
from tnsim.algorithms.plane.directional_environment import DirectionalEnvironment
from tnsim.errors import OperatorError
from tnsim.networks.peps import InfinitePEPS, PlaneTerms

# what ways to measure may differ by before it is said, relative to the energy
_MISMATCH = 1e-4
# density matrices with eigenvalues below this are none
_NEGATIVE = 1e-4


@dataclass(frozen=True)
class InfiniteCertificate:
    """Energies per site at chi and 3/2 chi, ways to measure that have to agree, and what is wrong.

    patch: with neighbours from 2 x 2 places instead of strips (NaN without pairs of neighbours); sides: the largest
    difference of a site's density matrix as the western and as the eastern (or northern and southern) end of a pair;
    bound: what no energy lies below, if known. environment: the certificate of the corners.
    """

    energy: float
    energy_larger: float
    patch: float
    sides: float
    bound: float | None
    measurement: InfiniteMeasurement = field(repr=False)
    environment: Certificate = field(repr=False)
    problems: tuple[str, ...] = ()

    @property
    def error(self) -> float:
        """How far the energies of two environments and of two ways to measure lie apart; at least what the first one
        cuts, where the second could not be larger."""
        apart = self.environment.at_least(abs(self.energy - self.energy_larger))
        return apart if np.isnan(self.patch) else max(apart, abs(self.energy - self.patch))

    def __repr__(self) -> str:
        lines = [
            f"InfiniteCertificate: energy per site {self.energy:.12g}, off by {self.error:.1e} as far as is seen",
            f"  at chi = {self.environment.chis[1]:<5} {self.energy_larger:.12g}"
            + (", as bonds end there by themselves" if self.environment.saturated else ""),
            f"  in 2 x 2       {self.patch:.12g}",
            f"  two sides      differ by {self.sides:.1e}",
        ]
        if self.bound is not None:
            lines.append(f"  known bound    {self.bound:.12g}")
        return "\n".join([*lines, *(f"  {problem}" for problem in self.problems or ("nothing is wrong",))])


def certify_energy(
    ctmrg: CTMRG, psi: InfinitePEPS, solution: CornerSolution, terms: PlaneTerms, *, bound: float | None = None
) -> InfiniteCertificate:
    """Go on at 3/2 chi, measure in several ways, and say what does not agree; bound: of the energy per site.

    Cost: an environment at 3/2 chi, and O(chi^3 D^6 d^2) a bond. Raises what `measure_infinite` raises.
    """
    if not isinstance(solution.environment, DirectionalEnvironment):
        raise OperatorError("an energy is certified in the environment of a PEPS, found one of a symmetric network.")
    larger = ctmrg.wider(psi, solution)
    assert isinstance(larger.environment, DirectionalEnvironment)
    corners = certificate_of(solution, larger, ctmrg.tol)
    here = measure_infinite(solution.environment, terms)
    there = measure_infinite(larger.environment, terms)
    made = InfiniteCertificate(
        energy=here.energy, energy_larger=there.energy, patch=_in_patches(solution.environment, terms, here),
        sides=_sides(solution.environment, terms), bound=bound, measurement=here, environment=corners,
    )  # fmt: skip
    problems = (*corners.problems, *_problems(made))
    return InfiniteCertificate(**{**vars(made), "problems": problems})


def _in_patches(environment: DirectionalEnvironment, terms: PlaneTerms, before: InfiniteMeasurement) -> float:
    """The energy per site with neighbours measured in 2 x 2 places."""
    changed, nearest = 0.0, [term for term in terms.pairs if term.is_nearest]
    for term in nearest:
        density = pair_density(environment, term.first, term.second, patch=True)
        changed += float(np.real(np.sum(density.T * term.matrix))) - before.pairs[term.first, term.second]
    return before.energy + changed / sites_of(terms) if nearest else float("nan")


def _sides(environment: DirectionalEnvironment, terms: PlaneTerms) -> float:
    """Density matrices of single places against the marginals of those of pairs."""
    worst = 0.0
    for term in (term for term in terms.pairs if term.is_nearest):
        sizes = terms.site(*term.first).dim, terms.site(*term.second).dim
        pair = pair_density(environment, term.first, term.second).reshape(*sizes, *sizes)
        ends = np.einsum("abcb->ac", pair), np.einsum("abac->bc", pair)
        for place, end in zip((term.first, term.second), ends, strict=True):
            worst = max(worst, float(np.abs(end - site_density(environment, place)).max()))
    return worst


def _problems(made: InfiniteCertificate) -> list[str]:
    problems, scale = [], max(abs(made.energy), 1e-300)
    if abs(made.energy - made.energy_larger) > _MISMATCH * scale:
        problems.append(f"the energy moves by {made.energy_larger - made.energy:+.1e} at 3/2 chi: raise chi.")
    if abs(made.energy - made.patch) > _MISMATCH * scale:
        problems.append(f"strips and 2 x 2 places differ by {made.patch - made.energy:+.1e}: raise chi.")
    if made.sides > _MISMATCH:
        problems.append(f"a site's density matrix differs by {made.sides:.1e} from side to side: raise chi.")
    if made.measurement.negative < -_NEGATIVE:
        problems.append(f"a density matrix has the eigenvalue {made.measurement.negative:.1e}: raise chi.")
    if made.bound is not None and made.energy < made.bound - 1e-9 * scale:
        problems.append(
            f"the energy lies {made.bound - made.energy:.1e} below the known bound: the environment is "
            "wrong, or the bound is one of another model."
        )
    return problems


def memory_of(psi: InfinitePEPS, chi: int, D: int | None = None) -> int:
    """Bytes that the environment of a state (with bonds of D) takes at most: quadrants, edges and work space."""
    D, d = D or psi.bond_dimension, max(site.dim for site in psi.kinds)
    places, item = psi.shape[0] * psi.shape[1], psi.dtype.itemsize
    return int(item * (places * (4 * chi**2 * D**4 + 4 * chi**2 * D**2) + chi**2 * D**4 * (2 + 2 * d * d)))
