"""Cores in 8 and 4 bits: bytes by hand, errors that add in squares."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tnsim.errors import NumericalError, SettingsError
from tnsim.networks.matrix_index import IndexOrder
from tnsim.networks.mpo import MPO
from tnsim.tensorize import Gram, Quantization, functional_error, quadrature


def layer(dtype=np.float32):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((64, 64)) + (1j * rng.standard_normal((64, 64)) if np.dtype(dtype).kind == "c" else 0)
    return W.astype(dtype), rng.standard_normal((300, 64))


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("scales", ["core", "bond", "row"])
def test_bytes_multiply_and_errors_add_in_squares(bits, scales):
    W, x = layer()
    gram, mpo = Gram.collect([x]), MPO.from_matrix(W, (8, 8), (8, 8), 30)
    small = Quantization(bits=bits, scales=scales).quantize(mpo)
    numbers = 2 * 64 * 30
    assert small.code_bytes * 32 == 4 * numbers * bits
    channels = {"core": 1, "bond": 30, "row": 30 * 8}[scales]
    assert small.bytes == small.code_bytes + 2 * channels * 4
    cut = functional_error(W, mpo, gram)
    rounding = functional_error(mpo.to_matrix(), small.to_mpo(), gram)
    both = functional_error(W, small.to_mpo(), gram)
    rounding *= np.sqrt(1 - cut**2)
    assert both == pytest.approx(quadrature(cut, rounding), rel=0.05)
    assert rounding < (0.02 if bits == 8 else 0.35)


def test_finer_scales_are_more_accurate():
    W, _ = layer()
    mpo = MPO.from_matrix(W * np.linspace(0.2, 2, 64)[:, None], (8, 8), (8, 8), 40)
    matrix = mpo.to_matrix()
    kinds = ("core", "bond", "row")
    restored = [Quantization(bits=4, scales=kind).quantize(mpo).to_mpo().to_matrix() for kind in kinds]
    errors = [np.linalg.norm(found - matrix) for found in restored]
    assert errors[2] < 0.9 * errors[1] < 0.9 * errors[0]


@pytest.mark.parametrize("device", ["numpy", "strict"])
@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
def test_every_dtype_comes_back_with_its_axes(device, dtype):
    W, _ = layer(dtype)
    index = IndexOrder(pad=True, rows=tuple(range(62, -1, -1)))
    mpo = MPO.from_matrix(W[:63], (4, 4, 4), (4, 4, 4), 7, index=index).to(backend_or_skip(device))
    for bits, bound in ((8, 0.02), (4, 0.4)):
        back = Quantization(bits=bits).quantize(mpo).to_mpo()
        assert back.dtype == mpo.dtype and back.axes == mpo.axes
        expected = mpo.backend.to_host(mpo.to_matrix())
        assert np.linalg.norm(back.to_matrix() - expected) < bound * np.linalg.norm(expected)


def test_odd_counts_zeros_and_the_extreme_codes_survive_packing():
    W = np.zeros((3, 5))
    W[0, 0], W[1, 2], W[2, 4] = 7.0, -7.0, 3.0
    back = Quantization(bits=4, scales="core").quantize(MPO.from_matrix(W, (3,), (5,))).to_mpo()
    np.testing.assert_allclose(back.to_matrix(), W, atol=1e-6)
    zero = Quantization(bits=4).quantize(MPO.from_matrix(0 * W, (3,), (5,))).to_mpo()
    assert not zero.to_matrix().any()


def test_bad_settings_are_refused():
    for settings in [{"bits": 3}, {"scales": "bonds"}, {"bits": "8"}]:
        with pytest.raises(SettingsError):
            Quantization(**settings)


@pytest.mark.parametrize("factor", [1e-60, 1e60])
def test_numbers_beyond_single_precision_are_refused(factor):
    matrix = factor * np.random.default_rng(3).standard_normal((8, 8))
    with pytest.raises(NumericalError, match="outside of single precision"):
        Quantization().quantize(MPO.from_matrix(matrix, (2, 4), (4, 2)))
