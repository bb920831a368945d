"""Low rank from a few sampled rows and columns, as in the "dequantized" algorithms: what it costs and what it gives."""

from dataclasses import dataclass, field

import numpy as np

from tnsim.errors import ShapeError


@dataclass(frozen=True, kw_only=True, eq=False)
class SampledSVD:
    """matrix ~ (matrix @ directions) @ directions.T. read: numbers of the matrix that were looked at after the norms
    of its rows and columns, which have to be known (preprocessing: one pass over all of it, `passed` numbers)."""

    directions: np.ndarray = field(repr=False)
    read: int
    passed: int


def sampled_svd(matrix: np.ndarray, rank: int, samples: int, *, seed: int = 0) -> SampledSVD:
    """Leading right singular vectors, about, from `samples` rows and columns drawn by their squared norms.

    Error: ||A - A V V^T||^2 at most that of the best of this rank plus O(sqrt(rank / samples)) ||A||^2, with
    constant probability. Source: A. Frieze, R. Kannan, S. Vempala, J. ACM 51, 1025 (2004), section 4; the sampling
    step of E. Tang, STOC 2019, arXiv:1807.04271.

    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((80, 3)) @ rng.standard_normal((3, 60))
    >>> V = sampled_svd(A, 3, 30).directions
    >>> bool(np.linalg.norm(A - A @ V @ V.T) < 1e-8 * np.linalg.norm(A))
    True
    """
    rows, columns = matrix.shape
    if not 1 <= rank <= min(samples, rows, columns):
        raise ShapeError(f"the rank lies in 1 to {min(samples, rows, columns)}, found {rank}.")
    rng = np.random.default_rng(seed)
    weights = (np.abs(matrix) ** 2).sum(axis=1)
    chosen = rng.choice(rows, samples, p=weights / weights.sum())
    sketch = matrix[chosen] * np.sqrt(weights.sum() / (samples * weights[chosen]))[:, None]
    # columns of the sketch, by the mean of their shares in its rows, which all have the same norm
    shares = (np.abs(sketch) ** 2).sum(axis=0)
    places = rng.choice(columns, samples, p=shares / shares.sum())
    small = sketch[:, places] * np.sqrt(shares.sum() / (samples * shares[places]))
    left, values, _ = np.linalg.svd(small, full_matrices=False)
    kept = values > 1e-10 * values[0]
    left, values = left[:, kept][:, :rank], values[kept][:rank]
    directions = np.linalg.qr(sketch.conj().T @ (left / values))[0]
    return SampledSVD(directions=directions, read=samples * (columns + samples), passed=matrix.size)
