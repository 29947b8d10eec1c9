"""Keys, versions, prefixes and key functions: two names never meet, and the caller's keys come back."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from django.core.cache.backends.base import CacheKeyWarning, InvalidCacheKey

from cacheplus.backends.base import BaseCache
from cacheplus.testing.contract.absence import ABSENT, DELETE
from cacheplus.testing.contract.harness import Harness

PLAIN_KEYS: list[Any] = [
    "key",
    "",
    "5",
    "a/b",
    "..",
    "*?[x]",
    "100%s",
    "it's",
    'say"x"',
    "back\\slash",
    "Ключ",
    "🔑",
    None,
]
ODD_KEYS = ["two words", "tab\tkey", "line\r\nflush_all", "nul\x00", "\x7f", "long" * 100, "ключ" * 50]
HASH = {"KEY_POLICY": "hash"}


def by_dashes(key: Any, prefix: str, version: Any) -> str:
    """A KEY_FUNCTION."""
    return f"by-dashes-{prefix}-{version}-{key}"


class KeyContract(Harness):
    """What is a key, and what keeps the keys of others apart."""

    @pytest.mark.parametrize("key", PLAIN_KEYS, ids=ascii)
    def test_any_plain_key_works_in_every_call(self, calls: Any, key: Any) -> None:
        self.use(calls, key)

    @pytest.mark.parametrize("key", [*ODD_KEYS, "\ud800"], ids=lambda key: ascii(key)[:20])
    def test_under_the_hash_policy_any_key_works_in_every_call(self, calls: Any, cache: BaseCache, key: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", CacheKeyWarning)
            self.use(self.way_of(calls, self.alike(cache, OPTIONS=HASH)), key)

    def use(self, calls: Any, key: Any) -> None:
        """Call everything with `key`."""
        neighbours = {"neighbour": 0}
        calls.set("neighbour", 0, 60)
        assert calls.add(key, 1, 60) is True
        assert calls.get(key) == 1
        assert calls.get_many([key, "neighbour"]) == {key: 1, **neighbours}
        assert calls.incr(key) == 2
        assert calls.touch(key, 50) is True
        assert calls.has_key(key) is True
        assert calls.get_or_set(key, 5) == 2
        assert calls.incr_version(key) == 2
        assert calls.get(key, version=2) == 2
        assert calls.delete(key, version=2) is True
        assert calls.set_many({key: "value"}, 60) == []
        assert calls.get(key) == "value"
        with calls.lock(key, timeout=30, wait=0):
            calls.delete_many([key])
        assert calls.get_many([key, "neighbour"]) == neighbours

    @pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: ascii(key)[:20])
    def test_under_djangos_policy_an_odd_key_is_told(self, calls: Any, cache: BaseCache, key: str) -> None:
        own = self.way_of(calls, self.alike(cache, OPTIONS={"KEY_POLICY": "django"}))
        if self.refuses_odd_keys:
            for ask, _ in {**ABSENT, **DELETE}.values():
                with pytest.raises(InvalidCacheKey):
                    raise_through(ask, own, key)
            return
        told = len(key) > 250 or not key.isprintable() or " " in key
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            own.set(key, "value", 60)
            assert own.get(key) == "value"
        assert any(issubclass(each.category, CacheKeyWarning) for each in caught) is told

    def test_long_keys_that_differ_at_the_end_are_two_keys(self, calls: Any, cache: BaseCache) -> None:
        own = self.way_of(calls, self.alike(cache, OPTIONS=HASH))
        data = {"x" * 1000 + end: end for end in "abc"}
        own.set_many(data, 60)
        assert own.get_many(data) == data

    def test_keys_that_differ_in_case_accents_or_trailing_blanks_are_two_keys(
        self, calls: Any, cache: BaseCache
    ) -> None:
        own = self.way_of(calls, self.alike(cache, OPTIONS=HASH))
        data = {
            key: key for key in ("resume", "Resume", "résumé", "re\u0301sume\u0301", "resume ", "straße", "strasse")
        }
        own.set_many(data, 60)
        assert own.get_many(data) == data

    def test_a_number_and_its_text_are_one_key(self, calls: Any) -> None:
        calls.set(5, "five", 60)
        assert calls.get("5") == "five"

    def test_versions_are_apart(self, calls: Any, cache: BaseCache) -> None:
        second = self.way_of(calls, self.alike(cache, VERSION=2))
        calls.set("key", "one", 60)
        calls.set("key", "two", 60, version=2)
        assert calls.get("key") == calls.get("key", version=1) == second.get("key", version=1) == "one"
        assert second.get("key") == calls.get("key", version=2) == "two"
        assert second.get_many(["key"]) == {"key": "two"}
        second.delete("key")
        assert calls.get("key") == "one"
        assert calls.get("key", version=2) is None

    def test_versions_that_are_equal_and_look_different_are_read_by_everybody(
        self, calls: Any, cache: BaseCache
    ) -> None:
        calls.set("key", "one", 60, version=1)
        calls.set("key", "float", 60, version=1.0)
        calls.set("key", "true", 60, version=True)
        for version, value in ((1.0, "float"), (True, "true"), (1, "one")):
            other = self.way_of(calls, self.alike(cache))
            assert other.get("key", version=version) == value

    def test_every_call_takes_a_version(self, calls: Any) -> None:
        assert calls.add("key", 1, 60, version=3) is True
        assert calls.incr("key", version=3) == 2
        assert calls.decr("key", 5, version=3) == -3
        assert calls.touch("key", 60, version=3) is True
        assert calls.has_key("key", version=3) is True
        assert calls.ttl("other", version=3) + 60 > 0
        assert calls.set_many({"other": 1}, 60, version=3) == []
        assert calls.get_many(["key", "other"], version=3) == {"key": -3, "other": 1}
        assert calls.get_or_set("third", lambda: 3, 60, version=3) == 3
        assert calls.get_many(["key", "other", "third"]) == {}
        calls.delete_many(["key", "other"], version=3)
        assert calls.get_many(["key", "other", "third"], version=3) == {"third": 3}

    def test_incr_version_moves_the_value(self, calls: Any) -> None:
        calls.set("key", "value", 60)
        assert calls.incr_version("key") == 2
        assert calls.get("key") is None
        assert calls.get("key", version=2) == "value"
        assert calls.incr_version("key", 3, version=2) == 5
        assert calls.decr_version("key", version=5) == 4
        assert calls.get("key", version=4) == "value"

    def test_incr_version_replaces_what_was_at_the_new_version(self, calls: Any) -> None:
        calls.set("key", "new", 60)
        calls.set("key", "old", 60, version=2)
        calls.incr_version("key")
        assert calls.get("key", version=2) == "new"

    def test_incr_version_by_nothing_leaves_the_value(self, calls: Any) -> None:
        calls.set("key", "value", 60)
        assert calls.incr_version("key", 0) == 1
        assert calls.get("key") == "value"

    def test_prefixes_are_apart(self, calls: Any, cache: BaseCache) -> None:
        other = self.way_of(calls, self.alike(cache, KEY_PREFIX=f"{cache.key_prefix}other"))
        calls.set("key", "ours", 60, tags=["tag"])
        other.set("key", "theirs", 60, tags=["tag"])
        assert other.expire_tags("tag") == 1
        assert calls.get("key") == "ours"
        assert other.get("key") is None
        with calls.lock("key", wait=0), other.lock("key", wait=0):
            assert calls.get("key") == "ours"

    def test_names_that_look_the_same_do_not_share_a_value(self, calls: Any, cache: BaseCache) -> None:
        prefix = cache.key_prefix
        one = self.way_of(calls, self.alike(cache, KEY_PREFIX=f"{prefix}p"))
        two = self.way_of(calls, self.alike(cache, KEY_PREFIX=f"{prefix}p:1"))
        one.set("2:key", "of one", 60)
        assert two.get("key", version=2) is None
        two.set("key", "of two", 60, version=2)
        assert one.get("2:key") in (None, "of one")

    def test_a_key_function_makes_the_names(self, calls: Any, cache: BaseCache) -> None:
        other = self.alike(cache, KEY_FUNCTION=by_dashes)
        assert other.make_key("key", version=2) == f"by-dashes-{cache.key_prefix}-2-key"
        own = self.way_of(calls, other)
        own.set("key", "dashes", 60, tags=["tag"])
        assert calls.get("key") is None
        assert own.get("key") == "dashes"
        assert own.get_many(["key"]) == {"key": "dashes"}
        assert own.incr_version("key") == 2
        own.expire_tags("tag")
        assert own.get("key", version=2) is None

    def test_a_user_cannot_reach_a_stamp_by_its_name(self, calls: Any, cache: BaseCache) -> None:
        calls.set("key", "value", 60, tags=["tag"])
        names = [cache.tags.name("tag"), cache.tags.fence_name]
        keys = [name.removeprefix(cache.make_key("", version=0)) for name in names]
        assert [cache.make_key(key, version=0) for key in keys] == names
        assert calls.get_many(keys, version=0) == {}
        assert calls.get("key") in ("value", None)


def raise_through(ask: Any, calls: Any, key: str) -> None:
    """Ask for `key`; a ValueError that a table of answers would take for "not found" is raised all the same."""
    if ask(calls, key) == "ValueError":
        calls.incr(key)
