"""`get_or_set_many`: one call computes what is missing."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

import pytest

from cacheplus.backends.base import BaseCache
from cacheplus.testing.calls import at_once
from cacheplus.testing.contract.harness import Harness


class Numbers:
    """Computes the squares of numbers, and writes down which it was asked for."""

    def __init__(self, seconds: float = 0) -> None:
        self.asked: list[list[int]] = []
        self._seconds = seconds
        self._lock = threading.Lock()

    def __call__(self, keys: list[int]) -> dict[int, int]:
        with self._lock:
            self.asked.append(keys)
        time.sleep(self._seconds)
        return {key: key * key for key in keys}


class ManyContract(Harness):
    """`get_or_set_many` and `aget_or_set_many`."""

    def test_the_missing_ones_are_computed_at_once_and_stored(self, calls: Any, cache: BaseCache) -> None:
        cache.set(2, "there", 60)
        squares = Numbers()
        assert calls.get_or_set_many([1, 2, 3], squares, 60) == {1: 1, 2: "there", 3: 9}
        assert squares.asked == [[1, 3]]
        assert calls.get_many([1, 2, 3]) == {1: 1, 2: "there", 3: 9}
        assert list(calls.get_or_set_many([3, 1], squares, 60)) == [3, 1]
        assert squares.asked == [[1, 3]]

    def test_nothing_is_asked_for_nothing(self, calls: Any) -> None:
        squares = Numbers()
        assert calls.get_or_set_many([], squares, 60) == {}
        assert squares.asked == []

    def test_what_the_default_leaves_out_is_left_out(self, calls: Any) -> None:
        assert calls.get_or_set_many([1, 2], lambda _keys: {1: None, 5: 5}, 60) == {1: None}
        assert calls.get_or_set_many([1, 2], lambda keys: dict.fromkeys(keys, "new"), 60) == {1: None, 2: "new"}
        assert calls.get(5) is None

    def test_an_error_stores_nothing(self, calls: Any) -> None:
        def fail(keys: list[int]) -> dict[int, int]:
            raise LookupError(keys)

        with pytest.raises(LookupError):
            calls.get_or_set_many([1, 2], fail, 60)
        assert calls.get_or_set_many([1, 2], Numbers(), 60) == {1: 1, 2: 4}

    def test_a_default_that_returns_no_dict_is_refused(self, calls: Any) -> None:
        with pytest.raises(TypeError, match="has to return a dict"):
            calls.get_or_set_many([1], lambda keys: keys, 60)

    def test_tags_and_timeout_are_those_of_set(self, calls: Any) -> None:
        calls.get_or_set_many([1, 2], Numbers(), 45, tags=["tag"])
        assert 40 < calls.ttl(1) <= 45 + self.overtime or not self.knows_ttl_of_counters
        calls.expire_tags("tag")
        assert calls.get_many([1, 2]) == {}

    def test_what_happens_meanwhile_wins(self, calls: Any, cache: BaseCache) -> None:
        def compute(keys: list[int]) -> dict[int, str]:
            cache.delete(1)
            cache.set(2, "set", 60)
            return dict.fromkeys(keys, "stale")

        calls.get_or_set_many([1, 2, 3], self.computation(calls, compute), 60)
        assert calls.get_many([1, 2, 3]) == {2: "set", 3: "stale"}

    def test_what_is_expired_meanwhile_is_not_stored(self, calls: Any, cache: BaseCache) -> None:
        def compute(keys: list[int]) -> dict[int, str]:
            cache.expire_tags("tag")
            return dict.fromkeys(keys, "stale")

        found = calls.get_or_set_many([1, 2], self.computation(calls, compute), 60, tags=["tag"])
        assert found == {1: "stale", 2: "stale"}
        assert calls.get_many([1, 2]) == {}

    def test_callers_at_once_compute_each_key_once(self, calls: Any, cache: BaseCache) -> None:
        squares = Numbers(0.3)
        default = self.computation(calls, squares)
        results = self.crowd(calls, cache, lambda own: own.get_or_set_many([1, 2, 3], default, 60))
        assert results == [{1: 1, 2: 4, 3: 9}] * len(results)
        assert sorted(key for keys in squares.asked for key in keys) == [1, 2, 3]

    def test_a_key_that_another_computes_is_awaited(self, calls: Any, cache: BaseCache) -> None:
        begun, squares = threading.Event(), Numbers()

        def slow() -> int:
            begun.set()
            time.sleep(0.3)
            return 1

        lead = partial(self.alike(cache).get_or_set, 1, slow, 60)
        leader = threading.Thread(target=at_once, args=([lead],))
        leader.start()
        assert begun.wait(30)
        assert calls.get_or_set_many([1, 2], self.computation(calls, squares), 60) == {1: 1, 2: 4}
        leader.join()
        assert squares.asked == [[2]]
