"""Training of an MPS classifier by gradients of all cores at once, where the cores are."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import cos, pi

import numpy as np

from tnsim.backend import Array, backend_of
from tnsim.errors import NumericalError, SettingsError, check_fields
from tnsim.tensorize.mps_classifier import (
    MPSClassifier,
    center_scores,
    checked_labels,
    features,
    step_left,
    step_right,
)


@dataclass(frozen=True, kw_only=True)
class GradientTraining:
    """Adam on the mean cross entropy, all cores at once, bond dimensions fixed.

    Pixels are blurred by fresh random numbers in every epoch, which is a penalty on the slopes of the scores, and
    the strongest means against learning by heart here. Cost an epoch O(samples L d chi^2); of every batch the scores
    go to the host, their slopes come back. Sources: D. P. Kingma, J. Ba, arXiv:1412.6980 (optimiser); C. M. Bishop,
    Neural Comput. 7, 108 (1995) (random numbers on inputs).
    """

    epochs: int = field(default=40, metadata={"help": "passes through all samples"})
    batch: int = field(default=32, metadata={"help": "samples of a step"})
    rate: float = field(default=5e-3, metadata={"help": "step size, which falls to zero along a cosine"})
    decay: float = field(default=1e-4, metadata={"help": "L2 penalty on the numbers of the cores"})
    blur: float = field(default=0.2, metadata={"help": "standard deviation of what is added to every pixel"})
    seed: int = field(default=0, metadata={"help": "of the order of samples and the blur"})

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.epochs, self.batch) < 1 or not self.rate > 0 or min(self.decay, self.blur) < 0:
            raise SettingsError(f"epochs, batch >= 1, rate > 0, decay and blur >= 0 are needed, found {self}.")

    def solve(self, start: MPSClassifier, x: np.ndarray, y: np.ndarray) -> MPSClassifier:
        """The trained classifier."""
        return deque(self.passes(start, x, y), maxlen=1).pop()[0]

    def passes(self, start: MPSClassifier, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[MPSClassifier, float]]:
        """After every epoch the classifier and its mean loss. Raises NumericalError where that is not finite."""
        pixels, backend = start.pixels(x), start.backend
        y = checked_labels(y, len(pixels), start.labels)
        batches = -(-len(y) // self.batch)
        rng, run = np.random.default_rng(self.seed), _Adam(start.cores, self, self.epochs * batches)
        for _ in range(self.epochs):
            blurred = pixels + (self.blur * rng.standard_normal(pixels.shape)).astype(pixels.dtype)
            phi, total = backend.asarray(features(blurred.T, start.kind)), 0.0
            for rows in np.array_split(rng.permutation(len(y)), batches):
                loss, gradients = loss_and_gradients(run.cores, start.center, backend.take(phi, rows, 1), y[rows])
                total += loss * len(rows) / len(y)
                run.step(gradients)
            if not np.isfinite(total):
                raise NumericalError(f"the loss of the classifier is {total}: lower rate = {self.rate}.")
            yield replace(start, cores=tuple(run.cores)), total


class _Adam:
    """Cores on their way down, with the running means of their gradients and of the squares of these."""

    def __init__(self, cores: Sequence[Array], settings: GradientTraining, steps: int) -> None:
        self.cores, self.settings, self.steps, self.done = list(cores), settings, steps, 0
        self.means, self.squares = [core * 0.0 for core in cores], [core * 0.0 for core in cores]
        self.backend = backend_of(cores[0])

    def step(self, gradients: Sequence[Array]) -> None:
        """The step size falls to zero along a cosine."""
        rate = self.settings.rate * 0.5 * (1 + cos(pi * self.done / self.steps))
        self.done += 1
        first, second = 1 - 0.9**self.done, 1 - 0.999**self.done
        for k, gradient in enumerate(gradients):
            slope = gradient + self.cores[k] * self.settings.decay
            self.means[k] = self.means[k] * 0.9 + slope * 0.1
            self.squares[k] = self.squares[k] * 0.999 + slope * slope * 0.001
            size = self.backend.sqrt(self.squares[k] * (1 / second)) + 1e-8
            self.cores[k] = self.cores[k] - self.means[k] * (rate / first) / size


def cross_entropy(scores: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean loss, and its gradient with respect to the scores (sample, label)."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    share = np.exp(shifted)
    total = share.sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    loss = float((np.log(total[:, 0]) - shifted[rows, y]).mean())
    share /= total
    share[rows, y] -= 1
    return loss, share / len(y)


def loss_and_gradients(cores: Sequence[Array], center: int, phi: Array, y: np.ndarray) -> tuple[float, list[Array]]:
    """Mean cross entropy, and its gradient with respect to every core, by going through the chain once more."""
    backend, last, n = backend_of(phi), len(cores) - 1, phi.shape[1]
    one = backend.asarray(np.ones((n, 1), dtype=phi.dtype))
    left, right = {0: one}, {last: one}
    for k in range(center):
        left[k + 1] = step_right(left[k], phi[k], cores[k])
    for k in range(last, center, -1):
        right[k - 1] = step_left(right[k], phi[k], cores[k])
    a, b, middle, core = left[center], right[center], phi[center], cores[center]
    m, d, r, c = core.shape
    loss, on_host = cross_entropy(backend.to_host(center_scores(a, middle, b, core)), y)
    slope = backend.asarray(on_host)
    before, behind = products(a, middle), products(b, slope)  # (n, l s), (n, r c)
    gradients = {center: (before.T @ behind).reshape(m, d, r, c)}
    back = _through(middle, behind @ core.reshape(m * d, r * c).T)
    for k in range(center - 1, -1, -1):
        gradients[k] = (products(left[k], phi[k]).T @ back).reshape(cores[k].shape)
        back = step_left(back, phi[k], cores[k])
    back = _through(slope, before @ core.reshape(m * d, r * c))
    for k in range(center + 1, last + 1):
        gradients[k] = (products(back, phi[k]).T @ right[k]).reshape(cores[k].shape)
        back = step_right(back, phi[k], cores[k])
    return loss, [gradients[k] for k in range(last + 1)]


def products(first: Array, second: Array) -> Array:
    """All products of the numbers of two vectors, sample by sample: (sample, a), (sample, b) to (sample, a b)."""
    (n, a), b = first.shape, second.shape[1]
    return (first[:, :, None] * second[:, None, :]).reshape(n, a * b)


def _through(vectors: Array, tables: Array) -> Array:
    """(sample, b) summed over the second index of (sample, a b): (sample, a)."""
    n, b = vectors.shape
    return (tables.reshape(n, tables.shape[1] // b, b) @ vectors[:, :, None]).reshape(n, tables.shape[1] // b)
