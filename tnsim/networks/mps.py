"""Matrix-product states: site tensors with legs (left, phys, right)."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tnsim.backend import Array, Backend, Seed, backend_of, default_backend, generator, get_backend
from tnsim.errors import ChargeError, LegError, ShapeError, StateError
from tnsim.linalg import Truncation, lq, svd
from tnsim.networks.direct_sum import direct_sum
from tnsim.networks.scaling import scale_rows
from tnsim.networks.sector_bonds import sector_bonds
from tnsim.networks.sites import Site, check_chain
from tnsim.networks.unsymmetric import unsymmetric, unsymmetric_site
from tnsim.symmetry import Charge, Leg, trivial_leg
from tnsim.tensor import Tensor, contract, from_dense, random_tensor


class MPS:
    """A state on a chain: tensors (left, phys, right) with flows (+1, +1, -1) and no charge.

    The total charge sits on the last leg. `center` is the site left of which all tensors are
    left-isometric and right of which all are right-isometric, or None. Tensors are values: methods
    return new states.

    >>> from tnsim.networks.sites import spin_sites
    >>> MPS.product(spin_sites(4), ["up", "down"] * 2)
    MPS on 4 sites, bond dimensions 1 1 1 1 1, charge (0,), float64 on numpy
    """

    def __init__(self, tensors: Sequence[Tensor], sites: Sequence[Site], center: int | None = None) -> None:
        self.tensors, self.sites, self.center = list(tensors), tuple(sites), center
        if len(self.tensors) != len(self.sites) or not self.tensors:
            raise ShapeError(
                f"a state needs one tensor per site: {len(self.tensors)} tensors, {len(self.sites)} sites."
            )
        for i, (tensor, site) in enumerate(zip(self.tensors, self.sites, strict=True)):
            if [leg.flow for leg in tensor.legs] != [1, 1, -1] or tensor.legs[1] is not site.leg:
                raise LegError(
                    f"site {i} needs legs (left, phys, right) with flows (+1, +1, -1) and the site's physical leg "
                    f"{site.leg!r}, found {list(tensor.legs)}."
                )
            if i and self.tensors[i - 1].legs[2].dual is not tensor.legs[0]:
                raise LegError(f"the bond between sites {i - 1} and {i} does not fit: see the sites' legs.")
        first, last = self.tensors[0].legs[0], self.tensors[-1].legs[2]
        check_chain(first.group)
        if first.dims != (1,) or last.dims != (1,) or first.charges != (first.group.identity,):
            raise LegError(
                f"an open chain begins with a leg of dimension 1 and no charge and ends with dimension 1, "
                f"found {first!r} and {last!r}."
            )

    # -- making states ---------------------------------------------------------------------------------

    @classmethod
    def product(
        cls,
        sites: Sequence[Site],
        states: Sequence[str | Sequence[complex] | np.ndarray],
        *,
        dtype: Any = None,
        backend: str | Backend | None = None,
    ) -> "MPS":
        """A product state from one state name per site, or one local vector (of one charge) per site.

        Raises StateError for an unknown name or a wrong length, ChargeError for a vector of mixed charge.
        """
        sites = tuple(sites)
        if len(states) != len(sites) or not sites:
            raise StateError(
                "a product state needs at least one site and a state for every site, "
                f"found {len(sites)} sites and {len(states)} states."
            )
        vectors = [local_vector(site, state, i) for i, (site, state) in enumerate(zip(sites, states, strict=True))]
        dtype = dtype or np.result_type(np.float64, *(vector.dtype for vector in vectors))
        library = default_backend() if backend is None else get_backend(backend)
        group, charge = sites[0].group, sites[0].group.identity
        tensors = []
        for i, (site, vector) in enumerate(zip(sites, vectors, strict=True)):
            found = {site.charges[k] for k in np.flatnonzero(vector).tolist()}
            if len(found) != 1:
                raise ChargeError(f"the local vector of site {i} mixes the charges {sorted(found)}: conserve less.")
            left = Leg(group, [charge], [1], 1)
            (charge,) = group.fuse(charge, found.pop())
            right = Leg(group, [charge], [1], -1)
            tensors.append(from_dense(vector.astype(dtype)[None, :, None], (left, site.leg, right)).to(library))
        return cls(tensors, sites, 0)

    @classmethod
    def random(
        cls,
        sites: Sequence[Site],
        *,
        chi: int,
        charge: Charge | int | None = None,
        like: "MPS | Sequence[str] | None" = None,
        seed: Seed = None,
        dtype: Any = np.float64,
        backend: str | Backend | None = None,
    ) -> "MPS":
        """A random state of norm 1 in the sector of `charge` (or of `like`), bonds of at most `chi`.

        Raises ChargeError where no state has that charge.
        """
        sites = tuple(sites)
        if chi < 1:
            raise ShapeError(f"a bond dimension is at least 1, found chi = {chi}.")
        if like is not None:
            charge = (like if isinstance(like, MPS) else cls.product(sites, like)).charge
        total = sites[0].group.identity if charge is None else sites[0].group.charge(charge)
        rng = generator(seed)
        bonds = sector_bonds(sites, total, chi)
        tensors = [
            random_tensor((bonds[i], site.leg, bonds[i + 1].dual), dtype=dtype, seed=rng, backend=backend)
            for i, site in enumerate(sites)
        ]
        for i in range(len(sites) - 1, 0, -1):
            rest, tensors[i] = lq(tensors[i], (0,))
            tensors[i - 1] = contract("l s m, m n -> l s n", tensors[i - 1], rest)
        tensors[0] = tensors[0] / tensors[0].norm()
        return cls(tensors, sites, 0)

    @classmethod
    def from_dense(
        cls,
        vector: Any,
        sites: Sequence[Site],
        *,
        charge: Charge | int | None = None,
        truncation: Truncation | None = None,
    ) -> "MPS":
        """A state from its d^L amplitudes in Kronecker order; exact without truncation. Cost O(d^(3L/2)).

        The charge is read from the largest amplitude unless given. Raises ChargeError where amplitudes beyond
        rounding have another one, StateError where there are none.
        """
        sites = tuple(sites)
        vector = np.asarray(vector) if isinstance(vector, (list, tuple)) else vector
        shape = tuple(site.dim for site in sites)
        if prod(vector.shape) != prod(shape):
            raise ShapeError(f"sites of dimensions {shape} need {prod(shape)} amplitudes, found {vector.shape}.")
        backend, group = backend_of(vector), sites[0].group
        vector = vector if vector.dtype.kind in "fc" else backend.astype(vector, np.float64)
        size = backend.read(backend.norm(vector.reshape(-1)))
        if not 0 < size < np.inf:
            raise StateError(f"the amplitudes have norm {size}: it must be finite and not zero.")
        total = _largest_charge(vector, sites) if charge is None else group.charge(charge)
        left, right = Leg(group, [group.identity], [1], 1), Leg(group, [total], [1], -1)
        legs = (left, *(site.leg for site in sites), right)
        rounding = 100 * float(np.finfo(vector.dtype).eps) * size
        rest = from_dense(vector.reshape((1, *shape, 1)), legs, tolerance=rounding)
        tensors = []
        for _ in range(len(sites) - 1):
            u, s, v = svd(rest, (0, 1), truncation)
            tensors.append(u)
            rest = scale_rows(v, s)
        tensors.append(rest)
        return cls(tensors, sites, len(sites) - 1)

    # -- structure -------------------------------------------------------------------------------------

    @property
    def L(self) -> int:
        return len(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    @property
    def charge(self) -> Charge:
        """The total charge."""
        return self.tensors[-1].legs[2].charges[0]

    @property
    def bond_dimensions(self) -> tuple[int, ...]:
        """L + 1 numbers, the ends included."""
        return tuple(tensor.legs[0].dim for tensor in self.tensors) + (self.tensors[-1].legs[2].dim,)

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*(tensor.dtype for tensor in self.tensors))

    @property
    def backend(self) -> Backend:
        return self.tensors[0].backend

    def __repr__(self) -> str:
        dims = " ".join(map(str, self.bond_dimensions)) if self.L <= 12 else f"up to {max(self.bond_dimensions)}"
        charge = f", charge {self.charge}" if self.charge else ""
        return f"MPS on {self.L} sites, bond dimensions {dims}{charge}, {self.dtype} on {self.backend.name}"

    # -- moving ----------------------------------------------------------------------------------------

    def _with(self, tensors: Sequence[Tensor], center: int | None) -> "MPS":
        return MPS(tensors, self.sites, center)

    def copy(self) -> "MPS":
        return self._with(self.tensors, self.center)

    def to(self, backend: str | Backend) -> "MPS":
        return self._with([tensor.to(backend) for tensor in self.tensors], self.center)

    def astype(self, dtype: Any) -> "MPS":
        return self._with([tensor.astype(dtype) for tensor in self.tensors], self.center)

    def to_dense(self) -> Array:
        """All d^L amplitudes in Kronecker order, the first site the slowest, on the same device."""
        state = unsymmetric(self.tensors[0])
        for tensor in self.tensors[1:]:
            joined = contract("l s m, m t r -> l s t r", state, unsymmetric(tensor))
            phys = trivial_leg(joined.shape[1] * joined.shape[2])
            state = Tensor((joined.legs[0], phys, joined.legs[3]), joined.data)
        return state.data

    def without_symmetry(self) -> "MPS":
        """The same state on sites that conserve nothing: one dense block a tensor, for what breaks the charge."""
        tensors = [unsymmetric(tensor) for tensor in self.tensors]
        return MPS(tensors, [unsymmetric_site(site) for site in self.sites], self.center)

    # -- algebra ---------------------------------------------------------------------------------------

    def norm(self) -> float:
        """sqrt(<psi|psi>); one number is read where the state has a centre."""
        if self.center is not None:
            return self.tensors[self.center].norm()
        return float(np.sqrt(max(overlap(self, self).real, 0.0)))

    def conj(self) -> "MPS":
        """All amplitudes conjugated."""
        backend = self.backend
        tensors = [Tensor(t.legs, backend.conj(t.data), t.charge) for t in self.tensors]
        return self._with(tensors, self.center)

    def __mul__(self, factor: complex) -> "MPS":
        place = self.center or 0
        tensors = self.tensors.copy()
        if np.iscomplexobj(factor):
            tensors = [tensor.astype(np.result_type(tensor.dtype, np.complex64)) for tensor in tensors]
        tensors[place] = tensors[place] * factor
        return self._with(tensors, self.center)

    __rmul__ = __mul__

    def __neg__(self) -> "MPS":
        return self * -1.0

    def __truediv__(self, factor: complex) -> "MPS":
        return self * (1 / factor)

    def __add__(self, other: "MPS") -> "MPS":
        """The sum, bond dimensions added; see `compress`."""
        if not isinstance(other, MPS):
            return NotImplemented
        if self.L != other.L or self.sites != other.sites:
            raise ShapeError("states can be added where they live on the same sites.")
        if self.charge != other.charge:
            raise ChargeError(f"states of charges {self.charge} and {other.charge} cannot be added.")
        return self._with(direct_sum(self.tensors, other.tensors), None)

    def __sub__(self, other: "MPS") -> "MPS":
        return self + other * -1.0


def overlap(bra: MPS, ket: MPS) -> complex:
    """<bra|ket>; cost O(L d chi^3). Zero where the charges differ. Raises ShapeError for states of other sites."""
    for psi in (bra, ket):
        if not isinstance(psi, MPS):
            raise StateError(
                f"an overlap is of two finite states (MPS), found {type(psi).__name__}: infinite ones have a fidelity."
            )
    if bra.L != ket.L or [s.leg for s in bra.sites] != [s.leg for s in ket.sites]:
        raise ShapeError("an overlap needs two states on the same sites.")
    if bra.charge != ket.charge:
        return 0.0
    env = None
    for a, b in zip(bra.tensors, ket.tensors, strict=True):
        if env is None:
            env = contract("l s x, l s y -> x y", a.conj(), b)
        else:
            env = contract("x y, x s u, y s v -> u v", env, a.conj(), b)
    assert env is not None
    return contract("x y, x y -> ", env, _end(env)).item()


def _end(env: Tensor) -> Tensor:
    one = np.ones((1, 1), dtype=env.dtype)
    return from_dense(one, [leg.dual for leg in env.legs]).to(env.backend)


def _largest_charge(vector: Any, sites: Sequence[Site]) -> Charge:
    """The charge of the largest amplitude."""
    host = np.abs(backend_of(vector).to_host(vector)).reshape([site.dim for site in sites])
    places = np.unravel_index(int(host.argmax()), host.shape)
    return sites[0].group.total([site.charges[p] for site, p in zip(sites, places, strict=True)], [1] * len(sites))


def local_vector(site: Site, state: Any, place: int | str) -> np.ndarray:
    """A unit vector from the name of a state or from numbers; StateError names the place where it is neither."""
    if isinstance(state, str):
        vector = np.zeros(site.dim)
        try:
            vector[site.state(state)] = 1.0
        except StateError as error:
            raise StateError(f"site {place}: {error}") from error
        return vector
    vector = np.asarray(state)
    if vector.dtype.kind not in "fc":
        vector = vector.astype(np.float64)
    if vector.shape != (site.dim,):
        raise StateError(
            f"site {place} needs a state name or a vector of length {site.dim}, found shape {vector.shape}."
        )
    size = np.linalg.norm(vector)
    if not np.isfinite(size) or size == 0:
        raise StateError(f"the local vector of site {place} has norm {size}: it must be finite and not zero.")
    return vector / size
