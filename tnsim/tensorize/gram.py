"""Mean and covariance of what a layer sees, gathered batch by batch."""

import warnings
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np

from tnsim.backend import Array, Backend, backend_of, get_backend
from tnsim.errors import NumericalError, ShapeError


class Gram:
    """Streaming mean and covariance of vectors (activations) in double precision, on the device of the batches.

    Memory features^2 numbers, whatever the number of samples. Two of them add up to that of all samples.

    >>> gram = Gram.collect([np.array([[1.0, 0.0], [3.0, 2.0]]), np.array([[2.0, 1.0]])])
    >>> gram
    Gram of 3 samples, 2 features
    >>> gram.mean.tolist(), gram.covariance.round(6).tolist()
    ([2.0, 1.0], [[0.666667, 0.666667], [0.666667, 0.666667]])
    """

    def __init__(self, features: int, *, name: str = "") -> None:
        if features < 1:
            raise ShapeError(f"a Gram matrix is of at least one feature, found {features}.")
        self.features, self.name, self.count = features, name, 0
        self._mean: Array = None
        self._scatter: Array = None

    @classmethod
    def collect(cls, source: Any, batches: Iterable[Any] | None = None, *, name: str = "") -> Any:
        """Of all samples of some batches (arrays whose last axis holds the features); `name` stands in errors.

        collect(model, batches), with a PyTorch model and the batches it is called with, gives those of all its
        layers by name: see `tnsim.tensorize.nn.collect`.
        """
        if batches is not None:  # only there is PyTorch needed
            return import_module("tnsim.tensorize.nn.collect").collect_grams(source, batches)
        gram: Gram | None = None
        for batch in source:
            gram = cls(batch.shape[-1], name=name) if gram is None else gram
            gram.update_(batch)
        if gram is None:
            raise ShapeError(f"{_called(name)} were given no batch.")
        return gram

    @classmethod
    def from_counts(cls, counts: Array, *, name: str = "") -> "Gram":
        """Of vectors with a single one, such as tokens: how often each of them occurred.

        >>> Gram.from_counts(np.array([1, 0, 3])).mean.tolist()
        [0.25, 0.0, 0.75]
        """
        backend, gram = backend_of(counts), cls(counts.shape[0], name=name)
        total = int(backend.read(backend.sum(counts)))
        if total:
            weights = backend.astype(counts, np.float64).reshape((1, gram.features))
            scatter = backend.asarray(np.eye(gram.features)) * weights - weights.T @ weights * (1 / total)
            gram._join(weights * (1 / total), scatter, total, backend)
        return gram

    def __repr__(self) -> str:
        return f"Gram of {self.count} samples, {self.features} features"

    def update_(self, batch: Array) -> None:
        """Take in the samples of one batch: any leading axes, features last.

        Cost O(samples features^2). Raises ShapeError for another width, NumericalError on NaN or Inf, and then keeps
        what it had. Source: T. F. Chan, G. H. Golub, R. J. LeVeque, Am. Stat. 37, 242 (1983).
        """
        rows = self._checked(batch)
        backend, count = backend_of(rows), rows.shape[0]
        if not count:
            return
        ones = backend.asarray(np.full((1, count), 1 / count, dtype=rows.dtype))
        mean = ones @ rows
        centred = rows - mean
        self._join(mean, centred.T @ backend.conj(centred), count, backend)

    def __add__(self, other: "Gram") -> "Gram":
        if not isinstance(other, Gram):
            return NotImplemented
        if self.features != other.features:
            raise ShapeError(f"Gram matrices of {self.features} and {other.features} features cannot be added.")
        both = Gram(self.features, name=self.name)
        for part in (self, other):
            if part.count:
                both._join(part._mean, part._scatter, part.count, backend_of(part._mean))
        return both

    def _join(self, mean: Array, scatter: Array, count: int, backend: Backend) -> None:
        if not self.count:
            self._mean, self._scatter, self.count = mean, scatter, count
            return
        total, step = self.count + count, mean - self._mean
        between = (step.T @ backend.conj(step)) * (self.count * count / total)
        self._scatter = self._scatter + scatter + between
        self._mean = self._mean + step * (count / total)
        self.count = total

    def to(self, backend: str | Backend) -> "Gram":
        """The same statistics on another device."""
        target, moved = get_backend(backend), Gram(self.features, name=self.name)
        if self.count:
            here = backend_of(self._mean)
            mean, scatter = (target.asarray(here.to_host(part)) for part in (self._mean, self._scatter))
            moved._join(mean, scatter, self.count, target)
        return moved

    @property
    def mean(self) -> Array:
        self._check_filled()
        return self._mean.reshape(-1)

    @property
    def covariance(self) -> Array:
        """E[(x - mean)(x - mean)^dagger], over all samples, as it was counted."""
        self._check_filled()
        return self._scatter * (1 / self.count)

    @property
    def second_moment(self) -> Array:
        """E[x x^dagger]."""
        return self.covariance + self._mean.T @ backend_of(self._mean).conj(self._mean)

    def shrunk_covariance(self) -> Array:
        """The covariance, where there are fewer samples than features drawn towards equal variances, with a warning.

        Drawn by the share that is nearest the true covariance for Gaussian data. Source: Y. Chen, A. Wiesel,
        Y. C. Eldar, A. O. Hero, IEEE Trans. Signal Process. 58, 5016 (2010), equation 23.
        """
        covariance = self.covariance
        if self.count >= self.features:
            return covariance
        backend, p = backend_of(covariance), self.features
        diagonal = backend.strided(covariance.reshape(-1), 0, (p,), (p + 1,))
        trace = float(np.real(backend.read(backend.sum(diagonal))))
        square = float(backend.read(backend.norm(covariance))) ** 2
        excess = (self.count + 1 - 2 / p) * (square - trace**2 / p)
        share = min(1.0, ((1 - 2 / p) * square + trace**2) / excess) if excess > 0 else 1.0
        warnings.warn(
            f"{_called(self.name)} have {self.count} samples of {p} features: their covariance is drawn by "
            f"{share:.0%} towards equal variances; {p} samples or more would need none of that.",
            stacklevel=2,
        )
        equal = backend.asarray(np.eye(p, dtype=covariance.dtype) * (share * trace / p))
        return covariance * (1 - share) + equal

    def _check_filled(self) -> None:
        if not self.count:
            raise ShapeError(f"{_called(self.name)} have no samples yet: call update_ with a batch.")

    def _checked(self, batch: Array) -> Array:
        if not batch.shape or batch.shape[-1] != self.features:
            raise ShapeError(
                f"{_called(self.name)} have {self.features} features, found a batch of shape {tuple(batch.shape)}."
            )
        backend = backend_of(batch)
        wide = np.complex128 if batch.dtype.kind == "c" else np.float64
        rows = backend.astype(batch, wide).reshape((int(np.prod(batch.shape[:-1])), self.features))
        if not backend.all_finite(rows):
            raise NumericalError(f"{_called(self.name)} hold NaN or Inf in a batch of shape {tuple(batch.shape)}.")
        return rows


def _called(name: str) -> str:
    return f"the activations of {name!r}" if name else "the activations"
