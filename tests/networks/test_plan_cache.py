"""Plans that are kept up to a sum of bytes."""

import numpy as np

from tnsim.networks.plan_cache import plan_cache


def test_the_oldest_plans_are_forgotten_and_the_last_is_kept():
    made = []

    @plan_cache(200)
    def plan(name, size):
        made.append(name)
        return np.zeros(size)

    first = plan("a", 10)
    assert plan("a", 10) is first and plan("b", 10) is plan("b", 10)
    assert plan("a", 10) is first and made == ["a", "b"]
    plan("c", 10)  # "b" was asked for least recently
    assert plan("a", 10) is first
    plan("b", 10)
    assert made == ["a", "b", "c", "b"]
    huge = plan("huge", 1000)
    assert plan("huge", 1000) is huge and made.count("huge") == 1
    plan("a", 10)
    assert made.count("a") == 2
