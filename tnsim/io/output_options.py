"""Where a run that is watched step by step writes, and what it may use: of evolutions, and of work in the plane."""

from dataclasses import dataclass, field

from tnsim.errors import SettingsError, check_fields


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """File, checkpoints, array library and threads of a run."""

    out: str = field(metadata={"help": "file for the result and the checkpoints"})
    backend: str = field(default="", metadata={"help": "array library: numpy or cupy; empty takes TNSIM_BACKEND"})
    threads: int = field(default=0, metadata={"help": "threads; 0 takes what the environment grants"})
    checkpoint_seconds: float = field(default=300.0, metadata={"help": "seconds between checkpoints; 0 writes none"})
    keep: int = field(default=2, metadata={"help": "how many checkpoints are kept"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.threads < 0 or self.keep < 1 or not self.checkpoint_seconds >= 0:
            raise SettingsError(
                f"threads and checkpoint_seconds must be >= 0 and keep >= 1, found {self.threads}, "
                f"{self.checkpoint_seconds} and {self.keep}."
            )
