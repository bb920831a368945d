"""An MPO on an MPS by successive randomised compression: one pass of sketches, one of QR, one of truncation.

Source: C. Camano, E. N. Epperly, J. A. Tropp, arXiv:2504.06475 (2025). The random vectors that look at the right part
of the chain are those of a random train and no Khatri-Rao product: they carry charges, and their norm spreads less.
Source: H. Al Daas et al., SIAM J. Sci. Comput. 45, A74 (2023), section 3.2 (trains as sketches).
"""

from math import ceil

import numpy as np

from tnsim.backend import generator
from tnsim.linalg import Spectrum, Truncation, qr, svd
from tnsim.networks.acting import image_sites
from tnsim.networks.compress import compress
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.scaling import scale_columns
from tnsim.symmetry import Leg
from tnsim.symmetry.fusion import fuse_legs
from tnsim.tensor import Tensor, contract, from_dense, fuse, random_tensor

# more vectors than states that are kept, and how many look at what was lost
_SPARE, _SPARE_SHARE = 8, 0.5
_PROBES, _PROBE_SHARE = 8, 0.25


def apply_randomized(H: MPO, psi: MPS, truncation: Truncation, seed: int = 0) -> tuple[MPS, float, float]:
    """H |psi> over exp(log_scale) near the best state of the bond dimension, an estimate of what was lost, log_scale.

    Needs no canonical form of psi or H. Cost O(L d k chi w (chi + d w + k)) with k = 1.5 chi_max vectors (symmetric
    tensors: up to twice as many, spread over the sectors). The same seed gives the same numbers.
    """
    wanted = sketch_size(truncation.chi_max)
    rng = generator(seed)
    sketches = _sketches(H, psi, wanted, rng)
    probes = _sketches(H, psi, max(_PROBES, int(_PROBE_SHARE * wanted)), rng)
    bases: list[Tensor] = []
    rest, weight, log_scale = _first(H, psi), 0.0, 0.0
    for i, (w, a) in enumerate(zip(H.tensors, psi.tensors, strict=True)):
        #  x|rest|-l-[A]-r      the tensor between the basis so far and the sites to come
        #        |-a-[W]-b
        joined = contract("x a s r, a t s b -> x t b r", contract("x a l, l s r -> x a s r", rest, a), w)
        if i == psi.L - 1:
            bases.append(fuse(joined, [(0,), (1,), (2, 3)], [1, 1, -1]))
            break
        basis = _basis(contract("x t b r, b r y -> x t y", joined, sketches[i + 1]), wanted)
        bases.append(basis)
        weight += _share_outside(basis, contract("x t b r, b r y -> x t y", joined, probes[i + 1]))
        rest = contract("x t m, x t b r -> m b r", basis.conj(), joined)
        size = rest.norm()
        if size > 0:
            rest, log_scale = rest / size, log_scale + float(np.log(size))
    state, cut = compress(MPS(bases, image_sites(H, psi), psi.L - 1), truncation)
    return state, weight + cut, log_scale


def sketch_size(chi_max: int) -> int:
    """How many random vectors look for so many states."""
    return chi_max + max(_SPARE, int(_SPARE_SHARE * chi_max))


def _basis(seen: Tensor, wanted: int) -> Tensor:
    """Orthonormal states of a site from what random vectors see of it, at most so many."""
    basis, _ = qr(seen, (0, 1))
    if basis.legs[2].dim <= wanted:
        return basis
    # every sector was looked at with as many vectors: now the strongest of all
    return svd(seen, (0, 1), Truncation(chi_max=wanted, svd_min=0.0))[0]


def _share_outside(basis: Tensor, seen: Tensor) -> float:
    """The share of weight that a basis leaves out, as other random vectors see it."""
    whole = seen.norm() ** 2
    inside = contract("x t m, x t y -> m y", basis.conj(), seen).norm() ** 2
    return max(0.0, 1 - inside / whole) if whole > 0 else 0.0


def _sketches(H: MPO, psi: MPS, count: int, rng: np.random.Generator) -> dict[int, Tensor]:
    """What random vectors see of the sites from 1, 2, ... on: legs (operator bond, state bond, vector), norm 1."""
    seen, found = _last(H, psi), {}
    for i in range(psi.L - 1, 0, -1):
        #  l-[A]-r|seen|-y     the random train goes on: t and y become z
        #  a-[W]-b|
        half = contract("l s r, b r y -> l s b y", psi.tensors[i], seen)
        half = contract("a t s b, l s b y -> a l t y", H.tensors[i], half)
        seen = contract("a l t y, t y z -> a l z", half, _random(half, count, rng))
        size = seen.norm()
        found[i] = seen = seen / size if size > 0 else seen
    return found


def _random(half: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """Gaussian vectors on the last legs of a half chain, in every sector that both sides of it reach.

    A sector gets twice its share of the bonds (and a few more), at most `count`. Each is divided by the root of its
    number, so that on average the vectors resolve the identity.
    """
    bonds, outer = fuse_legs(half.legs[:2]).leg, fuse_legs(tuple(leg.dual for leg in half.legs[2:])).leg
    charges, dims = [], []
    for charge, room in zip(bonds.charges, bonds.dims, strict=True):
        place = outer.index_of(charge)
        if place is not None:
            charges.append(charge)
            dims.append(min(room, outer.dims[place], count, _SPARE + ceil(2 * count * room / bonds.dim)))
    leg = Leg(bonds.group, charges, dims, -1)
    legs = (half.legs[2].dual, half.legs[3].dual, leg)
    vectors = random_tensor(legs, dtype=half.dtype, seed=rng, backend=half.backend)
    return scale_columns(vectors, Spectrum(leg.dual, np.repeat(1 / np.sqrt(dims), dims)))


def _first(H: MPO, psi: MPS) -> Tensor:
    """Before the first site: legs (basis, operator bond, state bond)."""
    a, b = H.tensors[0].legs[0].dual, psi.tensors[0].legs[0].dual
    return _one((fuse_legs((a.dual, b.dual)).leg, a, b), H, psi)


def _last(H: MPO, psi: MPS) -> Tensor:
    """Behind the last site: legs (operator bond, state bond, vector)."""
    a, b = H.tensors[-1].legs[3].dual, psi.tensors[-1].legs[2].dual
    return _one((a, b, fuse_legs((a, b)).leg.dual), H, psi)


def _one(legs: tuple[Leg, ...], H: MPO, psi: MPS) -> Tensor:
    one = np.ones((1, 1, 1), dtype=np.result_type(H.dtype, psi.dtype))
    return from_dense(one, legs).to(psi.backend)
