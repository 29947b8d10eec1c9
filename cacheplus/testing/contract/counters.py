"""Counters are exact, whoever counts at the same time, and keep their ttl."""

from __future__ import annotations

from typing import Any

import pytest

from cacheplus.backends.base import BaseCache
from cacheplus.testing.contract.harness import THREADS, Harness

# (stored, delta, sum): ints, what servers clamp or wrap, and numbers that no server adds.
SUMS: list[tuple[Any, Any, Any]] = [
    (1, 1, 2),
    (41, 10, 51),
    (1, 0, 1),
    (1, -10, -9),
    (-5, 3, -2),
    (-5, -3, -8),
    (0, -1, -1),
    (99, 1, 100),
    (100, -1, 99),
    (2**63 - 1, 1, 2**63),
    (-(2**63), -1, -(2**63) - 1),
    (2**64 - 1, 1, 2**64),
    (2**64, -1, 2**64 - 1),
    (1, 2**70, 2**70 + 1),
    (1.5, 1, 2.5),
    (1, 0.5, 1.5),
    (True, 1, 2),
    (False, -1, -1),
]


class CounterContract(Harness):
    """`incr` and `decr`."""

    @pytest.mark.parametrize(("stored", "delta", "total"), SUMS)
    def test_incr_and_decr_add_exactly(self, calls: Any, stored: Any, delta: Any, total: Any) -> None:
        calls.set_many({"up": stored, "down": stored, "tagged": stored}, 60)
        calls.set("tagged", stored, 60, tags=["tag"])
        for key, found in {
            "up": calls.incr("up", delta),
            "down": calls.decr("down", -delta),
            "tagged": calls.incr("tagged", delta),
        }.items():
            assert (found, type(found)) == (total, type(total))
            assert (calls.get(key), type(calls.get(key))) == (total, type(total))

    def test_one_is_the_default(self, calls: Any) -> None:
        calls.set("key", 5, 60)
        assert calls.incr("key") == 6
        assert calls.decr("key") == 5

    def test_a_sum_can_be_added_to_again(self, calls: Any) -> None:
        calls.set("key", 2**63 - 1, 60)
        for expected in (2**63, 2**63 + 1):
            assert calls.incr("key") == expected
        assert calls.decr("key", 2**63) == 1
        assert calls.incr("key") == 2

    @pytest.mark.parametrize("value", ["text", "", None, [1], b"bytes"], ids=ascii)
    def test_what_is_no_number_stays_as_it_is(self, calls: Any, cache: BaseCache, value: Any) -> None:
        calls.set("key", value, 60)
        with pytest.raises((TypeError, *cache.increment_errors)):
            calls.incr("key")
        assert calls.get("key", "gone") == value

    def test_a_missing_key_is_named(self, calls: Any) -> None:
        with pytest.raises(ValueError, match="missing"):
            calls.incr("missing")
        with pytest.raises(ValueError, match="missing"):
            calls.decr("missing")

    def test_the_ttl_stays(self, calls: Any) -> None:
        soon = max(self.smallest_ttl, 0.5)
        calls.set_many({"int": 1, "float": 1.5, "large": 2**70}, soon)
        calls.set("tagged", 1, soon, tags=["tag"])
        calls.set_many({"int-for-ever": 1, "float-for-ever": 1.5}, None)
        sums = {"int": 2, "float": 2.5, "large": 2**70 + 1, "tagged": 2}
        sums_for_ever = {"int-for-ever": 2, "float-for-ever": 2.5}
        for key, total in {**sums, **sums_for_ever}.items():
            assert calls.incr(key) == total
        self.outlive(calls, soon)
        assert calls.get_many({**sums, **sums_for_ever}) == sums_for_ever

    @pytest.mark.parametrize("tags", [(), ("tag",)], ids=["plain", "tagged"])
    def test_no_increment_is_lost(self, calls: Any, cache: BaseCache, tags: tuple[str, ...]) -> None:
        rounds = 5 if tags else 12
        calls.set("key", 0, 60, tags=tags)
        seen = self.crowd(calls, cache, lambda own: [own.incr("key") for _ in range(rounds)])
        assert sorted(value for own in seen for value in own) == list(range(1, THREADS * rounds + 1))
        assert calls.get("key") == THREADS * rounds
