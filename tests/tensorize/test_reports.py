"""Counts of numbers and bytes by hand, and the profile of the cuts."""

import logging

import numpy as np
import pytest

from tnsim.errors import ShapeError
from tnsim.networks.matrix_index import IndexOrder
from tnsim.networks.mpo import MPO
from tnsim.tensorize import cut_profile, size_report


@pytest.mark.parametrize(
    ("outs", "ins", "ranks", "order", "params"),
    [
        ((8, 8), (8, 8), 7, "interleaved", 2 * 64 * 7),
        ((4, 16), (4, 16), 8, "split", 4 * 4 + 4 * 16 * 8 + 8 * 4 * 8 + 8 * 16),
        ((4, 4, 4), (4, 4, 4), 4, "interleaved", 16 * 4 + 4 * 16 * 4 + 4 * 16),
        ((8, 8), (8, 8), 64, "interleaved", 8192),
        ((64,), (64,), None, "interleaved", 4096),
    ],
)
def test_sizes_are_those_counted_by_hand(outs, ins, ranks, order, params):
    """A9; bytes in few bits are counted in test_quantize."""
    W = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    report = size_report(MPO.from_matrix(W, outs, ins, ranks, index=IndexOrder(order=order)))
    assert (report.params, report.bytes) == (params, 4 * params)
    assert (report.dense_params, report.dense_bytes, report.ratio) == (4096, 16384, 4096 / params)


def test_the_report_says_what_was_padded():
    W = np.random.default_rng(0).standard_normal((7, 13))
    report = size_report(MPO.from_matrix(W, (2, 4), (2, 7), 3, index=IndexOrder(pad=True)))
    assert report.padding == (1, 1) and report.dense_params == 91
    assert "1 rows and 1 columns of zeros added" in str(report) and "ranks 3/4" in str(report)
    with pytest.raises(ShapeError, match="stands for no matrix"):
        size_report(MPO(MPO.from_matrix(W, (7,), (13,)).tensors))


def test_the_profile_prints_the_noise_beside_every_cut(capsys, caplog):
    rng = np.random.default_rng(0)
    with caplog.at_level(logging.DEBUG):
        noise = cut_profile(MPO.from_matrix(rng.standard_normal((64, 64)), (4, 4, 4), (4, 4, 4)))
        planted = np.kron(rng.standard_normal((4, 4)), rng.standard_normal((16, 16)))
        structure = cut_profile(MPO.from_matrix(planted, (4, 4, 4), (4, 4, 4)))
    assert [abs(cut.gap) < 0.03 for cut in noise] == [True, True]
    assert structure[0].entropy < 1e-9 and structure[0].gap > 2.6 and abs(structure[1].gap) > 0.01
    assert str(noise[0]).startswith("cut 0 (16 x 256): rank 16, entropy 2.7") and "noise 2.7" in str(noise[0])
    assert noise[0].values.shape == noise[0].noise_values.shape == (16,)
    np.testing.assert_allclose(noise[0].values, noise[0].noise_values, atol=0.03)
    assert cut_profile(MPO.from_matrix(np.eye(4), (4,), (4,))) == []
    assert capsys.readouterr().out == ""
