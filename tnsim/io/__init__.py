"""Files: HDF5 with checksums and a versioned schema, TOML jobs, checkpoints."""

from tnsim.io.checkpoint import EXIT_SAVED, EXIT_UNSAVED, Checkpointer, StopOnSignals
from tnsim.io.evolved import EvolutionCheckpointer
from tnsim.io.files import load, save
from tnsim.io.job import SOLVERS, Job, RunOptions, job_from_table, job_from_toml
from tnsim.io.run_file import RunRecord, load_newest, load_run, save_run

__all__ = [
    "Checkpointer", "EXIT_SAVED", "EXIT_UNSAVED", "EvolutionCheckpointer", "Job", "RunOptions", "RunRecord", "SOLVERS",
    "StopOnSignals", "job_from_table", "job_from_toml", "load", "load_newest", "load_run", "save", "save_run",
]  # fmt: skip
