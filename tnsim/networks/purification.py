"""Mixed states as pure ones on sites that carry an ancilla: the operator space of a chain as a chain of its own.

Source: F. Verstraete, J. J. Garcia-Ripoll, J. I. Cirac, Phys. Rev. Lett. 93, 207204 (2004).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tnsim.backend import Backend
from tnsim.errors import OperatorError, ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.apply import apply
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.sites import Site
from tnsim.tensor import Tensor, contract, entries_of, from_entries, trace


@lru_cache(maxsize=256)
def purified_site(site: Site) -> Site:
    """A site and an ancilla with the same states, which carries the opposite charge, as one site of dimension d^2.

    Operators keep their names and act on the physical part, and so do fermion parities; only where legs anticommute, in
    the plane, ancillas are fermions too, which stand behind those of their site. Equal sites give one object.

    >>> from tnsim.networks.sites import spin_site
    >>> purified_site(spin_site()).states, purified_site(spin_site()).charges
    (('down*up', 'down*down', 'up*up', 'up*down'), ((-2,), (0,), (0,), (2,)))
    """
    pairs = _pairs(site)
    rows, ancillas = pairs.T
    same = ancillas[:, None] == ancillas[None, :]
    operators = {name: np.where(same, matrix[rows][:, rows], 0) for name, matrix in site.operators.items()}
    return Site(
        name=f"purified {site.name}",
        states=tuple(f"{site.states[s]}*{site.states[a]}" for s, a in pairs.tolist()),
        group=site.group,
        charges=tuple(_charge(site, s, a) for s, a in pairs.tolist()),
        operators=operators,
        parities=tuple(_parity(site, s, a) for s, a in pairs.tolist()),
    )


def infinite_temperature(sites: Sequence[Site], *, backend: str | Backend | None = None) -> MPS:
    """The state of norm 1 on purified sites in which every state of the chain is as likely: bond dimension 1.

    With conserved charges it holds all sectors: the ancillas take each charge back.
    """
    vectors = [(pairs[:, 0] == pairs[:, 1]).astype(float) for pairs in map(_pairs, sites)]
    return MPS.product([purified_site(site) for site in sites], vectors, backend=backend)


def purified_operator(H: MPO) -> MPO:
    """The operator on the physical parts of purified sites. Raises OperatorError for an MPO without sites."""
    if H.sites is None:
        raise OperatorError("this MPO does not know its sites, so they cannot be purified: make it by H.mpo(sites).")
    made: dict[int, Tensor] = {}
    for site, tensor in zip(H.sites, H.tensors, strict=True):
        if id(tensor) not in made:
            made[id(tensor)] = _with_ancilla(site, tensor)
    tensors = [made[id(tensor)] for tensor in H.tensors]
    return MPO(tensors, [purified_site(site) for site in H.sites], is_hermitian=H.is_hermitian)


def as_operator(psi: MPS, sites: Sequence[Site]) -> MPO:
    """A purified state as the operator sum psi(s a ...) |s ...><a ...| on the sites without ancillas. Exact.

    Raises ShapeError where psi does not live on these sites with ancillas.

    >>> from tnsim.networks.sites import spin_sites
    >>> as_operator(infinite_temperature(spin_sites(1)), spin_sites(1)).to_dense().round(4).tolist()
    [[0.7071, 0.0], [0.0, 0.7071]]
    """
    if psi.sites != tuple(purified_site(site) for site in sites):
        raise ShapeError(f"a purified state of these {len(sites)} sites is needed, found {psi!r}.")
    tensors = []
    for site, tensor in zip(sites, psi.tensors, strict=True):
        pairs = pair_tensor(site).astype(tensor.dtype).to(tensor.backend)
        tensors.append(contract("l p r, s a p -> l s a r", tensor, pairs))
    return MPO(tensors, sites)


def as_state(operator: MPO) -> MPS:
    """The inverse of `as_operator`: an operator as a state on purified sites. Exact."""
    if operator.sites is None:
        raise OperatorError("this MPO does not know its sites, so they cannot be purified: make it by H.mpo(sites).")
    tensors = []
    for site, tensor in zip(operator.sites, operator.tensors, strict=True):
        pairs = pair_tensor(site).astype(tensor.dtype).to(tensor.backend)
        tensors.append(contract("l s a r, s a p -> l p r", tensor, pairs.conj()))
    return MPS(tensors, [purified_site(site) for site in operator.sites])


def density_operator(psi: MPS, sites: Sequence[Site], truncation: Truncation) -> MPO:
    """The mixed state of a purification as an MPO of trace 1: X X^dagger with X as in `as_operator`.

    Hermitian and positive up to what is cut (relative to its Frobenius norm); cost O(L d^2 chi^4) by zip-up. Raises
    ShapeError where psi does not live on purified sites.

    >>> from tnsim.networks.sites import spin_sites
    >>> rho = density_operator(infinite_temperature(spin_sites(2)), spin_sites(2), Truncation(chi_max=4))
    >>> rho.to_dense().diagonal().round(12).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    root = as_operator(psi / psi.norm(), sites)
    rho = as_operator(apply(purified_operator(root), as_state(root.H), truncation), sites)
    return rho * (1 / operator_trace(rho).real)


def operator_trace(operator: MPO) -> complex:
    """The trace of an operator; cost O(L d chi^2)."""
    total: Tensor | None = None
    for tensor in operator.tensors:
        part = trace(tensor, 1, 2)
        total = part if total is None else contract("l m, m r -> l r", total, part)
    assert total is not None
    return complex(total.backend.read(total.data[0])) if total.size else 0j


@lru_cache(maxsize=256)
def pair_tensor(site: Site) -> Tensor:
    """1 where a state (last leg) of the purified site is that of a state (first) and an ancilla (second)."""
    pairs = _pairs(site)
    places = np.column_stack([pairs, np.arange(len(pairs))])
    return from_entries(places, np.ones(len(pairs)), (site.leg, site.leg.dual, purified_site(site).leg.dual))


def _charge(site: Site, s: int, a: int) -> tuple[int, ...]:
    return site.group.fuse(site.charges[s], site.group.dual(site.charges[a]))[0]


def _parity(site: Site, s: int, a: int) -> int:
    """Of a state and its ancilla; Jordan-Wigner strings leave the latter out."""
    return (site.parities[s] + (site.parities[a] if site.group.fermionic else 0)) % 2


@lru_cache(maxsize=256)
def _pairs(site: Site) -> np.ndarray:
    """(state, state of the ancilla) of every state of the purified site, by ascending charge."""
    every = [(s, a) for s in range(site.dim) for a in range(site.dim)]
    return np.array(sorted(every, key=lambda pair: _charge(site, *pair)), dtype=np.int64)


def _with_ancilla(site: Site, tensor: Tensor) -> Tensor:
    """An MPO tensor times the identity on the ancilla."""
    places, values = entries_of(tensor)
    pairs, dim = _pairs(site), site.dim
    place = np.empty((dim, dim), dtype=np.int64)
    place[pairs[:, 0], pairs[:, 1]] = np.arange(dim * dim)
    copies = np.repeat(places[None], dim, axis=0)
    copies[:, :, 1], copies[:, :, 2] = (place[places[:, k]].T for k in (1, 2))
    leg = purified_site(site).leg
    legs = (tensor.legs[0], leg, leg.dual, tensor.legs[3])
    return from_entries(copies.reshape(-1, 4), np.tile(values, dim), legs).to(tensor.backend)
