"""Names of any length, what counts, and what goes first."""

import asyncio
import threading
import time

import pytest

from cacheplus.backends.lmdb import LMDBCache
from cacheplus.backends.lmdb_entries import Key, rank_of, ttl_of
from cacheplus.backends.lmdb_files import Files

HOUR = 3600


def names(cache, *keys):
    return [cache.make_key(key) for key in keys]


class TestNames:
    def test_long_names_that_begin_alike_are_two(self, cache):
        keys = [start * length + end for start in "xé" for length in (100, 480, 503, 504, 2000) for end in "ab"]
        assert cache._write({key: key.encode() for key in keys}, 60) == []
        assert cache._read(keys) == {key: key.encode() for key in keys}
        assert cache._remove(keys[:1]) == 1
        assert cache._read(keys[:2]) == {keys[1]: keys[1].encode()}

    @pytest.mark.parametrize("name", ["", "\x00", "\ud800", "x" * 503, "x" * 504, "é" * 10_000])
    def test_every_call_takes_every_name(self, cache, name):
        assert cache._add(name, 1, 60) is True
        assert cache._add(name, 2, 60) is False
        assert cache._increment(name, 4) == 5
        assert cache._touch(name, 50) is True
        assert 49 < cache._ttl(name) <= 50
        assert cache._swap(name, 5, b"other", 60) is True
        assert cache._read([name]) == {name: b"other"}
        assert cache._remove([name]) == 1
        assert cache._read([name]) == {}

    def test_a_digest_is_not_believed_without_the_name(self, cache, monkeypatch):
        """Two names whose digests met would be two entries, or one and a miss, and never each other's."""
        monkeypatch.setattr("cacheplus.backends.lmdb_entries.blake2b", lambda *_, **__: Digest())
        one, two = "x" * 600 + "1", "x" * 600 + "2"
        assert Key.of(one).key == Key.of(two).key
        cache._write({one: b"one"}, 60)
        assert cache._read([one, two]) == {one: b"one"}
        assert cache._add(two, b"two", 60) is True
        assert cache._read([one, two]) == {two: b"two"}

    @pytest.mark.parametrize("length", [3, 481, 482, 483, 503, 600])
    def test_clear_takes_a_prefix_of_any_length(self, cache, length):
        prefix = "p" * length
        mine = [prefix, prefix + ":", prefix + "x" * 600, prefix + "\x00", prefix + "🔑"]
        others = ["p" * (length - 1), "p" * (length - 1) + "q" * 600, "P" * length, "q", "a" * 600]
        cache._write(dict.fromkeys([*mine, *others], 1), 60)
        cache._clear(prefix)
        assert set(cache._read([*mine, *others])) == set(others)

    def test_clear_takes_more_than_it_deletes_at_once(self, cache):
        cache._write({f"p:{n}": n for n in range(2500)}, 60)
        cache._write({"q:0": 0}, 60)
        cache._clear("p:")
        assert cache._read([f"p:{n}" for n in range(2500)] + ["q:0"]) == {"q:0": 0}
        assert cache._store.read(lambda get, _now: get(b"p:7"), cache._limits) is None


class Digest:
    def digest(self):
        return bytes(20)


class TestTimes:
    def test_a_fraction_is_kept_to(self, cache):
        cache.set("key", "value", 0.05)
        assert cache.get("key") == "value"
        time.sleep(0.06)
        assert cache.get("key") is None
        assert cache.touch("key", 60) is False
        assert cache.delete("key") is False
        assert cache.add("key", "new", 60) is True

    @pytest.mark.parametrize("ttl", [1e-9, 0.1, 1, 1e6, 1e11, 1e300])
    def test_nothing_dies_early(self, ttl):
        left = ttl_of(rank_of(ttl, 10**15), 10**15)
        assert ttl <= left < ttl + 1e-5 or (ttl > 9e12 and left == 9e12)

    def test_what_is_for_ever_comes_after_all_that_ends(self):
        assert ttl_of(rank_of(None, 10**15), 10**18) is None
        assert rank_of(1e300, 10**15) < rank_of(None, 0) < rank_of(None, 1)

    def test_incr_keeps_the_ttl(self, cache):
        """#26619."""
        cache.set("key", 1, 50)
        assert cache.incr("key") == 2
        assert 49 < cache.ttl("key") <= 50

    def test_a_counter_that_outgrows_64_bits_is_still_exact(self, cache):
        cache.set("key", 2**63 - 1, 50)
        assert cache.incr("key") == 2**63
        assert cache.incr("key", -1) == 2**63 - 1
        assert cache.incr("key", 10**25) == cache.get("key") == 2**63 - 1 + 10**25
        assert 49 < cache.ttl("key") <= 50


