"""Canonical forms of matrix-product states: moving the centre, singular values, the Vidal form."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tnsim.errors import ShapeError, StateError
from tnsim.linalg import Spectrum, Truncation, svd
from tnsim.networks.center_move import move_left, move_right
from tnsim.networks.mps import MPS
from tnsim.networks.scaling import scale_rows
from tnsim.networks.sites import Site
from tnsim.tensor import Tensor, contract, eye


def canonicalize(psi: MPS, center: int = 0) -> MPS:
    """The same state with its centre at a site: isometries towards it on both sides.

    Cost O(L d chi^3), or that of the sites between the old centre and the new one. Exact. Raises StateError for what is
    no finite state.
    """
    _check_finite(psi)
    if not 0 <= center < psi.L:
        raise ShapeError(f"the centre is a site from 0 to {psi.L - 1}, found {center}.")
    if psi.center == center:
        return psi
    tensors = psi.tensors.copy()
    first = 0 if psi.center is None else psi.center
    last = psi.L - 1 if psi.center is None else psi.center
    for i in range(first, center):
        tensors[i : i + 2] = move_right(*tensors[i : i + 2])
    for i in range(last, center, -1):
        tensors[i - 1 : i + 1] = move_left(*tensors[i - 1 : i + 1])
    return MPS(tensors, psi.sites, center)


def center_within(psi: MPS, first: int, last: int) -> MPS:
    """The same state with its centre on the nearest of the sites first..last."""
    _check_finite(psi)
    return canonicalize(psi, first if psi.center is None else min(max(psi.center, first), last))


def _check_finite(psi: MPS) -> None:
    if not isinstance(psi, MPS):
        raise StateError(
            f"a finite state (MPS) is needed, found {type(psi).__name__}: of an infinite one, window(psi, first, last) "
            "cuts out a stretch."
        )


def center_tensors(psi: MPS, places: Sequence[int]) -> Iterator[Tensor]:
    """The tensor that each of some ascending sites has when the centre is there; one pass, cost O(L d chi^3)."""
    here = places[0]
    tensors = canonicalize(psi, here).tensors.copy()
    for place in places:
        for i in range(here, place):
            tensors[i : i + 2] = move_right(*tensors[i : i + 2])
        here = place
        yield tensors[place]


def left_canonical(psi: MPS) -> MPS:
    """All tensors but the last left-isometric."""
    return canonicalize(psi, psi.L - 1)


def right_canonical(psi: MPS) -> MPS:
    """All tensors but the first right-isometric."""
    return canonicalize(psi, 0)


def schmidt_values(psi: MPS) -> list[Spectrum]:
    """Schmidt values of the L - 1 inner bonds with their charges, squares adding up to 1; cost O(L d chi^3)."""
    return _split_all(psi)[1]


def _split_all(psi: MPS) -> tuple[list[Tensor], list[Spectrum], float]:
    """Left-isometric tensors, Schmidt values of every bond, and the norm."""
    psi = canonicalize(psi, 0)
    norm = psi.norm()
    tensors = [psi.tensors[0] * (1 / norm) if norm else psi.tensors[0], *psi.tensors[1:]]
    spectra = []
    for i in range(psi.L - 1):
        tensors[i], s, v = svd(tensors[i], (0, 1), _nonzero(tensors[i]))
        spectra.append(s)
        tensors[i + 1] = contract("l m, m s r -> l s r", scale_rows(v, s), tensors[i + 1])
    return tensors, spectra, norm


@dataclass(frozen=True, eq=False)
class Vidal:
    """Gamma-Lambda form: psi = Gamma_0 Lambda_0 Gamma_1 Lambda_1 ... Gamma_{L-1} (times `norm`).

    gammas: tensors (left, phys, right); spectra: Lambda of the L - 1 inner bonds, squares adding up to 1.
    Source: G. Vidal, Phys. Rev. Lett. 91, 147902 (2003).
    """

    gammas: list[Tensor]
    spectra: list[Spectrum]
    sites: tuple[Site, ...]
    norm: float

    def __repr__(self) -> str:
        largest = max((len(spectrum.values) for spectrum in self.spectra), default=1)
        return f"Vidal form on {len(self.gammas)} sites, bond dimensions up to {largest}, norm {self.norm:.12g}"

    def to_mps(self) -> MPS:
        """The state as left-isometric tensors with the centre on the last site."""
        tensors = [self.gammas[0]]
        for gamma, spectrum in zip(self.gammas[1:], self.spectra, strict=True):
            tensors.append(scale_rows(gamma, spectrum))
        tensors[-1] = tensors[-1] * self.norm
        return MPS(tensors, self.sites, len(tensors) - 1)


def vidal(psi: MPS) -> Vidal:
    """The Gamma-Lambda form; Schmidt values below 1e-14 are dropped, since Gamma divides by them."""
    lefts, spectra, norm = _split_all(psi)
    gammas = [lefts[0]]
    for left, spectrum in zip(lefts[1:], spectra, strict=True):
        inverse = Spectrum(spectrum.leg, 1 / spectrum.values)
        gammas.append(scale_rows(left, inverse))
    return Vidal(gammas, spectra, psi.sites, norm)


def isometry_error(tensor: Tensor, *, left: bool) -> float:
    """Frobenius distance of A^dagger A (left) or B B^dagger (right) from the identity."""
    words = "l s x, l s y -> x y" if left else "x s r, y s r -> x y"
    gram = contract(words, tensor.conj(), tensor)
    return (gram - eye(gram.legs[0], dtype=gram.dtype, backend=gram.backend)).norm()


def _nonzero(tensor: Tensor) -> Truncation:
    return Truncation(chi_max=max(1, min(tensor.shape[0] * tensor.shape[1], tensor.shape[2])), svd_min=1e-14)
