"""Models of one variable a site whose weights are products over sites and over nearest neighbours."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import product
from typing import Any, cast

import numpy as np

from tnsim.backend import Backend, default_backend, get_backend
from tnsim.errors import SettingsError
from tnsim.models.classical.classical_model import ALL, ClassicalModel, Present
from tnsim.networks.square_network import FLOWS, FiniteNetwork, InfiniteNetwork
from tnsim.symmetry import Group, Leg, Zn, trivial_leg
from tnsim.tensor import Tensor, from_dense


@dataclass(frozen=True, kw_only=True)
class NeighbourModel(ClassicalModel):
    """q states a site; weight = product of exp(log_site[s]) over sites and exp(log_bond[s, s']) over bonds.

    Bond weights W are split into X Y, X on the west (or north) site and Y on the other; symmetric ones alike up to
    signs, so that mirror-symmetric weights make mirror-symmetric tensors. Where states are the elements of Z_q and W
    depends on their difference only, X and Y are characters and the tensors conserve charge.
    """

    # -- what a model states -----------------------------------------------------------------------------

    @abstractmethod
    def log_bond(self, axis: int) -> np.ndarray:
        """(q, q): ln of the weight of a bond; axis 0 horizontal (west, east), 1 vertical (north, south)."""

    @abstractmethod
    def log_site(self) -> np.ndarray:
        """(q,): ln of the weight of a site."""

    @property
    def conserves(self) -> bool:
        """Whether bonds carry the charges of Z_q."""
        return False

    def site_functions(self) -> Mapping[str, np.ndarray]:
        """Functions of the state of a site that can be measured, by name."""
        return {}

    # -- tensors -----------------------------------------------------------------------------------------

    @property
    def q(self) -> int:
        """States of a site."""
        return len(self.log_site())

    @property
    def group(self) -> Group:
        return Zn(self.q, "spin") if self.conserves else super().group

    @property
    def charges(self) -> tuple[int, ...]:
        return tuple(range(self.q)) if self.conserves else ()

    @property
    def log_scale(self) -> float:
        return float(self.log_site().max() + self.log_bond(0).max() + self.log_bond(1).max())

    def log_scale_finite(self, rows: int, columns: int) -> float:
        bonds = rows * (columns - 1) * self.log_bond(0).max() + (rows - 1) * columns * self.log_bond(1).max()
        return float(rows * columns * self.log_site().max() + bonds)

    @cached_property
    def _halves(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """(X, Y) of both axes, weights relative to the largest."""
        found = []
        for axis in (0, 1):
            W = np.exp(self.log_bond(axis) - self.log_bond(axis).max())
            found.append(characters_of(W) if self.conserves else split_bond(W))
        return found[0], found[1]

    def weights(self, present: Present = ALL) -> np.ndarray:
        site = np.exp(self.log_site() - self.log_site().max())
        return assembled(site, *self._outer(present))

    def _outer(self, present: Present = ALL) -> list[np.ndarray]:
        """Y north, X east, X south, Y west, as (q, k) each; a single 1 where there is no bond."""
        (Xh, Yh), (Xv, Yv) = self._halves
        none = np.ones((self.q, 1))
        return [half if there else none for half, there in zip((Yv.T, Xh, Xv, Yh.T), present, strict=True)]

    def measured(self, present: Present = ALL) -> Mapping[str, np.ndarray]:
        site = np.exp(self.log_site() - self.log_site().max())
        outer = self._outer(present)
        found = {name: assembled(site * f, *outer) for name, f in self.site_functions().items()}
        if self.energy_bond(0) is not None:
            found["energy"] = self._energy(site, outer, present)
        return found

    def energy_bond(self, axis: int) -> np.ndarray | None:
        """(q, q): the energy of a bond, where it can be measured."""
        return None

    def energy_site(self) -> np.ndarray:
        """(q,): the energy of a site."""
        return np.zeros(self.q)

    def _energy(self, site: np.ndarray, outer: list[np.ndarray], present: Present) -> np.ndarray:
        """The energy of a site and of its bonds to the east and south: X is replaced by (W energy) Y^-1."""
        total = assembled(site * self.energy_site(), *outer)
        for axis, place in ((0, 1), (1, 2)):
            if not present[place]:
                continue
            (X, Y), legs = self._halves[axis], list(outer)
            legs[place] = _divided(X @ Y * self.energy_bond(axis), Y, self.conserves)
            total = total + assembled(site, *legs)
        return total

    def taylor(self) -> Sequence[np.ndarray]:
        """With halves of bonds that stay mirror images of each other; where energies are known."""
        if self.energy_bond(0) is None:
            return ()
        site = np.exp(self.log_site() - self.log_site().max())
        sites = [site, -site * self.energy_site(), site * self.energy_site() ** 2 / 2]
        (Xh, Yh), (Xv, Yv) = (
            _half_series(*self._halves[axis], cast(np.ndarray, self.energy_bond(axis)), self.conserves)
            for axis in (0, 1)
        )
        parts = (sites, [Y.T for Y in Yv], Xh, Xv, [Y.T for Y in Yh])
        found: list[np.ndarray] = []
        for total in (1, 2):
            orders = (n for n in product(range(total + 1), repeat=5) if sum(n) == total)
            found.append(
                reduce(np.add, (assembled(*(part[k] for part, k in zip(parts, n, strict=True))) for n in orders))
            )
        return found

    def outcomes(
        self, rows: int, columns: int, *, dtype: Any = np.float64, backend: str | Backend | None = None
    ) -> list[FiniteNetwork]:
        """An open lattice once for every state, each tensor that of a site in it: for samples and marginals.

        Raises SettingsError where bonds carry charges, which a single state breaks.
        """
        if self.conserves:
            raise SettingsError(f"a state breaks the symmetry: build {type(self).__name__} with conserve=None.")
        site, found = np.exp(self.log_site() - self.log_site().max()), []
        whole = self.finite(rows, columns, dtype=dtype, backend=backend)
        for state in np.eye(self.q):
            made: dict[Present, Tensor] = {}
            lines = [[(i > 0, j < columns - 1, i < rows - 1, j > 0) for j in range(columns)] for i in range(rows)]
            for key in {key for line in lines for key in line}:
                made[key] = self._tensor(assembled(site * state, *self._outer(key)), dtype, backend)
            found.append(FiniteNetwork([[made[key] for key in line] for line in lines], log_scale=whole.log_scale))
        return found

    def plaquettes(self, *, dtype: Any = np.float64, backend: str | Backend | None = None) -> InfiniteNetwork:
        """The lattice as every second plaquette, a tensor of its corners (two sites a tensor), turned by 45 degrees.

        Symmetric under turns for any symmetric bonds, which the network of sites is only for positive ones: for CTMRG
        of hard squares, or of antiferromagnets without order. Legs are sites, so they carry no charge.
        """
        (Wx, Wy), site = (np.exp(self.log_bond(axis) - self.log_bond(axis).max()) for axis in (0, 1)), self.log_site()
        root = np.exp((site - site.max()) / 2)
        corners = np.einsum("a,b,c,d->abcd", root, root, root, root)
        array = np.einsum("abcd,ab,bc,dc,ad->abcd", corners, Wx, Wy, Wx, Wy)
        arrays = {name: array * f[:, None, None, None] for name, f in self.site_functions().items()}
        if self.energy_bond(0) is not None:
            arrays["energy"] = array * self._plaquette_energy()
        tensor, *rest = (from_dense(a, plain_legs(a.shape)).astype(np.dtype(dtype)) for a in (array, *arrays.values()))
        library = default_backend() if backend is None else get_backend(backend)
        return InfiniteNetwork(
            [[tensor.to(library)]],
            log_scale=2 * self.log_scale,
            sites=2,
            impurities={name: impurity.to(library) for name, impurity in zip(arrays, rest, strict=True)},
            edges={"free": np.ones(self.q), "fixed": np.eye(self.q)[0]},
        )

    def _plaquette_energy(self) -> np.ndarray:
        """(q, q, q, q): the energy per site of four corners and of the bonds between them."""
        site, ones = self.energy_site(), np.ones((self.q,) * 4)
        total = sum(np.einsum(f"{corner},abcd->abcd", site, ones) for corner in "abcd") / 4
        for words, axis in (("ab", 0), ("bc", 1), ("dc", 0), ("ad", 1)):
            bond: Any = self.energy_bond(axis)
            total = total + np.einsum(f"{words},abcd->abcd", bond, ones) / 2
        return total

    def edges(self) -> Mapping[str, np.ndarray]:
        """On a leg that points away from a site: free, or a neighbour fixed to state 0."""
        X, Y = self._halves[0]
        if not np.array_equal(self.log_bond(0), self.log_bond(1)):
            return {}
        free = np.linalg.solve(X, np.ones(self.q)).real
        return {"free": free} if self.conserves else {"free": free, "fixed": Y[:, 0]}


def assembled(site: np.ndarray, north: np.ndarray, east: np.ndarray, south: np.ndarray, west: np.ndarray) -> np.ndarray:
    """The tensor of a site: its weights (q,), and (q, k) the halves of its bonds."""
    return np.einsum("x,xn,xe,xs,xw->nesw", site, north, east, south, west).real


def plain_legs(shape: Sequence[int]) -> list[Leg]:
    """Legs (north, east, south, west) without charges."""
    return [trivial_leg(d, flow) for d, flow in zip(shape, FLOWS, strict=True)]


def split_bond(W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W = X Y: with Y = signs X^T, both of full rank, where W is symmetric, else X = 1."""
    if not np.array_equal(W, W.T):
        return np.eye(len(W)), W
    values, vectors = np.linalg.eigh(W)
    order = np.argsort(-np.abs(values), kind="stable")
    values, X = values[order], vectors[:, order] * _roots(values[order])
    return X, np.where(values < 0, -1.0, 1.0)[:, None] * X.T


def _divided(W: np.ndarray, Y: np.ndarray, conserves: bool) -> np.ndarray:
    """W Y^-1; of characters column by column, so that rounding in small ones does not mix charges."""
    if not conserves:
        return W @ np.linalg.inv(Y)
    C = _characters(len(W))
    return C * (np.einsum("sk,st,tk->k", C.conj(), W, C) / np.einsum("kt,tk->k", Y, C))


def _half_series(
    X: np.ndarray, Y: np.ndarray, energy: np.ndarray, conserves: bool
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Coefficients of X and Y where X Y becomes W exp(-energy change): X alone changes, or both alike."""
    W = X @ Y
    changes = [W * -energy, W * energy**2 / 2]
    if not np.allclose(W, W.T):
        return [X, *(_divided(change, Y, conserves) for change in changes)], [Y, 0 * Y, 0 * Y]
    # Y = signs X^dagger
    signs = np.diag(np.sign(np.diag(Y @ np.linalg.inv(X.conj().T)).real))
    first = _divided(changes[0], Y, conserves) / 2
    second = _divided(changes[1] - first @ signs @ first.conj().T, Y, conserves) / 2
    return [X, first, second], [Y, signs @ first.conj().T, signs @ second.conj().T]


def _roots(values: np.ndarray) -> np.ndarray:
    """Roots of magnitudes, none of them zero."""
    sizes = np.abs(values)
    return np.sqrt(np.maximum(sizes, 1e-15 * sizes.max()))


def characters_of(W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W[s, t] = w(s - t) as X Y with characters of Z_q on the inner leg."""
    characters = _characters(len(W))
    values = np.einsum("sk,st,tk->k", characters.conj(), W, characters).real
    X = characters * _roots(values)
    return X, (X * np.where(values < 0, -1.0, 1.0)).conj().T


def _characters(q: int) -> np.ndarray:
    """Of Z_q, in columns, normalised."""
    return np.exp(2j * np.pi * np.outer(np.arange(q), np.arange(q)) / q) / np.sqrt(q)
