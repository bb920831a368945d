"""`python -m benchmarks run heisenberg` times the engines; `python -m benchmarks table` rewrites the README."""

import json
import os
import tempfile
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.job import Job
from benchmarks.jobs import JOBS
from benchmarks.measurement import Measurement
from benchmarks.peers import PACKAGES
from benchmarks.process import ROOT, Row, measure
from benchmarks.profile_report import profile_markdown, profile_record
from benchmarks.report import by_stage, markdown, record, rich_table, summarise

app = typer.Typer(add_completion=False, help=__doc__)
console = Console()
FOLDER = ROOT / "benchmarks"
_TABLE_WIDTH = 140
_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"


@app.command()
def run(
    job: Annotated[str, typer.Argument(help=f"one of {', '.join(JOBS)}")],
    engines: Annotated[
        str, typer.Option(help="comma-separated, each as name or name:variant; without it the job's own list")
    ] = "",
    threads: Annotated[int, typer.Option(min=1, help="threads of every engine")] = 1,
    extra_threads: Annotated[int, typer.Option(min=0, help="a second tnsim row with so many threads; 0: none")] = 2,
    repeats: Annotated[
        int, typer.Option(min=0, help="runs of every engine, in turn, medians are quoted; 0: one, on compiled code")
    ] = 3,
    stages: Annotated[int, typer.Option(min=0, help="so many of the job's first bond dimensions; 0: all")] = 0,
    output: Annotated[
        Path | None, typer.Option("--json", help="result file; without it benchmarks/results/<date>-<job>.json")
    ] = None,
) -> None:
    """Time every engine on a job, in turn, each run in a process of its own."""
    if job not in JOBS:
        raise typer.BadParameter(f"there is no job {job!r}; the jobs are {', '.join(JOBS)}", param_hint="job")
    task = JOBS[job].up_to(stages) if stages else JOBS[job]
    rows = _rows(engines.split(",") if engines else task.engines, threads, extra_threads)
    path = output or FOLDER / "results" / f"{date.today().isoformat()}-{job}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = f" --engines {engines}" if engines else ""
    counts = f"--threads {threads} --extra-threads {extra_threads} --repeats {repeats}"
    counts += f" --stages {stages}" if stages else ""
    command = f"python -m benchmarks run {job}{chosen} {counts}"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    content = record(task, _measure_all(rows, task, repeats), command, load)
    path.write_text(json.dumps(content, indent=1) + "\n")
    Console(width=max(console.width, _TABLE_WIDTH)).print(rich_table(content))
    print("\n".join(by_stage(content)))
    console.print(f"written to {path}")


def _rows(engines: list[str] | tuple[str, ...], threads: int, extra_threads: int) -> list[Row]:
    rows = [Row(engine=engine.strip(), threads=threads) for engine in engines]
    for row in rows:
        if row.peer not in PACKAGES:
            raise typer.BadParameter(
                f"there is no engine {row.peer!r}; the engines are {', '.join(PACKAGES)}", param_hint="--engines"
            )
    if extra_threads > threads and any(row.engine == "tnsim" for row in rows):
        rows.append(Row(engine="tnsim", threads=extra_threads))
    return rows


def _measure_all(rows: list[Row], job: Job, repeats: int) -> list[dict]:
    """Every engine once with nothing compiled, for its first use; then all in turn, `repeats` times.

    Without repeats one run of each, with the compilation cache that there is.
    """
    runs: dict[Row, list[Measurement | str]] = {row: [] for row in rows}
    with tempfile.TemporaryDirectory() as cache, console.status("") as status:
        for repeat in range(repeats + 1):
            for row in rows:
                if repeat and isinstance(runs[row][0], str):
                    continue
                status.update(f"{job.name}: run {repeat} of {repeats}, {row.engine}, threads {row.threads}")
                runs[row].append(measure(row, job, cache if repeats else ""))
    return [summarise(row, runs[row][0], *(runs[row][1:] or runs[row]), job=job) for row in rows]


@app.command()
def profile(
    job: Annotated[str, typer.Argument(help=f"one of {', '.join(JOBS)}")],
    stages: Annotated[int, typer.Option(min=0, help="so many of the job's first bond dimensions; 0: all")] = 0,
    output: Annotated[
        Path | None, typer.Option("--json", help="result file; without it benchmarks/results/<date>-profile-<job>.json")
    ] = None,
) -> None:
    """Where the time of tnsim goes on one thread: products of matrices, LAPACK, plans, Python; growth with length."""
    task = JOBS[job].up_to(stages) if stages else JOBS[job]
    content = profile_record(task, f"python -m benchmarks profile {job}" + (f" --stages {stages}" if stages else ""))
    path = output or FOLDER / "results" / f"{date.today().isoformat()}-profile-{job}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(profile_markdown(content))
    console.print(f"written to {path}")


@app.command()
def table() -> None:
    """Rewrite the results between the markers of benchmarks/README.md from the newest file of every job."""
    newest: dict[str, dict] = {}
    for path in sorted((FOLDER / "results").glob("*.json")):
        content = json.loads(path.read_text())
        if isinstance(content, dict) and "job" in content:  # benchmarks of their own write other tables
            newest[content["job"]] = content
    sections = [markdown(newest[name], job) for name, job in JOBS.items() if name in newest]
    sections += [profile_markdown(content) for name, content in newest.items() if name.startswith("profile-")]
    readme = FOLDER / "README.md"
    text = readme.read_text()
    head, tail = text.split(_BEGIN)[0], text.split(_END)[1]
    readme.write_text(f"{head}{_BEGIN}\n\n" + "\n\n".join(sections) + f"\n\n{_END}{tail}")


@app.command()
def jobs() -> None:
    """List the jobs and the engines each runs unless asked otherwise."""
    for job in JOBS.values():
        console.print(f"{job.name:12s} {job.question}; {', '.join(job.engines)}", highlight=False)


if __name__ == "__main__":
    app()
