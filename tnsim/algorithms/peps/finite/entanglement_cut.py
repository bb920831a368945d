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
from tnsim.networks.peps import PEPS
from tnsim.networks.unsymmetric import unsymmetric
from tnsim.tensor import contract

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
    for a row without another below it, ShapeError where the bonds span more than 4096 states, StateError for fermions.

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
    psi.refuse_fermions("the spectrum of a cut")
    lines = PlaneBoundaries(psi, ROWS, run.truncation)
    upper, lower = boundary_matrix(lines.above(row + 1)), boundary_matrix(lines.below(row))
    return spectrum_of(upper, lower)


def spectrum_of(first: np.ndarray, second: np.ndarray) -> CutSpectrum:
    """sqrt(first) second^T sqrt(first) has the spectrum of either part."""
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.conj().T
    weights = np.linalg.eigvalsh(root @ second.T @ root)[::-1]
    negative = float(-np.minimum(weights, 0).sum() / weights.sum())
    if not negative < _NEGATIVE:
        raise NumericalError(f"the Schmidt weights have a negative share of {negative:.1e}: raise chi_max.")
    weights = np.maximum(weights, 0)
    return CutSpectrum(weights / weights.sum(), negative)


def boundary_matrix(boundary: DoubleBoundary) -> np.ndarray:
    """The operator on the bonds of a boundary, rows ket and columns bra, Hermitian, on the host."""
    sites = [unsymmetric(site) for site in boundary.sites]
    total = contract("a k b r -> r a k b", sites[0])
    dense = np.asarray(total.backend.to_host(total.array))[:, 0]
    for site in sites[1:]:
        other = np.asarray(site.backend.to_host(site.array))
        joined = np.einsum("rkb,rKBs->skKbB", dense, other)
        rows, columns = joined.shape[1] * joined.shape[2], joined.shape[3] * joined.shape[4]
        dense = joined.reshape(joined.shape[0], rows, columns)
    matrix = dense[0]
    return (matrix + matrix.conj().T) / 2
