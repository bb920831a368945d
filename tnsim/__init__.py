"""tnsim: tensor networks on symmetric tensors.

Public names are loaded when they are first used, so that `import tnsim` stays quick.
"""

from importlib import import_module
from typing import Any

from tnsim import _source_tree as _source_tree
from tnsim.version import __version__ as __version__

# name: module that holds it
_PUBLIC = {
    **dict.fromkeys(
        [
            "Chebyshev",
            "Circuit",
            "CircuitResult",
            "DMRG",
            "Dispersion",
            "DynamicalCorrelation",
            "EvolutionReport",
            "Evolved",
            "Excitations",
            "ExcitedStates",
            "Extrapolation",
            "IDMRG",
            "KrylovEvolution",
            "METTS",
            "MPOEvolution",
            "Progress",
            "Purification",
            "Quasiparticles",
            "Solution",
            "SpectralFunction",
            "Status",
            "SweepReport",
            "TDVP",
            "TEBD",
            "ThermalDoubling",
            "ThermalSamples",
            "ThermalStates",
            "VUMPS",
            "dynamical_correlation",
            "extrapolate",
            "run_stages",
        ],
        "tnsim.algorithms",
    ),
    **dict.fromkeys(["from_torch", "to_torch"], "tnsim.tensorize.torch_plane"),
    "VariationalPEPS": "tnsim.algorithms.peps.variational.variational",
    "SymmetricVariationalPEPS": "tnsim.algorithms.peps.variational.symmetric_variational",
    "symmetric_mean": "tnsim.algorithms.peps.variational.symmetric_measure",
    "EnvironmentSettings": "tnsim.algorithms.peps.variational.symmetric_problem",
    **dict.fromkeys(["MinimizationSettings", "MinimizedState"], "tnsim.algorithms.peps.variational.minimization"),
    "ATRG": "tnsim.algorithms.plane.atrg",
    "ATRG3D": "tnsim.algorithms.plane.atrg_3d",
    "BoundaryMPS": "tnsim.algorithms.plane.boundary_mps",
    **dict.fromkeys(["network_marginals", "sample_network"], "tnsim.algorithms.plane.network_samples"),
    "BoundaryMeasurement": "tnsim.algorithms.peps.finite.boundary_measurement",
    "cylinder_spectrum": "tnsim.algorithms.peps.infinite.cylinder_spectrum",
    "entanglement_below": "tnsim.algorithms.peps.finite.entanglement_cut",
    "sample_peps": "tnsim.algorithms.peps.finite.peps_samples",
    "SweepContraction": "tnsim.algorithms.plane.sweep_contraction",
    **dict.fromkeys(["amplitude_network", "overlap_network"], "tnsim.networks.double_layer"),
    "CTMRG": "tnsim.algorithms.plane.ctmrg",
    "CoarseGraining": "tnsim.algorithms.plane.coarse_graining",
    **dict.fromkeys(["ExactContraction", "marginals"], "tnsim.algorithms.plane.exact_contraction"),
    "HOSRG": "tnsim.algorithms.plane.hosrg",
    "HOTRG": "tnsim.algorithms.plane.hotrg",
    "HOTRG3D": "tnsim.algorithms.plane.hotrg_3d",
    "CubicNetwork": "tnsim.networks.cubic_network",
    "InfiniteBoundary": "tnsim.algorithms.plane.infinite_boundary",
    "LoopTNR": "tnsim.algorithms.plane.loop_tnr",
    **dict.fromkeys(["BTRG", "TRG"], "tnsim.algorithms.plane.trg"),
    **dict.fromkeys(["Spectrum", "Truncation", "eigh", "lq", "qr", "svd"], "tnsim.linalg"),
    **dict.fromkeys(["Krylov", "lanczos"], "tnsim.linalg.lanczos"),
    **dict.fromkeys(["OperatorSum", "plus_hc"], "tnsim.networks.operator_sum"),
    **dict.fromkeys(
        [
            "Site",
            "boson_site",
            "custom_site",
            "electron_site",
            "fermion_site",
            "kondo_site",
            "spin_site",
            "spin_sites",
            "tj_site",
        ],
        "tnsim.networks.sites",
    ),  # fmt: skip
    **dict.fromkeys(["canonicalize", "schmidt_values", "vidal"], "tnsim.networks.canonical"),
    **dict.fromkeys(["MPS", "overlap"], "tnsim.networks.mps"),
    "MPO": "tnsim.networks.mpo",
    **dict.fromkeys(["IndexOrder", "balanced_factors"], "tnsim.networks.matrix_index"),
    "ApplyPlan": "tnsim.networks.apply_plan",
    **dict.fromkeys(["apply_to_rows", "merge_sites", "prepare"], "tnsim.networks.batch_apply"),
    **dict.fromkeys(["gauge", "rotate"], "tnsim.networks.mpo_gauge"),
    **dict.fromkeys(["bond_features", "stack"], "tnsim.networks.stack"),
    **dict.fromkeys(["RankRule", "max_ranks"], "tnsim.networks.rank_rule"),
    **dict.fromkeys(["InfiniteMPS", "neutral_cell"], "tnsim.networks.infinite_mps"),
    "current": "tnsim.networks.current",
    "window": "tnsim.networks.window",
    "InfiniteMPO": "tnsim.networks.infinite_mpo",
    **dict.fromkeys(["FiniteNetwork", "InfiniteNetwork"], "tnsim.networks.square_network"),
    **dict.fromkeys(
        ["CylinderPEPS", "InfinitePEPS", "PEPS", "PlaneTerms", "finite_start", "grown", "infinite_start"],
        "tnsim.networks.peps",
    ),
    "Cooling": "tnsim.algorithms.peps.updates.cooling",
    "FullUpdate": "tnsim.algorithms.peps.updates.full_update",
    "NeighbourhoodUpdate": "tnsim.algorithms.peps.updates.neighbourhood_update",
    "SimpleUpdate": "tnsim.algorithms.peps.updates.simple_update",
    **dict.fromkeys(["gauge_error", "super_orthogonal"], "tnsim.algorithms.peps.updates.belief_propagation"),
    "WeightedPEPS": "tnsim.networks.peps.weighted",
    **dict.fromkeys(["PEPSGroundState", "PEPSResult"], "tnsim.algorithms.peps.ground_state"),
    **dict.fromkeys(["correlations", "measure_infinite"], "tnsim.algorithms.peps.infinite.infinite_measure"),
    **dict.fromkeys(["certify_energy"], "tnsim.algorithms.peps.infinite.energy_certificate"),
    **dict.fromkeys(["infinitely_hot", "purified_terms"], "tnsim.networks.peps.purified"),
    "TensorNetwork": "tnsim.networks.tensor_network",
    **dict.fromkeys(["FactorGraph", "colourings", "satisfiability", "sudoku"], "tnsim.networks.factor_graph"),
    **dict.fromkeys(["FermionParity", "Group", "Leg", "TRIVIAL", "U1", "Zn"], "tnsim.symmetry"),
    **dict.fromkeys(["Tensor", "contract", "from_dense", "random_tensor", "zeros"], "tnsim.tensor"),
    **dict.fromkeys(
        [
            "collapse",
            "correlation",
            "correlation_length",
            "entanglement_spectrum",
            "entropy",
            "expect",
            "extrapolate_correlation_length",
            "fidelity",
            "gaussian_entropy",
            "gaussian_spectrum",
            "momentum_spectrum",
            "mutual_information",
            "reduced_density_matrix",
            "sample",
            "series_average",
            "transfer_spectrum",
            "variance",
        ],
        "tnsim.measure",
    ),  # fmt: skip
    **dict.fromkeys(["compress", "compress_variational"], "tnsim.networks.compress"),
    **dict.fromkeys(["apply"], "tnsim.networks.apply"),
    **dict.fromkeys(["apply_gate"], "tnsim.networks.gates"),
    **dict.fromkeys(["get_backend", "new_data_on", "set_threads"], "tnsim.backend"),
    "TnsimError": "tnsim.errors",
    **dict.fromkeys(["load", "save"], "tnsim.io.files"),
    "from_qiskit": "tnsim.io.qiskit_circuits",
    "read_openqasm": "tnsim.io.openqasm",
    **dict.fromkeys(
        [
            "plot_boundary",
            "plot_coarse_graining",
            "plot_convergence",
            "plot_corners",
            "plot_correlation",
            "plot_dispersion",
            "plot_dynamics",
            "plot_energies",
            "plot_entropy",
            "plot_errors",
            "plot_evolution",
            "plot_extrapolation",
            "plot_lattice",
            "plot_levels",
            "plot_minimization",
            "plot_plane",
            "plot_plane_state",
            "plot_run",
            "plot_scan",
            "plot_spectrum",
        ],
        "tnsim.plotting",
    ),
    "Lattice": "tnsim.models.lattice",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tnsim' has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__.copy()