class TestCount:
    def test_what_expired_goes_first_then_what_ends_soonest_and_what_is_for_ever_last(self, make):
        cache = make(MAX_ENTRIES=8, CULL_FREQUENCY=4)
        for key, ttl in [("old", None), ("new", None), ("b", 3 * HOUR), ("c", HOUR), ("d", 2 * HOUR), ("dead", 0.01)]:
            cache.set(key, 1, ttl)
        cache.set_many({"dead-1": 1, "dead-2": 1}, 0.01)
        time.sleep(0.02)
        cache.set("e", 1, 4 * HOUR)
        assert set(cache.get_many(["old", "new", "b", "c", "d", "e"])) == {"old", "new", "b", "c", "d", "e"}
        cache.set_many({"f": 1, "g": 1}, 5 * HOUR)
        cache.set("h", 1, 6 * HOUR)
        assert set(cache.get_many([*"bcdefgh", "old", "new"])) == {"old", "new", "b", "e", "f", "g", "h"}
        for n in range(20):
            cache.set(f"later-{n}", 1, None)
        assert cache.get("old") is None
        assert cache.get("later-19") == 1

    def test_what_is_stored_again_goes_by_its_new_time_and_counts_once(self, make):
        cache = make(MAX_ENTRIES=10)
        for call in (cache.set, cache.set, lambda key, _value, ttl: cache.touch(key, ttl)):
            cache.set("key", "value", 0.01)
            call("key", "value", 5 * HOUR)
        for _ in range(30):
            cache.set("key", "value", 5 * HOUR)
        for n in range(9):
            cache.set(f"key-{n}", n, HOUR)
        assert len(cache.get_many(["key", *(f"key-{n}" for n in range(9))])) == 10
        time.sleep(0.02)
        for n in range(30):
            cache.set(f"later-{n}", n, HOUR)
        assert cache.get("key") == "value"

    def test_a_frequency_of_0_empties_the_store(self, make):
        cache = make(MAX_ENTRIES=5, CULL_FREQUENCY=0)
        for n in range(6):
            cache.set(f"key-{n}", n)
        assert cache.get_many([f"key-{n}" for n in range(6)]) == {"key-5": 5}

    def test_without_a_limit_only_bytes_count(self, make):
        """The 300 of Django are for stores that look at every entry."""
        cache = make()
        cache.set_many({f"key-{n}": n for n in range(2000)}, 60)
        assert len(cache.get_many([f"key-{n}" for n in range(2000)])) == 2000

    @pytest.mark.parametrize("params", [{"max_entries": 10}, {"OPTIONS": {"MAX_ENTRIES": 10}}])
    def test_a_limit_in_either_spelling_counts(self, location, params):
        cache = LMDBCache(location, params)
        for n in range(50):
            cache.set(f"key-{n}", n)
        assert 5 <= len(cache.get_many([f"key-{n}" for n in range(50)])) <= 10

    def test_stamps_fences_and_locks_neither_count_nor_go(self, make):
        cache = make(MAX_ENTRIES=10)
        cache.set("tagged", "value", 2 * HOUR, tags=[f"tag-{n}" for n in range(50)])
        with cache.lock("lock", timeout=5):
            for n in range(9):
                cache.set(f"key-{n}", n, HOUR)
            assert len(cache.get_many(["tagged", *(f"key-{n}" for n in range(9))])) == 10
            for n in range(30):
                cache.set(f"later-{n}", n, HOUR)
            assert cache.get("tagged") == "value"
            assert cache._add(cache._lock_name("lock"), b"other", 5) is False

    def test_stamps_are_bounded_too(self, make):
        """By the size of the map: whoever makes tags without end pushes out the oldest of them, and no value."""
        cache = make(MAP_SIZE=2**20)
        cache.set("key", "value", 10)
        stamps = [cache.tags.name(f"tag-{n}") for n in range(3000)]
        for stamp in stamps:
            cache._write({stamp: b"stamp"}, HOUR)
        assert 300 < len(cache._read(stamps)) < 2000
        assert stamps[-1] in cache._read(stamps)
        assert cache.get("key") == "value"


class TestAsync:
    def test_a_read_takes_no_thread_and_a_write_does(self, location):
        threads = []

        class Watched(LMDBCache):
            def _read(self, names):
                threads.append(("read", threading.get_ident()))
                return super()._read(names)

            def _write(self, items, ttl):
                threads.append(("write", threading.get_ident()))
                return super()._write(items, ttl)

        async def use():
            cache = Watched(location, {})
            await cache.aset("key", "value")
            assert await cache.aget("key") == "value"
            assert 299 < await cache.attl("key") <= 300

        asyncio.run(use())
        here = threading.get_ident()
        assert [(call, thread == here) for call, thread in threads] == [
            ("write", False),
            ("read", True),
            ("read", True),
        ]

    @pytest.mark.parametrize(("call", "answer"), [("aget", "value"), ("attl", None)])
    def test_the_store_is_not_opened_in_the_event_loop(self, cache, monkeypatch, call, answer):
        cache.set("key", "value", None)
        cache._store._drop()
        threads = []
        prepare = Files.prepare
        monkeypatch.setattr(Files, "prepare", lambda files: (threads.append(threading.get_ident()), prepare(files)))
        assert asyncio.run(getattr(cache, call)("key")) == answer
        assert threads
        assert threading.get_ident() not in threads
