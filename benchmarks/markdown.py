"""Tables between markers of benchmarks/README.md."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

README = Path(__file__).parent / "README.md"


def table(lines: Iterable[dict[str, Any]], columns: Sequence[str]) -> list[str]:
    """Lines as Markdown; columns that no line fills are left out."""
    rows = list(lines)
    used = [name for name in columns if any(row.get(name) not in (None, "") for row in rows)]
    head = "| " + " | ".join(used) + " |", "|" + "---|" * len(used)
    return [*head, *("| " + " | ".join(_cell(row.get(name)) for name in used) + " |" for row in rows)]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def replace_between(name: str, parts: Sequence[str], readme: Path = README) -> None:
    """Put text between <!-- name: begin --> and <!-- name: end -->."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = readme.read_text()
    head, tail = text.split(begin)[0], text.split(end)[1]
    readme.write_text(f"{head}{begin}\n\n" + "\n".join(parts) + f"\n\n{end}{tail}")


def replace_by_newest(name: str, columns: Sequence[str], results: Path) -> None:
    """The table of a benchmark, from the newest of its files."""
    newest = max(results.glob(f"*-{name}.json"))
    lines = json.loads(newest.read_text())["lines"]
    load = f"{newest.name}, load average {lines[0]['load average']:.1f} on {os.cpu_count()} cores."
    replace_between(name, [*table(lines, columns), "", load])
