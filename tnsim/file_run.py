"""What all jobs that write a result to a file have in common: lines, checkpoints, signals, and the end of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tnsim.backend import Backend, new_data_on, set_threads
from tnsim.io import EXIT_SAVED, EXIT_UNSAVED, StopOnSignals
from tnsim.io.atomic import check_writable
from tnsim.io.hdf5 import check_replaceable
from tnsim.monitor import compilation_notice


@dataclass(frozen=True, kw_only=True)
class FileRun:
    """A kind of result: its name in files, who prints its reports, saves them and writes the end, flags to go on with.

    lines(console) and checkpointer(path, seconds=, keep=, job=) make observers; write(path, result, keep=, job=).
    """

    kind: str
    lines: Callable[[Console], Any]
    checkpointer: Callable[..., Any]
    write: Callable[..., None]
    flags: str

    def run(
        self, job: Any, console: Console, solve: Callable[[Backend, list[Any]], Any], *, about: Any, anew: bool,
        facts: Any = None,
    ) -> int:  # fmt: skip
        """Run a job with a model, [run] options and a text; returns the exit code.

        0: the run ended (the status says how); 75: it was stopped by a signal and saved; 74: its result could not be
        written. solve(backend, observers) gives the result; about: the line below the model; anew: not resumed.
        """
        out, options, text = Path(job.run.out), job.run, job.to_toml()
        check_writable(out)
        if anew and out.exists():
            check_replaceable(out, self.kind)
        set_threads(options.threads or None)
        console.print(f"{job.model}", style="bold", soft_wrap=True, highlight=False)
        console.print(f"{about}", style="dim", soft_wrap=True, highlight=False)
        with new_data_on(options.backend) as backend, StopOnSignals() as signals:
            observers = [self.lines(console), signals]
            if options.checkpoint_seconds:
                saver = self.checkpointer(out, seconds=options.checkpoint_seconds, keep=options.keep, job=text)
                observers.append(saver)
            with compilation_notice(console):
                result = solve(backend, observers)
        console.print(repr(result), soft_wrap=True, highlight=False)
        if facts is not None:
            console.print(facts, highlight=False)
        try:
            self.write(out, result, keep=options.keep, job=text)
        except OSError as error:
            console.print(f"the result is not written to {out}: {error}", style="red", soft_wrap=True)
            return EXIT_UNSAVED
        console.print(f"file {out}   (tnsim info | plot | resume {self.flags})", soft_wrap=True, highlight=False)
        return EXIT_SAVED if result.status.name == "interrupted" else 0
