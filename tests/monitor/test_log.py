"""A log that other programs read: one JSON object a sweep."""

import json
from dataclasses import asdict

import tnsim as tn
from tnsim.models import Heisenberg
from tnsim.monitor import JsonLog


def not_json(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def test_every_sweep_is_one_line_of_strict_json(tmp_path):
    model, path = Heisenberg(L=6), tmp_path / "sweeps.jsonl"
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=8), max_sweeps=2, float32_sweeps=1, noise_sweeps=0)
    histories = [dmrg.solve(model.mpo(), model.product(), [JsonLog(path)]).history for _ in range(2)]
    lines = [json.loads(line, parse_constant=not_json) for line in path.read_text().splitlines()]
    reports = [asdict(report) for history in histories for report in history]
    assert lines[0]["energy_change"] is None
    for line, report in zip(lines, reports, strict=True):
        assert {name: line[name] if line[name] is not None else float("inf") for name in line} == report
