"""How much the output of a layer changes when its matrix is replaced, on the data that it sees."""

from collections.abc import Callable, Sequence

import numpy as np

from tnsim.backend import Array, backend_of
from tnsim.errors import BackendError, SettingsError, ShapeError
from tnsim.networks.mpo import MPO
from tnsim.networks.rank_rule import max_ranks
from tnsim.tensorize.gram import Gram


def functional_error(matrix: Array, mpo: MPO, gram: Gram, *, centered: bool = False) -> float:
    """||y - y'|| / ||y|| over all samples, for y = W x and y' = M x; from their second moments, exact to rounding.

    centered: for a bias that corrects the mean (`corrected_bias`): y' = M x + (W - M) mean(x), and y about its mean.
    Cost O(out in^2), whatever the number of samples. Below about 1e-8 rounding shows.
    """
    moment = gram.covariance if centered else gram.second_moment
    weight, difference = _in_the_dtype_of(moment, matrix), _in_the_dtype_of(moment, _difference(matrix, mpo, gram))
    whole = _squared(weight, moment)
    if whole <= 0:
        raise SettingsError(
            "the outputs of this layer are zero (or constant) on these samples: nothing to compare with."
        )
    return float(np.sqrt(max(0.0, _squared(difference, moment)) / whole))


def corrected_bias(matrix: Array, mpo: MPO, gram: Gram, bias: Array | None = None) -> Array:
    """The bias (or zero) + (W - M) mean(x), with which the mean output over the samples is exact; no numbers more."""
    backend = mpo.backend
    mean = gram.mean.reshape((gram.features, 1))
    difference = _in_the_dtype_of(mean, _difference(matrix, mpo, gram))
    shift = backend.astype(_real_for_real(difference @ mean, matrix, mpo), mpo.dtype).reshape(-1)
    if bias is None:
        return shift
    if tuple(bias.shape) != tuple(shift.shape):
        raise ShapeError(f"the bias of this layer has shape {tuple(shift.shape)}, found {tuple(bias.shape)}.")
    return bias + shift


def smallest_rank(matrix: Array, build: Callable[[int], MPO], gram: Gram, budget: float) -> tuple[int, MPO]:
    """The smallest bound on the ranks at which the functional error is within a budget, and the chain.

    build: from a bound to a chain, such as `lambda rank: MPO.from_matrix(W, outs, ins, rank)`, or with a fit behind
    it. Found by bisection: the rank passes, and one less fails. Raises SettingsError where even the largest fails.
    """
    if not budget > 0:
        raise SettingsError(f"the budget for the functional error must be above 0, found {budget!r}.")
    first = build(1)
    low, high = 0, max(max_ranks(_site_sizes(first)), default=1)
    found = first if high == 1 else build(high)
    if (error := functional_error(matrix, found, gram)) > budget:
        raise SettingsError(f"the largest rank, {high}, has a functional error of {error:.3g}, above {budget:.3g}.")
    while high - low > 1:
        middle = (low + high) // 2
        trial = build(middle)
        if functional_error(matrix, trial, gram) <= budget:
            high, found = middle, trial
        else:
            low = middle
    return high, found


def _site_sizes(mpo: MPO) -> Sequence[int]:
    return [tensor.shape[1] * tensor.shape[2] for tensor in mpo.tensors]


def _difference(matrix: Array, mpo: MPO, gram: Gram) -> Array:
    check_same_device(matrix, mpo, gram)
    other = mpo.to_matrix()
    if tuple(matrix.shape) != tuple(other.shape) or gram.features != matrix.shape[1]:
        raise ShapeError(
            f"a matrix {tuple(matrix.shape)}, a chain for {tuple(other.shape)} and {gram!r} do not fit together."
        )
    return matrix - other


def check_same_device(matrix: Array, mpo: MPO, gram: Gram) -> None:
    """BackendError where matrix, chain and statistics lie on different devices."""
    names = [backend_of(matrix).name, mpo.backend.name, backend_of(gram.mean).name]
    if len(set(names)) > 1:
        raise BackendError(
            f"matrix, chain and activations lie on {', '.join(names)}: move them to one device (mpo.to, gram.to)."
        )


def _in_the_dtype_of(moment: Array, matrix: Array) -> Array:
    return backend_of(matrix).astype(matrix, np.result_type(moment.dtype, matrix.dtype))


def _real_for_real(array: Array, matrix: Array, mpo: MPO) -> Array:
    real = array.dtype.kind == "c" and mpo.dtype.kind == "f"
    return mpo.backend.real(array) if real else array


def _squared(matrix: Array, moment: Array) -> float:
    """tr(A C A^dagger)."""
    backend = backend_of(matrix)
    return float(np.real(backend.read(backend.vdot(matrix, matrix @ moment))))
