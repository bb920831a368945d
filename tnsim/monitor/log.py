"""A machine-readable log: one JSON object a sweep."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tnsim.algorithms.solution import BondReport, SweepReport


class JsonLog:
    """Appends every sweep report as one line of JSON."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def bond(self, report: BondReport, run: Any) -> None:
        """Bonds are not logged."""

    def sweep(self, report: SweepReport, run: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(report)) + "\n")
