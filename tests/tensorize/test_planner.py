"""Measured plans: what is chosen, and that it is kept for the next time."""

import json
import logging

import numpy as np
import pytest

import tnsim.tensorize as tz
from tnsim.errors import SettingsError
from tnsim.networks.mpo import MPO
from tnsim.tensorize import Planner, planner

QUICK = Planner(seconds=0.02)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TNSIM_CACHE", str(tmp_path / "new"))
    monkeypatch.setattr(planner, "_MEMORY", {})
    return tmp_path / "new" / "apply-plans.json"


@pytest.fixture
def mpo():
    return MPO.from_matrix(np.random.default_rng(0).standard_normal((36, 36)), (6, 6), (6, 6), 3)


def test_a_plan_is_measured_once_and_read_from_the_file_by_the_next_process(cache, mpo, monkeypatch):
    plan = QUICK.plan(mpo, 20)
    x = np.random.default_rng(1).standard_normal((20, 36))
    np.testing.assert_allclose(QUICK.prepare(mpo, 20)(x), x @ mpo.to_matrix().T, atol=1e-12)
    (entry,) = json.loads(cache.read_text())
    assert "1x6x6x3 3x6x6x1, 32 rows" in entry and "float64" in entry
    monkeypatch.setattr(planner, "_MEMORY", {})
    monkeypatch.setattr(Planner, "measure", lambda *_: pytest.fail("measured again"))
    assert QUICK.plan(mpo, 32) == plan


def test_the_fastest_of_the_measured_plans_is_taken(cache, mpo, monkeypatch):
    # numbers that say which plan is fast: the fewer layers the faster, blocks are slow
    def seconds(acts, *_):
        return [len(act.plan.groups) + bool(act.plan.block) + 2 * act.plan.again for act in acts]

    monkeypatch.setattr(planner, "fastest_seconds", seconds)
    assert Planner(seconds=0.02, whole_matrix=False).plan(mpo, 20).groups == (1, 1)
    assert Planner(seconds=0.02, candidates=1).plan(mpo, 20).groups == (2,)
    timed = QUICK.measure(mpo, 20)
    assert timed == sorted(timed, key=lambda pair: pair[0])


def test_without_leave_no_plan_keeps_the_whole_matrix(mpo):
    for _, plan in Planner(seconds=0.02, whole_matrix=False).measure(mpo, 4, 1000):
        assert len(plan.groups) > 1 or plan.again
    for candidates in (1, 1000):
        assert any(plan.groups == (2,) and not plan.again for _, plan in QUICK.measure(mpo, 4, candidates))


def test_the_whole_matrix_is_taken_only_where_it_saves_a_twentieth():
    whole, chain = tz.ApplyPlan(groups=(2,)), tz.ApplyPlan(groups=(1, 1))
    again = tz.ApplyPlan(groups=(2,), again=True)
    assert planner.picked([(1.0, whole), (1.04, chain)]) == chain
    assert planner.picked([(1.0, whole), (1.06, chain)]) == whole
    assert planner.picked([(1.0, whole), (1.01, again)]) == again
    assert planner.picked([(1.0, chain), (2.0, whole)]) == chain
    assert planner.picked([(1.0, whole)]) == whole


def test_a_damaged_or_unwritable_file_costs_measurements_only(cache, mpo, monkeypatch, caplog):
    cache.parent.mkdir()
    cache.write_text('{"a": 3')
    with caplog.at_level(logging.WARNING, "tnsim.tensorize"):
        plan = QUICK.plan(mpo, 1)
        assert "measured anew" in caplog.text and list(json.loads(cache.read_text()))
        monkeypatch.setenv("TNSIM_CACHE", str(cache))
        # which of two that are as fast is for the clock to say
        assert sum(QUICK.plan(mpo, 1).groups) == sum(plan.groups) == len(mpo)
        assert "cannot be kept" in caplog.text
    assert Planner(seconds=0.02, remember=False).plan(mpo, 1)


def test_bad_settings_are_refused(mpo):
    for settings in [{"candidates": 0}, {"seconds": 0.0}, {"remember": "yes"}]:
        with pytest.raises(SettingsError):
            Planner(**settings)
    with pytest.raises(SettingsError, match="at least one row"):
        QUICK.plan(mpo, 0)
