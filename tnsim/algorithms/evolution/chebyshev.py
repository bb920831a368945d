"""Spectral functions from Chebyshev moments of H, for any H that is an MPO.

Sources: A. Holzner, A. Weichselbaum, I. P. McCulloch, U. Schollwoeck, J. von Delft, Phys. Rev. B 83, 195115 (2011);
kernels: A. Weisse, G. Wellein, A. Alvermann, H. Fehske, Rev. Mod. Phys. 78, 275 (2006), section II.C.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tnsim.algorithms.ground_state.dmrg import DMRG
from tnsim.errors import (
    NumericalError,
    OperatorError,
    SettingsError,
    StateError,
    check_fields,
    finite_number,
    finite_numbers,
    suggest,
)
from tnsim.linalg.truncation import Truncation
from tnsim.measure.operator import shifted
from tnsim.networks.acting import check_acts_on
from tnsim.networks.apply import apply_with_weight, check_method
from tnsim.networks.canonical import canonicalize
from tnsim.networks.compress import compress
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS, overlap
from tnsim.networks.precision import matching_dtype

KERNELS = ("jackson", "lorentz", "none")
# the spectrum fills this share of the interval [-1, 1]: bounds by DMRG lie inside of it
_FILLED = 0.95
# what the norm of a Chebyshev vector, at most that of the first, may exceed it by
_GROWTH = 1.05
# the Lorentz kernel's parameter: a compromise of sharpness and ringing
_LORENTZ = 4.0


@dataclass(frozen=True)
class SpectralFunction:
    """<psi| delta(omega - (H - energy)) |psi> by its Chebyshev moments: call it with frequencies.

    moments: <psi| T_n((H - center) / scale) |psi>; energy: what frequencies are counted from; sum_trunc_err: discarded
    weight of all cuts, relative to the vectors they were made on; chi: largest bond dimension.
    """

    moments: np.ndarray
    energy: float
    center: float
    scale: float
    sum_trunc_err: float
    chi: int

    def __call__(self, frequencies: Any, kernel: str = "jackson") -> np.ndarray:
        """The function at frequencies (any array), 0 outside of the spectrum; its integral is <psi|psi>.

        Every level is broadened to a peak: a Gaussian of width pi scale / count in the middle of the band by "jackson",
        a Lorentzian of half width 4 scale / count by "lorentz", a function with long ripples by "none".

        >>> moments = np.cos(np.arange(100) * np.arccos(0.5))  # one level
        >>> one = SpectralFunction(moments, energy=0.0, center=0.0, scale=2.0, sum_trunc_err=0.0, chi=1)
        >>> w = np.linspace(-2, 2, 4001)
        >>> bool(abs(w[one(w).argmax()] - 1.0) < 0.01), round(float(one(w).sum() * 0.001), 3)
        (True, 1.0)
        """
        weights = (
            kernel_weights(len(self.moments), kernel) * self.moments * np.where(np.arange(len(self.moments)), 2, 1)
        )
        x = (finite_numbers("frequencies", frequencies) + self.energy - self.center) / self.scale
        inside = np.abs(x) < 1
        root = np.sqrt(np.where(inside, 1 - np.where(inside, x, 0) ** 2, 1))
        series = np.polynomial.chebyshev.chebval(np.where(inside, x, 0), weights)
        return np.where(inside, series / (np.pi * self.scale * root), 0.0)

    @property
    def resolution(self) -> float:
        """Width of a level in the middle of the band with the kernel "jackson"."""
        return float(np.pi * self.scale / len(self.moments))

    def __repr__(self) -> str:
        return (
            f"SpectralFunction({len(self.moments)} moments, weight {self.moments[0]:.6g}, resolution "
            f"{self.resolution:.3g}, discarded {self.sum_trunc_err:.1e} in all, bond dimension {self.chi})"
        )


def kernel_weights(count: int, kernel: str) -> np.ndarray:
    """Factors on the moments that damp the ripples of a cut series.

    >>> kernel_weights(3, "none").tolist()
    [1.0, 1.0, 1.0]
    """
    n = np.arange(count)
    if kernel == "none":
        return np.ones(count)
    if kernel == "lorentz":
        return np.sinh(_LORENTZ * (1 - n / count)) / np.sinh(_LORENTZ)
    if kernel == "jackson":
        angle = np.pi / (count + 1)
        return ((count - n + 1) * np.cos(angle * n) + np.sin(angle * n) / np.tan(angle)) / (count + 1)
    raise SettingsError(f"unknown kernel {kernel!r}. {suggest(kernel, KERNELS)}")


@dataclass(frozen=True, kw_only=True)
class Chebyshev:
    """Spectral functions by the Chebyshev recursion: `Chebyshev(...).run(H, psi, energy=...)`.

    psi is an operator applied to a state, such as tn.apply(O, ground); then the result is <O^dagger delta(omega - (H -
    energy)) O>. Vector n is T_n of the rescaled H on psi, cut to `truncation`; two moments come from each, so that
    count / 2 products are spent, of cost O(L d chi^3 w) each. Their error is that of the cuts, and grows with n:
    compare bond dimensions. The resolution is pi times half the band width over count.

    >>> from tnsim.networks.operator_sum import OperatorSum, plus_hc
    >>> from tnsim.networks.sites import spin_sites
    >>> sites = spin_sites(2)
    >>> H = OperatorSum().add(1.0, "Sz", 0, "Sz", 1)
    >>> H += plus_hc(0.5, "S+", 0, "S-", 1)
    >>> psi = MPS.product(sites, ["up", "down"])
    >>> found = Chebyshev(count=50, truncation=Truncation(chi_max=4)).run(H.mpo(sites), psi, energy=0.0)
    >>> w = np.linspace(-1, 1, 2001)  # a singlet at -3/4, a triplet at 1/4
    >>> float(w[found(w).argmax()].round(1)), round(float(found(w[w < -0.25]).sum() / 1000), 2)
    (-0.8, 0.5)
    """

    truncation: Truncation = field(metadata={"help": "how vectors are cut; chi_max has no default"})
    count: int = field(default=200, metadata={"help": "moments"})
    apply: str = field(
        default="zip-up", metadata={"help": "how H is applied: zip-up, variational, density-matrix, src or svd"}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        check_method(self.apply)
        if self.count < 2:
            raise SettingsError(f"a spectral function needs at least 2 moments, found count = {self.count}.")

    def run(self, H: MPO, psi: MPS, *, energy: float, bounds: tuple[float, float] | None = None) -> SpectralFunction:
        """The spectral function of psi, with frequencies counted from `energy`.

        bounds: below and above all eigenvalues of H in the sector of psi; by default from two short DMRG runs. Raises
        OperatorError, ShapeError, LegError, BackendError or StateError for input that does not fit, SettingsError for
        bounds that are none, NumericalError where the vectors grow, which they do where the bounds are too narrow.
        """
        check_acts_on(H, psi)
        if H.is_hermitian is False:
            raise OperatorError("spectral functions are those of a Hermitian H: add the missing conjugate terms.")
        norm = psi.norm()
        if not 0 < norm < np.inf:
            raise StateError(f"a spectral function needs a state of finite norm, not zero; found norm {norm}.")
        energy = finite_number("energy", energy)
        low, high = _bounds(H, psi) if bounds is None else _checked_bounds(bounds)
        center, scale = (low + high) / 2, (high - low) / 2 / (_FILLED if bounds is None else 1.0)
        operator = shifted(H, center) * (1 / scale)
        start = canonicalize(psi.astype(matching_dtype(psi.dtype, operator)) / norm, 0)
        moments, weight, chi = self._moments(operator.astype(matching_dtype(start.dtype, operator)), start)
        return SpectralFunction(moments * norm**2, energy, center, scale, weight, chi)

    def _moments(self, operator: MPO, start: MPS) -> tuple[np.ndarray, float, int]:
        """<start| T_n |start> for n < count, discarded weight, largest bond dimension.

        2 T_m T_n = T_{m+n} + T_{m-n}: vectors n - 1 and n give moments 2n - 1 and 2n.
        """
        before, (here, weight) = start, self._image(operator, start)
        moments = [1.0, overlap(start, here).real]
        chi = max(here.bond_dimensions)
        while len(moments) < self.count:
            moments.append(2 * here.norm() ** 2 - moments[0])
            image, cut = self._image(operator, here)
            following, more = compress(image * 2.0 - before, self.truncation)
            moments.append(2 * overlap(following, here).real - moments[1])
            _check_bounded(following, len(moments))
            before, here, weight = here, following, weight + cut + more
            chi = max(chi, max(here.bond_dimensions))
        return np.array(moments[: self.count]), weight, chi

    def _image(self, operator: MPO, psi: MPS) -> tuple[MPS, float]:
        """The operator on a vector, with what was cut."""
        return apply_with_weight(operator, psi, self.truncation, self.apply)


def _check_bounded(vector: MPS, count: int) -> None:
    """NumericalError where a Chebyshev vector is longer than the first."""
    norm = vector.norm()
    if not norm <= _GROWTH:
        raise NumericalError(
            f"the Chebyshev vectors grow (norm {norm:.3g} at moment {count}): levels lie outside of the bounds. Give "
            "wider bounds=(lowest, highest), or a larger chi_max."
        )


def _checked_bounds(bounds: Any) -> tuple[float, float]:
    found = finite_numbers("bounds", bounds)
    if found.shape != (2,) or not found[0] < found[1]:
        raise SettingsError(f"bounds are two finite energies, the lower one first, found {bounds!r}.")
    return float(found[0]), float(found[1])


def _bounds(H: MPO, psi: MPS) -> tuple[float, float]:
    """About the lowest and the highest level in the sector of psi."""
    if psi.L < 2:
        levels = np.linalg.eigvalsh(H.backend.to_host(H.to_dense()))
        return float(levels[0]), float(max(levels[-1], levels[0] + 1e-3))
    search = DMRG(
        truncation=Truncation(chi_max=16), max_sweeps=6, energy_tol=1e-3, entropy_tol=1e-2, second_start=False
    )
    double = psi.astype(np.result_type(psi.dtype, np.float64))
    low, high = (sign * search.solve(H * sign, double).energy for sign in (1.0, -1.0))
    return low, max(high, low + 1e-3)
