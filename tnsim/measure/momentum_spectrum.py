"""Entanglement spectra with momenta: infinite cylinders that look the same all around."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from tnsim.errors import NumericalError, ShapeError, StateError
from tnsim.linalg import svd
from tnsim.linalg.arnoldi import dominant
from tnsim.networks.even_charges import evenly_charged
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.sites import Site
from tnsim.symmetry import Charge
from tnsim.tensor import Tensor, contract, from_dense, random_tensor


@dataclass(frozen=True, eq=False)
class MomentumSpectrum:
    """Schmidt values of the bond between two cells, descending, with the momentum and the charge of each.

    momenta: in (-pi, pi], relative to that of the first value; charges: those left of the bond. overlap: of the state
    with itself turned by one step, per unit cell: 1 where the momenta are exact.
    """

    values: np.ndarray
    momenta: np.ndarray
    charges: tuple[Charge, ...]
    overlap: float

    @property
    def energies(self) -> np.ndarray:
        """Entanglement energies, -2 log of the values."""
        return -2 * np.log(self.values)

    def __repr__(self) -> str:
        count = len(self.values)
        return f"MomentumSpectrum({count} value{'s' * (count != 1)}, overlap with the turned state {self.overlap:.8f})"


def momentum_spectrum(
    psi: InfiniteMPS, circumference: int, sites: int = 1, *, tolerance: float = 1e-3
) -> MomentumSpectrum:
    """The entanglement spectrum of an infinite cylinder, by the momentum around it.

    The path of the MPS takes column after column (order = "columns"), each from bottom to top, with `circumference`
    cells of `sites` sites in it, at any filling. A step takes every cell to the one above, fermions with their sign;
    the Schmidt states of a state that it leaves as it is have momenta. Cost O(n chi^3 d^(2 sites)) a product of the
    mixed transfer matrix for n sites a cell; exact for the state. Raises ShapeError where columns do not fit the cell,
    StateError where the state changes: 1 - overlap above the tolerance. Source: L. Cincio, G. Vidal, Phys. Rev. Lett.
    110, 067208 (2013); M. P. Zaletel, R. S. K. Mong, F. Pollmann, Phys. Rev. Lett. 110, 236801 (2013).

    >>> from tnsim.networks.sites import spin_sites
    >>> psi = InfiniteMPS.product(spin_sites(6), ["up"] * 3 + ["down"] * 3)
    >>> momentum_spectrum(psi, 3).momenta
    array([0.])
    """
    whole = all(isinstance(count, (int, np.integer)) and count >= 1 for count in (circumference, sites))
    column = circumference * sites
    if not whole or psi.L % column:
        raise ShapeError(
            f"a cell of {psi.L} sites is no whole number of columns with {circumference} cells of {sites} sites."
        )
    even = evenly_charged(psi, sites)
    if even is None:
        raise ShapeError("the sites of a column differ from cell to cell, so that it cannot be turned.")
    psi, factor = even
    parts = [slice(i, i + column) for i in range(0, psi.L, column)]
    end = psi.AL[0].legs[0]
    start = random_tensor((end, end.dual), dtype=psi.dtype, seed=0, backend=psi.backend)

    def turned(flat):
        x = Tensor(start.legs, flat)
        for part in parts:
            x = _through_column(x, psi.AL[part], psi.sites[part], sites)
        return x.data

    pairs = dominant(turned, start.data, psi.backend)
    if not pairs.converged:
        raise NumericalError(f"the turned state did not converge (residual {pairs.residuals[0]:.1e}).")
    overlap = float(abs(pairs.values[0]))
    if 1 - overlap > tolerance:
        raise StateError(
            f"the state is not the same all around: its overlap with itself turned by one cell is {overlap:.6f} per "
            "unit cell: converge it further, keep multiplets whole (degeneracy_tol), or start from another one."
        )
    found = _spectrum(psi, Tensor(start.legs, pairs.vectors[0]), overlap)
    return replace(found, charges=tuple(tuple((np.array(q) // factor).tolist()) for q in found.charges))


def _spectrum(psi: InfiniteMPS, step: Tensor, overlap: float) -> MomentumSpectrum:
    """Eigenvalues s exp(iK) of the step between left Schmidt states, times their values, charge by charge."""
    u, s, _ = svd(psi.C[-1], (0,))
    between = contract("x y, x a, y b -> a b", step, u.conj().astype(step.dtype), u.astype(step.dtype))
    matrix = psi.backend.to_host(between.to_dense()) * s.values[None, :]
    values, charges = [], []
    for charge, start, stop in zip(s.leg.charges, s.leg.starts, s.leg.starts[1:], strict=False):
        found = np.linalg.eigvals(matrix[start:stop, start:stop])
        values.append(found)
        charges += [charge] * len(found)
    z = np.concatenate(values)
    z *= np.linalg.norm(s.values) / np.linalg.norm(z)
    order = np.argsort(-np.abs(z), kind="stable")
    z = z[order]
    momenta = np.angle(z / z[0] * abs(z[0]))
    return MomentumSpectrum(np.abs(z), momenta, tuple(charges[k] for k in order), overlap)


def _through_column(x: Tensor, tensors: Sequence[Tensor], sites: Sequence[Site], shift: int) -> Tensor:
    """X (bra, ket) carried through a column, whose ket is turned by `shift` sites against the bra.

    A sign for fermions that pass each other, (-1)^(pq) of the parities p of the first sites and q of the others, is
    half the sum of (-1)^(ab + ap + bq) over a, b = 0, 1: strings on either.
    """
    if not any(site.is_fermionic for site in sites):
        return _turned(x, tensors, tensors, shift)
    result = None
    for a, b in product((0, 1), repeat=2):
        marks = [a] * shift + [b] * (len(sites) - shift)
        bra = [
            _with_string(tensor, site) if marked else tensor
            for tensor, site, marked in zip(tensors, sites, marks, strict=True)
        ]
        term = _turned(x, bra, tensors, shift) * (0.5 * (-1) ** (a * b))
        result = term if result is None else result + term
    assert result is not None
    return result


def _with_string(tensor: Tensor, site: Site) -> Tensor:
    string = from_dense(site.string.astype(tensor.dtype), (site.leg, site.leg.dual)).to(tensor.backend)
    return contract("t s, l s r -> l t r", string, tensor)


def _turned(x: Tensor, bra: Sequence[Tensor], ket: Sequence[Tensor], shift: int) -> Tensor:
    """The first `shift` sites of the bra meet the last ones of the ket; their indices are open until then.

    x--A*1--A*2--A*3--u
       |     \\     \\
       `------\\-----\\-------.       shift 1: bra 1 meets ket 3, bra k + 1 meets ket k
    y---------A1----A2----A3--v
    """
    rest = len(bra) - shift
    opened: list[str] = []
    for number in range(shift):
        words = " ".join(opened)
        x = contract(f"x {words} y, x o{number} u -> u {words} o{number} y", x, bra[number].conj())
        opened.append(f"o{number}")
    words = " ".join(opened)
    for number in range(rest):
        x = contract(f"x {words} y, y s v -> x {words} s v", x, ket[number])
        x = contract(f"x {words} s v, x s u -> u {words} v", x, bra[shift + number].conj())
    for number in range(shift):
        first, *opened = opened
        words = " ".join(opened)
        x = contract(f"u {first} {words} y, y {first} v -> u {words} v", x, ket[rest + number])
    return x
