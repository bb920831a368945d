"""A network whose activations are matrix-product states all the way: no vector is ever written.

vector -> state -> [chain as an operator, compressed] -> [+ bias] -> [norm] -> [activation] -> ... -> state
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from tnsim.backend import Array, backend_of
from tnsim.errors import SettingsError, ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.apply import apply_with_weight, check_method
from tnsim.networks.compress import compress
from tnsim.networks.elementwise import constant_state, diagonal_operator
from tnsim.networks.matrix_index import MatrixAxes
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.tensorize.fixed_gauge import CoreActivation
from tnsim.tensorize.vector_state import (
    for_every_sample,
    identity_in_front,
    row_norms,
    rows_of_state,
    scaled_rows,
    state_of_rows,
    without_padding,
)


@dataclass(frozen=True, kw_only=True)
class PolynomialActivation:
    """c0 + c1 (x / scale) + c2 (x / scale)^2 + ... of every number of the vector: in any gauge the same function.

    Every power costs one compressed product of states (`elementwise_product`).

    >>> PolynomialActivation.near(np.exp, degree=5, scale=1.0).dense(np.array([0.0, 1.0])).round(2).tolist()
    [1.0, 2.72]
    """

    coefficients: tuple[float, ...] = (0.0, 1.0)
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "coefficients", tuple(float(c) for c in self.coefficients))
        if len(self.coefficients) < 2 or not np.isfinite(self.coefficients).all() or not self.scale > 0:
            raise SettingsError(f"at least two finite coefficients and a positive scale are needed, found {self}.")

    @classmethod
    def near(cls, function: Callable[[Array], Array], *, degree: int, scale: float) -> "PolynomialActivation":
        """The polynomial that meets a function in the Chebyshev points of -scale to scale."""
        found = np.polynomial.Chebyshev.interpolate(lambda y: function(scale * y), degree)
        powers = found.convert(kind=np.polynomial.Polynomial).coef
        return cls(coefficients=(*powers, *[0.0] * (degree + 1 - len(powers))), scale=scale)

    def dense(self, x: Array) -> Array:
        """Of plain numbers."""
        result = x * 0.0 + self.coefficients[-1]
        for c in reversed(self.coefficients[:-1]):
            result = result * x * (1 / self.scale) + c
        return result

    def act(self, psi: MPS, truncation: Truncation, method: str) -> tuple[MPS, float]:
        """Of a state, and the sum of discarded weights."""
        y, one, weight = psi / self.scale, constant_state(psi), 0.0
        *lower, last = self.coefficients
        result, cut = compress(y * last + one * lower.pop(), truncation)
        operator = diagonal_operator(y)
        weight += cut
        for c in reversed(lower):
            result, lost = apply_with_weight(operator, result, truncation, method)
            result, cut = compress(result + one * c, truncation)
            weight += lost + cut
        return result, weight


@dataclass(frozen=True, kw_only=True, eq=False)
class StateLayer:
    """W x + bias, then the norm, then the activation; W as a chain (`MPO.from_matrix`).

    normalise: every vector is divided by its root mean square, as RMSNorm does (to the square the smallest step at 1 of
    the type is added, so that zeros stay zeros). Rows and columns that fill up a chain
    are kept at zero.
    """

    mpo: MPO
    bias: Array | None = None
    normalise: bool = False
    activation: PolynomialActivation | CoreActivation | None = None

    def __post_init__(self) -> None:
        if self.mpo.axes is None:
            raise ShapeError(f"{self.mpo!r} stands for no matrix: make it with MPO.from_matrix.")
        if self.bias is not None and tuple(self.bias.shape) != (self.mpo.axes.rows.size,):
            raise ShapeError(f"a bias of {self.mpo.axes.rows.size} numbers is needed, found {tuple(self.bias.shape)}.")

    @property
    def axes(self) -> MatrixAxes:
        """What the legs of the chain stand for."""
        assert self.mpo.axes is not None
        return self.mpo.axes


@dataclass(frozen=True, kw_only=True)
class StateStep:
    """What became of the state: bond dimension, numbers in it, and the weight discarded in this step."""

    what: str
    bond: int
    numbers: int
    discarded_weight: float


@dataclass(frozen=True, kw_only=True, eq=False)
class StateNetwork:
    """Layers one after the other on states, which never exceed the bond dimension of `truncation` between steps.

    method: how operators are applied, see `apply` ("src" or "zip-up"). Activations are polynomials of the vector, or
    functions of the tensors in a fixed gauge. Raises ShapeError where the sites of two layers do not fit.
    """

    layers: Sequence[StateLayer]
    truncation: Truncation
    method: str = "src"
    steps: list[StateStep] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        check_method(self.method)
        if not self.layers:
            raise SettingsError("a network has at least one layer, found none.")
        for before, after in zip(self.layers, self.layers[1:], strict=False):
            if before.axes.rows != after.axes.columns:
                raise ShapeError(
                    f"a layer puts out {before.axes.rows}, the next one takes {after.axes.columns}: factor the "
                    "rows of the one and the columns of the other alike."
                )

    def __call__(self, psi: MPS) -> MPS:
        """The state behind the last layer; `steps` tells of the way there."""
        self.steps.clear()
        state = psi
        for layer in self.layers:
            for what, found, weight in self._layer(layer, state):
                numbers = sum(tensor.size for tensor in found.tensors)
                step = StateStep(what=what, bond=max(found.bond_dimensions), numbers=numbers, discarded_weight=weight)
                self.steps.append(step)
                state = found
        return state

    def rows(self, rows: Array) -> Array:
        """From vectors (samples, features) to vectors, through states."""
        psi = self(state_of_rows(rows, self.layers[0].axes.columns, self.truncation))
        return rows_of_state(psi, self.layers[-1].axes.rows)

    def dense(self, rows: Array) -> Array:
        """The same network on plain vectors, exact. Raises SettingsError for functions of tensors, which have none."""
        backend = backend_of(rows)
        for layer in self.layers:
            rows = rows @ layer.mpo.to_matrix().T
            rows = rows if layer.bias is None else rows + layer.bias
            if layer.normalise:
                squares = backend.real(rows * backend.conj(rows))
                mean = squares @ backend.asarray(np.full((rows.shape[1], 1), 1 / rows.shape[1], dtype=squares.dtype))
                rows = rows / backend.sqrt(mean + _epsilon(rows))
            if isinstance(layer.activation, CoreActivation):
                raise SettingsError("a function of the tensors of a state is none of plain vectors.")
            rows = rows if layer.activation is None else layer.activation.dense(rows)
        return rows

    def _layer(self, layer: StateLayer, psi: MPS) -> Iterator[tuple[str, MPS, float]]:
        operator = MPO(identity_in_front(without_padding(layer.mpo).tensors, psi.sites[0].dim))
        psi, weight = apply_with_weight(operator, psi, self.truncation, self.method)
        yield "matrix", psi, weight
        if layer.bias is not None:
            shift = state_of_rows(layer.bias, layer.axes.rows, self.truncation)
            psi, weight = compress(psi + for_every_sample(shift, psi.sites[0].dim), self.truncation)
            yield "bias", psi, weight
        if layer.normalise:
            norms = row_norms(psi)
            mean = norms * norms / layer.axes.rows.size
            psi = scaled_rows(psi, 1 / psi.backend.sqrt(mean + _epsilon(norms)))
            yield "norm", psi, 0.0
        if isinstance(layer.activation, PolynomialActivation):
            psi, weight = layer.activation.act(psi, self.truncation, self.method)
            yield "activation", psi, weight
        elif layer.activation is not None:
            yield "activation", layer.activation(psi), 0.0

    # -- training --------------------------------------------------------------------------------------

    def coefficients(self) -> np.ndarray:
        """All trainable numbers of the activations, one after the other."""
        return np.concatenate(
            [[], *(np.ravel(layer.activation.coefficients) for layer in self.layers if layer.activation)]
        )

    def with_coefficients(self, flat: np.ndarray) -> "StateNetwork":
        """The same network with other numbers in its activations."""
        layers, place = [], 0
        for layer in self.layers:
            if layer.activation is None:
                layers.append(layer)
                continue
            shape = np.shape(layer.activation.coefficients)
            piece = np.asarray(flat[place : place + int(np.prod(shape))]).reshape(shape)
            place += piece.size
            numbers: Any = tuple(piece.tolist())
            layers.append(replace(layer, activation=replace(layer.activation, coefficients=numbers)))
        return StateNetwork(layers=layers, truncation=self.truncation, method=self.method)

    def fitted(self, rows: Array, targets: Array, *, max_steps: int = 20) -> "StateNetwork":
        """Activations whose outputs are nearest to targets (samples, outputs), by least squares through the states.

        Cost: as many passes as there are coefficients, for every step. Random vectors are the same in every pass, so
        that the error is a smooth function. On the host.
        """
        axes = self.layers[0].axes.columns, self.layers[-1].axes.rows
        psi = state_of_rows(rows, axes[0], self.truncation)

        def residual(flat: np.ndarray) -> np.ndarray:
            return (rows_of_state(self.with_coefficients(flat)(psi), axes[1]) - targets).reshape(-1)

        found = least_squares(residual, self.coefficients(), max_nfev=max_steps)
        return self.with_coefficients(found.x)


def _epsilon(array: Array) -> float:
    """What `torch.nn.RMSNorm` adds to a mean square."""
    return float(np.finfo(array.dtype).eps)
