"""Figures of runs, states and lattices; matplotlib is loaded when the first one is drawn."""

from tnsim.plotting.boundary import plot_boundary
from tnsim.plotting.classifier import plot_classifier
from tnsim.plotting.coarse import plot_coarse_graining
from tnsim.plotting.compression import plot_compression, plot_pareto, plot_profile
from tnsim.plotting.corners import plot_corners
from tnsim.plotting.curves import plot_convergence, plot_dispersion, plot_entropy, plot_run
from tnsim.plotting.evolution import plot_dynamics, plot_evolution
from tnsim.plotting.lattices import plot_lattice
from tnsim.plotting.levels import plot_extrapolation, plot_levels
from tnsim.plotting.maps import plot_correlation, plot_spectrum
from tnsim.plotting.minimization import plot_minimization
from tnsim.plotting.plane_states import plot_energies, plot_plane, plot_plane_state
from tnsim.plotting.rows import plot_rows
from tnsim.plotting.scans import plot_errors, plot_scan

__all__ = [
    "plot_boundary", "plot_classifier", "plot_coarse_graining", "plot_compression", "plot_convergence",
    "plot_corners", "plot_correlation", "plot_dispersion", "plot_dynamics", "plot_energies", "plot_entropy",
    "plot_errors", "plot_evolution", "plot_extrapolation", "plot_lattice", "plot_levels", "plot_minimization",
    "plot_pareto", "plot_plane", "plot_plane_state", "plot_profile", "plot_rows", "plot_run", "plot_scan",
    "plot_spectrum",
]  # fmt: skip
