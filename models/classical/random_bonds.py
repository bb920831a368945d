"""The Ising model with a coupling of its own on every bond: spin glasses on open lattices."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tnsim.backend import Backend, Seed, default_backend, generator, get_backend
from tnsim.errors import SettingsError
from tnsim.models.classical.neighbours import assembled, plain_legs, split_bond
from tnsim.networks.square_network import FiniteNetwork
from tnsim.tensor import from_dense

_SPINS = np.array([1.0, -1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class RandomBondIsing:
    """H = -sum Jx[i, j] s[i, j] s[i, j+1] - sum Jy[i, j] s[i, j] s[i+1, j] - sum field[i, j] s[i, j], open edges.

    Jx has shape (rows, columns - 1), Jy (rows - 1, columns), field (rows, columns; none: zero).

    >>> glass = RandomBondIsing.signs(4, 5, beta=1.0, share=0.5, seed=1)
    >>> glass.finite()
    FiniteNetwork 4 x 5, bond dimension 2, float64 on numpy
    """

    beta: float
    Jx: np.ndarray
    Jy: np.ndarray
    field: np.ndarray | None = None

    def __post_init__(self) -> None:
        Jx, Jy = np.asarray(self.Jx, dtype=float), np.asarray(self.Jy, dtype=float)
        if Jx.ndim != 2 or Jy.shape != (Jx.shape[0] - 1, Jx.shape[1] + 1):
            raise SettingsError(f"Jx of shape {Jx.shape} needs Jy with one row less and one column more: {Jy.shape}.")
        rows, columns = Jx.shape[0], Jy.shape[1]
        field = np.zeros((rows, columns)) if self.field is None else np.asarray(self.field, dtype=float)
        if field.shape != (rows, columns):
            raise SettingsError(f"a field for {rows} x {columns} spins is needed, found shape {field.shape}.")
        for name, values in (("beta", self.beta), ("Jx", Jx), ("Jy", Jy), ("field", field)):
            if not np.isfinite(values).all():
                raise SettingsError(f"RandomBondIsing: {name} must be finite.")
            object.__setattr__(self, name, values)

    @classmethod
    def signs(cls, rows: int, columns: int, *, beta: float, share: float = 0.5, seed: Seed = None) -> "RandomBondIsing":
        """Couplings +1, and -1 with probability `share` (Edwards-Anderson's +-J model)."""
        if not 0 <= share <= 1 or rows < 1 or columns < 1:
            raise SettingsError(f"a lattice of {rows} x {columns} and a share of {share} are out of range.")
        rng = generator(seed)
        shapes = (rows, columns - 1), (rows - 1, columns)
        Jx, Jy = (np.where(rng.random(shape) < share, -1.0, 1.0) for shape in shapes)
        return cls(beta=beta, Jx=Jx, Jy=Jy)

    @classmethod
    def gaussian(cls, rows: int, columns: int, *, beta: float, seed: Seed = None) -> "RandomBondIsing":
        """Normal couplings of variance 1."""
        rng = generator(seed)
        return cls(beta=beta, Jx=rng.standard_normal((rows, columns - 1)), Jy=rng.standard_normal((rows - 1, columns)))

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.Jx.shape[0], self.Jy.shape[1]

    def finite(
        self, *, measure: str | None = None, dtype: Any = np.float64, backend: str | Backend | None = None
    ) -> FiniteNetwork:
        """The lattice; with measure="spin" the tensors that measure it, see `Boundaries.means`."""
        if measure not in (None, "spin"):
            raise SettingsError(f'RandomBondIsing measures the "spin", found {measure!r}.')
        library = default_backend() if backend is None else get_backend(backend)
        rows = [
            [
                from_dense(array, plain_legs(array.shape)).astype(np.dtype(dtype)).to(library)
                for array in (self._array(i, j, measure is not None) for j in range(self.shape[1]))
            ]
            for i in range(self.shape[0])
        ]
        return FiniteNetwork(rows, log_scale=self.beta * float(sum(np.abs(a).sum() for a in self._energies)))

    @property
    def _energies(self) -> tuple[np.ndarray, ...]:
        return self.Jx, self.Jy, self.field  # type: ignore[return-value]

    def _array(self, i: int, j: int, measures: bool) -> np.ndarray:
        """Site (i, j): the first halves of its bonds to the east and south, the second ones of those it ends."""
        rows, columns = self.shape
        h = self.beta * self.field[i, j]  # type: ignore[index]
        site = np.exp(h * _SPINS - abs(h)) * (_SPINS if measures else 1.0)
        none = np.ones((2, 1))
        return assembled(
            site,
            self._halves(self.Jy[i - 1, j])[1].T if i else none,
            self._halves(self.Jx[i, j])[0] if j < columns - 1 else none,
            self._halves(self.Jy[i, j])[0] if i < rows - 1 else none,
            self._halves(self.Jx[i, j - 1])[1].T if j else none,
        )

    def _halves(self, J: float) -> tuple[np.ndarray, np.ndarray]:
        K = self.beta * J
        return split_bond(np.exp(K * np.outer(_SPINS, _SPINS) - abs(K)))
