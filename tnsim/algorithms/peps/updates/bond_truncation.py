"""Cutting a bond of a PEPS by the metric that its surroundings give: alternating least squares in a fixed gauge.

theta, legs (k0, s, k1, t), is what the two reduced tensors of a bond are to become; g, legs (k0', k1', k0, k1), is the
norm around them: |theta - A B|^2 = <theta - A B| g |theta - A B> is made small.
Sources: J. Jordan, R. Orus, G. Vidal, F. Verstraete, J. I. Cirac, Phys. Rev. Lett. 101, 250602 (2008); for the gauge
M. Lubasch, J. I. Cirac, M. C. Banuls, Phys. Rev. B 90, 064425 (2014), and H. N. Phien, J. A. Bengua, H. D. Tuan, P.
Corboz, R. Orus, Phys. Rev. B 92, 035142 (2015); for the truncation by a product of environments that the sweeps start
from P. Czarnik, J. Dziarmaga, P. Corboz, Phys. Rev. B 99, 035115 (2019).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tnsim.algorithms.peps.updates.bond_fit import BondFit
from tnsim.algorithms.peps.updates.plain_fit import PlainFit
from tnsim.algorithms.peps.updates.plain_pair import is_plain
from tnsim.errors import NumericalError
from tnsim.linalg import Spectrum, Truncation, eigh
from tnsim.networks.scaling import scale_columns
from tnsim.tensor import Tensor, contract, fuse, split, trace, twist

# sweeps end where one lowers the error by less than this share of it, or by rounding
_SETTLED, _ROUNDING = 1e-3, 1e-14


@dataclass(frozen=True, eq=False)
class BondCut:
    """theta as first (k0, s, bond) times second (bond, k1, t), with the square root of the weights in each.

    error: squared distance over the squared norm, in the metric; norm: of the product, in the metric.
    """

    first: Tensor
    second: Tensor
    spectrum: Spectrum
    error: float
    norm: float
    sweeps: int


def positive(metric: Tensor) -> tuple[Tensor, float]:
    """The Hermitian, positive part of a metric (k0', k1', k0, k1), and the share of negative eigenvalues.

    The share is their sum over the sum of all magnitudes; its square root bounds nothing, but above a percent the
    environment is not to be trusted. The phase of the whole, which corners do not know, is that of a positive trace.
    Cost O(k^6). Raises NumericalError where no positive part is left.
    """
    legs = metric.legs[:2]
    matrix = fuse(metric, [(0, 1), (2, 3)], [1, -1])
    size = complex(trace(twist(matrix, (0,)), 0, 1).item())
    phase = size.conjugate() / (abs(size) or 1.0)
    matrix = matrix * (phase if matrix.dtype.kind == "c" else phase.real)
    adjoint = contract("a b -> b a", matrix.conj())
    vectors, spectrum = eigh((matrix + adjoint) * 0.5)
    values = np.maximum(spectrum.values, 0.0)
    total = float(np.abs(spectrum.values).sum())
    if not values.any():
        raise NumericalError("the environment of a bond has no positive part: raise chi of the environment.")
    root = scale_columns(vectors, Spectrum(spectrum.leg, np.sqrt(values)))
    clipped = contract("a m, b m -> a b", root, root.conj())
    share = float((values - spectrum.values).sum()) / total
    return split(split(clipped, 1, tuple(leg.dual for leg in legs)), 0, legs), share


def positive_norm(square: complex) -> float:
    """A squared norm in a metric. Raises NumericalError for one that is not positive."""
    found = float(np.real(square))
    if not found > 0:
        raise NumericalError(
            f"the squared norm of a bond in its surroundings is {found:.1e}: they see less of the bond than it holds. "
            "Lower chi_max or raise svd_min of the update, or raise chi_max of the environment where there is one."
        )
    return found


def cut_bond(theta: Tensor, metric: Tensor, truncation: Truncation, *, sweeps: int = 50) -> BondCut:
    """The product nearest to theta in a positive metric, among those that the truncation allows.

    Starts from the better of two truncations, by singular values of theta and by those that the environment of each end
    gives theta; `sweeps` least squares each for A and for B follow, in the gauge in which these environments are
    identities. Cost O(k^4 D^2) a sweep, k the smaller of D d and D^3. The error never grows from sweep to sweep: one
    that ends further below 0 fitted the rounding of a metric that does not see all of a bond, and is not taken.
    """
    fit: Any = (PlainFit if is_plain(theta, metric) else BondFit)(theta, metric)  # of arrays, or of tensors
    norm = positive_norm(fit.norm)
    first, second, error = fit.start(truncation)
    done = 0
    while done < sweeps and error > _ROUNDING and not _holds_all(first.shape[2], theta):
        better = fit.first_solved(first, second)
        product = better, fit.second_solved(better, second)
        done, before, error = done + 1, error, fit.error(*product)
        if error < -before:
            error = before
            break
        first, second = product
        if before - error <= max(_SETTLED * error, _ROUNDING):
            break
        first, second = fit.balanced(first, second)
    first, second, spectrum = fit.ungauged(first, second)
    return BondCut(first, second, spectrum, max(error, 0.0), (norm * max(1 - error, 0.0)) ** 0.5, done)


def _holds_all(bond: int, theta: Tensor) -> bool:
    """Whether a bond holds all of theta, so that there is nothing to improve."""
    left = theta.legs[0].dim * theta.legs[1].dim
    return bond >= min(left, theta.legs[2].dim * theta.legs[3].dim)
