"""Entanglement of the upper and the lower part of a finite PEPS, from the boundaries that meet between two rows.

Source: J. I. Cirac, D. Poilblanc, N. Schuch, F. Verstraete, Phys. Rev. B 83, 245134 (2011), section II.
"""

from dataclasses import dataclass

import numpy as np

from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement, check_finite
from tnsim.algorithms.peps.finite.cut_terms import ROWS
from tnsim.algorithms.peps.finite.double_boundary import DoubleBoundary
from tnsim.algorithms.peps.finite.plane_boundaries import PlaneBoundaries
from tnsim.errors import NumericalError, SettingsError, ShapeError
from tnsim.linalg import Spectrum, eigh
from tnsim.networks.peps import PEPS
from tnsim.networks.scaling import scale_columns
from tnsim.tensor import Tensor, contract, diagonal_of, fuse, transpose, twist

# the largest space of the bonds that are cut, which becomes a dense matrix
MAX_SPACE = 4096
# a boundary is positive but for what was cut from it; what lies lower than this share of the trace is no rounding
_NEGATIVE = 1e-4


@dataclass(frozen=True, eq=False)
class CutSpectrum:
    """Schmidt weights between two rows, largest first, with sum 1; negative: weight that was clipped, 0 if exact."""

    weights: np.ndarray
    negative: float

    @property
    def entropy(self) -> float:
        """The von Neumann entropy, natural logarithm."""
        kept = self.weights[self.weights > 0]
        return float(-(kept * np.log(kept)).sum())

    @property
    def energies(self) -> np.ndarray:
        """Of the entanglement (boundary) Hamiltonian: -ln of the weights that are not zero."""
        return -np.log(self.weights[self.weights > 1e-15])

    def __repr__(self) -> str:
        return f"CutSpectrum: {len(self.weights)} weights from {self.weights[0]:.4g}, entropy {self.entropy:.8g}"


def entanglement_below(psi: PEPS, row: int, run: BoundaryMeasurement) -> CutSpectrum:
    """The Schmidt weights of the rows up to `row` with those after it.

    Exact where the boundaries cut nothing; cost of the boundaries, and O(D^(3n)) for n columns. Raises SettingsError
    for a row without another below it, ShapeError where the bonds span more than 4096 states.

    >>> from tnsim.linalg import Truncation
    >>> from tnsim.networks.sites import spin_site
    >>> psi = PEPS.product([[spin_site()] * 2] * 2, [["up", "down"]] * 2)
    >>> entanglement_below(psi, 0, BoundaryMeasurement(truncation=Truncation(chi_max=16))).entropy
    -0.0
    """
    check_finite(psi)
    psi = psi.opened()
    if psi.shape[0] == 1:
        raise SettingsError("a state of one row has no rows to cut between: turn it, or take an MPS.")
    if not 0 <= row < psi.shape[0] - 1:
        raise SettingsError(f"a cut lies below one of the rows 0 to {psi.shape[0] - 2}, found row = {row}.")
    space = int(np.prod([psi.tensor(row, j).shape[2] for j in range(psi.shape[1])]))
    if space > MAX_SPACE:
        raise ShapeError(f"the bonds that are cut span {space} states, at most {MAX_SPACE}: cut where D is smaller.")
    lines = PlaneBoundaries(psi, ROWS, run.truncation)
    return spectrum_of(boundary_matrix(lines.above(row + 1)), boundary_matrix(lines.below(row)))


def spectrum_of(first: Tensor, second: Tensor) -> CutSpectrum:
    """From what both parts make of the bonds between them: legs (ket, bra) that flow (out, in), and their duals.

    The transpose of the first and the second with a twist are positive matrices, whose product has the spectrum of
    either part.
    """
    vectors, values = eigh(_positive(transpose(first, (1, 0))))
    root = scale_columns(vectors, Spectrum(values.leg, np.sqrt(np.maximum(values.values, 0))))
    whole = contract("m a, a b, b n -> m n", dagger(root), _positive(twist(second, (0,))), root)
    weights = np.sort(eigh(_positive(whole))[1].values)[::-1]
    negative = float(-np.minimum(weights, 0).sum() / weights.sum())
    if not negative < _NEGATIVE:
        raise NumericalError(f"the Schmidt weights have a negative share of {negative:.1e}: raise chi_max.")
    weights = np.maximum(weights, 0)
    return CutSpectrum(weights / weights.sum(), negative)


def _positive(matrix: Tensor) -> Tensor:
    """The Hermitian part, with the sign of a positive trace."""
    hermitian = (matrix + dagger(matrix)) * 0.5
    backend = hermitian.backend
    return -hermitian if backend.read(backend.real(backend.sum(diagonal_of(hermitian)))) < 0 else hermitian


def dagger(matrix: Tensor) -> Tensor:
    """The adjoint of a matrix, legs exchanged."""
    return transpose(matrix.conj(), (1, 0))


def boundary_matrix(boundary: DoubleBoundary) -> Tensor:
    """The operator on the bonds of a boundary, its kets and its bras as one leg each."""
    total = boundary.sites[0]
    for site in boundary.sites[1:]:
        joined = contract("a k b r, r K B s -> a k K b B s", total, site)
        total = fuse(joined, [(0,), (1, 2), (3, 4), (5,)])
    return fuse(total, [(0, 1), (2, 3)], [total.legs[1].flow, total.legs[2].flow])
