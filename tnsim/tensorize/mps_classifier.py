"""A classifier whose weights are a matrix-product state over the pixels, with one leg that tells the labels apart.

  x0   x1   x2        scores[label] = <x0 x1 x2 ... | W | label>, with (1, x) or (cos, sin) of every pixel
  |    |    |
--A0---A1---A2---     the tensor of one site, the centre, has the label leg
          label
Source: E. M. Stoudenmire, D. J. Schwab, NeurIPS 29 (2016), arXiv:1605.05775.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from math import prod
from operator import add

import numpy as np

from tnsim.backend import Array, Backend, backend_of, get_backend
from tnsim.errors import NumericalError, SettingsError, ShapeError, suggest
from tnsim.linalg import Truncation
from tnsim.networks.compress import compress
from tnsim.networks.mps import MPS
from tnsim.networks.sites import Site, custom_site
from tnsim.symmetry import TRIVIAL, trivial_leg
from tnsim.tensor import Tensor, contract

MAPS = ("affine", "angle")


def features(x: np.ndarray, kind: str) -> np.ndarray:
    """Two numbers for every pixel (0 to 1), last axis: (1, x) ("affine") or (cos, sin) of x pi / 2 ("angle")."""
    if kind == "affine":
        return np.stack([np.ones_like(x), x], axis=-1)
    return np.stack([np.cos(x * np.pi / 2), np.sin(x * np.pi / 2)], axis=-1)


def snake(rows: int, columns: int) -> tuple[int, ...]:
    """Pixels of an image in a path that turns round at the end of every row.

    >>> snake(2, 3)
    (0, 1, 2, 5, 4, 3)
    """
    grid = np.arange(rows * columns).reshape(rows, columns)
    grid[1::2] = grid[1::2, ::-1]
    return tuple(grid.reshape(-1).tolist())


@dataclass(frozen=True, eq=False, kw_only=True)
class MPSClassifier:
    """cores: (left, phys, right), that of the site `center` (left, phys, right, label); arrays of one backend.

    order: the pixel of every site; image: (rows, columns) for figures, or None; kind: the map of a pixel, see
    `features`. Images are host arrays; their features are moved to where the cores are. Trained by `GradientTraining`
    or `SweepTraining`.
    """

    cores: tuple[Array, ...] = field(repr=False)
    center: int
    order: tuple[int, ...] = field(repr=False)
    image: tuple[int, int] | None = None
    kind: str = "affine"

    def __post_init__(self) -> None:
        if self.kind not in MAPS:
            raise SettingsError(f"unknown map {self.kind!r} of the pixels. {suggest(self.kind, MAPS)}")

    @classmethod
    def new(
        cls,
        shape: int | tuple[int, int],
        labels: int,
        *,
        chi: int,
        kind: str = "affine",
        noise: float = 0.02,
        seed: int = 0,
    ) -> "MPSClassifier":
        """Near the identity on every bond, the label in the middle. shape: pixels, or rows and columns of an image."""
        if not isinstance(shape, int) and len(shape) != 2:
            raise ShapeError(f"a number of pixels, or rows and columns of an image, are needed, found {shape}.")
        image = None if isinstance(shape, int) else (int(shape[0]), int(shape[1]))
        order = tuple(range(shape)) if isinstance(shape, int) else snake(*shape)
        sites, rng = len(order), np.random.default_rng(seed)
        if min(sites, labels, chi) < 1:
            raise ShapeError(f"pixels, labels and chi are at least 1, found {sites}, {labels}, {chi}.")
        center, cores = sites // 2, []
        for k in range(sites):
            left, right = (chi if k else 1), (chi if k < sites - 1 else 1)
            core = noise * rng.standard_normal((left, 2, right))
            core[:, 0] += np.eye(left, right)
            if kind == "angle":
                core[:, 1] += np.eye(left, right)
            if k == center:
                core = core[..., None] + noise * rng.standard_normal((left, 2, right, labels))
            cores.append(core)
        return cls(cores=tuple(cores), center=center, order=order, image=image, kind=kind)

    @property
    def backend(self) -> Backend:
        """The library that the cores are arrays of."""
        return backend_of(self.cores[0])

    def to(self, backend: str | Backend) -> "MPSClassifier":
        """The same classifier with its cores on another backend."""
        target, here = get_backend(backend) if isinstance(backend, str) else backend, self.backend
        return replace(self, cores=tuple(target.asarray(here.to_host(core)) for core in self.cores))

    @property
    def labels(self) -> int:
        return self.cores[self.center].shape[3]

    @property
    def numbers(self) -> int:
        """How many numbers the cores hold."""
        return sum(core.size for core in self.cores)

    @property
    def bond_dimensions(self) -> tuple[int, ...]:
        """Of the bonds between the sites."""
        return tuple(core.shape[2] for core in self.cores[:-1])

    def pixels(self, x: np.ndarray) -> np.ndarray:
        """Images (sample, pixels) or (sample, rows, columns) as rows (sample, site). Raises on width and NaN."""
        flat = np.asarray(x, dtype=self.cores[0].dtype)
        flat = flat.reshape(len(flat), prod(flat.shape[1:]))
        if flat.shape[1] != len(self.order):
            raise ShapeError(f"this classifier reads {len(self.order)} pixels, found {flat.shape[1]} a sample.")
        if not np.isfinite(flat).all():
            raise NumericalError("the images hold NaN or Inf.")
        return flat[:, list(self.order)]

    def inputs(self, x: np.ndarray) -> Array:
        """Features (site, sample, 2) of images, where the cores are."""
        return self.backend.asarray(features(self.pixels(x).T, self.kind))

    def scores(self, x: np.ndarray) -> Array:
        """(sample, label). Every sample is divided by a positive number on the way, so that no chain overflows."""
        phi, backend = self.inputs(x), self.backend
        left = right = backend.asarray(np.ones((phi.shape[1], 1), dtype=phi.dtype))
        for k in range(self.center):
            left = _scaled(step_right(left, phi[k], self.cores[k]), backend)
        for k in range(len(self.cores) - 1, self.center, -1):
            right = _scaled(step_left(right, phi[k], self.cores[k]), backend)
        return center_scores(left, phi[self.center], right, self.cores[self.center])

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The label of largest score; on the host."""
        return self.backend.to_host(self.scores(x)).argmax(axis=1)

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        """The share of samples whose label is right. Raises ShapeError where there is not one label a sample."""
        found, wanted = self.predict(x), np.asarray(y)
        if found.shape != wanted.shape or not len(found):
            raise ShapeError(f"one label for each of {len(found)} samples is needed, found shape {wanted.shape}.")
        return float((found == wanted).mean())

    # -- as a state ------------------------------------------------------------------------------------

    @cached_property
    def state(self) -> MPS:
        """The weights as a state: a site a pixel, and behind the centre one whose states are the labels."""
        tensors, backend = [], self.backend
        for k, core in enumerate(self.cores):
            if k != self.center:
                tensors.append(core)
                continue
            left, d, right, labels = core.shape
            tensors.append(core.reshape(left, d, right * labels))
            splits = np.eye(right)[:, None, :, None] * np.eye(labels)[None, :, None, :]
            splits = splits.transpose(0, 3, 1, 2).reshape(right * labels, labels, right)
            tensors.append(backend.asarray(np.ascontiguousarray(splits, dtype=core.dtype)))
        return MPS([as_tensor(array) for array in tensors], [_site(array.shape[1]) for array in tensors])

    def with_state(self, state: MPS) -> "MPSClassifier":
        """The classifier whose weights are another state on the same sites."""
        tensors, k = state.tensors, self.center
        joined = contract("l s m, m c r -> l s r c", tensors[k], tensors[k + 1])
        cores = [tensor.array for tensor in (*tensors[:k], joined, *tensors[k + 2 :])]
        return replace(self, cores=tuple(cores))

    def dropped(self, threshold: float, *, chi_max: int | None = None) -> "MPSClassifier":
        """Without the singular values of every bond below a share of the norm of all weights.

        Cost O(L chi^3). The weights change by the root of the sum of what is dropped, squared.
        """
        state, _ = compress(
            self.state, Truncation(chi_max=self._largest if chi_max is None else chi_max, svd_min=threshold)
        )
        return self.with_state(state)

    @property
    def _largest(self) -> int:
        return max(self.state.bond_dimensions)


