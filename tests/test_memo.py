"""The memo: each key is read once in a block, and what the block changes is seen."""

import asyncio
import secrets
from contextvars import Context
from typing import ClassVar

import pytest
from asgiref.sync import sync_to_async

from cacheplus import memo
from cacheplus.backends.locmem import LocMemCache
from cacheplus.recorder import recording


class Reading(LocMemCache):
    reads: ClassVar[list] = []

    def _read(self, names):
        self.reads.append(list(names))
        return super()._read(names)


@pytest.fixture
def cache():
    cache = Reading(secrets.token_hex(8), {})
    cache.set_many({"key": ["value"], "other": 1}, 60)
    cache.set("tagged", "value", 60, tags=["tag"])
    Reading.reads = []
    return cache


USES = {
    "get": lambda cache: cache.get("key"),
    "get, absent": lambda cache: cache.get("absent"),
    "get, tagged": lambda cache: cache.get("tagged"),
    "get_many": lambda cache: cache.get_many(["key", "other", "absent"]),
    "has_key": lambda cache: "key" in cache,
    "get_or_set": lambda cache: cache.get_or_set("key", lambda: pytest.fail("computed"), 60),
    "get_or_set, tagged": lambda cache: cache.get_or_set("tagged", lambda: pytest.fail("computed"), tags=["tag"]),
}


@pytest.mark.parametrize("use", USES)
def test_what_was_read_is_not_read_again(cache, use):
    with memo():
        first = USES[use](cache)
        reads = len(Reading.reads)
        assert reads >= 1
        assert [USES[use](cache) for _ in range(5)] == [first] * 5
        assert len(Reading.reads) == reads
    USES[use](cache)
    assert len(Reading.reads) > reads


def test_repeated_gets_of_one_key_cost_one(cache):
    with memo():
        for _ in range(10):
            cache.get("key")
            cache.get_many(["key"])
    assert len(Reading.reads) == 1


def test_each_caller_has_a_value_of_its_own(cache):
    with memo():
        cache.get("key").append("changed")
        assert cache.get("key") == ["value"]


CHANGES = {
    "set": (lambda cache: cache.set("key", "new"), "new"),
    "set_many": (lambda cache: cache.set_many({"key": "new"}), "new"),
    "delete": (lambda cache: cache.delete("key"), None),
    "delete_many": (lambda cache: cache.delete_many(["key"]), None),
    "clear": (lambda cache: cache.clear(), None),
    "add": (lambda cache: (cache.delete("key"), cache.get("key"), cache.add("key", "new")), "new"),
    "touch": (lambda cache: cache.touch("key", -1), None),
    "get_or_set": (lambda cache: (cache.delete("key"), cache.get("key"), cache.get_or_set("key", lambda: 1)), 1),
    "incr": (lambda cache: (cache.set("key", 1), cache.get("key"), cache.incr("key")), 2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_block_changes_is_seen_at_once(cache, change):
    happen, left = CHANGES[change]
    with memo():
        cache.get("key")
        happen(cache)
        assert cache.get("key") == left


def test_what_it_expires_is_gone_at_once(cache):
    with memo():
        assert cache.get("tagged") == "value"
        cache.expire_tags("tag")
        assert cache.get("tagged") is None


def test_what_others_change_is_seen_when_the_block_ends(cache):
    other = LocMemCache(cache._location, {})
    with memo():
        assert cache.get("other") == 1
        from_outside(lambda: other.set("other", 2))
        assert cache.get("other") == 1
    assert cache.get("other") == 2


def test_two_stores_are_told_apart(cache):
    other = LocMemCache(secrets.token_hex(8), {})
    with memo():
        assert (cache.get("other"), other.get("other")) == (1, None)


def test_a_result_made_from_something_that_was_expired_meanwhile_is_not_kept(cache):
    other = LocMemCache(cache._location, {})
    with memo():
        cache.get("tagged")
        from_outside(lambda: other.expire_tags("tag"))
        cache.get_or_set("outer", lambda: cache.get("tagged"), 60)
    assert cache.get("outer") is None


def test_tags_are_handed_outward_each_time(cache):
    with memo():
        cache.get("tagged")
        with recording() as recorder:
            cache.get("tagged")
    assert "tag" in recorder.split(cache.operations.space)[0]


def test_it_holds_in_tasks_and_threads_that_the_block_starts(cache):
    async def ask():
        with memo():
            cache.get("key")
            await asyncio.gather(*(cache.aget("key") for _ in range(5)), sync_to_async(cache.get)("key"))

    asyncio.run(ask())
    assert len(Reading.reads) == 1


def test_an_inner_block_is_part_of_the_outer(cache):
    with memo():
        cache.get("key")
        with memo():
            cache.get("key")
        cache.get("key")
    assert len(Reading.reads) == 1


def from_outside(work):
    """Do `work` in a context that knows of no memo."""
    Context().run(work)
