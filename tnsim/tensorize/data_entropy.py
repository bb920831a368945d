"""How entangled samples and activations are: what tells structured data from plain, and where a chain would be cut."""

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from operator import mul

import numpy as np

from tnsim.backend import Array, backend_of
from tnsim.errors import NumericalError, ShapeError
from tnsim.measure.entanglement import entropy_of_weights
from tnsim.tensorize.gram import Gram


def sample_entropies(rows: Array, factors: Sequence[int]) -> np.ndarray:
    """(sample, cut): von Neumann entropy (nats) of every vector as a state of sites of these sizes, at every cut.

    Exact; cost of an SVD a sample and cut, on the host. A vector of zeros has none: 0. Raises ShapeError where the
    factors do not multiply to the features, NumericalError on NaN or Inf.

    >>> product, cat = np.kron([1.0, 2.0], [1.0, 3.0]), np.array([1.0, 0.0, 0.0, 1.0])
    >>> sample_entropies(np.stack([product, cat]), (2, 2)).round(6).tolist()
    [[0.0], [0.693147]]
    """
    table = backend_of(rows).to_host(rows)
    table = table.reshape(-1, table.shape[-1]).astype(np.result_type(table.dtype, np.float64))
    if prod(factors) != table.shape[1] or min(factors, default=0) < 1:
        raise ShapeError(f"factors {tuple(factors)} do not multiply to the {table.shape[1]} features of the samples.")
    if not np.isfinite(table).all():
        raise NumericalError("the samples hold NaN or Inf.")
    sizes = [*accumulate(factors, mul)][:-1]
    cuts = [np.linalg.svd(table.reshape(len(table), left, -1), compute_uv=False) for left in sizes]
    found = [[_entropy(values) for values in cut] for cut in cuts]
    return np.array(found).reshape(len(cuts), len(table)).T


def rank_samples(rows: Array, factors: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Places of the samples, the most entangled first, and the largest entropy of each (in the order of the rows)."""
    entropies = sample_entropies(rows, factors)
    largest = entropies.max(axis=1, initial=0.0)
    return np.argsort(-largest, kind="stable"), largest


def activation_entropy(gram: Gram, *, centered: bool = True) -> float:
    """Von Neumann entropy (nats) of the covariance of activations, trace 1: ln of how many directions are in use.

    centered=False: of the second moments. Cost O(features^3). Raises NumericalError where they do not vary at all.

    >>> rows = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> round(activation_entropy(Gram.collect([rows])), 6)
    0.693147
    """
    moment = gram.covariance if centered else gram.second_moment
    weights = np.maximum(np.linalg.eigvalsh(backend_of(moment).to_host(moment)), 0)
    if not weights.sum() > 0:
        raise NumericalError("the activations do not vary: there is no entropy to tell.")
    return entropy_of_weights(weights)


def _entropy(values: np.ndarray) -> float:
    return entropy_of_weights(values**2) if values.any() else 0.0
