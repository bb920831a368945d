"""Reduced density matrices."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import ShapeError
from tnsim.measure.local import norm_squared
from tnsim.networks.canonical import center_within
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mps import MPS
from tnsim.networks.window import window
from tnsim.symmetry import kronecker_order
from tnsim.tensor import Tensor, contract, from_dense, fuse


def reduced_density_matrix(psi: MPS | InfiniteMPS, sites: Sequence[int]) -> np.ndarray:
    """rho of some sites in ascending order, trace 1, in the Kronecker basis of their states, on the host.

    Sites of an infinite state are any integers.
    Of fermions, rho is the state of the chosen modes in their order (Jordan-Wigner strings pass over the sites
    between): its expectation values are those of `expect`. Exact. A block of n neighbours costs
    O(d^n chi^3 + d^(2n) chi^2), a gap between blocks O(d^(2n) chi^3) a site. Raises ShapeError for sites out of
    order or out of range, StateError for the zero state.

    >>> from tnsim.networks.sites import spin_sites
    >>> reduced_density_matrix(MPS.product(spin_sites(3), ["up", "down", "up"]), [1]).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    places, infinite = list(sites), isinstance(psi, InfiniteMPS)
    ascend = bool(places) and places == sorted(set(places))
    if not ascend or not (infinite or (places[0] >= 0 and places[-1] < psi.L)):
        known = "" if infinite else f" from 0 to {psi.L - 1}"
        raise ShapeError(f"a block is a list of ascending sites{known}, found {places}.")
    if isinstance(psi, InfiniteMPS):
        psi, places = window(psi, places[0], places[-1]), [place - places[0] + 1 for place in places]
    psi = center_within(psi, places[0], places[-1])
    norm = norm_squared(psi)
    blocks = _blocks(places)
    rho: Tensor | None = None
    for n, block in enumerate(blocks):
        rho = _absorb(rho, _block_tensor(psi, block), n, last=n == len(blocks) - 1)
        if n + 1 < len(blocks):
            rho = _across(rho, psi, blocks[: n + 1], range(block[-1] + 1, blocks[n + 1][0]))
    assert rho is not None
    return _matrix(psi, rho, blocks) / norm


def _across(rho: Tensor, psi: MPS, blocks: Sequence[Sequence[int]], gap: Sequence[int]) -> Tensor:
    """Trace over the sites between two blocks, the open legs of the blocks so far kept.

    Elements that change the fermion parity of those blocks meet F = (-1)^N on every site of the gap.
    """
    kept, plain = _kept(len(blocks)), [psi.tensors[i] for i in gap]
    if not any(psi.sites[i].is_fermionic for i in gap):
        return _traced(rho, plain, plain, kept)
    signed = rho
    for n, block in enumerate(blocks):
        string, turned = _block_string(psi, block), kept.replace(f"s{n} t{n}", "p q")
        signed = contract(f"{kept} x y, s{n} p, t{n} q -> {turned} x y", signed, string.conj(), string)
    strings = [contract("t s, l s r -> l t r", _block_string(psi, [i]), psi.tensors[i]) for i in gap]
    even, odd = (rho + signed) / 2, (rho - signed) / 2
    return _traced(even, plain, plain, kept) + _traced(odd, strings, plain, kept)


def _traced(rho: Tensor, kets: Sequence[Tensor], bras: Sequence[Tensor], kept: str) -> Tensor:
    for ket, bra in zip(kets, bras, strict=True):
        rho = contract(f"{kept} x y, x s u, y s v -> {kept} u v", rho, ket, bra.conj())
    return rho


def _block_string(psi: MPS, block: Sequence[int]) -> Tensor:
    """F of a block of sites, legs (out, in) fused as those of the block."""
    result: Tensor | None = None
    for i in block:
        site = psi.sites[i]
        string = from_dense(site.string.astype(psi.dtype), (site.leg, site.leg.dual)).to(psi.backend)
        if result is not None:
            string = fuse(contract("p q, s t -> p s q t", result, string), [(0, 1), (2, 3)], [1, -1])
        result = string
    assert result is not None
    return result


def _blocks(places: Sequence[int]) -> list[list[int]]:
    """Runs of neighbouring sites."""
    blocks: list[list[int]] = []
    for i in places:
        if blocks and blocks[-1][-1] == i - 1:
            blocks[-1].append(i)
        else:
            blocks.append([i])
    return blocks


def _block_tensor(psi: MPS, block: Sequence[int]) -> Tensor:
    """The sites of a block as one, physical legs fused pair by pair: legs (left, phys, right)."""
    theta = psi.tensors[block[0]]
    for i in block[1:]:
        joined = contract("l p m, m s r -> l p s r", theta, psi.tensors[i])
        theta = fuse(joined, [(0,), (1, 2), (3,)], [1, 1, -1])
    return theta


def _kept(count: int) -> str:
    return " ".join(f"s{n} t{n}" for n in range(count))


def _absorb(rho: Tensor | None, theta: Tensor, n: int, *, last: bool) -> Tensor:
    """Add block n; the right bonds stay open unless it is the last.

     .--ket x--[theta ]--u
    rho         s|t
     '--bra y--[theta*]--v
    """
    right_ket, right_bra, kept = ("z", "z", "") if last else ("u", "v", " u v")
    if rho is None:
        words = f"x s0 {right_ket}, x t0 {right_bra} -> s0 t0{kept}"
        return contract(words, theta, theta.conj())
    words = f"{_kept(n)} x y, x s{n} {right_ket}, y t{n} {right_bra} -> {_kept(n + 1)}{kept}"
    return contract(words, rho, theta, theta.conj())


def _matrix(psi: MPS, rho: Tensor, blocks: Sequence[Sequence[int]]) -> np.ndarray:
    """Rows ket, columns bra, in Kronecker order: fused legs are ordered by charge."""
    dense = rho.backend.to_host(rho.to_dense())
    for n, block in enumerate(blocks):
        order = kronecker_order([psi.sites[i].leg for i in block])
        dense = dense.take(order, axis=2 * n).take(order, axis=2 * n + 1)
    count = len(blocks)
    dim = int(np.prod(dense.shape[::2]))
    return dense.transpose([*range(0, 2 * count, 2), *range(1, 2 * count, 2)]).reshape(dim, dim)
