"""Plans that are kept up to a sum of bytes."""

import numpy as np

from tnsim.networks.plan_cache import PlanCache


def test_the_oldest_plans_are_forgotten_and_the_last_is_kept():
    made = []

    @PlanCache(200)
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


def test_functions_share_the_memory_and_arguments_count():
    made, cache = [], PlanCache(250)

    @cache
    def plan(name):
        made.append(name)
        return np.zeros(10)

    @cache
    def built_on(base, scale):
        made.append(scale)
        return base * scale, "legs"

    base = plan("a")
    first = built_on(Kept(base), 2)
    assert cache.nbytes == 80 + 80 + 80
    plan("b")  # the plan of "a" was asked for least recently; what is built on it holds it still
    assert cache.nbytes == 240
    assert plan("a") is not base and made == ["a", 2, "b", "a"]
    assert first[0].sum() == 0


class Kept:
    """An argument that stands for a plan: hashed by identity."""

    def __init__(self, array):
        self.array, self.nbytes = array, array.nbytes

    def __mul__(self, scale):
        return self.array * scale