def as_tensor(core: Array) -> Tensor:
    """A core (left, phys, right, label or not) as a tensor on its memory."""
    legs = [trivial_leg(n, flow) for n, flow in zip(core.shape, (1, 1, -1, -1), strict=False)]
    return Tensor(legs, core.reshape(-1))


def step_right(left: Array, phi: Array, core: Array) -> Array:
    """(sample, left) through a site: (sample, right)."""
    (m, d, r), n = core.shape, left.shape[0]
    return _weighted((left @ core.reshape(m, d * r)).reshape(n, d, r), phi)


def step_left(right: Array, phi: Array, core: Array) -> Array:
    """(sample, right) through a site: (sample, left)."""
    (m, d, r), n = core.shape, right.shape[0]
    half = (right @ core.reshape(m * d, r).T).reshape(n, m, d)
    return reduce(add, (half[:, :, s] * phi[:, s : s + 1] for s in range(d)))


def center_scores(left: Array, phi: Array, right: Array, core: Array) -> Array:
    """(sample, label) from what comes from both sides."""
    (m, d, r, labels), n = core.shape, left.shape[0]
    half = _weighted((left @ core.reshape(m, d * r * labels)).reshape(n, d, r * labels), phi)
    return (right[:, None, :] @ half.reshape(n, r, labels)).reshape(n, labels)


def _weighted(half: Array, phi: Array) -> Array:
    """(sample, phys, rest), the two numbers of each pixel summed over: (sample, rest)."""
    return reduce(add, (half[:, s] * phi[:, s : s + 1] for s in range(half.shape[1])))


def _scaled(vectors: Array, backend: Backend) -> Array:
    """Every row divided by its norm; zeros stay."""
    ones = backend.asarray(np.ones((vectors.shape[1], 1), dtype=vectors.dtype))
    return vectors / (backend.sqrt((vectors * vectors) @ ones) + float(np.finfo(vectors.dtype).tiny))


def _site(dim: int) -> Site:
    return custom_site("pixel" if dim == 2 else "label", [str(n) for n in range(dim)], TRIVIAL, [()] * dim, {})


def checked_labels(y: Sequence[int] | np.ndarray, count: int, labels: int) -> np.ndarray:
    """Labels 0, 1, ... of `count` samples."""
    found = np.asarray(y)
    if not count:
        raise ShapeError("at least one sample is needed, found none.")
    if found.shape != (count,) or found.dtype.kind not in "iu" or not ((found >= 0) & (found < labels)).all():
        raise ShapeError(f"labels are whole numbers from 0 to {labels - 1}, one for each of {count} samples.")
    return found
