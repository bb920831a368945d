"""Training of an MPS classifier: gradients of all cores at once, or sweeps that update two sites."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import minimize

from tnsim.errors import NumericalError, SettingsError, check_fields
from tnsim.tensorize.mps_classifier import (
    MPSClassifier,
    center_scores,
    checked_labels,
    step_left,
    step_right,
)


@dataclass(frozen=True, kw_only=True)
class GradientTraining:
    """Adam on the mean cross entropy, all cores at once, bond dimensions fixed; on the host, no other library.

    Cost an epoch O(samples L d chi^2). Source of the optimiser: D. P. Kingma, J. Ba, arXiv:1412.6980.
    """

    epochs: int = field(default=40, metadata={"help": "passes through all samples"})
    batch: int = field(default=32, metadata={"help": "samples of a step"})
    rate: float = field(default=5e-3, metadata={"help": "step size, which falls to zero along a cosine"})
    decay: float = field(default=1e-4, metadata={"help": "L2 penalty on the numbers of the cores"})
    seed: int = field(default=0, metadata={"help": "of the order of samples"})

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.epochs, self.batch) < 1 or not self.rate > 0 or self.decay < 0:
            raise SettingsError(f"epochs, batch >= 1, rate > 0 and decay >= 0 are needed, found {self}.")

    def solve(self, start: MPSClassifier, x: np.ndarray, y: np.ndarray) -> MPSClassifier:
        """The trained classifier."""
        return deque(self.passes(start, x, y), maxlen=1).pop()[0]

    def passes(self, start: MPSClassifier, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[MPSClassifier, float]]:
        """After every epoch the classifier and its mean loss. Raises NumericalError where that is not finite."""
        phi = start.inputs(x)
        y = checked_labels(y, phi.shape[1], start.labels)
        rng, p, step = np.random.default_rng(self.seed), list(start.cores), 0
        first, second = [np.zeros_like(core) for core in p], [np.zeros_like(core) for core in p]
        steps = self.epochs * -(-len(y) // self.batch)
        for _ in range(self.epochs):
            total = 0.0
            for rows in np.array_split(rng.permutation(len(y)), -(-len(y) // self.batch)):
                loss, gradients = loss_and_gradients(p, start.center, phi[:, rows], y[rows])
                total += loss * len(rows) / len(y)
                rate = self.rate * 0.5 * (1 + np.cos(np.pi * step / steps))
                step += 1
                for k, g in enumerate(gradients):
                    g = g + self.decay * p[k]
                    first[k] = 0.9 * first[k] + 0.1 * g
                    second[k] = 0.999 * second[k] + 0.001 * g * g
                    mean, square = first[k] / (1 - 0.9**step), second[k] / (1 - 0.999**step)
                    p[k] = p[k] - rate * mean / (np.sqrt(square) + 1e-8)
            if not np.isfinite(total):
                raise NumericalError(f"the loss of the classifier is {total}: lower rate = {self.rate}.")
            yield replace(start, cores=tuple(p)), total


@dataclass(frozen=True, kw_only=True)
class SweepTraining:
    """Two sites at a time: the cross entropy is lowered in their joint tensor, whose split chooses the bond dimension.

    The problem of two sites is convex. Cost of a bond: `steps` products of samples x (d chi)^2 x labels.
    """

    chi_max: int = field(default=16, metadata={"help": "largest bond dimension"})
    svd_min: float = field(default=1e-3, metadata={"help": "drop singular values below this share of the norm"})
    sweeps: int = field(default=3, metadata={"help": "sweeps to the right and back"})
    steps: int = field(default=5, metadata={"help": "L-BFGS steps of a pair of sites"})
    decay: float = field(default=1e-6, metadata={"help": "L2 penalty on the joint tensor (environments of size 1)"})

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.chi_max, self.sweeps, self.steps) < 1 or not 0 <= self.svd_min < 1 or self.decay < 0:
            raise SettingsError(f"chi_max, sweeps, steps >= 1, 0 <= svd_min < 1, decay >= 0 are needed, found {self}.")

    def solve(self, start: MPSClassifier, x: np.ndarray, y: np.ndarray) -> MPSClassifier:
        """The trained classifier."""
        return deque(self.passes(start, x, y), maxlen=1).pop()[0]

    def passes(self, start: MPSClassifier, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[MPSClassifier, float]]:
        """After every sweep the classifier, and its last mean loss with the penalty."""
        phi = start.inputs(x)
        run = _Sweep(self, start, phi, checked_labels(y, phi.shape[1], start.labels))
        for _ in range(self.sweeps):
            loss = run.sweep()
            yield replace(start, cores=tuple(run.cores), center=run.center), loss


class _Sweep:
    """Cores with the centre on one site, and what every sample makes of the sites left and right of it."""

    def __init__(self, settings: SweepTraining, start: MPSClassifier, phi: np.ndarray, y: np.ndarray) -> None:
        self.settings, self.phi, self.y = settings, phi, y
        self.cores, self.center = list(start.cores), start.center
        while self.center:
            self._move_left()
        last, one = len(self.cores) - 1, np.ones((phi.shape[1], 1), dtype=phi.dtype)
        self.left, self.right = {0: one}, {last: one}
        for k in range(last, 1, -1):
            self.right[k - 1] = _unit(step_left(self.right[k], phi[k], self.cores[k]))

    def _move_left(self) -> None:
        """The label leg one site to the left, exactly."""
        k = self.center
        left, d, r, c = self.cores[k].shape
        q, rest = np.linalg.qr(self.cores[k].transpose(1, 2, 0, 3).reshape(d * r, left * c))
        m = q.shape[1]
        self.cores[k] = q.reshape(d, r, m).transpose(2, 0, 1)
        self.cores[k - 1] = np.einsum("lsr,mrc->lsmc", self.cores[k - 1], rest.reshape(m, left, c))
        self.center = k - 1

    def sweep(self) -> float:
        loss, last = 0.0, len(self.cores) - 1
        for k in range(last):
            loss = self._update(k, rightwards=True)
        for k in range(last - 1, -1, -1):
            loss = self._update(k, rightwards=False)
        return loss

    def _update(self, k: int, *, rightwards: bool) -> float:
        first, second, phi = self.cores[k], self.cores[k + 1], self.phi
        words = "lsmc,mtr->lstrc" if first.ndim == 4 else "lsm,mtrc->lstrc"
        pair = np.einsum(words, first, second)
        m, d, e, r, c = pair.shape
        a = np.einsum("nl,ns->nls", self.left[k], phi[k]).reshape(-1, m * d)
        b = np.einsum("nt,nr->ntr", phi[k + 1], self.right[k + 1]).reshape(-1, e * r)
        table = (a[:, :, None] * b[:, None, :]).reshape(len(a), m * d * e * r)
        pair, loss = self._lower(table, pair.reshape(-1, c))
        u, s, v = np.linalg.svd(_sides(pair.reshape(m * d, e * r, c), rightwards), full_matrices=False)
        kept = max(1, min(self.settings.chi_max, int((s > self.settings.svd_min * np.linalg.norm(s)).sum())))
        u, v = u[:, :kept], v[:kept]
        if rightwards:
            self.cores[k], rest = u.reshape(m, d, kept), (s[:kept, None] * v).reshape(kept, e, r, c)
            self.cores[k + 1], self.center = rest, k + 1
            self.left[k + 1] = _unit(step_right(self.left[k], phi[k], self.cores[k]))
        else:
            self.cores[k + 1] = v.reshape(kept, e, r)
            self.cores[k] = (u * s[:kept]).reshape(m, d, c, kept).transpose(0, 1, 3, 2)
            self.center = k
            self.right[k] = _unit(step_left(self.right[k + 1], phi[k + 1], self.cores[k + 1]))
        return loss

    def _lower(self, table: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, float]:
        """Some steps down in the joint tensor (unknowns, label)."""
        shape, penalty, options = start.shape, self.settings.decay, {"maxiter": self.settings.steps}

        def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
            B = flat.reshape(shape)
            loss, slope = cross_entropy(table @ B, self.y)
            return loss + penalty * float(flat @ flat), (table.T @ slope).reshape(-1) + 2 * penalty * flat

        found = minimize(value, start.reshape(-1), jac=True, method="L-BFGS-B", options=options)
        if not np.isfinite(found.fun):
            raise NumericalError("the loss of the classifier is not finite: check images and start.")
        return found.x.reshape(shape), float(found.fun)


def _sides(pair: np.ndarray, rightwards: bool) -> np.ndarray:
    """The joint tensor (left site, right site, label) as the matrix that is split, the label ahead of the sweep."""
    left, right, labels = pair.shape
    return pair.reshape(left, right * labels) if rightwards else pair.transpose(0, 2, 1).reshape(left * labels, right)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """All samples divided by one number: a scale that the weights can take in."""
    size = np.abs(vectors).max()
    return vectors / size if size > 0 else vectors


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


def loss_and_gradients(
    cores: list[np.ndarray], center: int, phi: np.ndarray, y: np.ndarray
) -> tuple[float, list[np.ndarray]]:
    """Mean cross entropy, and its gradient with respect to every core, by going through the chain once more."""
    last, one = len(cores) - 1, np.ones((phi.shape[1], 1), dtype=phi.dtype)
    left, right = {0: one}, {last: one}
    for k in range(center):
        left[k + 1] = step_right(left[k], phi[k], cores[k])
    for k in range(last, center, -1):
        right[k - 1] = step_left(right[k], phi[k], cores[k])
    a, b, middle, core = left[center], right[center], phi[center], cores[center]
    loss, slope = cross_entropy(center_scores(a, middle, b, core), y)
    gradients: dict[int, np.ndarray] = {center: np.einsum("nl,ns,nr,nc->lsrc", a, middle, b, slope, optimize=True)}
    inner = np.einsum("nc,lsrc,ns->nlr", slope, core, middle, optimize=True)
    back = np.einsum("nlr,nr->nl", inner, b)
    for k in range(center - 1, -1, -1):
        gradients[k] = _outer(left[k], phi[k], back)
        back = step_left(back, phi[k], cores[k])
    back = np.einsum("nlr,nl->nr", inner, a)
    for k in range(center + 1, last + 1):
        gradients[k] = _outer(back, phi[k], right[k])
        back = step_right(back, phi[k], cores[k])
    return loss, [gradients[k] for k in range(last + 1)]


def _outer(left: np.ndarray, phi: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sum over samples of left x phi x right."""
    (n, m), d = left.shape, phi.shape[1]
    return ((left[:, :, None] * phi[:, None, :]).reshape(n, m * d).T @ right).reshape(m, d, right.shape[1])
