"""The record of a profile, and its tables."""

import os
from datetime import date
from typing import Any

from benchmarks.job import Job
from benchmarks.process import answer_of
from benchmarks.report import fitted_power, machine

_PURPOSES = ("products", "splits", "environments and moves", "planning")


def profile_record(job: Job, command: str) -> dict[str, Any]:
    """The job, and the same on half its length, each in a fresh process on one thread."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    runs = []
    for size in ("whole", "shorter"):
        found = answer_of("benchmarks.profiled", [job.name, str(len(job.chis)), size], 1, {})
        if isinstance(found, str):
            raise RuntimeError(found)
        runs.append(found)
    return {
        "job": f"profile-{job.name}", "question": job.question, "date": date.today().isoformat(), "command": command,
        "machine": machine(), "load_before": round(load, 2), "runs": runs,
    }  # fmt: skip


def profile_markdown(content: dict[str, Any]) -> str:
    """Shares of every stage, rates, and growth with the length."""
    whole, shorter = content["runs"]
    lines = [
        f"### {content['job']}: where the time goes",
        "",
        f"{content['question']}. {content['date']}, {content['machine']}; load average {content['load_before']}: "
        f"`{content['command']}`",
        "",
        "| chi | CPU s | products | splits | environments | plans | Python | gemm | LAPACK | dot | gemm of DGEMM "
        "| products of DGEMM | ms a product |",
        "|" + "---:|" * 13,
        *(_line(stage) for stage in whole["stages"]),
        "",
        _growth(whole, shorter),
    ]
    return "\n".join(lines)


def _line(stage: dict[str, Any]) -> str:
    """Times as shares of the stage; the rate of BLAS in products, and of products with all that Lanczos does beside.

    Flops in single precision count half in both (see `probe`)."""
    total, purposes = stage["cpu_seconds"], stage["purposes"]
    parts = [purposes.get(name, {"seconds": 0.0})["seconds"] for name in _PURPOSES]
    inside = [sum(purpose[kind] for purpose in purposes.values()) for kind in ("gemm", "lapack", "dot")]
    products = purposes["products"]
    rates = [products["flops"] * 1e-9 / products[kind] / stage["dgemm"] for kind in ("gemm", "seconds")]
    shares = [*parts, total - sum(parts), *inside]
    cells = [f"{100 * part / total:.0f}%" for part in shares] + [f"{100 * rate:.0f}%" for rate in rates]
    spent = 1e3 * products["seconds"] / stage["matvecs"]
    return f"| {stage['chi']} | {total:.2f} | " + " | ".join(cells) + f" | {spent:.2f} |"


def _growth(whole: dict[str, Any], shorter: dict[str, Any]) -> str:
    """Exponents of the length in seconds and memory, and of chi in the time of a product."""
    stages, other = whole["stages"], shorter["stages"][-1]
    spent = [stage["purposes"]["products"]["seconds"] / stage["matvecs"] for stage in stages]
    of_chi = fitted_power([stage["chi"] for stage in stages], spent)
    of_length = fitted_power([shorter["L"], whole["L"]], [other["cpu_seconds"], stages[-1]["cpu_seconds"]])
    product = f"A product grows as chi^{of_chi:.1f} (fitted to the last three rows). " if len(stages) > 1 else ""
    return (
        f"{product}From {shorter['L']} to {whole['L']} sites the last row's seconds grow as L^{of_length:.1f}, and the "
        f"peak from {shorter['peak_mb']:.0f} to {whole['peak_mb']:.0f} MB. DGEMM: {stages[-1]['dgemm']:.0f} GFLOP/s."
    )
