"""Infinite matrix-product states: a unit cell of site tensors that repeats for ever, in mixed canonical form.

...--AL0--AL1--C1--AR0--AR1--...     AL_i C_i = C_{i-1} AR_i = AC_i
      |    |        |    |
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from tnsim.backend import Backend, Seed, generator
from tnsim.errors import ChargeError, LegError, ShapeError, StateError
from tnsim.linalg import Spectrum, Truncation, svd
from tnsim.networks.mps import MPS
from tnsim.networks.sector_bonds import cell_bonds
from tnsim.networks.sites import Site, check_chain
from tnsim.networks.transfer import second_eigenvalue
from tnsim.networks.uniform_gauge import left_gauge, right_gauge
from tnsim.symmetry import Charge, Leg
from tnsim.tensor import Tensor, contract, diagonal, eye, random_tensor

# a second eigenvalue this close to the circle means several states: correlations over 10^9 cells
_INJECTIVE = 1e-9


class InfiniteMPS:
    """A translation-invariant state of norm 1, one unit cell of tensors (left, phys, right), flows (+1, +1, -1).

    AL are left-isometric, AR right-isometric; C[i] stands on the bond right of site i, and
    AL[i] C[i] = C[i-1] AR[i] for every site. A cell carries no charge in all: `neutral_cell` measures the
    charges of sites from the filling that one wants. Tensors are values: methods return new states.

    >>> from tnsim.networks.sites import spin_sites
    >>> InfiniteMPS.product(spin_sites(2), ["up", "down"])
    InfiniteMPS with a cell of 2 sites, bond dimensions 1 1, float64 on numpy
    """

    def __init__(self, AL: Sequence[Tensor], AR: Sequence[Tensor], C: Sequence[Tensor], sites: Sequence[Site]) -> None:
        self.AL, self.AR, self.C, self.sites = tuple(AL), tuple(AR), tuple(C), tuple(sites)
        if not len(self.AL) == len(self.AR) == len(self.C) == len(self.sites) > 0:
            raise ShapeError(
                f"a unit cell needs AL, AR and C for each of its {len(self.sites)} sites, found "
                f"{len(self.AL)}, {len(self.AR)} and {len(self.C)}."
            )
        check_chain(self.sites[0].group)
        _check_cell(self.AL, self.sites)
        _check_cell(self.AR, self.sites)

    # -- making states ---------------------------------------------------------------------------------

    @classmethod
    def product(
        cls,
        sites: Sequence[Site],
        states: Sequence[str | Sequence[complex] | np.ndarray],
        *,
        dtype: Any = None,
        backend: str | Backend | None = None,
    ) -> "InfiniteMPS":
        """A repeated product state, from one state name or local vector per site of the cell.

        Raises ChargeError where the cell carries a charge.
        """
        finite = MPS.product(sites, states, dtype=dtype, backend=backend)
        if finite.charge != finite.sites[0].group.identity:
            raise ChargeError(_charged(finite.sites, finite.charge))
        ones = [eye(t.legs[2].dual, dtype=t.dtype, backend=t.backend) for t in finite.tensors]
        return cls(finite.tensors, finite.tensors, ones, sites)

    @classmethod
    def random(
        cls,
        sites: Sequence[Site],
        *,
        chi: int,
        bond: Leg | None = None,
        seed: Seed = None,
        dtype: Any = np.float64,
        backend: str | Backend | None = None,
    ) -> "InfiniteMPS":
        """A random state with bonds of at most `chi`; `bond` fixes the leg on which a cell begins.

        Charges are spread about the neutral one as in a long chain, unless `bond` says otherwise. Raises
        ChargeError where no cell of these sites is neutral.
        """
        if chi < 1:
            raise ShapeError(f"a bond dimension is at least 1, found chi = {chi}.")
        rng = generator(seed)
        bonds = cell_bonds(sites, chi, bond)
        tensors = [
            random_tensor((left, site.leg, right.dual), dtype=dtype, seed=rng, backend=backend)
            for left, site, right in zip(bonds, sites, bonds[1:], strict=False)
        ]
        return cls.from_tensors(tensors, sites)

    @classmethod
    def from_tensors(cls, tensors: Sequence[Tensor], sites: Sequence[Site], *, tolerance: float = 1e-13):
        """The state of a repeated cell of tensors, brought to canonical form and norm 1; cost O(n d chi^3) a sweep.

        Raises StateError where the cell describes a superposition of several infinite states (not injective),
        LegError for a bond with more states than its neighbours can carry.
        """
        _check_cell(tensors, sites)
        _check_full_rank(tensors)
        AL, _, _ = left_gauge(tensors, None, tolerance)
        psi = cls.from_left(AL, sites, tolerance=tolerance)
        _check_injective(psi)
        return psi

    @classmethod
    def from_left(
        cls, AL: Sequence[Tensor], sites: Sequence[Site], start: Tensor | None = None, *, tolerance: float = 1e-13
    ) -> "InfiniteMPS":
        """The state of left-isometric tensors: AR and C are found; `start` is near C of the last bond."""
        AR, last, _ = right_gauge(AL, start, tolerance)
        C = [last]
        for i in range(len(AL) - 1, 0, -1):
            rest = contract("l s m, m r, d s r -> l d", AL[i], C[0], AR[i].conj())
            C.insert(0, rest / rest.norm())
        return cls(AL, AR, C, sites)

    # -- structure -------------------------------------------------------------------------------------

    @property
    def L(self) -> int:
        """Sites of the unit cell."""
        return len(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    def AC(self, site: int) -> Tensor:
        """The tensor of a site with the centre on it."""
        return contract("l s m, m r -> l s r", self.AL[site], self.C[site])

    @property
    def bond_dimensions(self) -> tuple[int, ...]:
        """One number a site: the bond to its right."""
        return tuple(tensor.legs[2].dim for tensor in self.AL)

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*(tensor.dtype for tensor in (*self.AL, *self.C)))

    @property
    def backend(self) -> Backend:
        return self.AL[0].backend

    def __repr__(self) -> str:
        dims = " ".join(map(str, self.bond_dimensions)) if self.L <= 12 else f"up to {max(self.bond_dimensions)}"
        many = f"{self.L} site{'s' * (self.L != 1)}"
        return f"InfiniteMPS with a cell of {many}, bond dimensions {dims}, {self.dtype} on {self.backend.name}"

    def to(self, backend: str | Backend) -> "InfiniteMPS":
        return self._each(lambda tensor: tensor.to(backend))

    def astype(self, dtype: Any) -> "InfiniteMPS":
        return self._each(lambda tensor: tensor.astype(dtype))

    def repeated(self, cells: int) -> "InfiniteMPS":
        """The same state with a cell of so many of the present ones."""
        if cells < 1:
            raise ShapeError(f"a cell repeats at least once, found {cells}.")
        return InfiniteMPS(self.AL * cells, self.AR * cells, self.C * cells, self.sites * cells)

    def _each(self, change) -> "InfiniteMPS":
        return InfiniteMPS(
            [change(t) for t in self.AL], [change(t) for t in self.AR], [change(t) for t in self.C], self.sites
        )

    def schmidt_values(self) -> list[Spectrum]:
        """Schmidt values of every bond of the cell, squares adding up to 1; the first is right of site 0."""
        return [svd(c, (0,), normalize=True)[1] for c in self.C]

    def truncate(self, truncation: Truncation, *, tolerance: float = 1e-13) -> "InfiniteMPS":
        """The state with its smallest Schmidt values cut on every bond, canonical again; cost O(n d chi^3).

        The error of local values is of the order of the discarded weight of the worst bond.
        """
        cuts = [svd(c, (0,), truncation, normalize=True) for c in self.C]
        tensors = []
        for i, (after, _, _) in enumerate(cuts):
            before = cuts[i - 1][0].conj()
            tensors.append(contract("m l, m s r, r n -> l s n", before, self.AL[i], after))
        start = diagonal(self.backend.asarray(cuts[-1][1].values.astype(self.dtype)), cuts[-1][1].leg)
        AL, gauge, _ = left_gauge(tensors, None, tolerance)
        # the old C seen in the new gauge
        return InfiniteMPS.from_left(AL, self.sites, contract("a b, b c -> a c", gauge, start), tolerance=tolerance)


def neutral_cell(sites: Sequence[Site], charge: Charge | int) -> tuple[Site, ...]:
    """The sites with charges measured so that a cell of total charge `charge` counts as neutral.

    The charges of all sites are shifted, as evenly as whole numbers can be, so that sites stay equal to each other at
    integer densities; operators stay what they are. With it, an InfiniteMPS can have any filling that fits its cell.
    Raises ChargeError for a charge of another group.

    >>> from tnsim.networks.sites import spin_sites
    >>> cell = neutral_cell(spin_sites(3), (1,))
    >>> InfiniteMPS.product(cell, ["up", "up", "down"]).bond_dimensions
    (1, 1, 1)
    """
    total, n = sites[0].group.charge(charge), len(sites)
    shares = [tuple(-(q * (i + 1) // n - q * i // n) for q in total) for i in range(n)]
    return tuple(_shifted(site, site.group.charge(share)) for site, share in zip(sites, shares, strict=True))


@lru_cache(maxsize=256)
def _shifted(site: Site, shift: Charge) -> Site:
    """A site whose charges are all fused with a shift; the same object where there is none, or for the same shift."""
    if shift == site.group.identity:
        return site
    charges = [site.group.fuse(q, shift)[0] for q in site.charges]
    order = sorted(range(site.dim), key=lambda k: (charges[k], k))
    return replace(
        site,
        states=tuple(site.states[k] for k in order),
        charges=tuple(charges[k] for k in order),
        parities=tuple(site.parities[k] for k in order),
        operators={name: matrix[np.ix_(order, order)] for name, matrix in site.operators.items()},
    )


def _charged(sites: Sequence[Site], charge: Charge) -> str:
    return (
        f"the unit cell of {len(sites)} site{'s' * (len(sites) != 1)} carries the charge {charge} "
        f"({sites[0].group!r}), but a cell that repeats has to be neutral: take more sites, other states, or "
        f"neutral_cell(sites, {charge}), which measures charges from this filling."
    )


def _check_cell(tensors: Sequence[Tensor], sites: Sequence[Site]) -> None:
    if len(tensors) != len(sites) or not sites:
        raise ShapeError(f"a unit cell needs one tensor per site: {len(tensors)} tensors, {len(sites)} sites.")
    for i, (tensor, site) in enumerate(zip(tensors, sites, strict=True)):
        if [leg.flow for leg in tensor.legs] != [1, 1, -1] or tensor.legs[1] is not site.leg:
            raise LegError(
                f"site {i} of the unit cell needs legs (left, phys, right) with flows (+1, +1, -1) and the site's "
                f"physical leg {site.leg!r}, found {list(tensor.legs)}."
            )
        before = tensors[i - 1].legs[2]
        if before.dual is not tensor.legs[0]:
            place = f"between sites {i - 1} and {i}" if i else "between the last site and the first"
            raise LegError(
                f"the bond {place} does not fit: {before!r} against {tensor.legs[0]!r}. A cell that carries a charge "
                "cannot repeat: see neutral_cell."
            )


def _check_full_rank(tensors: Sequence[Tensor]) -> None:
    """Every sector of a bond must fit into what the sites on both sides of it offer."""
    for i, tensor in enumerate(tensors):
        group = tensor.group
        for axis, other, sign in ((2, 0, 1), (0, 2, -1)):
            offered = _offered(tensor.legs[other], tensor.legs[1], sign)
            for charge, dim in zip(tensor.legs[axis].charges, tensor.legs[axis].dims, strict=True):
                if dim > offered.get(charge, 0):
                    raise LegError(
                        f"site {i}: its {'right' if axis == 2 else 'left'} bond has {dim} states of charge {charge} "
                        f"({group!r}), but the rest of the site only reaches {offered.get(charge, 0)} of them: "
                        "give the bond fewer states there."
                    )


def several_states(psi: InfiniteMPS) -> bool:
    """Whether a cell describes a superposition: a second eigenvalue of its transfer matrix lies on the circle."""
    fixed = contract("a b, c b -> c a", psi.C[-1], psi.C[-1].conj())
    return abs(second_eigenvalue(psi.AL, fixed)) > 1 - _INJECTIVE


def _check_injective(psi: InfiniteMPS) -> None:
    if several_states(psi):
        raise StateError(
            "this unit cell describes a superposition of several infinite states (its transfer matrix has a second "
            "eigenvalue of magnitude 1): choose one of them, or a symmetry or cell that tells them apart."
        )


def _offered(bond: Leg, phys: Leg, sign: int) -> dict[Charge, int]:
    found: dict[Charge, int] = {}
    for q, d in zip(bond.charges, bond.dims, strict=True):
        for s, k in zip(phys.charges, phys.dims, strict=True):
            (total,) = bond.group.fuse(q, s if sign > 0 else bond.group.dual(s))
            found[total] = found.get(total, 0) + d * k
    return found
