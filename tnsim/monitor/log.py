"""A machine-readable log: one JSON object a sweep."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tnsim.algorithms.solution import BondReport, SweepReport


class JsonLog:
    """An observer that appends every sweep report as one line of JSON; null stands for what is not finite.

    >>> JsonLog("sweeps.jsonl").path.name
    'sweeps.jsonl'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def bond(self, report: BondReport, run: Any) -> None:
        """Bonds are not logged."""

    def sweep(self, report: SweepReport, run: Any) -> None:
        values = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(report).items()
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values, allow_nan=False) + "\n")
