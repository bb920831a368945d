"""Cores in few bits: integers or 8-bit floating point with scales, which compose with the cutting of bonds."""

from dataclasses import dataclass, field
from math import prod

import numpy as np

from tnsim.errors import NumericalError, SettingsError, check_fields, suggest
from tnsim.networks.matrix_index import MatrixAxes
from tnsim.networks.mpo import MPO
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor

_SCALES = ("core", "bond", "row")
_KINDS = ("integer", "float")


def _float8_values() -> np.ndarray:
    """What the codes 0 to 127 of the type e4m3fn stand for, ascending; the last one is no number.

    Source: P. Micikevicius et al., arXiv:2209.05433 (2022), table 1.
    """
    code = np.arange(127)
    exponent, mantissa = code >> 3, code & 7
    normal = 2.0 ** (exponent - 7) * (1 + mantissa / 8)
    return np.where(exponent > 0, normal, 2.0**-6 * mantissa / 8)


_FLOAT8 = _float8_values()


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """number = code * scale: symmetric integers up to 2^(bits - 1) - 1 in size, or floating point of 8 bits (e4m3).

    scales: one for a core, one for every state of a bond, or one for every state of a bond and index of the out leg
    (finer, and more bytes). Rounding error: at most half a scale a number; in floating point 1/16 of the number.
    """

    bits: int = field(default=8, metadata={"help": "8 or 4; codes of 4 bits are stored in pairs"})
    scales: str = field(default="bond", metadata={"help": "core, bond or row: what shares a scale"})
    kind: str = field(default="integer", metadata={"help": "integer, or float: e4m3, 8 bits, largest number 448"})

    @classmethod
    def of(cls, rule: "Quantization | str") -> "Quantization":
        """A rule, or a name for one: "int8", "int4" (a scale a row) or "fp8"."""
        if isinstance(rule, Quantization):
            return rule
        names = {"int8": cls(), "int4": cls(bits=4, scales="row"), "fp8": cls(kind="float")}
        if rule not in names:
            raise SettingsError(f"unknown quantization {rule!r}. {suggest(str(rule), names)}")
        return names[rule]

    def __post_init__(self) -> None:
        check_fields(self)
        if self.bits not in (4, 8):
            raise SettingsError(f"cores are stored in 8 or 4 bits a number, found {self.bits}.")
        if self.scales not in _SCALES:
            raise SettingsError(f"unknown choice of scales {self.scales!r}. {suggest(self.scales, _SCALES)}")
        if self.kind not in _KINDS or (self.kind == "float" and self.bits != 8):
            raise SettingsError(f"numbers are of kind integer, or float with 8 bits, found {self.kind!r}, {self.bits}.")

    @property
    def word(self) -> str:
        """A short name: INT8, INT4 or FP8."""
        return f"{'FP' if self.kind == 'float' else 'INT'}{self.bits}"

    def quantize(self, mpo: MPO) -> "QuantizedChain":
        """Codes and scales of a chain, on the host. Raises NumericalError for numbers beyond single precision.

        >>> small = Quantization().quantize(MPO.from_matrix(np.eye(16), (4, 4), (4, 4)))
        >>> small.bytes, float(abs(small.to_mpo().to_matrix() - np.eye(16)).max().round(3))
        (40, 0.0)
        """
        codes, scales = zip(*(self._core(mpo, k) for k in range(mpo.L)), strict=True)
        legs = tuple(tensor.legs for tensor in mpo.tensors)
        return QuantizedChain(
            codes=codes, scales=scales, bits=self.bits, legs=legs, dtype=mpo.dtype, axes=mpo.axes, kind=self.kind
        )

    def _core(self, mpo: MPO, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes, flat, and scales, in a shape that spreads over (left, out, in, right, real and imaginary part)."""
        tensor = mpo.tensors[k]
        most = _FLOAT8[-1] if self.kind == "float" else 2 ** (self.bits - 1) - 1
        array = _parts(tensor.backend.to_host(tensor.array))
        # the bond behind a core, of the last one the bond before it
        bond = 3 if k < mpo.L - 1 else 0
        own = {"core": (), "bond": (bond,), "row": (bond, 1)}[self.scales]
        sizes = np.abs(array).max(axis=tuple(n for n in range(5) if n not in own), keepdims=True)
        with np.errstate(over="ignore"):
            scales = np.where(sizes > 0, sizes / most, 1.0).astype(np.float32)
        if not (np.isfinite(scales).all() and scales.all()):
            raise NumericalError(
                f"the numbers of core {k}, up to {sizes.max():.1e}, need scales outside of single precision: quantize "
                "a multiple of the chain."
            )
        if self.kind == "float":
            return _float8_codes(array / scales).reshape(-1), scales
        codes = np.clip(np.rint(array / scales), -most, most).astype(np.int8).reshape(-1)
        return (_packed(codes) if self.bits == 4 else codes), scales


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantizedChain:
    """A chain in few bits. codes: flat, int8, two a byte with 4 bits, uint8 in floating point; scales: float32."""

    codes: tuple[np.ndarray, ...] = field(repr=False)
    scales: tuple[np.ndarray, ...] = field(repr=False)
    bits: int
    legs: tuple[tuple[Leg, ...], ...] = field(repr=False)
    dtype: np.dtype
    axes: MatrixAxes | None = field(repr=False)
    kind: str = "integer"

    @property
    def code_bytes(self) -> int:
        return sum(codes.nbytes for codes in self.codes)

    @property
    def bytes(self) -> int:
        """All of them, the scales included."""
        return self.code_bytes + sum(scales.nbytes for scales in self.scales)

    def to_mpo(self) -> MPO:
        """The chain with its numbers back in floating point, on the host."""
        tensors = []
        for codes, scales, legs in zip(self.codes, self.scales, self.legs, strict=True):
            shape = (*(leg.dim for leg in legs), 2 if self.dtype.kind == "c" else 1)
            whole = _unpacked(codes, prod(shape)) if self.bits == 4 else codes
            whole = _from_float8(codes) if self.kind == "float" else whole
            real = _real_dtype(self.dtype)
            parts = whole.reshape(shape).astype(real) * scales.astype(real)
            tensors.append(Tensor(legs, np.ascontiguousarray(parts).view(self.dtype).reshape(-1)))
        return MPO(tensors, axes=self.axes)


def quadrature(cut_error: float, rounding_error: float) -> float:
    """The error that two independent steps give together: the root of the sum of their squares.

    >>> quadrature(0.3, 0.4)
    0.5
    """
    return float(np.hypot(cut_error, rounding_error))


def _real_dtype(dtype: np.dtype) -> np.dtype:
    return np.empty(0, dtype).real.dtype


def _parts(array: np.ndarray) -> np.ndarray:
    """With a last axis of real (and imaginary) parts."""
    array = np.ascontiguousarray(array)[..., None]
    return array.view(_real_dtype(array.dtype)) if array.dtype.kind == "c" else array


def _float8_codes(array: np.ndarray) -> np.ndarray:
    """The nearest number of e4m3, ties to the even code; the sign in the highest bit."""
    size = np.minimum(np.abs(array), _FLOAT8[-1])
    above = np.clip(np.searchsorted(_FLOAT8, size), 1, len(_FLOAT8) - 1)
    middle = (_FLOAT8[above - 1] + _FLOAT8[above]) / 2
    code = np.where((size > middle) | ((size == middle) & (above % 2 == 0)), above, above - 1)
    return (code | (np.signbit(array) << 7)).astype(np.uint8)


def _from_float8(codes: np.ndarray) -> np.ndarray:
    return np.where(codes & 128, -1.0, 1.0) * np.append(_FLOAT8, np.nan)[codes & 127]


def _packed(codes: np.ndarray) -> np.ndarray:
    """Two codes of -7 to 7 in a byte, the first in the low half."""
    even = np.append(codes, np.int8(0)) if len(codes) % 2 else codes
    pairs = (even.reshape(-1, 2) & 15).astype(np.uint8)
    return (pairs[:, 0] | (pairs[:, 1] << 4)).astype(np.uint8)


def _unpacked(packed: np.ndarray, count: int) -> np.ndarray:
    halves = np.stack([packed & 15, packed >> 4], axis=1).reshape(-1)[:count].astype(np.int8)
    return np.where(halves > 7, halves - 16, halves)
