"""Tags: what carries an expired tag is absent, at once and to everybody."""

from __future__ import annotations

from typing import Any

import pytest

from cacheplus.backends.base import BaseCache
from cacheplus.testing.contract.absence import ABSENT, answers, expected, keys_of
from cacheplus.testing.contract.harness import Harness


class TagContract(Harness):
    """`tags=` and `expire_tags`."""

    def test_expiring_a_tag_ends_what_carries_it_and_nothing_else(self, calls: Any) -> None:
        calls.set("set", 1, 60, tags=["a", "b"])
        calls.add("add", 1, 60, tags=["a"])
        calls.set_many({"set_many": 1, "neighbour": 2}, None, tags={"b", "a"})
        calls.get_or_set("get_or_set", 1, 60, tags=("a",))
        calls.set("other", 1, 60, tags=["b"])
        calls.set("plain", 1, 60)
        assert calls.expire_tags("a") == 1
        keys = ["set", "add", "set_many", "neighbour", "get_or_set", "other", "plain"]
        assert calls.get_many(keys) == {"other": 1, "plain": 1}
        assert calls.expire_tags("b") == 1
        assert calls.get_many(keys) == {"plain": 1}

    @pytest.mark.parametrize("value", [1, "text"], ids=["int", "text"])
    def test_a_record_whose_tag_was_expired_is_absent_to_every_call(self, calls: Any, value: Any) -> None:
        calls.set_many(dict.fromkeys(keys_of(ABSENT).values(), value), 60, tags=["live", "expired"])
        calls.expire_tags("expired")
        assert answers(calls, ABSENT) == expected(ABSENT)

    def test_what_is_stored_after_an_expiry_stays(self, calls: Any) -> None:
        for value in range(3):
            calls.set("key", value, 60, tags=["tag"])
            assert calls.get("key") == value
            calls.expire_tags("tag")
            assert calls.get("key") is None

    def test_a_value_stored_over_an_expired_one_does_not_carry_its_tags(self, calls: Any) -> None:
        for store in (calls.set, calls.add):
            calls.set("key", "old", 60, tags=["tag"])
            calls.expire_tags("tag")
            store("key", "new", 60)
            calls.expire_tags("tag")
            assert calls.get("key") == "new"
            calls.delete("key")

    def test_it_counts_the_tags_that_were_in_use(self, calls: Any) -> None:
        assert calls.expire_tags() == 0
        assert calls.expire_tags("unknown") == 0
        calls.set("key", 1, 60, tags=["a", "b"])
        assert calls.expire_tags("a", "b", "a", "unknown") == 2
        assert calls.expire_tags("a", "b") == 0

    def test_tags_are_shared_by_all_versions(self, calls: Any) -> None:
        calls.set("key", 1, 60, version=1, tags=["tag"])
        calls.set("key", 2, 60, version=2, tags=["tag"])
        assert calls.expire_tags("tag") == 1
        assert calls.get("key", version=1) is None
        assert calls.get("key", version=2) is None

    def test_a_value_that_moved_to_another_version_keeps_its_tags(self, calls: Any) -> None:
        calls.set("key", "value", 60, tags=["tag"])
        calls.incr_version("key")
        assert calls.get("key", version=2) == "value"
        calls.expire_tags("tag")
        assert calls.get("key", version=2) is None

    def test_a_counter_keeps_its_tags(self, calls: Any) -> None:
        calls.set("key", 1, 60, tags=["tag"])
        assert calls.incr("key") == 2
        assert calls.decr("key", 5) == -3
        assert calls.touch("key", 120) is True
        calls.expire_tags("tag")
        assert calls.get("key") is None

    @pytest.mark.parametrize(
        "tag", ["two words", "ключ", "x" * 1000, "\ud800", "a:b", "*", "line\r\n", "\x00"], ids=lambda t: ascii(t)[:12]
    )
    def test_any_text_is_a_tag(self, calls: Any, tag: str) -> None:
        calls.set("key", "value", 60, tags=[tag])
        calls.set("other", "value", 60, tags=[f"{tag}-other"])
        assert calls.get("key") == "value"
        assert calls.expire_tags(tag) == 1
        assert calls.get_many(["key", "other"]) == {"other": "value"}

    def test_a_value_may_carry_many_tags(self, calls: Any) -> None:
        tags = [f"tag-{number}" for number in range(100)]
        calls.set("key", "value", 60, tags=tags)
        assert calls.get("key") == "value"
        calls.expire_tags(tags[-1])
        assert calls.get("key") is None

    @pytest.mark.parametrize(
        ("tags", "error"), [("name", "list of names"), ([5], "must be a string"), ([""], "not empty")]
    )
    def test_what_is_no_list_of_names_is_a_type_error(self, calls: Any, tags: Any, error: str) -> None:
        calls.set("key", "old", 60)
        for call, key in {"set": "key", "add": "missing", "get_or_set": "missing"}.items():
            with pytest.raises(TypeError, match=error):
                getattr(calls, call)(key, "new", 60, tags=tags)
        with pytest.raises(TypeError, match=error):
            calls.set_many({"key": "new"}, 60, tags=tags)
        assert calls.get_many(["key", "missing"]) == {"key": "old"}

    def test_a_tag_lives_as_long_as_the_longest_value_that_carries_it(self, calls: Any) -> None:
        calls.set("short", "value", 1, tags=["tag"])
        calls.set("long", "value", 10**6, tags=["tag"])
        calls.set("touched", "value", 60, tags=["touched"])
        calls.touch("touched", 10**6)
        calls.set("for-ever", "value", None, tags=["ever"])
        calls.set("late", "value", 60, tags=["ever"])
        calls.delete("short")
        own = getattr(calls, "cache", calls)
        for tag, ttl in {"tag": 10**6, "touched": 10**6}.items():
            assert own._ttl(own.tags.name(tag)) >= ttl - 60
        assert own._ttl(own.tags.name("ever")) is None

    def test_expiry_reaches_every_backend_of_the_store(self, calls: Any, cache: BaseCache) -> None:
        other = self.way_of(calls, self.alike(cache))
        other.set("key", "value", 60, tags=["tag"])
        assert calls.get("key") == "value"
        assert calls.expire_tags("tag") == 1
        assert other.get("key") is None

    def test_a_cleared_cache_takes_tagged_values_again(self, calls: Any) -> None:
        calls.set("key", "old", 60, tags=["tag"])
        calls.clear()
        calls.set("key", "new", 60, tags=["tag"])
        assert calls.get("key") == "new"
        assert calls.expire_tags("tag") == 1
        assert calls.get("key") is None
