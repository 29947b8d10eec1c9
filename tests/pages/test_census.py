"""How many pages of one path are kept: what has a place keeps it, and what comes too late waits until one is free."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest import mock

import pytest

from cacheplus.backends.locmem import LocMemCache
from cacheplus.pages.census import Census, Limits
from cacheplus.pages.keys import PageAddress

PLAIN = PageAddress(scheme="http", host="h", path="/p/", query="")


class Counted:
    """The census of one cache, asked plainly."""

    def __init__(self, **limits):
        self.cache = LocMemCache(secrets.token_hex(8), {})
        self.census = Census(self.cache.operations, Limits(**limits))

    def admits(self, query, key=None, ttl=60.0, **others):
        address = replace(PLAIN, query=query, **others)
        return self.cache.drive(lambda store: self.census.admits(store, address, key or address.key(), ttl), None)


def later(seconds):
    """As the census sees the time so many seconds from now."""
    return mock.patch("cacheplus.pages.census.time.time", return_value=time.time() + seconds)


def test_as_many_as_there_is_room_for():
    counted = Counted(queries=3)
    assert [counted.admits(f"x={number}") for number in range(5)] == [True, True, True, False, False]


def test_what_has_a_place_keeps_it():
    counted = Counted(queries=2)
    for query in ("a", "b", "c"):
        counted.admits(query)
    assert [counted.admits(query) for query in ("a", "b", "c")] == [True, True, False]


def test_a_place_is_free_again_when_its_page_has_expired():
    counted = Counted(queries=1)
    assert counted.admits("a", ttl=60)
    with later(61):
        assert counted.admits("b")
        assert not counted.admits("a")


def test_what_is_kept_for_ever_does_not_hold_its_place_for_ever():
    counted = Counted(queries=1)
    counted.admits("a", ttl=None)
    assert not counted.admits("b")
    with later(24 * 60 * 60 + 1):
        assert counted.admits("b")


def test_variants_of_a_plain_path_are_counted_apart():
    counted = Counted(queries=1, variants=2)
    assert counted.admits("a")
    assert [counted.admits("", key) for key in ("one", "two", "three")] == [True, True, False]


@pytest.mark.parametrize("others", [{"host": "other"}, {"path": "/q/"}, {"language": "de"}, {"key_prefix": "x"}])
def test_other_paths_are_counted_apart(others):
    counted = Counted(queries=1)
    assert counted.admits("a")
    assert counted.admits("a", **others)


def test_a_damaged_list_begins_anew():
    counted = Counted(queries=1)
    counted.admits("a")
    [name] = counted.cache._read(list(counted.cache._shelf.services.stored))
    counted.cache._write({name: b"garbage"}, 60)
    assert counted.admits("b")
    assert not counted.admits("c")


def test_two_who_come_at_once_are_both_counted():
    counted = Counted(queries=8)
    with ThreadPoolExecutor(8) as pool:
        admitted = list(pool.map(lambda number: counted.admits(f"x={number}"), range(40)))
    assert 1 <= sum(admitted) <= 8
    # Who lost a race too often may come again, and there is room for no more than eight.
    assert sum(counted.admits(f"y={number}") for number in range(20)) == 8 - sum(admitted)


def test_it_is_no_entry_among_the_values():
    counted = Counted(queries=8)
    counted.admits("a")
    assert not counted.cache._cache
