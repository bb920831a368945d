"""From measurements to a record, and from a record to tables."""

import math
import platform
import statistics
from collections.abc import Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from rich.table import Table

from benchmarks.job import Job
from benchmarks.measurement import Measurement
from benchmarks.process import Row

HEAD = (
    "engine", "threads", "seconds", "min to max", "CPU s", "ratio", "energy error", "chi", "half sweeps", "products",
    "peak MB", "first use s",
)  # fmt: skip


def summarise(row: Row, first: Measurement | str, *runs: Measurement | str, job: Job) -> dict:
    """Medians over the repeats, for one line of the table; `first` started with nothing compiled.

    Where nothing ran, the line has the reason.
    """
    line = {"engine": row.engine, "threads": row.threads}
    good = sorted((r for r in runs if isinstance(r, Measurement)), key=lambda r: r.seconds)
    if isinstance(first, str) or not good:
        return line | {"absent": next(r for r in (first, *runs) if isinstance(r, str))}
    middle = good[len(good) // 2]
    return line | {
        "version": middle.version,
        "seconds": statistics.median(r.seconds for r in good),
        "seconds_all": [r.seconds for r in good],
        "cpu_seconds": statistics.median(r.cpu_seconds for r in good),
        "stages": [vars(stage) for stage in middle.stages],
        "energy": middle.energy,
        "energy_error": max((r.energy - job.energy for r in good), key=abs),
        "matvecs": middle.matvecs,
        "chi": middle.chi,
        "half_sweeps": middle.half_sweeps,
        "peak_mb": statistics.median(r.peak_mb for r in good),
        "first_use_seconds": first.start_seconds + first.compile_seconds,
        "compile_seconds_in_timer": max(r.compile_seconds for r in good),
        "start_seconds": statistics.median(r.start_seconds for r in good),
        "notes": middle.notes,
    }


def record(job: Job, lines: list[dict], command: str, load: float) -> dict:
    """All there is to know about one run of the benchmark; `load` is the machine's load average before it.

    Where the job knows no energy, the lowest that an engine reached is the reference.
    """
    reference = job.energy
    if math.isnan(reference):
        reference = min((line["energy"] for line in lines if "energy" in line), default=0.0)
        lines = [line | {"energy_error": line["energy"] - reference} if "energy" in line else line for line in lines]
    return {
        "job": job.name,
        "date": date.today().isoformat(),
        "command": command,
        "machine": machine(),
        "load_before": round(load, 2),
        "packages": _versions("numpy", "scipy", "numba"),
        "exact": job.exact,
        "reference_energy": reference,
        "schedule": {"L": job.L, "chis": job.chis, "full_sweeps_each": job.sweeps, "start": job.start},
        "rows": lines,
    }


def _versions(*names: str) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = f"{len(names)} cores, " if names else ""
    return f"{names[0] if names else platform.processor()}, {cores}Python {platform.python_version()}"


def cells(content: dict) -> list[tuple[str, ...]]:
    """The table's lines as text; the ratio is to the first tnsim line."""
    base = next((r["seconds"] for r in content["rows"] if r["engine"] == "tnsim" and "seconds" in r), None)
    return [_line(r, base) for r in content["rows"]]


def _line(r: dict, base: float | None) -> tuple[str, ...]:
    if "absent" in r:
        return (r["engine"], str(r["threads"]), r["absent"], *[""] * (len(HEAD) - 3))
    name, _, variant = r["engine"].partition(":")
    times = r["seconds_all"]
    return (
        " ".join(filter(None, (name, r["version"], variant))),
        str(r["threads"]),
        f"{r['seconds']:.2f}",
        f"{min(times):.2f} to {max(times):.2f}",
        f"{r['cpu_seconds']:.2f}",
        f"{r['seconds'] / base:.2f}" if base else "",
        f"{r['energy_error']:.1e}",
        str(r["chi"]),
        str(r["half_sweeps"]),
        "not told" if r["matvecs"] is None else str(r["matvecs"]),
        f"{r['peak_mb']:.0f}",
        f"{r['first_use_seconds']:.1f}",
    )


def rich_table(content: dict) -> Table:
    table = Table(title=f"{content['job']}: {content['machine']}")
    for name in HEAD:
        table.add_column(name, justify="left" if name == "engine" else "right", overflow="fold")
    for line in cells(content):
        table.add_row(*line)
    return table


def markdown(content: dict, job: Job) -> str:
    """A section of the README: what was run, the table, and the settings of every engine."""
    chis = ", ".join(map(str, job.chis))
    kind, energy = "Exact" if job.exact else "Reference", content["reference_energy"]
    repeats = max((len(r["seconds_all"]) for r in content["rows"] if "seconds_all" in r), default=0)
    busy = f"; load average {content['load_before']} before the run" if content["load_before"] > 0.5 else ""
    lines = [
        f"### {job.name}: {job.question}",
        "",
        f"L = {job.L}, chi {chis}, {job.sweeps} full sweeps each. {kind} energy {energy!r} ({job.source}).",
        f"{content['date']}, {content['machine']}; medians of {repeats}{busy}: `{content['command']}`",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + "---|" + "---:|" * (len(HEAD) - 1),
        *("| " + " | ".join(line) + " |" for line in cells(content)),
        "",
        *by_stage(content),
        *(f"- {r['engine']}: {r['notes']}" for r in _one_per_engine(content["rows"])),
    ]
    return "\n".join(lines)


def fitted_power(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The exponent of a power law through the last three points, or two; NaN through fewer."""
    if len(sizes) < 2:
        return float("nan")
    return float(np.polyfit(np.log(sizes[-3:]), np.log(values[-3:]), 1)[0])


def by_stage(content: dict) -> list[str]:
    """CPU seconds of a full sweep at every bond dimension, and until the energy error is below powers of ten."""
    rows = [r for r in content["rows"] if "stages" in r]
    base = next((r for r in rows if r["engine"] == "tnsim"), None)
    chis, sweeps = content["schedule"]["chis"], content["schedule"]["full_sweeps_each"]
    if base is None or len(chis) < 2:
        return []
    errors = [abs(s["energy"] - content["reference_energy"]) for r in rows for s in r["stages"]]
    decades = [10.0**-k for k in range(12) if min(errors) <= 10.0**-k < 10 * max(errors)]
    heads = [*(f"chi {chi}" for chi in chis), "chi^", *(f"to {d:.0e}" for d in decades)]
    lines = [
        "CPU seconds of a full sweep (ratio to tnsim), the exponent of chi fitted to the last three, and CPU seconds",
        "until a stage ends below an energy error:",
        "",
    ]
    lines += ["| engine | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for r in rows:
        spent = [s.get("cpu_seconds", s["seconds"]) for s in r["stages"]]
        ours = [s.get("cpu_seconds", s["seconds"]) for s in base["stages"]]
        cells = [f"{a / sweeps:.2f} ({a / b:.1f})" for a, b in zip(spent, ours, strict=True)]
        cells.append(f"{fitted_power(chis, spent):.1f}")
        cells += [_seconds_to(decade, r["stages"], spent, content["reference_energy"]) for decade in decades]
        name = r["engine"] + (f", {r['threads']} threads" if r["threads"] > 1 else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _seconds_to(error: float, stages: list[dict], spent: list[float], energy: float) -> str:
    """Seconds up to the end of the first stage with a smaller error."""
    for number, stage in enumerate(stages):
        if abs(stage["energy"] - energy) <= error:
            return f"{sum(spent[: number + 1]):.1f}"
    return "-"


def _one_per_engine(rows: list[dict]) -> list[dict]:
    return list({r["engine"]: r for r in reversed(rows) if "notes" in r}.values())[::-1]
