"""Training of an MPS classifier by sweeps that update two sites, where the cores are."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import minimize

from tnsim.backend import Array, Backend
from tnsim.errors import NumericalError, SettingsError, ShapeError, check_fields
from tnsim.linalg import Truncation, lq, svd
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.tensor import Tensor, contract, transpose
from tnsim.tensorize.classifier_training import cross_entropy, products
from tnsim.tensorize.mps_classifier import MPSClassifier, as_tensor, checked_labels, step_left, step_right


@dataclass(frozen=True, kw_only=True)
class SweepTraining:
    """Two sites at a time: the cross entropy is lowered in their joint tensor, whose split chooses the bond dimension.

    The problem of two sites is convex. Cost of a bond: `steps` products of samples x (d chi)^2 x labels, where the
    cores are; the steps themselves are chosen on the host.
    """

    chi_max: int = field(default=16, metadata={"help": "largest bond dimension"})
    svd_min: float = field(default=1e-3, metadata={"help": "drop singular values below this share of the norm"})
    sweeps: int = field(default=3, metadata={"help": "sweeps to the right and back"})
    steps: int = field(default=5, metadata={"help": "L-BFGS steps of a pair of sites"})
    decay: float = field(default=3e-4, metadata={"help": "L2 penalty on the joint tensor (environments of size 1)"})

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.chi_max, self.sweeps, self.steps) < 1 or not 0 <= self.svd_min < 1 or self.decay < 0:
            raise SettingsError(f"chi_max, sweeps, steps >= 1, 0 <= svd_min < 1, decay >= 0 are needed, found {self}.")

    def solve(self, start: MPSClassifier, x: np.ndarray, y: np.ndarray) -> MPSClassifier:
        """The trained classifier."""
        return deque(self.passes(start, x, y), maxlen=1).pop()[0]

    def passes(self, start: MPSClassifier, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[MPSClassifier, float]]:
        """After every sweep the classifier, and its last mean loss with the penalty."""
        if len(start.cores) < 2:
            raise ShapeError("sweeps update two sites at a time, found one pixel: use GradientTraining.")
        phi = start.inputs(x)
        run = _Sweep(self, start, phi, checked_labels(y, phi.shape[1], start.labels))
        for _ in range(self.sweeps):
            loss = run.sweep()
            yield replace(start, cores=tuple(core.array for core in run.cores), center=run.center), loss


class _Sweep:
    """Cores with the centre on one site, and what every sample makes of the sites left and right of it."""

    def __init__(self, settings: SweepTraining, start: MPSClassifier, phi: Array, y: np.ndarray) -> None:
        self.settings, self.phi, self.y, self.backend = settings, phi, y, start.backend
        self.truncation = Truncation(chi_max=settings.chi_max, svd_min=settings.svd_min)
        self.cores, self.center = [as_tensor(core) for core in start.cores], start.center
        while self.center:
            self._move_left()
        last, one = len(self.cores) - 1, self.backend.asarray(np.ones((phi.shape[1], 1), dtype=phi.dtype))
        self.left, self.right = {0: one}, {last: one}
        for k in range(last, 1, -1):
            self._extend_left(k)

    def _extend_left(self, k: int) -> None:
        self.right[k - 1] = _unit(step_left(self.right[k], self.phi[k], self.cores[k].array), self.backend)

    def _move_left(self) -> None:
        """The label leg one site to the left, exactly."""
        k = self.center
        rest, self.cores[k] = lq(self.cores[k], (0, 3))
        self.cores[k - 1] = contract("l s r, r c m -> l s m c", self.cores[k - 1], rest)
        self.center = k - 1

    def sweep(self) -> float:
        loss, last = 0.0, len(self.cores) - 1
        for k in range(last):
            loss = self._update(k, rightwards=True)
        for k in range(last - 1, -1, -1):
            loss = self._update(k, rightwards=False)
        return loss

    def _update(self, k: int, *, rightwards: bool) -> float:
        words = "l s m c, m t r -> l s t r c" if rightwards else "l s m, m t r c -> l s t r c"
        pair, loss = self._lower(k, contract(words, self.cores[k], self.cores[k + 1]))
        if rightwards:
            self.cores[k], values, rest = svd(pair, (0, 1), self.truncation)
            self.cores[k + 1], self.center = scale_rows(rest, values), k + 1
            far = step_right(self.left[k], self.phi[k], self.cores[k].array)
            self.left[k + 1] = _unit(far, self.backend)
        else:
            rest, values, self.cores[k + 1] = svd(pair, (0, 1, 4), self.truncation)
            self.cores[k], self.center = transpose(scale_columns(rest, values), (0, 1, 3, 2)), k
            self._extend_left(k + 1)
        return loss

    def _lower(self, k: int, pair: Tensor) -> tuple[Tensor, float]:
        """Some steps down in the joint tensor (left, phys, phys, right, label) of sites k and k + 1."""
        penalty, backend, shape = self.settings.decay, self.backend, (-1, pair.shape[4])
        table = products(products(self.left[k], self.phi[k]), products(self.phi[k + 1], self.right[k + 1]))

        def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
            B = backend.asarray(flat.astype(pair.dtype)).reshape(shape)
            loss, slope = cross_entropy(backend.to_host(table @ B).astype(np.float64), self.y)
            down = backend.to_host(table.T @ backend.asarray(slope.astype(pair.dtype)))
            return loss + penalty * float(flat @ flat), down.reshape(-1).astype(np.float64) + 2 * penalty * flat

        start = backend.to_host(pair.data).astype(np.float64)
        found = minimize(value, start, jac=True, method="L-BFGS-B", options={"maxiter": self.settings.steps})
        if not np.isfinite(found.fun):
            raise NumericalError("the loss of the classifier is not finite: check images and start.")
        return Tensor(pair.legs, backend.asarray(found.x.astype(pair.dtype))), float(found.fun)


def _unit(vectors: Array, backend: Backend) -> Array:
    """All samples divided by one number, to numbers of size 1 on average: a scale that the weights can take in."""
    size = float(backend.read(backend.norm(vectors))) / vectors.size**0.5
    return vectors / size if size > 0 else vectors
