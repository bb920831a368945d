"""What a file of chains tells of itself, as a page and as plain numbers: for those who did not make it."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from math import prod
from types import SimpleNamespace
from typing import Any

from tnsim.errors import TnsimError
from tnsim.tensorize.artifact import ChainFile
from tnsim.tensorize.html_report import Section, html_report


def artifact_facts(file: ChainFile) -> dict[str, Any]:
    """Version, sizes, hashes, the way back, seed: what stands in the file beside its numbers."""
    kinds = sorted({entry["kind"] for entry in file.layout.values()})
    types = sorted({entry["dtype"] for entry in file.layout.values()})
    return {
        "path": str(file.path),
        "bytes": file.path.stat().st_size,
        "format version": file.version,
        "signed": file.is_signed,
        "chains": len(file),
        "kind of chains": ", ".join(kinds),
        "dtype": ", ".join(types),
        "other arrays": len(file.arrays),
        "SHA-256 of the source": file.source_sha256 or "not kept",
        "dense fallback": file.notes.get("fallback") or "not kept",
        "seed": file.notes.get("seed", "not kept"),
        "status": file.notes.get("status", "not kept"),
    }


def chain_rows(file: ChainFile) -> Iterator[tuple[str, ...]]:
    """Name, shape, ranks, numbers, ratio, kind of every chain, as words."""
    for name, entry in file.layout.items():
        cores = entry.get("cores") or [list(t.shape) for t in file[name].tensors]
        numbers = sum(prod(core) for core in cores)
        kind = f"{entry['bits']} bits ({entry['numbers']})" if entry["kind"] == "quantized" else entry["dtype"]
        shape, ranks = "x".join(map(str, entry["shape"])), " ".join(str(core[3]) for core in cores[:-1])
        yield name, shape, ranks, str(numbers), f"{prod(entry['shape']) / numbers:.2f}", kind


CHAIN_COLUMNS = ("layer", "shape", "ranks", "numbers", "ratio", "stored as")


def artifact_page(file: ChainFile) -> str:
    """The page of a file: figures where matplotlib is there, all that was measured, and what it is made of."""
    metrics = file.notes.get("metrics")
    metrics = metrics if isinstance(metrics, Mapping) else {}
    sections = [Section(title="Chains", columns=CHAIN_COLUMNS, rows=list(chain_rows(file)))]
    sections += [
        _section(title, metrics.get(name, ()))
        for title, name in (
            ("Alternatives, measured", "alternatives"),
            ("Layers", "layers"),
            ("Matrices", "rows"),
            ("Steps", "steps"),
        )
    ]
    plain = [(name, _word(value)) for name, value in metrics.items() if isinstance(value, (int, float, str))]
    sections.insert(0, Section(title="In short", columns=("measure", "value"), rows=plain))
    dense = sum(prod(entry["shape"]) for entry in file.layout.values())
    kept = sum(int(row[3]) for row in chain_rows(file))
    lead = f"{len(file)} chains hold {kept} of {dense} numbers: {dense / max(1, kept):.2f} times smaller."
    return html_report(f"Compressed network: {file.path.name}", lead, artifact_facts(file), sections, _figures(metrics))


def _section(title: str, rows: Any) -> Section:
    rows = [row for row in rows if isinstance(row, Mapping)]
    columns = tuple(rows[0]) if rows else ()
    return Section(title=title, columns=columns, rows=[[_word(row.get(name)) for name in columns] for row in rows])


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return " ".join(map(_word, value))
    return "-" if value is None else str(value)


def _figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Of a network its losses and layers, of plain matrices their entropies and errors; none without matplotlib."""
    try:
        plotting = import_module("tnsim.plotting")
        if metrics.get("alternatives"):
            layers = [{**row, "dense_numbers": prod(row["shape"])} for row in metrics["layers"]]
            return {"Losses and layers": plotting.plot_compression(_as_names({**metrics, "layers": layers}))}
        if metrics.get("rows"):
            return {"Entropies and errors": plotting.plot_profile(_as_profile(metrics))}
    except TnsimError:
        # no matplotlib: the tables say it all
        return {}
    return {}


def _as_names(value: Any) -> Any:
    """Nested tables as objects with attributes, as the plot functions read them."""
    if isinstance(value, Mapping):
        return SimpleNamespace(**{name: _as_names(entry) for name, entry in value.items()})
    return [_as_names(entry) for entry in value] if isinstance(value, list) else value


def _as_profile(metrics: Mapping[str, Any]) -> Any:
    layers = [
        SimpleNamespace(
            name=row["name"],
            chain=SimpleNamespace(entropy=row["chain_entropy"], noise_entropy=row["chain_noise"]),
            matrix=SimpleNamespace(entropy=row["matrix_entropy"], noise_entropy=row["matrix_noise"]),
            outputs=None,
            error=row["error"],
        )
        for row in metrics["rows"]
    ]
    return SimpleNamespace(layers=layers, ratio=round(metrics["ratio"], 2))
