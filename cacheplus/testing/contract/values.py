"""Values go in and come out as they were."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from operator import itemgetter
from typing import Any

import pytest
from django.utils.safestring import SafeString, mark_safe

from cacheplus.backends.base import BaseCache
from cacheplus.testing.contract.harness import Harness

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    2**64,
    -(2**70),
    1.5,
    float("inf"),
    "",
    "12",
    "text",
    "grüße, мир \N{SNOWMAN}",
    "\ud800",
    b"",
    b"12",
    bytes(range(256)),
    [],
    {},
    [1, "two", None, 3.0],
    (1, 2),
    {1, 2},
    frozenset({"a"}),
    {"name": "value", "number": 1},
    {"nested": [{"tuple": (1, b"2")}], 5: None},
    OrderedDict(a=1),
    datetime(2026, 11, 20, tzinfo=UTC),
    Decimal("1.10"),
    SafeString("<b>"),
    "x" * 100_000,
]


def _label(value: Any) -> str:
    return f"{type(value).__name__} {ascii(value)[:24]}"


def unpicklable() -> Any:
    """A value that no serializer can write."""
    return lambda: None


def add_own_id(key: str, calls: Any) -> int:
    """Add the identity of the caller under `key`; return it, or 0 where somebody else was first."""
    return id(calls) if calls.add(key, id(calls), 60) else 0


class ValueContract(Harness):
    """`get`, `set`, `add`, `delete` and their `_many` forms."""

    @pytest.mark.parametrize("value", VALUES, ids=_label)
    def test_a_value_comes_back_as_it_was(self, calls: Any, value: Any) -> None:
        calls.set("key", value, 60)
        found = calls.get("key", "nothing")
        assert found == value
        assert type(found) is type(value)

    def test_values_of_all_kinds_come_back_from_one_read(self, calls: Any) -> None:
        data = {f"key-{number}": value for number, value in enumerate(VALUES)}
        assert calls.set_many(data, 60) == []
        assert calls.get_many([*data, "missing"]) == data

    def test_a_safe_string_stays_safe(self, calls: Any) -> None:
        calls.set("key", mark_safe("<b>"), 60)
        assert calls.get("key").__html__() == "<b>"

    def test_a_stored_none_is_no_miss(self, calls: Any) -> None:
        calls.set("key", None, 60)
        assert calls.get("key", "default") is None
        assert calls.get_many(["key"]) == {"key": None}
        assert calls.has_key("key") is True
        assert calls.add("key", "other", 60) is False
        assert calls.touch("key", 60) is True
        assert calls.delete("key") is True

    @pytest.mark.parametrize(("value", "list_in"), [([[1]], itemgetter(0)), ({"list": [1]}, itemgetter("list"))])
    def test_every_reader_has_a_value_of_its_own(self, calls: Any, value: Any, list_in: Any) -> None:
        before = pickle.dumps(value)
        calls.set("key", value, 60)
        list_in(value).append(2)
        first = calls.get("key")
        assert pickle.dumps(first) == before
        list_in(first).append(3)
        assert pickle.dumps(calls.get("key")) == before

    def test_set_replaces_what_was_there(self, calls: Any) -> None:
        for value in (1, "text", 2, None, {"a": 1}):
            assert calls.set("key", value, 60) is None
            assert calls.get("key", "nothing") == value

    def test_add_stores_only_where_nothing_is(self, calls: Any) -> None:
        assert calls.add("key", 1, 60) is True
        assert calls.add("key", 2, 60) is False
        assert calls.get("key") == 1

    def test_delete_says_whether_there_was_a_value(self, calls: Any) -> None:
        calls.set("key", 1, 60)
        assert calls.delete("key") is True
        assert calls.delete("key") is False
        assert calls.get("key") is None

    def test_delete_many_deletes_what_it_names_and_nothing_else(self, calls: Any) -> None:
        calls.set_many({"a": 1, "b": 2, "c": 3}, 60)
        assert calls.delete_many(["a", "b", "missing"]) is None
        assert calls.get_many(["a", "b", "c"]) == {"c": 3}

    def test_nothing_is_asked_for_and_nothing_is_done(self, calls: Any) -> None:
        assert calls.get_many([]) == {}
        assert calls.set_many({}) == []
        assert calls.delete_many([]) is None

    def test_many_calls_take_any_iterable(self, calls: Any) -> None:
        calls.set_many({"a": 1, "b": 2}, 60)
        assert calls.get_many(key for key in "ab") == {"a": 1, "b": 2}
        calls.delete_many(key for key in "ab")
        assert calls.get_many({"a": 0, "b": 0}) == {}

    def test_many_keys_fit_in_one_call(self, calls: Any) -> None:
        data = {f"many-{number}": number for number in range(250)}
        assert calls.set_many(data, 60) == []
        assert calls.get_many([*data, *(f"missing-{number}" for number in range(1500))]) == data
        calls.delete_many([*data, *(f"missing-{number}" for number in range(1500))])
        assert calls.get_many(data) == {}

    @pytest.mark.parametrize("before", ["old", 1, None])
    def test_a_value_that_cannot_be_written_raises_and_leaves_nothing_half_done(self, calls: Any, before: Any) -> None:
        calls.set("key", before, 60)
        with pytest.raises((pickle.PickleError, TypeError, AttributeError)):
            calls.set("key", unpicklable(), 60)
        with pytest.raises((pickle.PickleError, TypeError, AttributeError)):
            calls.set_many({"key": unpicklable(), "neighbour": 1}, 60)
        with pytest.raises((pickle.PickleError, TypeError, AttributeError)):
            calls.add("free", unpicklable(), 60)
        assert calls.get("key", "gone") in (before, "gone")
        assert calls.get_many(["neighbour", "free"]) in ({}, {"neighbour": 1})

    def test_one_of_many_callers_of_add_wins(self, calls: Any, cache: BaseCache) -> None:
        for attempt in range(3):
            key = f"key-{attempt}"
            won = self.crowd(calls, cache, partial(add_own_id, key))
            assert [calls.get(key)] == [winner for winner in won if winner]

    def test_in_asks_has_key(self, cache: BaseCache) -> None:
        cache.set("key", None, 60)
        assert "key" in cache
        assert "missing" not in cache
