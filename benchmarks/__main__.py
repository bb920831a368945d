"""`python -m benchmarks run heisenberg` times the engines; `python -m benchmarks table` rewrites the README's table."""

import json
import platform
import statistics
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.jobs import JOBS
from benchmarks.process import ROOT, measure

app = typer.Typer(add_completion=False, help=__doc__)
FOLDER = ROOT / "benchmarks"
_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"


@app.command()
def run(
    job: Annotated[str, typer.Argument(help=f"one of {', '.join(JOBS)}")],
    engines: Annotated[str, typer.Option(help="comma-separated")] = "tnsim,tenpy,block2",
    threads: Annotated[int, typer.Option(help="threads of the peers")] = 1,
    extra_threads: Annotated[int, typer.Option(help="a second tnsim row with this many threads (0: none)")] = 2,
    repeats: Annotated[int, typer.Option(help="runs of every engine; medians are quoted")] = 3,
) -> None:
    """Run every engine in turn, `repeats` times, and write benchmarks/results/<date>-<job>.json."""
    rows = [(engine, threads) for engine in engines.split(",")]
    if extra_threads:
        rows.append(("tnsim", extra_threads))
    results: dict[tuple[str, int], list[dict]] = {row: [] for row in rows}
    for _ in range(repeats):
        for engine, count in rows:
            results[engine, count].append(measure(engine, job, count))
    summary = [_summary(engine, count, runs, job) for (engine, count), runs in results.items()]
    record = {
        "job": job, "date": date.today().isoformat(), "machine": _machine(), "repeats": repeats,
        "command": f"python -m benchmarks run {job} --engines {engines} --threads {threads} "
        f"--extra-threads {extra_threads} --repeats {repeats}",
        "rows": summary,
    }  # fmt: skip
    path = FOLDER / "results" / f"{record['date']}-{job}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    Console().print(_rich_table(record))
    Console().print(f"written to {path.relative_to(ROOT)}")


def _summary(engine: str, threads: int, runs: list[dict], job: str) -> dict:
    row = {"engine": engine, "threads": threads}
    good = [r for r in runs if "seconds" in r]
    if not good:
        return row | {k: v for k, v in runs[0].items() if k in ("missing", "failed", "skipped")}
    times = sorted(r["seconds"] for r in good)
    return row | {
        "seconds": statistics.median(times), "seconds_min": times[0], "seconds_max": times[-1],
        "energy_error": good[0]["energy"] - JOBS[job].energy, "matvecs": good[0]["matvecs"], "chi": good[0]["chi"],
        "half_sweeps": JOBS[job].half_sweeps, "peak_mb": statistics.median(r["peak_mb"] for r in good),
        "first_use_seconds": good[0]["compile_seconds"], "version": good[0]["version"], "notes": good[0]["notes"],
    }  # fmt: skip


def _machine() -> str:
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{names[0] if names else platform.processor()}, {len(names)} cores, Python {platform.python_version()}"


_HEAD = (
    "engine",
    "threads",
    "seconds",
    "min-max",
    "ratio",
    "energy error",
    "chi",
    "products",
    "peak MB",
    "first use s",
)


def _cells(record: dict) -> list[tuple[str, ...]]:
    base = next((r["seconds"] for r in record["rows"] if r["engine"] == "tnsim" and "seconds" in r), None)
    cells = []
    for r in record["rows"]:
        if "seconds" not in r:
            reason = next(f"{k}: {r[k]}" for k in ("missing", "failed", "skipped") if k in r)
            cells.append((r["engine"], str(r["threads"]), reason, *[""] * (len(_HEAD) - 3)))
            continue
        cells.append(
            (
                f"{r['engine']} {r['version']}",
                str(r["threads"]),
                f"{r['seconds']:.2f}",
                f"{r['seconds_min']:.2f}-{r['seconds_max']:.2f}",
                f"{r['seconds'] / base:.2f}" if base else "",
                f"{r['energy_error']:.1e}",
                str(r["chi"]),
                str(r["matvecs"] or "?"),
                f"{r['peak_mb']:.0f}",
                f"{r['first_use_seconds']:.1f}",
            )  # fmt: skip
        )
    return cells


def _rich_table(record: dict) -> Table:
    table = Table(title=f"{record['job']}: {record['machine']}")
    for name in _HEAD:
        table.add_column(name, justify="left" if name == "engine" else "right", overflow="fold")
    for row in _cells(record):
        table.add_row(*row)
    return table


@app.command()
def table() -> None:
    """Rewrite the results between the markers of benchmarks/README.md from the newest file of every job."""
    parts = []
    for job in JOBS:
        files = sorted((FOLDER / "results").glob(f"*-{job}.json"))
        files = [f for f in files if json.loads(f.read_text())["job"] == job]
        if not files:
            continue
        record = json.loads(files[-1].read_text())
        lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
        lines += ["| " + " | ".join(row) + " |" for row in _cells(record)]
        reference = JOBS[job]
        chis = ", ".join(map(str, reference.chis))
        title = f"### {job}: L={reference.L}, chi {chis}, {reference.half_sweeps} half sweeps"
        kind = "exact energy" if reference.exact else "reference energy"
        parts.append(
            f"{title}\n\n{kind} {reference.energy} ({reference.source}); {record['date']}, {record['machine']}; "
            f"medians of {record['repeats']}\n\n`{record['command']}`\n\n" + "\n".join(lines)
        )
    readme = FOLDER / "README.md"
    text = readme.read_text()
    head, tail = text.split(_BEGIN)[0], text.split(_END)[1]
    readme.write_text(f"{head}{_BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{_END}{tail}")


if __name__ == "__main__":
    app()
