"""TOML to settings: everything reachable, every mistake named before anything runs."""

from dataclasses import replace

import pytest

import tnsim as tn
from tests.models.test_models import example
from tnsim.errors import SettingsError
from tnsim.io import Job, RunOptions, job_from_table, job_from_toml
from tnsim.io.settings import describe, from_table, parse_toml, to_table, to_toml
from tnsim.models import MODELS, XX, Heisenberg, Hubbard, MajumdarGhosh

JOB = {"model": {"name": "heisenberg", "L": 6}, "dmrg": {"truncation": {"chi_max": 8}}, "run": {"out": "a.h5"}}


def test_every_setting_survives_the_round_trip():
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=9, svd_min=1e-7), chi_ramp=(2, 4), split="svd", max_sweeps=3)
    for name in MODELS:
        job = Job(example(name, 6), dmrg, RunOptions(out="x.h5", checkpoint_every="2sweeps"))
        back = job_from_table(parse_toml(job.to_toml(), "text"))
        assert back == job


def test_lattices_and_couplings_survive_the_round_trip():
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=9))
    lattice = tn.Lattice("kagome", 2, 2, bc_y="periodic", order="folded")
    for model in (
        Heisenberg(lattice=lattice, J=lambda pair: pair.i / 4, field=-0.5, flux=0.2),
        Hubbard(lattice=lattice, U=range(12), N=5),
        Heisenberg(L=5, periodic=True),
        MajumdarGhosh(L=4, J1=3.0),
    ):
        job = Job(model, dmrg, RunOptions())
        assert job_from_table(parse_toml(job.to_toml(), "text")) == job


@pytest.mark.parametrize("cls", [tn.VUMPS, tn.IDMRG])
def test_jobs_of_infinite_chains_survive_the_round_trip(cls):
    settings = cls(truncation=tn.Truncation(chi_max=7), max_sweeps=9)
    job = Job(Heisenberg(L=2), settings, RunOptions())
    assert job_from_table(parse_toml(job.to_toml(), "job.toml")) == job
    with pytest.raises(SettingsError, match=f"stages.* are for .dmrg.: .{cls.__name__.lower()}. finds one ground"):
        Job(Heisenberg(L=2), settings, RunOptions(), (tn.DMRG(truncation=tn.Truncation(chi_max=7)),))
    with pytest.raises(SettingsError, match="truncation must be of type Truncation, found 3"):
        cls(truncation=3)


def test_stages_take_the_settings_that_they_do_not_name_from_dmrg():
    text = """
    [model]
    name = "heisenberg"
    L = 4
    [dmrg]
    noise = 0.25
    truncation = { chi_max = 9, svd_min = 1e-5 }
    [[stages]]
    truncation.chi_max = 3
    [[stages]]
    sites = 1
    max_sweeps = 2
    [run]
    initial = ["up", "down", "down", "up"]
    """
    job = job_from_table(parse_toml(text, "job.toml"))
    small = tn.Truncation(chi_max=3, svd_min=1e-5)
    shared = tn.DMRG(truncation=replace(small, chi_max=9), noise=0.25)
    assert job.stages == (replace(shared, truncation=small),)
    assert job.solver == replace(shared, sites=1, max_sweeps=2)
    assert job.run.initial == ("up", "down", "down", "up")
    assert job_from_table(parse_toml(job.to_toml(), "again")) == job


def test_what_a_model_fixes():
    names = {row[0] for row in describe(XX)}
    assert "delta" not in names and {"J", "lattice.kind", "lattice.Lx"} <= names
    assert from_table(XX, {"L": 4, "delta": 0.0}) == XX(L=4)  # as older files have it
    with pytest.raises(SettingsError, match="model.delta = 0.5: XX fixes it to 0.0"):
        from_table(XX, {"L": 4, "delta": 0.5}, "model")


