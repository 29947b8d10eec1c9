"""One computation for all who ask at once, and none that undoes what happened to its key meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import pytest
from asgiref.sync import async_to_sync
from django.test import override_settings

from cacheplus.backends.base import BaseCache
from cacheplus.testing.calls import Twins, at_once
from cacheplus.testing.contract.harness import Harness

ROUNDS = 20
# How long a crowd takes to reach the store on a busy machine is no part of the contract.
PATIENT = {"FLIGHT_WAIT": 60}

# What may happen to a key while its value is computed, and what stands there afterwards.
MEANWHILE: dict[str, tuple[Callable[[BaseCache], Any], Any]] = {
    "delete": (lambda cache: cache.delete("key"), None),
    "delete_many": (lambda cache: cache.delete_many(["other", "key"]), None),
    "clear": (lambda cache: cache.clear(), None),
    "set": (lambda cache: cache.set("key", "new", 60), "new"),
    "set_many": (lambda cache: cache.set_many({"key": "new"}, 60), "new"),
    "add": (lambda cache: cache.add("key", "new", 60), "new"),
    "set, then delete": (lambda cache: (cache.set_many({"key": "new"}, 60), cache.delete("key")), None),
}


class Counted:
    """A computation that takes a while and counts how often it runs."""

    def __init__(self, seconds: float = 0.3) -> None:
        self.seconds = seconds
        self.runs = 0
        self._lock = threading.Lock()

    def __call__(self) -> list[str]:
        with self._lock:
            self.runs += 1
        time.sleep(self.seconds)
        return ["computed"]


class FlightContract(Harness):
    """`get_or_set` and `aget_or_set` by several callers at the same time."""

    callers: ClassVar[int] = 100
    """How many threads ask at once."""

    @override_settings(CACHEPLUS=PATIENT)
    def test_threads_that_ask_at_once_cost_one_computation(self, calls: Any, cache: BaseCache) -> None:
        compute = Counted()
        each = [self.way_of(calls, self.alike(cache)) for _ in range(self.callers)]
        default = self.computation(calls, compute)
        results = at_once([partial(own.get_or_set, "key", default, 60) for own in each])
        assert results == [["computed"]] * self.callers
        assert compute.runs == 1

    @override_settings(CACHEPLUS=PATIENT)
    def test_tasks_that_ask_at_once_cost_one_computation(self, cache: BaseCache) -> None:
        compute = Counted(0)
        # Makes the fence, which else each of them would try to make.
        cache.set("other", "value", 60, tags=["tag"])

        async def slow() -> list[str]:
            await asyncio.sleep(0.3)
            return compute()

        async def ask() -> list[Any]:
            return await asyncio.gather(*(cache.aget_or_set("key", slow, 60) for _ in range(1000)))

        assert async_to_sync(ask)() == [["computed"]] * 1000
        assert compute.runs == 1

    @override_settings(CACHEPLUS=PATIENT)
    def test_threads_and_tasks_share_a_computation(self, cache: BaseCache) -> None:
        compute = Counted()
        each: list[Any] = [self.alike(cache) for _ in range(4)]
        each += [Twins(self.alike(cache)) for _ in range(4)]
        at_once([partial(own.get_or_set, "key", compute, 60) for own in each])
        assert compute.runs == 1

    @override_settings(CACHEPLUS=PATIENT)
    def test_each_caller_has_a_value_of_its_own(self, calls: Any, cache: BaseCache) -> None:
        default = self.computation(calls, Counted())
        results = self.crowd(calls, cache, lambda own: own.get_or_set("key", default, 60))
        results[0].append("changed")
        assert results[1:] == [["computed"]] * (len(results) - 1)
        assert calls.get("key") == ["computed"]

    @override_settings(CACHEPLUS=PATIENT)
    def test_an_error_reaches_the_leader_alone_and_the_next_caller_computes(self, calls: Any, cache: BaseCache) -> None:
        compute = Counted()
        failed: list[bool] = []

        def fail_once() -> Any:
            if not failed:
                failed.append(True)
                time.sleep(0.3)
                raise LookupError("no such row")
            return compute()

        def ask(own: Any) -> Any:
            try:
                return own.get_or_set("key", self.computation(calls, fail_once), 60)
            except LookupError:
                return "failed"

        results = self.crowd(calls, cache, ask)
        assert results.count("failed") == 1
        assert results.count(["computed"]) == len(results) - 1
        assert compute.runs == 1

    @pytest.mark.parametrize("call", MEANWHILE)
    def test_what_happens_to_the_key_meanwhile_wins(self, calls: Any, cache: BaseCache, call: str) -> None:
        happen, left = MEANWHILE[call]

        def compute() -> str:
            happen(cache)
            return "stale"

        for _ in range(ROUNDS):
            calls.get_or_set("key", self.computation(calls, compute), 60)
            assert calls.get("key") == left
            cache.delete("key")

    def test_whoever_asks_after_a_delete_gets_nothing_from_before(self, calls: Any, cache: BaseCache) -> None:
        later: list[Any] = []

        def compute() -> str:
            cache.delete("key")
            # By somebody else, who is not in the middle of the computation.
            later.extend(at_once([partial(self.alike(cache).get_or_set, "key", "new".strip, 60)]))
            return "stale"

        calls.get_or_set("key", self.computation(calls, compute), 60)
        assert later == ["new"]
        assert calls.get("key") == "new"

    def test_a_key_whose_value_is_being_computed_has_none(self, calls: Any, cache: BaseCache) -> None:
        seen: list[Any] = []

        def compute() -> str:
            seen.extend([cache.get("key"), cache.get_many(["key"]), "key" in cache, cache.ttl("key")])
            seen.extend([cache.touch("key", 60), cache.get("key", "default")])
            with pytest.raises(ValueError, match="not found"):
                cache.incr("key")
            return "computed"

        calls.get_or_set("key", self.computation(calls, compute), 60)
        assert seen == [None, {}, False, 0, False, "default"]
        assert calls.get("key") == "computed"

    def test_the_computation_itself_may_ask_for_the_key(self, calls: Any, cache: BaseCache) -> None:
        def compute() -> Any:
            return cache.get_or_set("other", lambda: cache.get_or_set("key", lambda: "inner", 60), 60)

        assert calls.get_or_set("key", self.computation(calls, compute), 60) == "inner"
        assert calls.get("key") == "inner"

    def test_without_a_lock_nobody_waits(self, cache: BaseCache) -> None:
        compute = Counted()
        at_once([partial(self.alike(cache).get_or_set, "key", compute, 60, lock=False) for _ in range(4)])
        assert compute.runs == 4
        assert cache.get("key") == ["computed"]

    def test_what_is_too_large_to_be_stored_is_returned(self, calls: Any, cache: BaseCache) -> None:
        small = self.way_of(calls, self.alike(cache, OPTIONS={"MAX_BYTES_DECODED": 100}))
        assert small.get_or_set("key", self.computation(calls, lambda: "x" * 1000), 60) == "x" * 1000

    def test_a_cancelled_task_hands_over(self, cache: BaseCache) -> None:
        async def for_ever() -> None:
            await asyncio.sleep(60)

        async def compute() -> str:
            return "second"

        async def ask() -> Any:
            first = asyncio.ensure_future(cache.aget_or_set("key", for_ever, 60))
            await asyncio.sleep(0.2)
            second = asyncio.ensure_future(cache.aget_or_set("key", compute, 60))
            await asyncio.sleep(0.2)
            first.cancel()
            return await second

        assert async_to_sync(ask)() == "second"
        assert cache.get("key") == "second"
