"""Infinite matrix-product operators: sums of terms that repeat with a unit cell.

Every term begins somewhere in the cell and may end in a later one. On each bond stand the channel "not
started", one for every remainder of a term that is under way (terms with equal remainders share it), one that
carries itself on for every exponential, and "finished".
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tnsim.backend import Backend, default_backend
from tnsim.errors import LegError, OperatorError, ShapeError
from tnsim.networks.local_basis import LocalBasis
from tnsim.networks.mpo import MPO
from tnsim.networks.mpo_construction import Bond
from tnsim.networks.operator_strings import String, Strings
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.operator_terms import Expansion, Tail, expand, is_hermitian
from tnsim.networks.site_operator import SiteOperator, cyclic_site_operators
from tnsim.networks.sites import Site, check_chain
from tnsim.symmetry import Charge, trivial_leg
from tnsim.tensor import Tensor, from_dense

START, DONE = "start", "done"
# a channel: START, DONE, the rest of a term (places counted from the next site), or the tail of an exponential
Channel = str | String | Tail
Entries = dict[tuple[Channel, int, Channel], complex]


class InfiniteMPO:
    """One unit cell of tensors (left, out, in, right), flows (+1, +1, -1, -1), that repeats for ever.

    starts, finishes: places of the channels "not started" and "finished" on the bond left of every site;
    reach: cells that the longest term without an exponential enters beyond its own, None with exponentials.

    >>> from tnsim.networks.sites import spin_sites
    >>> H = OperatorSum()
    >>> H += 1.0, "Sz", 0, "Sz", 1
    >>> InfiniteMPO.from_sum(H, spin_sites(1))
    InfiniteMPO with a cell of 1 site, bond dimensions 3, float64 on numpy
    """

    def __init__(
        self,
        tensors: Sequence[Tensor],
        sites: Sequence[Site],
        starts: Sequence[int],
        finishes: Sequence[int],
        *,
        is_hermitian: bool | None = None,
        reach: int | None = None,
    ) -> None:
        self.tensors, self.sites = tuple(tensors), tuple(sites)
        self.starts, self.finishes, self.is_hermitian, self.reach = tuple(starts), tuple(finishes), is_hermitian, reach
        if not len(self.tensors) == len(self.sites) == len(self.starts) == len(self.finishes) > 0:
            raise ShapeError(
                f"an infinite MPO needs a tensor and its two end channels for each of its {len(self.sites)} sites, "
                f"found {len(self.tensors)} tensors, {len(self.starts)} and {len(self.finishes)} channels."
            )
        check_chain(self.tensors[0].group)
        for i, (tensor, site) in enumerate(zip(self.tensors, self.sites, strict=True)):
            leg = site.leg
            if [leg.flow for leg in tensor.legs] != [1, 1, -1, -1] or tensor.legs[1:3] != (leg, leg.dual):
                raise LegError(
                    f"site {i} of an infinite MPO needs legs (left, out, in, right) with flows (+1, +1, -1, -1) and "
                    f"the physical leg {leg!r}, found {list(tensor.legs)}."
                )
            if self.tensors[i - 1].legs[3].dual is not tensor.legs[0]:
                raise LegError(f"the bond left of site {i} of an infinite MPO does not fit the site before it.")

    @classmethod
    def from_sum(cls, H: OperatorSum, sites: Sequence[Site]) -> "InfiniteMPO":
        """The sum of all translations, by whole cells, of the terms of H.

        H names sites 0, 1, ...; site i is site i mod n of the cell of n, and equal translations are one term.
        Exponentials run over the whole infinite chain. Exact. Raises OperatorError for a negative site or an
        exponential that does not decay, ChargeError for a term that breaks a conserved charge.
        """
        return _build(first_cell_terms(H, sites), tuple(sites))

    # -- structure -------------------------------------------------------------------------------------

    @property
    def L(self) -> int:
        """Sites of the unit cell."""
        return len(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    @property
    def bond_dimensions(self) -> tuple[int, ...]:
        """One number a site: the bond to its right."""
        return tuple(tensor.legs[3].dim for tensor in self.tensors)

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*(tensor.dtype for tensor in self.tensors))

    @property
    def backend(self) -> Backend:
        return self.tensors[0].backend

    @cached_property
    def site_operators(self) -> tuple[SiteOperator, ...]:
        """Entries of every site and where the identity channels stand, as algorithms read them (on the host)."""
        return cyclic_site_operators(self.tensors, self.starts, self.finishes)

    def __repr__(self) -> str:
        dims = " ".join(map(str, self.bond_dimensions)) if self.L <= 12 else f"up to {max(self.bond_dimensions)}"
        many = f"{self.L} site{'s' * (self.L != 1)}"
        return f"InfiniteMPO with a cell of {many}, bond dimensions {dims}, {self.dtype} on {self.backend.name}"

    def to(self, backend: str | Backend) -> "InfiniteMPO":
        return self._with([tensor.to(backend) for tensor in self.tensors])

    def astype(self, dtype: Any) -> "InfiniteMPO":
        return self._with([tensor.astype(dtype) for tensor in self.tensors])

    def repeated(self, cells: int) -> "InfiniteMPO":
        """The same operator with a cell of so many of the present ones."""
        if cells < 1:
            raise ShapeError(f"a cell repeats at least once, found {cells}.")
        reach = None if self.reach is None else -(-self.reach // cells)
        return InfiniteMPO(
            self.tensors * cells, self.sites * cells, self.starts * cells, self.finishes * cells,
            is_hermitian=self.is_hermitian, reach=reach,
        )  # fmt: skip

    def _with(self, tensors: Sequence[Tensor]) -> "InfiniteMPO":
        return InfiniteMPO(
            tensors, self.sites, self.starts, self.finishes, is_hermitian=self.is_hermitian, reach=self.reach
        )

    def open_chain(self, cells: int) -> MPO:
        """The terms that lie wholly inside a chain of so many cells, as a finite MPO."""
        if cells < 1:
            raise ShapeError(f"a chain has at least one cell, found {cells}.")
        tensors = list(self.tensors * cells)
        tensors[0] = _cut_end(tensors[0], 0, self.starts[0])
        tensors[-1] = _cut_end(tensors[-1], 3, self.finishes[0])
        return MPO(tensors, self.sites * cells, is_hermitian=self.is_hermitian)


def _cut_end(tensor: Tensor, axis: int, channel: int) -> Tensor:
    """One channel of the first or last axis, as the end of an open chain; reads the tensor to the host."""
    legs = list(tensor.legs)
    legs[axis] = trivial_leg(1, legs[axis].flow, tensor.group)
    dense = tensor.backend.to_host(tensor.to_dense()).take([channel], axis=axis)
    return from_dense(dense, legs).to(tensor.backend)


def _check_sum(H: OperatorSum, sites: Sequence[Site]) -> None:
    if not sites:
        raise ShapeError("an infinite operator needs at least one site in its cell, found none.")
    if len(H) == 0:
        raise OperatorError("an infinite operator needs at least one term, found an empty sum.")
    for term in H.terms:
        lowest = min((i for _, i in term.factors), default=0)
        if lowest < 0:
            raise OperatorError(
                f"the term '{term}' names site {lowest}: sites of an infinite chain are counted from 0, and all "
                "translations by whole cells are added, so shift the term to the right."
            )
    for exponential in H.exponentials:
        if not abs(exponential.decay) < 1:
            raise OperatorError(f"'{exponential}' does not decay: on an infinite chain |decay| has to be below 1.")


def first_cell_terms(H: OperatorSum, cell: Sequence[Site]) -> Expansion:
    """The terms of a sum that repeats, each where it begins in the first cell; see `InfiniteMPO.from_sum`.

    The bases are those of two cells or more.
    """
    sites, H = tuple(cell), H.written_out()
    _check_sum(H, sites)
    last = max((i for term in H.terms for _, i in term.factors), default=0)
    expansion = expand(H.terms, H.exponentials, sites * max(2, last // len(sites) + 1))
    if H.exponentials and len(set(sites)) > 1:
        raise OperatorError("an exponential on an infinite chain needs equal sites in the cell: write out terms.")
    return _from_first_cell(expansion, len(sites))


def _from_first_cell(expansion: Expansion, cell: int) -> Expansion:
    """Every string moved, by whole cells, to where it begins in the first one; equal strings added up."""
    moved: dict[String, complex] = {}
    for string, value in expansion.coefficients.items():
        shift = string[0][0] // cell * cell if string else 0
        key = tuple((i - shift, n) for i, n in string)
        moved[key] = moved.get(key, 0.0) + value
    limit = 1e-14 * expansion.scale
    kept = {string: value for string, value in moved.items() if abs(value) > limit}
    return Expansion(Strings.of(kept), expansion.exponentials, expansion.bases)


def _build(expansion: Expansion, sites: tuple[Site, ...]) -> InfiniteMPO:
    cell, bases = len(sites), expansion.bases[: len(sites)]
    entries: list[Entries] = [{(START, 0, START): 1.0, (DONE, 0, DONE): 1.0} for _ in sites]
    for string, value in expansion.coefficients.items():
        _add_string(entries, string, value)
    for (first, tail), value in expansion.exponentials.items():
        for here in entries:
            _add_tail(here, first, tail, value)
    channels = [_channels(entries[i - 1], [*bases[i:cell], *bases[:i]]) for i in range(cell)]
    bonds = [Bond(tuple(found.values()), 0, len(found) - 1) for found in channels]
    dtype = complex if _is_complex(entries, bases) else float
    tensors = []
    for i, site in enumerate(sites):
        left, right = _places(channels[i], bonds[i]), _places(channels[(i + 1) % cell], bonds[(i + 1) % cell])
        dense: np.ndarray = np.zeros((len(left), site.dim, site.dim, len(right)), dtype=dtype)
        for (a, n, b), value in entries[i].items():
            number = value if dtype is complex else complex(value).real
            matrix = bases[i].matrices[n] @ site.string if channels[(i + 1) % cell][b][-1] else bases[i].matrices[n]
            dense[left[a], :, :, right[b]] += number * matrix
        legs = (bonds[i].leg(site.group), site.leg, site.leg.dual, bonds[(i + 1) % cell].leg(site.group).dual)
        tensors.append(from_dense(dense, legs).to(default_backend()))
    ends = [[int(bond.order[place]) for bond in bonds] for place in (0, -1)]
    last = max((string[-1][0] for string in expansion.coefficients if string), default=0)
    reach = None if expansion.exponentials else last // cell
    return InfiniteMPO(tensors, sites, *ends, is_hermitian=is_hermitian(expansion), reach=reach)


def _add_string(entries: list[Entries], string: String, value: complex) -> None:
    """The coefficient goes to the first operator, so that what follows is shared by all terms that end alike."""
    if not string:
        entries[0][START, 0, DONE] = entries[0].get((START, 0, DONE), 0.0) + value
        return
    here: Channel = START
    operators = dict(string)
    for i in range(string[0][0], string[-1][0] + 1):
        rest = tuple((j - i - 1, n) for j, n in string if j > i)
        step = (here, operators.get(i, 0), rest or DONE)
        site = entries[i % len(entries)]
        site[step] = site.get(step, 0.0) + value if here == START else 1.0
        here = rest


def _add_tail(site: Entries, first: int, tail: Tail, value: complex) -> None:
    step: tuple[Channel, int, Channel] = (START, first, tail)
    site[step] = site.get(step, 0.0) + value * tail.decay
    for n, weight in tail.between:
        site[tail, n, tail] = tail.decay * weight
    site[tail, tail.last, DONE] = 1.0


def _channels(entries: Entries, behind: Sequence[LocalBasis]) -> dict[Channel, Charge]:
    """The channels right of a site with the charge and parity that each has taken up; START first, DONE last."""
    group = behind[0].site.operator_group
    found = dict.fromkeys(b for _, _, b in entries if b not in (START, DONE))
    charges = {channel: _charge(channel, behind) for channel in found}
    return {START: group.identity, **charges, DONE: group.identity}


def _charge(channel: Channel, behind: Sequence[LocalBasis]) -> Charge:
    """What the operators still to come take back; `behind` are the bases of one cell."""
    group = behind[0].site.operator_group
    if isinstance(channel, Tail):
        rest: String = ((0, channel.last),)
    else:
        assert not isinstance(channel, str)
        rest = channel
    taken = [behind[j % len(behind)].charges[n] for j, n in rest]
    return group.dual(group.total(taken, [1] * len(taken)))


def _places(channels: dict[Channel, Charge], bond: Bond) -> dict[Channel, int]:
    """Dense place of every channel of a bond."""
    return dict(zip(channels, bond.order.tolist(), strict=True))


def _is_complex(entries: Sequence[Entries], bases: Sequence[LocalBasis]) -> bool:
    return any(
        complex(value).imag != 0 or np.iscomplexobj(bases[i].matrices[n])
        for i, site in enumerate(entries)
        for (_, n, _), value in site.items()
    )
