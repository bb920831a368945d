"""A cache of plans that forgets the oldest ones once all together take too much memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class PlanCache:
    """Keeps results of functions of positional arguments, those used last, up to so many bytes of all functions.

    limit: bytes of results and of arguments that tell their size as `nbytes` (a plan made of another one keeps that
    alive); the last result always is kept.

    >>> import numpy as np
    >>> cache = PlanCache(1000)
    >>> @cache
    ... def zeros(size):
    ...     return np.zeros(size)
    >>> zeros(100) is zeros(100), zeros(30) is zeros(30), zeros(100) is zeros(100)
    (True, True, True)
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.nbytes = limit, 0
        self._kept: OrderedDict[tuple, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, make: F) -> F:
        @wraps(make)
        def cached(*args: Any) -> Any:
            key = (make, *args)
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            plan = make(*args)
            self._keep(key, plan)
            return plan

        return cast(F, cached)

    def _keep(self, key: tuple, plan: Any) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = plan
                self.nbytes += _bytes_of(key, plan)
            while self.nbytes > self.limit and len(self._kept) > 1:
                self.nbytes -= _bytes_of(*self._kept.popitem(last=False))


def _bytes_of(key: tuple, plan: Any) -> int:
    parts = (*key, *(plan if isinstance(plan, tuple) else (plan,)))
    return sum(getattr(part, "nbytes", 0) for part in parts)
