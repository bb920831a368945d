"""The README: its settings table is that of the code, its job is one, and its Python runs."""

import re
from pathlib import Path

import pytest

import tnsim as tn
from tnsim.io import SOLVERS, RunOptions, job_from_table
from tnsim.io.settings import describe, parse_toml

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def test_lines_are_short():
    lines = [line for line in README.read_text().splitlines() if not line.startswith(("|", "python -m venv"))]
    assert [line for line in lines if len(line) > 120] == []


def settings_table() -> str:
    tables = [*SOLVERS.items(), ("run", RunOptions)]
    rows = [(name, row) for name, cls in tables for row in describe(cls)]
    lines = ["| table | setting | type | default | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| {table} | `{name}` | {kind} | {default} | {meaning} |" for table, (name, kind, default, meaning) in rows
    ]
    return "\n".join(lines)


def test_the_settings_table_is_that_of_the_code():
    text = README.read_text()
    between = text.split(BEGIN)[1].split(END)[0].strip()
    assert between == settings_table(), "paste this between the markers of the README:\n" + settings_table()


def test_the_jobs_of_the_readme_are_jobs():
    texts = re.findall(r"```toml\n(.*?)```", README.read_text(), re.S)
    staged, lattice = (job_from_table(parse_toml(text, "README.md")) for text in texts)
    assert lattice.model.geometry == tn.Lattice("kagome", 4, 3, bc_y="periodic", order="snake")
    assert [stage.truncation.chi_max for stage in (*staged.stages, staged.solver)] == [50, 200, 200]
    assert [stage.sites for stage in (*staged.stages, staged.solver)] == [2, 2, 1]
    assert staged.model.product(staged.run.initial).charge == (0,)


@pytest.mark.slow
def test_the_python_of_the_readme_runs():
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.S):
        exec(block, names)
    assert abs(names["result"].energy - names["model"].facts.energy) < 1e-9
    assert names["result"].status.converged
