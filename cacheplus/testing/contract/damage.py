"""What a store gives back that this site did not write is a miss, is told, and goes; it is never executed."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cacheplus.backends.base import BaseCache
from cacheplus.signals import cache_error
from cacheplus.testing.contract.absence import ABSENT, answers, expected, keys_of
from cacheplus.testing.contract.harness import Harness

GARBAGE = {
    "nothing": b"",
    "zeros": bytes(64),
    "text": b"not a record",
    "cut short": lambda stored: stored[:-1],
    "half": lambda stored: stored[: len(stored) // 2],
    "longer": lambda stored: stored + b"\x00",
    "one bit": lambda stored: stored[:-8] + bytes([stored[-8] ^ 1]) + stored[-7:],
    "another version": lambda stored: stored[:2] + b"\xff" + stored[3:],
}


class Bomb:
    """Unpickled, it leaves a mark."""

    def __reduce__(self) -> Any:
        return _explode, ()


exploded: list[bool] = []


def _explode() -> None:
    exploded.append(True)


@contextmanager
def errors_told() -> Iterator[list[tuple[str, str]]]:
    """Collect (operation, class of error) of every `cache_error`."""
    told: list[tuple[str, str]] = []

    def listen(operation: str, error: BaseException, **_kwargs: Any) -> None:
        told.append((operation, type(error).__name__))

    cache_error.connect(listen)
    try:
        yield told
    finally:
        cache_error.disconnect(listen)


class DamageContract(Harness):
    """Damaged, foreign and misplaced records, and faults that are none."""

    def damage(self, cache: BaseCache, keys: Any, what: Any, value: Any = "intact value") -> None:
        """Put `what` where the records of `keys` are."""
        for key in keys:
            name = cache.make_and_validate_key(key)
            cache.set(key, value, 60)
            stored = cache._read([name])[name]
            if not isinstance(stored, bytes):
                pytest.skip("this store keeps objects, not bytes")
            assert cache._write({name: what(stored) if callable(what) else what}, 60) == []

    @pytest.mark.parametrize("kind", GARBAGE)
    def test_a_damaged_record_is_absent_to_every_call(self, calls: Any, cache: BaseCache, kind: str) -> None:
        self.damage(cache, keys_of(ABSENT).values(), GARBAGE[kind])
        assert answers(calls, ABSENT) == expected(ABSENT)

    def test_a_damaged_record_goes_and_its_neighbours_are_served(self, calls: Any, cache: BaseCache) -> None:
        calls.set_many({"a": 1, "c": "text"}, 60)
        self.damage(cache, ["b"], b"garbage")
        with errors_told() as told:
            assert calls.get_many(["a", "b", "c"]) == {"a": 1, "c": "text"}
        assert told == [("decode", "BadRecord")]
        assert cache._read([cache.make_and_validate_key("b")]) == {}

    def test_a_pickle_of_somebody_else_is_not_executed(self, calls: Any, cache: BaseCache) -> None:
        exploded.clear()
        self.damage(cache, ["key"], pickle.dumps(Bomb()))
        assert calls.get("key", "default") == "default"
        assert exploded == []

    def test_a_record_does_not_count_under_another_key(self, calls: Any, cache: BaseCache) -> None:
        cache.set("other", {"secret": [1]}, 60)
        self.damage(cache, ["key"], cache._read([cache.make_key("other")])[cache.make_key("other")])
        assert calls.get("key") is None

    def test_a_class_that_is_gone_is_a_miss(self, calls: Any, cache: BaseCache) -> None:
        gone = type("Gone", (), {"__module__": __name__, "__qualname__": "Gone"})
        globals()["Gone"] = gone
        try:
            calls.set("key", gone(), 60)
        finally:
            del globals()["Gone"]
        assert calls.get("key", "default") == "default"
        assert calls.get_or_set("key", "computed", 60) == "computed"
        assert calls.get("key") == "computed"

    @pytest.mark.parametrize("service", ["stamp", "fence"])
    @pytest.mark.parametrize("garbage", [b"garbage", 5, b""], ids=["bytes", "int", "nothing"])
    def test_a_damaged_stamp_or_fence_makes_nothing_stale_and_heals(
        self, calls: Any, cache: BaseCache, service: str, garbage: Any
    ) -> None:
        name = cache.tags.name("tag") if service == "stamp" else cache.tags.fence_name
        calls.set("old", "value", 60, tags=["tag"])
        cache._write({name: garbage}, 60)
        assert calls.get("old") in ([None] if service == "stamp" else ["value"])
        calls.expire_tags("tag")
        assert calls.get("old") is None
        calls.set("new", "value", 60, tags=["tag"])
        assert calls.get("new") == "value"
        calls.expire_tags("tag")
        assert calls.get("new") is None

    @pytest.mark.parametrize("service", ["stamp", "fence"])
    @pytest.mark.parametrize("garbage", [b"garbage", 5, b""], ids=["bytes", "int", "nothing"])
    def test_a_damaged_stamp_or_fence_keeps_nothing_out_of_the_cache(
        self, calls: Any, cache: BaseCache, service: str, garbage: Any
    ) -> None:
        cache._write({cache.tags.name("tag") if service == "stamp" else cache.tags.fence_name: garbage}, 60)
        assert calls.get_or_set("key", "value", 60, tags=["tag"]) == "value"
        assert calls.get("key") == "value"
        calls.expire_tags("tag")
        assert calls.get("key") is None

    def test_ordinary_use_tells_no_error(self, calls: Any, cache: BaseCache) -> None:
        own = self.way_of(calls, self.alike(cache, OPTIONS={"ON_FAULT": "miss"}))
        with errors_told() as told:
            own.set("plain", 1, 60)
            own.set("tagged", 1, 60, tags=["tag"])
            own.set("large", 2**70, 60)
            own.set("text", "text", 60)
            assert (own.incr("plain"), own.incr("tagged"), own.incr("large")) == (2, 2, 2**70 + 1)
            with pytest.raises((TypeError, *cache.increment_errors)):
                own.incr("text")
            with pytest.raises(ValueError, match="missing"):
                own.incr("missing")
            assert own.get_many(["plain", "tagged", "missing"]) == {"plain": 2, "tagged": 2}
            assert own.add("plain", 1, 60) is False
            assert own.touch("missing", 60) is False
        assert told == []
