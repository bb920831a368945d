"""Weights of neural networks as chains of small cores, fitted to the data that the layers see."""

from tnsim.tensorize.artifact import ChainFile, save_chains
from tnsim.tensorize.cut_profile import CutProfile, cut_profile
from tnsim.tensorize.functional_error import corrected_bias, functional_error, smallest_rank
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.metric_fit import FitSolution, MetricFit
from tnsim.tensorize.planner import Planner
from tnsim.tensorize.quantize import Quantization, QuantizedChain, quadrature
from tnsim.tensorize.size_report import SizeReport, size_report

__all__ = [
    "ChainFile", "CutProfile", "FitSolution", "Gram", "MetricFit", "Planner", "Quantization", "QuantizedChain",
    "SizeReport", "corrected_bias", "cut_profile", "functional_error", "quadrature", "save_chains", "size_report",
    "smallest_rank",
]  # fmt: skip
