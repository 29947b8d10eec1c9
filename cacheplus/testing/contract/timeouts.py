"""Timeouts are kept: never shorter than asked, never lost, never revived."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cacheplus.backends.base import BaseCache
from cacheplus.testing.contract.absence import ABSENT, DELETE, answers, expected, keys_of
from cacheplus.testing.contract.harness import Harness

YEAR = 365 * 24 * 3600


class TimeoutContract(Harness):
    """`timeout` in every call that takes one, `touch` and `ttl`."""

    def test_a_missing_key_is_absent_to_every_call(self, calls: Any) -> None:
        table = {**ABSENT, **DELETE}
        assert answers(calls, table) == expected(table)

    def test_an_expired_key_is_absent_to_every_call(self, calls: Any) -> None:
        table = {**ABSENT, **DELETE}
        for stem, value in {"int": 1, "text": "text"}.items():
            calls.set_many(dict.fromkeys(keys_of(table, stem).values(), value), self.smallest_ttl)
        self.outlive(calls, self.smallest_ttl)
        for stem in ("int", "text"):
            assert answers(calls, table, stem) == expected(table)

    def test_a_deleted_key_is_absent_to_every_call(self, calls: Any) -> None:
        table = {**ABSENT, **DELETE}
        calls.set_many(dict.fromkeys(keys_of(table).values(), 1), 60)
        calls.delete_many(keys_of(table).values())
        assert answers(calls, table) == expected(table)

    def test_a_value_lives_as_long_as_asked(self, calls: Any) -> None:
        ttl, since = self.smallest_ttl, time.monotonic()
        calls.set_many({"int": 1, "text": "text"}, ttl)
        while len(calls.get_many(["int", "text"])) == 2:
            time.sleep(ttl / 30)
        assert time.monotonic() - since >= ttl
        while calls.get_many(["int", "text"]):
            assert time.monotonic() - since < ttl + self.overtime
            time.sleep(ttl / 30)

    @pytest.mark.parametrize("timeout", [0, -1, -0.5, -YEAR])
    def test_a_timeout_of_nothing_stores_nothing(self, calls: Any, timeout: float) -> None:
        calls.set("set", "value", timeout)
        assert calls.set_many({"set_many": "value"}, timeout) == []
        assert calls.add("add", "value", timeout) is True
        assert calls.get_or_set("get_or_set", "value", timeout) == "value"
        assert calls.get_many(["set", "set_many", "add", "get_or_set"]) == {}

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_a_timeout_of_nothing_removes_what_was_there(self, calls: Any, timeout: float) -> None:
        calls.set_many({"set": 1, "set_many": 1, "touch": 1, "add": 1}, 60)
        calls.set("set", 2, timeout)
        calls.set_many({"set_many": 2}, timeout)
        assert calls.touch("touch", timeout) is True
        assert calls.add("add", 2, timeout) is False
        assert calls.get_many(["set", "set_many", "touch", "add"]) == {"add": 1}

    @pytest.mark.parametrize("timeout", [0.4, 0.001 * 999])
    def test_a_fraction_of_a_second_is_no_nothing(self, calls: Any, timeout: float) -> None:
        calls.set("set", "value", timeout)
        assert calls.add("add", "value", timeout) is True
        assert calls.set_many({"set_many": "value"}, timeout) == []
        assert set(calls.get_many(["set", "add", "set_many"])) == {"set", "add", "set_many"}
        calls.set("touched", "value", 60)
        assert calls.touch("touched", timeout) is True
        assert calls.get("touched") == "value"

    @pytest.mark.parametrize("value", [1, "text"], ids=["int", "text"])
    @pytest.mark.parametrize("timeout", [None, float("inf")])
    def test_none_is_for_ever(self, calls: Any, timeout: float | None, value: Any) -> None:
        calls.set("set", value, timeout)
        calls.add("add", value, timeout)
        calls.set_many({"set_many": value}, timeout)
        calls.get_or_set("get_or_set", value, timeout)
        calls.set("touched", value, 60)
        calls.touch("touched", timeout)
        assert [calls.get(key) for key in ("set", "add", "set_many", "get_or_set", "touched")] == [value] * 5
        if self.knows_ttl_of_counters or value == "text":
            assert [calls.ttl(key) for key in ("set", "add", "set_many", "get_or_set", "touched")] == [None] * 5

    @pytest.mark.parametrize("timeout", [45, 45.5, 40 * 24 * 3600, 3 * YEAR])
    def test_ttl_tells_what_is_left(self, calls: Any, timeout: float) -> None:
        calls.set("set", "value", timeout)
        calls.add("add", "value", timeout)
        calls.set("touched", "value", None)
        calls.touch("touched", timeout)
        for key in ("set", "add", "touched"):
            assert timeout - 5 < calls.ttl(key) <= timeout + self.overtime
            assert calls.get(key) == "value"

    def test_ttl_of_a_plain_int_tells_what_is_left(self, calls: Any) -> None:
        if not self.knows_ttl_of_counters:
            pytest.skip("this store does not tell the ttl of plain ints")
        calls.set("key", 1, 45)
        assert 40 < calls.ttl("key") <= 45 + self.overtime

    def test_the_timeout_of_the_alias_is_the_default(self, calls: Any, cache: BaseCache) -> None:
        for timeout, low, high in ((100, 90, 100 + self.overtime), (1000, 990, 1000 + self.overtime)):
            own = self.way_of(calls, self.alike(cache, TIMEOUT=timeout))
            own.set("key", "value")
            assert low < own.ttl("key") <= high
        forever = self.way_of(calls, self.alike(cache, TIMEOUT=None))
        forever.set("key", "value")
        assert forever.ttl("key") is None

    def test_the_last_timeout_given_counts(self, calls: Any) -> None:
        calls.set_many({"touched": "value", "set": "old", "counter": 1}, self.smallest_ttl)
        calls.set_many({"touched-short": "value", "set-short": "old"}, 60)
        assert calls.touch("touched", 60) is True
        calls.set_many({"set": "new", "counter": 2}, 60)
        assert calls.touch("touched-short", self.smallest_ttl) is True
        calls.set("set-short", "new", self.smallest_ttl)
        self.outlive(calls, self.smallest_ttl)
        found = calls.get_many(["touched", "set", "counter", "touched-short", "set-short"])
        assert found == {"touched": "value", "set": "new", "counter": 2}

    @pytest.mark.parametrize("timeout", ["60", object(), [1], 1j, float("nan")], ids=lambda each: type(each).__name__)
    def test_a_timeout_that_is_no_number_of_seconds_is_a_type_error(self, calls: Any, timeout: Any) -> None:
        calls.set("key", "old", 60)
        for call, args in {"set": (1,), "add": (1,), "touch": (), "get_or_set": (1,)}.items():
            with pytest.raises(TypeError, match="number of seconds or None"):
                getattr(calls, call)("missing" if call == "get_or_set" else "key", *args, timeout)
        with pytest.raises(TypeError, match="number of seconds or None"):
            calls.set_many({"key": 1}, timeout)
        assert calls.get_many(["key", "missing"]) == {"key": "old"}

    def test_incr_version_keeps_the_ttl(self, calls: Any) -> None:
        calls.set("key", "value", 45)
        calls.set("for-ever", "value", None)
        calls.incr_version("key")
        calls.incr_version("for-ever")
        assert 40 < calls.ttl("key", version=2) <= 45 + self.overtime
        assert calls.ttl("for-ever", version=2) is None
