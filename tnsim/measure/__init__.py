"""Measurements: one quantity a file, functions of a state."""

from tnsim.measure.correlation import correlation
from tnsim.measure.density import reduced_density_matrix
from tnsim.measure.entanglement import entanglement_spectrum, entropy, mutual_information
from tnsim.measure.expectation import expect
from tnsim.measure.momentum_spectrum import MomentumSpectrum, momentum_spectrum
from tnsim.measure.operator import expect_mpo
from tnsim.measure.random_matrix import gaussian_entropy, gaussian_spectrum
from tnsim.measure.sample import collapse, sample
from tnsim.measure.series_average import SeriesAverage, series_average
from tnsim.measure.transfer_spectrum import (
    correlation_length,
    extrapolate_correlation_length,
    fidelity,
    transfer_spectrum,
)
from tnsim.measure.variance import plane_variance, variance

__all__ = [
    "MomentumSpectrum", "SeriesAverage", "collapse", "correlation", "correlation_length", "entanglement_spectrum",
    "entropy", "expect", "expect_mpo", "extrapolate_correlation_length", "fidelity", "gaussian_entropy",
    "gaussian_spectrum", "momentum_spectrum", "mutual_information", "plane_variance", "reduced_density_matrix",
    "sample", "series_average", "transfer_spectrum", "variance",
]  # fmt: skip
