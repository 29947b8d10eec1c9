"""`get_or_set`: what is computed is stored, unless it was expired while it was computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cacheplus.backends.base import BaseCache
from cacheplus.testing.contract.harness import Harness


def refuse() -> Any:
    """A default that must not be called."""
    raise AssertionError("the value was computed although it was there")


# How a computation may come to use the value of "inner", or to store something with its tag.
USES: dict[str, Callable[[BaseCache], Any]] = {
    "get": lambda cache: cache.get("inner"),
    "get_many": lambda cache: cache.get_many(["inner", "missing"]),
    "incr_version": lambda cache: cache.incr_version("inner"),
    "get_or_set, a hit": lambda cache: cache.get_or_set("inner", refuse, 60, tags=["tag"]),
    "get_or_set, a miss": lambda cache: cache.get_or_set("another", "value", 60, tags=["tag"]),
    "get_or_set, nested": lambda cache: cache.get_or_set("between", lambda: cache.get("inner"), 60),
    "set": lambda cache: cache.set("another", "value", 60, tags=["tag"]),
    "set_many": lambda cache: cache.set_many({"another": "value"}, 60, tags=["tag"]),
    "add": lambda cache: cache.add("another", "value", 60, tags=["tag"]),
}


class ComputedContract(Harness):
    """`get_or_set` and `aget_or_set`."""

    def test_a_literal_and_what_a_callable_returns_are_stored(self, calls: Any) -> None:
        assert calls.get_or_set("literal", "value", 60) == "value"
        assert calls.get_or_set("callable", lambda: "computed", 60) == "computed"
        assert calls.get_many(["literal", "callable"]) == {"literal": "value", "callable": "computed"}

    @pytest.mark.parametrize("value", [0, "", None, False, []], ids=repr)
    def test_a_hit_computes_nothing_whatever_is_stored(self, calls: Any, value: Any) -> None:
        calls.set("key", value, 60)
        assert calls.get_or_set("key", refuse, 60) == value

    @pytest.mark.parametrize("value", [None, lambda: None], ids=["literal", "callable"])
    def test_none_is_stored(self, calls: Any, value: Any) -> None:
        assert calls.get_or_set("key", value, 60) is None
        assert calls.has_key("key") is True
        assert calls.get_or_set("key", refuse, 60) is None

    def test_a_callable_that_raises_stores_nothing(self, calls: Any) -> None:
        def fail() -> None:
            raise LookupError("no such row")

        with pytest.raises(LookupError, match="no such row"):
            calls.get_or_set("key", fail, 60, tags=["tag"])
        assert calls.has_key("key") is False
        assert calls.get_or_set("key", lambda: "computed", 60, tags=["tag"]) == "computed"

    def test_timeout_and_tags_are_those_of_set(self, calls: Any) -> None:
        calls.get_or_set("literal", "value", 45, tags=["tag"])
        calls.get_or_set("callable", lambda: "value", 45, tags=["tag"])
        for key in ("literal", "callable"):
            assert 40 < calls.ttl(key) <= 45 + self.overtime
        calls.expire_tags("tag")
        assert calls.get_many(["literal", "callable"]) == {}

    def test_of_two_results_the_first_that_was_stored_wins(self, calls: Any, cache: BaseCache) -> None:
        def slow() -> str:
            cache.set("key", "first", 60)
            return "second"

        assert calls.get_or_set("key", self.computation(calls, slow), 60) == "first"
        assert calls.get("key") == "first"

    def test_what_was_expired_before_counts_as_missing(self, calls: Any) -> None:
        calls.set("key", "old", 60, tags=["tag"])
        calls.expire_tags("tag")
        assert calls.get_or_set("key", lambda: "new", 60, tags=["tag"]) == "new"
        assert calls.get("key") == "new"

    @pytest.mark.parametrize("used_before", [True, False], ids=["tag used before", "tag never used"])
    def test_what_is_expired_during_the_computation_is_returned_and_not_stored(
        self, calls: Any, cache: BaseCache, used_before: bool
    ) -> None:
        if used_before:
            cache.set("other", "value", 60, tags=["tag"])

        def compute() -> str:
            cache.expire_tags("tag")
            return "stale"

        assert calls.get_or_set("key", self.computation(calls, compute), 60, tags=["tag"]) == "stale"
        assert calls.get("key") is None

    @pytest.mark.parametrize("used_before", [True, False], ids=["tag used before", "tag never used"])
    def test_a_tag_met_during_the_computation_is_guarded_too(
        self, calls: Any, cache: BaseCache, used_before: bool
    ) -> None:
        if used_before:
            cache.set("other", "value", 60, tags=["late"])

        def compute() -> str:
            cache.set("inner", "value", 60, tags=["late"])
            cache.expire_tags("late")
            return "stale"

        assert calls.get_or_set("key", self.computation(calls, compute), 60) == "stale"
        assert calls.get("key") is None

    @pytest.mark.parametrize("use", USES)
    def test_what_contains_a_tagged_value_expires_with_it(self, calls: Any, cache: BaseCache, use: str) -> None:
        cache.set("inner", "value", 60, tags=["tag"])
        calls.get_or_set("outer", self.computation(calls, lambda: [USES[use](cache)]), 60)
        assert calls.has_key("outer") is True
        cache.expire_tags("tag")
        assert calls.get_many(["outer", "inner", "between", "another"]) == {}

    def test_expiry_of_another_tag_does_not_keep_a_value_from_being_stored(self, calls: Any, cache: BaseCache) -> None:
        def compute() -> str:
            cache.expire_tags("unrelated")
            cache.set("inner", "value", 60, tags=["late"])
            return "computed"

        calls.get_or_set("key", self.computation(calls, compute), 60, tags=["early"])
        assert calls.get("key") == "computed"

    def test_a_value_that_cannot_be_written_raises_and_stores_nothing(self, calls: Any) -> None:
        with pytest.raises(Exception, match=r"pickle|serializ|write|local object"):
            calls.get_or_set("key", lambda: lambda: None, 60)
        assert calls.has_key("key") is False
