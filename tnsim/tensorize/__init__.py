"""Weights of neural networks as chains of small cores, fitted to the data that the layers see.

What needs PyTorch (the extra `torch`) is loaded when one of its names is first used.
"""

from importlib import import_module
from typing import Any

from tnsim.errors import BackendError
from tnsim.networks.apply_plan import ApplyPlan
from tnsim.networks.matrix_index import IndexOrder
from tnsim.tensorize.artifact import ChainFile, migrate, save_chains
from tnsim.tensorize.budget import Budget
from tnsim.tensorize.checkpoint import Weights, read_arrays
from tnsim.tensorize.classifier_report import BondReport, ClassifierReport, classifier_report, drop_bonds
from tnsim.tensorize.classifier_sweeps import SweepTraining
from tnsim.tensorize.classifier_training import GradientTraining
from tnsim.tensorize.cut_profile import CutProfile, cut_profile
from tnsim.tensorize.data_entropy import activation_entropy, rank_samples, sample_entropies
from tnsim.tensorize.decide import (
    DO_NOT_BUILD,
    Decision,
    KVCache,
    Needs,
    decide,
    kv_placement,
    quantization_for,
    worth_compressing,
)
from tnsim.tensorize.disentangle import DisentangledChain, Disentangler
from tnsim.tensorize.fixed_gauge import CoreActivation, fixed_gauge
from tnsim.tensorize.functional_error import corrected_bias, functional_error, smallest_rank
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.matrices import CompressedMatrices, MatrixReport, compress_matrices
from tnsim.tensorize.metric_fit import FitSolution, MetricFit
from tnsim.tensorize.mps_classifier import MPSClassifier, snake
from tnsim.tensorize.planner import Planner
from tnsim.tensorize.quantize import Quantization, QuantizedChain, quadrature
from tnsim.tensorize.sampled_svd import SampledSVD, sampled_svd
from tnsim.tensorize.service_metrics import ServiceMetrics
from tnsim.tensorize.size_report import SizeReport, size_report
from tnsim.tensorize.state_network import PolynomialActivation, StateLayer, StateNetwork
from tnsim.tensorize.vector_state import rows_of_state, state_of_rows

# name: module that holds it and needs PyTorch
_WITH_TORCH = {
    **dict.fromkeys(["SparseAutoencoder"], "tnsim.tensorize.nn.sparse_autoencoder"),
    **dict.fromkeys(["collect_inputs", "read_torch"], "tnsim.tensorize.nn.torch_checkpoint"),
    "Served": "tnsim.tensorize.nn.served",
    "Watched": "tnsim.tensorize.nn.watched",
    **dict.fromkeys(["Canary", "Verdict"], "tnsim.tensorize.nn.canary"),
    **dict.fromkeys(["load", "save_model", "weights_hash"], "tnsim.tensorize.nn.model_file"),
    "TTConv2d": "tnsim.tensorize.nn.tt_conv",
    "TTEmbedding": "tnsim.tensorize.nn.tt_embedding",
    "TTLinear": "tnsim.tensorize.nn.tt_linear",
    **dict.fromkeys(["BlockTermLinear", "GraphLinear", "RingLinear"], "tnsim.tensorize.nn.graph_linear"),
    **dict.fromkeys(["Allocation", "Tensorized", "tensorize"], "tnsim.tensorize.nn.whole_model"),
    **dict.fromkeys(["Healing", "core_penalty", "heal_"], "tnsim.tensorize.nn.heal"),
    **dict.fromkeys(["ResidualStream", "permute_hidden", "rotate_residual"], "tnsim.tensorize.nn.basis"),
    **dict.fromkeys(["Growth", "inflate_", "insert_core_"], "tnsim.tensorize.nn.grow"),
    **dict.fromkeys(["Pareto", "pareto"], "tnsim.tensorize.nn.pareto"),
    "tune_plans_": "tnsim.tensorize.nn.tuning",
    "LayerFormat": "tnsim.tensorize.nn.ladder",
    **dict.fromkeys(["quantize_chains_", "quantize_layer"], "tnsim.tensorize.nn.quantized"),
    **dict.fromkeys(["Profile", "profile"], "tnsim.tensorize.nn.profile"),
    "smaller_dense": "tnsim.tensorize.nn.smaller",
    **dict.fromkeys(["CPConv", "TuckerConv"], "tnsim.tensorize.nn.factored_conv"),
    "replace_layers": "tnsim.tensorize.nn.replace",
}

__all__ = [
    "ApplyPlan", "BondReport", "Budget", "ChainFile", "ClassifierReport", "CompressedMatrices", "CoreActivation",
    "CutProfile", "DO_NOT_BUILD", "Decision", "DisentangledChain", "Disentangler", "FitSolution",
    "GradientTraining", "Gram", "IndexOrder", "KVCache", "MPSClassifier", "MatrixReport", "MetricFit", "Needs",
    "Planner", "PolynomialActivation", "Quantization", "QuantizedChain", "SampledSVD", "ServiceMetrics", "SizeReport",
    "StateLayer", "StateNetwork", "SweepTraining", "Weights", "activation_entropy", "classifier_report",
    "compress_matrices",
    "corrected_bias", "cut_profile", "decide", "drop_bonds", "fixed_gauge", "functional_error", "kv_placement",
    "migrate", "quadrature", "quantization_for", "rank_samples", "read_arrays", "rows_of_state", "sample_entropies",
    "sampled_svd", "save_chains", "size_report", "smallest_rank", "snake", "state_of_rows", "worth_compressing",
    *_WITH_TORCH,
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(_WITH_TORCH[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise BackendError(f"tnsim.tensorize.{name} needs PyTorch: pip install 'tnsim[torch]'.") from error
    globals()[name] = value
    return value
