"""Applying an MPO to an MPS: exactly, by zip-up, variationally, by density matrices, by random sketches."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tnsim.errors import SettingsError, suggest
from tnsim.linalg import Truncation, svd
from tnsim.linalg.density_vectors import density_vectors
from tnsim.networks.acting import check_acts_on, image_sites
from tnsim.networks.canonical import canonicalize
from tnsim.networks.center_move import move_right
from tnsim.networks.compress import compress, fit
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.randomized_apply import apply_randomized
from tnsim.networks.scaling import scale_rows
from tnsim.tensor import Tensor, contract, flip_leg, fuse, split, transpose


def apply(H: MPO, psi: MPS, truncation: Truncation | None = None, *, method: str = "zip-up") -> MPS:
    """H |psi>, exactly without truncation, else by method "zip-up", "variational", "density-matrix", "src" or "svd".

    Raises OperatorError, ShapeError or LegError where H does not act on psi. Costs: exact O(L d^2 chi^2 w^2) with
    bond chi w; zip-up O(L d chi^3 w^2) for its SVDs; density matrix O(L d chi^3 w^2); src O(L d chi^3 w), see
    `networks/randomized_apply.py`.
    """
    check_acts_on(H, psi)
    if truncation is None:
        return apply_exact(H, psi)
    return apply_with_weight(H, psi, truncation, method)[0]


def apply_with_weight(H: MPO, psi: MPS, truncation: Truncation, method: str) -> tuple[MPS, float]:
    """H |psi> as by `apply`, and what was cut: the sum of discarded weights, for "variational" the squared distance
    over the squared norm."""
    state, weight, log_scale = apply_scaled(H, psi, truncation, method)
    return (state if log_scale == 0 else state * float(np.exp(log_scale))), weight


def apply_scaled(H: MPO, psi: MPS, truncation: Truncation, method: str) -> tuple[MPS, float, float]:
    """The same over exp(log_scale), which keeps long chains in range, and log_scale as the third."""
    check_method(method)
    return _METHODS[method](H, psi, truncation)


def check_method(method: str) -> None:
    """Raises SettingsError for a method of applying an MPO that there is not."""
    if method not in _METHODS:
        raise SettingsError(f"unknown method {method!r} of applying an MPO. {suggest(method, _METHODS)}")


def apply_exact(H: MPO, psi: MPS) -> MPS:
    """H |psi> with bond dimension w chi."""
    tensors = []
    for w, a in zip(H.tensors, psi.tensors, strict=True):
        joined = contract("a t s b, l s r -> a l t b r", w, a)
        tensors.append(fuse(joined, [(0, 1), (2,), (3, 4)], [1, 1, -1]))
    return MPS(tensors, image_sites(H, psi), None)


class _Scale:
    """What was taken out of a chain so far: site after site, so that nothing overflows."""

    def __init__(self) -> None:
        self.log = 0.0

    def out_of(self, tensor: Tensor) -> Tensor:
        """The tensor with norm 1."""
        return tensor / self.counted(tensor.norm())

    def counted(self, size: float) -> float:
        """A size, as one that can be divided by."""
        if not size > 0 or not np.isfinite(size):
            return 1.0
        self.log += float(np.log(size))
        return size


def zip_up(H: MPO, psi: MPS, truncation: Truncation) -> tuple[MPS, float, float]:
    """Contract and truncate site by site, then a truncating sweep back; H may lead to other sites.

    Needs the orthogonality of psi and near-orthogonality of H to be near-optimal. Source: E. M. Stoudenmire,
    S. R. White, New J. Phys. 12, 055026 (2010), section 2.8.2.
    """
    psi, scale = canonicalize(psi, 0), _Scale()
    loose = Truncation(chi_max=2 * truncation.chi_max, svd_min=truncation.svd_min / 10)
    tensors: list[Tensor] = []
    rest, weight = None, 0.0
    for i, (w, a) in enumerate(zip(H.tensors, psi.tensors, strict=True)):
        if rest is None:
            joined = fuse(contract("a t s b, l s r -> a l t b r", w, a), [(0, 1), (2,), (3,), (4,)], [1, 1, -1, -1])
        else:
            joined = contract("x a l, a t s b, l s r -> x t b r", rest, w, a)
        if i < psi.L - 1:
            u, s, v = svd(joined, (0, 1), loose)
            tensors.append(u)
            size = scale.counted(float(np.linalg.norm(s.values)))
            rest, weight = scale_rows(v, replace(s, values=s.values / size)), weight + s.discarded_weight
        else:
            tensors.append(fuse(joined, [(0,), (1,), (2, 3)], [1, 1, -1]))
    state, more = compress(MPS(tensors, image_sites(H, psi), psi.L - 1), truncation)
    return state, weight + more, scale.log


def apply_svd(H: MPO, psi: MPS, truncation: Truncation) -> tuple[MPS, float, float]:
    """The exact product, then its Schmidt values."""
    exact, scale = apply_exact(H, psi), _Scale()
    tensors = exact.tensors
    for i in range(psi.L - 1):
        tensors[i], carried = move_right(*tensors[i : i + 2])
        tensors[i + 1] = scale.out_of(carried)
    state, weight = compress(MPS(tensors, exact.sites, psi.L - 1), truncation)
    return state, weight, scale.log


def apply_variational(H: MPO, psi: MPS, truncation: Truncation) -> tuple[MPS, float, float]:
    """The nearest state of the truncated bond dimensions, from a zip-up start."""
    guess, _, log_scale = zip_up(H, psi, truncation)
    return *fit(guess, psi, scaled_operator(H, log_scale)), log_scale


def scaled_operator(H: MPO, log_scale: float) -> MPO:
    """H over exp(log_scale), an equal share of it at every site."""
    return MPO([w * float(np.exp(-log_scale / len(H.tensors))) for w in H.tensors])


def apply_density_matrix(H: MPO, psi: MPS, truncation: Truncation) -> tuple[MPS, float, float]:
    """Keep the largest eigenvectors of the reduced density matrices of H |psi>, from the right.

    Optimal at every bond given what was cut before. Only squares of Schmidt values are found, so values below
    sqrt(10 eps) of the norm (5e-8 in double precision) are noise and always dropped. Source: ITensor,
    "density matrix algorithm".
    """
    halves = [contract("a t s b, l s r -> a l t b r", w, a) for w, a in zip(H.tensors, psi.tensors, strict=True)]
    lefts, apart = [contract("a l t b r, a l t c u -> b r c u", halves[0], halves[0].conj())], _Scale()
    for half in halves[1:-1]:
        grown = contract("x y z w, x y t b r, z w t c u -> b r c u", lefts[-1], half, half.conj())
        lefts.append(apart.out_of(grown))  # only ratios count here
    tensors: list[Tensor] = []
    tail, weight, scale = fuse(halves[-1], [(0,), (1,), (2,), (3, 4)], [1, 1, 1, -1]), 0.0, _Scale()
    for i in range(psi.L - 1, 0, -1):
        rho = contract("b r c u, b r t x, c u v y -> t x v y", lefts[i - 1], tail, tail.conj())
        vectors, lost = density_vectors(fuse(rho, [(0, 1), (2, 3)], [1, -1]), truncation)
        weight += lost
        site = transpose(flip_leg(split(vectors, 0, rho.legs[:2]), 2), (2, 0, 1))
        tensors.append(site)
        carried = scale.out_of(contract("a l t x, k t x -> a l k", tail, site.conj()))
        tail = contract("c m t a l, a l k -> c m t k", halves[i - 1], carried)
    tensors.append(fuse(tail, [(0, 1), (2,), (3,)], [1, 1, -1]))
    return MPS(tensors[::-1], image_sites(H, psi), 0), weight, scale.log


_METHODS: dict[str, Callable[[MPO, MPS, Truncation], tuple[MPS, float, float]]] = {
    "zip-up": zip_up,
    "variational": apply_variational,
    "density-matrix": apply_density_matrix,
    "src": apply_randomized,
    "svd": apply_svd,
}
