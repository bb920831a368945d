"""Terms of a Hamiltonian in the plane as pairs of operators with a bond between, for rows or for columns."""

from functools import lru_cache
from typing import Any

import numpy as np

from tnsim.algorithms.peps.finite.measured_row import CutTerm, Place
from tnsim.backend import Backend
from tnsim.linalg import Truncation, svd
from tnsim.networks.gates import gate_tensor
from tnsim.networks.peps import PEPS, PlaneTerms
from tnsim.networks.precision import matching_dtype
from tnsim.networks.scaling import scale_rows
from tnsim.networks.sites import Site
from tnsim.tensor import Tensor, from_dense, transpose

ROWS, COLUMNS = "rows", "columns"


def turned(place: Place, direction: str) -> Place:
    """Where a place lies once the lattice is reflected so that columns are rows."""
    return place if direction == ROWS else (place[1], place[0])


def cut_terms(terms: PlaneTerms, direction: str, psi: PEPS) -> list[CutTerm]:
    """The pairs that boundaries along rows (columns) can measure: within a row, and from a row to the next one.

    Equal matrices give the same tensors, so that what they measure is shared.
    """
    found = []
    for pair in terms.pairs:
        places = [turned(place, direction) for place in (pair.first, pair.second)]
        swapped = places[0] > places[1]
        upper, lower = sorted(places)
        if lower[0] - upper[0] <= 1:
            parts = _cut(*_key(pair.matrix, psi), terms.site(*pair.first), terms.site(*pair.second), swapped)
            found.append(CutTerm(upper, lower, *parts))
    return found


def single(matrix: np.ndarray, site: Site, psi: PEPS) -> Tensor:
    """An operator (out, in) of one place."""
    return _single(*_key(matrix, psi), site)


def _key(matrix: np.ndarray, psi: PEPS) -> tuple[bytes, str, Any]:
    """The numbers in the precision of the state, their type, and where they are to lie."""
    matrix = np.ascontiguousarray(matrix)
    matrix = matrix.astype(matching_dtype(psi.dtype, matrix)) if matrix.dtype.kind in "fc" else matrix.astype(psi.dtype)
    return matrix.tobytes(), matrix.dtype.str, psi.backend


@lru_cache(maxsize=1024)
def _cut(data: bytes, dtype: str, backend: Backend, first: Site, second: Site, swapped: bool) -> tuple[Tensor, Tensor]:
    """The operators (out, in, bond) and (bond, out, in) of a pair, those of the second place first if swapped."""
    size = first.dim * second.dim
    tensor = gate_tensor(np.frombuffer(data, dtype).reshape(size, size), (first, second))
    tensor = transpose(tensor, (1, 0, 3, 2) if swapped else (0, 1, 2, 3))
    rounding = 100 * float(np.finfo(dtype).eps)
    upper, spectrum, lower = svd(tensor, (0, 2), Truncation(chi_max=size, svd_min=rounding))
    return upper.to(backend), scale_rows(lower, spectrum).to(backend)


@lru_cache(maxsize=1024)
def _single(data: bytes, dtype: str, backend: Backend, site: Site) -> Tensor:
    matrix = np.frombuffer(data, dtype).reshape(site.dim, site.dim)
    rounding = 100 * float(np.finfo(dtype).eps) * float(np.abs(matrix).max())
    return from_dense(matrix, [site.leg, site.leg.dual], tolerance=rounding).to(backend)


def neutral(matrix: np.ndarray, site: Site) -> np.ndarray:
    """The part of an operator that changes no charge: the mean of the rest is zero in a state of one charge."""
    same = np.array([[a == b for b in site.charges] for a in site.charges])
    return np.where(same, matrix, 0)
