"""Reduced density matrices."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import ShapeError
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mps import MPS
from tnsim.tensor import contract


def reduced_density_matrix(psi: MPS, sites: Sequence[int]) -> np.ndarray:
    """rho[s, t] of some sites (in ascending order) in the Kronecker basis of their states, trace 1, on the host.

    Cost O(d^(2n) chi^3) a site between the first and the last; memory d^(2n) chi^2, so n stays small.
    """
    places = list(sites)
    if not places or places != sorted(set(places)) or places[0] < 0 or places[-1] >= psi.L:
        raise ShapeError(f"a block is a list of ascending sites from 0 to {psi.L - 1}, found {places}.")
    psi = canonicalize(psi, places[0])
    norm, words, rho = psi.norm(), [], None
    for i in range(places[0], places[-1] + 1):
        a = psi.tensors[i]
        s, t = (f"s{i}", f"t{i}") if i in places else ("s", "s")
        kept = " ".join(words)
        words += [s, t] if i in places else []
        now = " ".join(words)
        close = ("z", "z", "") if i == places[-1] else ("u", "v", "u v ")
        if rho is None:
            rho = contract(f"l {s} {close[0]}, l {t} {close[1]} -> {close[2]}{now}", a, a.conj())
        else:
            rho = contract(f"x y {kept}, x {s} {close[0]}, y {t} {close[1]} -> {close[2]}{now}", rho, a, a.conj())
    assert rho is not None
    count = len(places)
    dense = rho.backend.to_host(rho.to_dense())
    order = [*range(0, 2 * count, 2), *range(1, 2 * count, 2)]
    dim = int(np.prod([psi.sites[i].dim for i in places]))
    return dense.transpose(order).reshape(dim, dim) / norm**2
