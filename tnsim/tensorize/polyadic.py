"""The canonical polyadic form of a tensor of three indices: a sum of products of vectors."""

import numpy as np

from tnsim.errors import NumericalError


def polyadic(
    tensor: np.ndarray, rank: int, *, sweeps: int = 100, seed: int = 0, tol: float = 1e-8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors (a, rank), (b, rank), (c, rank) with tensor ~ sum over r of a_r b_r c_r, by alternating least squares.

    Columns start as singular vectors of the unfoldings and seeded random numbers beyond them; sizes are shared evenly
    between the factors. The error falls with every step (to a local minimum). Cost a sweep O(size rank). Zeros have
    factors of zeros; raises NumericalError on NaN and Inf.
    Source: T. G. Kolda, B. W. Bader, SIAM Rev. 51, 455 (2009), section 3.4.

    >>> rng = np.random.default_rng(0)
    >>> a, b, c = (rng.standard_normal((n, 2)) for n in (4, 5, 6))
    >>> whole = np.einsum("ar,br,cr->abc", a, b, c)
    >>> bool(np.allclose(np.einsum("ar,br,cr->abc", *polyadic(whole, 2, sweeps=500)), whole, atol=1e-4))
    True
    """
    size = float(np.linalg.norm(tensor))
    if not np.isfinite(size):
        raise NumericalError("the tensor holds NaN or Inf.")
    if size == 0:
        a, b, c = (np.zeros((n, rank)) for n in tensor.shape)
        return a, b, c
    rng = np.random.default_rng(seed)
    unfolded = [np.moveaxis(tensor, n, 0).reshape(tensor.shape[n], -1) for n in range(3)]
    factors = [_start(matrix, rank, rng) for matrix in unfolded]
    error = np.inf
    for _ in range(sweeps):
        for n in range(3):
            first, second = (factors[m] for m in range(3) if m != n)
            products = products_of(first, second)
            moment = (first.T @ first) * (second.T @ second)
            ridge = 1e-12 * np.trace(moment) / rank * np.eye(rank)
            factors[n] = np.linalg.solve(moment + ridge, (unfolded[n] @ products).T).T
        _share_sizes(factors)
        before, error = error, float(np.linalg.norm(unfolded[2] - factors[2] @ products_of(*factors[:2]).T))
        if before - error < tol * size:
            break
    return factors[0], factors[1], factors[2]


def products_of(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Columnwise Kronecker product."""
    return np.einsum("br,cr->bcr", first, second).reshape(-1, first.shape[1])


def _start(unfolded: np.ndarray, rank: int, rng: np.random.Generator) -> np.ndarray:
    u = np.linalg.svd(unfolded, full_matrices=False)[0][:, :rank]
    more = rng.standard_normal((len(u), rank - u.shape[1])) / np.sqrt(len(u))
    return np.concatenate([u, more], axis=1)


def _share_sizes(factors: list[np.ndarray]) -> None:
    sizes = [np.maximum(np.linalg.norm(factor, axis=0), 1e-300) for factor in factors]
    each = np.prod(sizes, axis=0) ** (1 / 3)
    for n in range(3):
        factors[n] = factors[n] / sizes[n] * each
