"""What `clear` deletes, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from cacheplus.backends.base import BaseCache
from cacheplus.testing.contract.harness import Harness

# What the next prefix could be taken for, by a pattern or by a comparison that is not exact.
LOOKALIKES = ["pre", "Pre", "pr", "prex", "p*e", "p?e", "p[r]e", "p_e", "p%e", "p\\re"]


class ClearContract(Harness):
    """`clear` of one alias, and of the whole store."""

    def test_it_deletes_every_version_and_every_stamp(self, calls: Any) -> None:
        calls.set("key", "value", 60)
        calls.set("key", "value", 60, version=2)
        calls.set("for-ever", 1, None)
        calls.set("tagged", "value", 60, tags=["tag"])
        calls.clear()
        assert calls.get_many(["key", "for-ever", "tagged"]) == {}
        assert calls.get("key", version=2) is None
        assert calls.expire_tags("tag") == 0

    def test_an_empty_cache_can_be_cleared_and_used(self, calls: Any) -> None:
        calls.clear()
        calls.clear()
        calls.set("key", "value", 60)
        assert calls.get("key") == "value"

    @pytest.mark.parametrize("name", LOOKALIKES)
    def test_it_leaves_every_other_prefix_alone(self, calls: Any, cache: BaseCache, name: str) -> None:
        if not cache.supports_scoped_clear:
            pytest.skip("this store cannot clear by prefix")
        prefixes = {each: f"{cache.key_prefix}{each}" for each in LOOKALIKES}
        aliases = {each: self.way_of(calls, self.alike(cache, KEY_PREFIX=prefix)) for each, prefix in prefixes.items()}
        for each, own in aliases.items():
            own.set("key", each, 60, tags=["tag"])
            own.set("counter", 1, 60)
        aliases[name].clear()
        left = {each: own.get_many(["key", "counter"]) for each, own in aliases.items()}
        assert left == {each: {} if each == name else {"key": each, "counter": 1} for each in LOOKALIKES}

    def test_it_can_clear_the_whole_store(self, calls: Any, cache: BaseCache) -> None:
        other = self.alike(cache, KEY_PREFIX=f"{cache.key_prefix}other")
        other.set("key", "value", 60)
        calls.set("key", "value", 60)
        calls.clear(everything=True)
        assert calls.get("key") is None
        assert other.get("key") is None

    def test_with_a_key_function_of_its_own_nothing_survives(self, calls: Any, cache: BaseCache) -> None:
        own = self.way_of(calls, self.alike(cache, KEY_FUNCTION=lambda key, *_: f"{cache.key_prefix}{key}"))
        own.set("key", "value", 60)
        own.clear()
        assert own.get("key") is None