def test_describe_lists_every_field():
    names = {row[0] for row in describe(tn.DMRG)}
    table = to_table(tn.DMRG(truncation=tn.Truncation(chi_max=3)))
    assert names == {k for k in table if k != "truncation"} | {f"truncation.{k}" for k in table["truncation"]}
    assert all(row[3] for row in describe(tn.DMRG))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dmrg": {"truncation": {"chi_max": 8}, "max_sweep": 3}}, r"dmrg\.max_sweep.*Did you mean \"max_sweeps\""),
        ({"dmrg": {"truncation": {"chimax": 8}}}, r"dmrg\.truncation\.chimax.*\"chi_max\""),
        ({"dmrg": {"chi_max": 8}}, r"dmrg\.chi_max.*Did you mean \"truncation\.chi_max\""),
        ({"stages": [{}, {"max_sweep": 3}]}, r"unknown setting stages\[1\]\.max_sweep\. Did you mean \"max_sweeps\""),
        ({"stages": [{"truncation": {"chimax": 8}}]}, r"stages\[0\]\.truncation\.chimax.*\"chi_max\""),
        ({"stages": [{"truncation": 8}]}, r"\[stages\[0\]\.truncation\] must be a table of settings, found 8"),
        ({"stages": [{"sites": 3}]}, "sites must lie between 1 and 2"),
        ({"dmrg": {"max_sweep": 3}, "stages": [{"truncation": {"chi_max": 8}}]}, r"dmrg\.max_sweep\. .*\"max_sweeps\""),
        ({"dmrg": {"noise": 0.1}, "stages": [{"sites": 1}]}, r"missing setting stages\[0\]\.truncation"),
        ({"stages": {"sites": 1}}, r"stages are tables, \[\[stages\]\] each, found"),
        ({"stage": []}, r'unknown table \[stage\]. Did you mean "stages"'),
        ({"vumps": {"truncation": {"chi_max": 8}}}, r"a job has one of .* found \[dmrg\] and \[vumps\]"),
        ({"stages": [{}, {}], "run": {"levels": 2}}, "stages.* lead to one state, and levels = 2 were asked for"),
        ({"run": {"initial": ["up", 1]}}, "run.initial must be of type str, found 1"),
        ({"dmrg": {}}, r"missing setting dmrg\.truncation"),
        ({"dmrg": {"truncation": {}}}, r"missing setting dmrg\.truncation\.chi_max"),
        ({"dmrg": {"truncation": {"chi_max": 0}}}, "at least 1"),
        ({"dmrg": {"truncation": {"chi_max": "8"}}}, r"chi_max must be of type int, found '8'"),
        ({"dmrg": {"truncation": {"chi_max": True}}}, "must be of type int"),
        ({"dmrg": {"truncation": 8}}, "must be a table"),
        ({"dmrg": {"truncation": {"chi_max": 8}, "chi_ramp": 4}}, "chi_ramp must be a list"),
        ({"model": {"name": "heisenburg", "L": 6}}, 'Did you mean "heisenberg"'),
        ({"model": {"L": 6}}, "needs a name"),
        ({"model": "heisenberg"}, r"\[model\] must be a table"),
        ({"model": {"name": "heisenberg", "length": 6}}, "model.length"),
        ({"model": {"name": "heisenberg", "lattice": {"kind": "square"}}}, r"missing setting model\.lattice\.Lx"),
        ({"model": {"name": "heisenberg", "lattice": "square"}}, r"\[model.lattice\] must be a table"),
        ({"model": {"name": "heisenberg", "Lx": 4}}, r"model\.Lx. Did you mean \"lattice.Lx\""),
        ({"model": {"name": "heisenberg", "L": 3, "J": [1.0, "x"]}}, "model.J must be of type float, found 'x'"),
        ({"model": {"name": "heisenberg", "L": 3, "J": [1.0]}}, "one number for each of the 2 pairs"),
        ({"modell": {}}, r"unknown table \[modell\]. Did you mean \"model\""),
        ({"run": {"checkpoint_every": "often"}}, "checkpoint_every"),
        ({"run": {"keep": 0}}, "keep"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(SettingsError, match=message):
        job_from_table(JOB | change)


def test_integers_stand_for_floats_and_none_is_a_word():
    model = from_table(Heisenberg, {"L": 4, "J": 2, "conserve": "none"}, "model")
    assert model.J == 2.0
    assert isinstance(model.J, float)
    assert model.conserve is None
    assert 'conserve = "none"' in to_toml(to_table(model))


def test_broken_toml_names_the_line(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text("[model]\nname = \n")
    with pytest.raises(SettingsError, match=r"job\.toml is no valid TOML.*line 2"):
        job_from_toml(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n\xff")
    with pytest.raises(SettingsError, match="no text file"):
        job_from_toml(path)
    with pytest.raises(SettingsError, match="no job file"):
        job_from_toml(tmp_path / "absent.toml")


def test_checkpoint_intervals():
    assert RunOptions(checkpoint_every="60s").checkpoint_interval() == (60.0, 0)
    assert RunOptions(checkpoint_every="2sweeps").checkpoint_interval() == (0.0, 2)
    assert RunOptions(checkpoint_every="0").checkpoint_interval() == (0.0, 0)
