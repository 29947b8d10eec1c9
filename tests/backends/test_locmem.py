import pickle
import secrets
import threading
import time

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache as DjangoLocMemCache
from django.test import override_settings
from django.utils.safestring import mark_safe

from cacheplus.backends import locmem
from cacheplus.backends.locmem import LocMemCache


class Clock:
    """`time`, with a monotonic clock that only moves when it is told to; the wall clock may go anywhere."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def time(self):
        raise AssertionError("the wall clock is not to be trusted with a timeout")

    def __iadd__(self, seconds):
        self.now += seconds
        return self


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(locmem, "time", clock)
    return clock


@pytest.fixture
def make():
    """A backend at a LOCATION of this test's own."""
    location = secrets.token_hex(8)
    return lambda params=None, **options: LocMemCache(location, {**(params or {}), "OPTIONS": options})


def fill(cache, count, **kwargs):
    for number in range(count):
        cache.set(f"key-{number}", number, **kwargs)


def left(cache, count):
    return sorted(int(key.removeprefix("key-")) for key in cache.get_many([f"key-{n}" for n in range(count)]))


class TestExpiry:
    def test_a_value_lives_exactly_as_long_as_asked(self, make, clock):
        cache = make()
        cache.set("key", "value", 10)
        clock += 9.999
        assert cache.get("key") == "value"
        assert cache.ttl("key") == pytest.approx(0.001)
        clock += 0.001
        assert cache.get("key") is None

    def test_a_wall_clock_that_jumps_changes_nothing(self, make, monkeypatch):
        cache = make()
        cache.set("key", "value", 60)
        for day in (-1, 1):
            monkeypatch.setattr(time, "time", lambda day=day: day * 86400.0)
            assert cache.get("key") == "value"
            assert 50 < cache.ttl("key") <= 60

    def test_an_expired_value_is_forgotten_when_it_is_met(self, make, clock):
        cache = make()
        cache.set("key", "value", 10)
        clock += 10
        cache.get("key")
        assert cache._cache == {}
        assert cache._expire_info == {}

    def test_setting_one_key_over_and_over_takes_no_room(self, make, clock):
        cache = make()
        for _ in range(10_000):
            cache.set("key", "value", 10)
        assert len(cache._shelf.values._queue) < 500


class TestCulling:
    """How many go is as in Django, and pinned by its tests; which ones, is not."""

    @pytest.mark.parametrize(("limit", "frequency"), [(30, 3), (30, 2), (30, 1), (30, 0), (10, 20), (1, 3), (0, 3)])
    def test_as_many_go_as_in_django(self, make, limit, frequency):
        ours = make(MAX_ENTRIES=limit, CULL_FREQUENCY=frequency)
        theirs = DjangoLocMemCache(secrets.token_hex(8), ours._params)
        for cache in (ours, theirs):
            fill(cache, 50)
        assert left(ours, 50) == left(theirs, 50)

    def test_expired_values_go_before_live_ones(self, make, clock):
        cache = make(MAX_ENTRIES=20)
        fill(cache, 10, timeout=None)
        for number in range(10):
            cache.set(f"dead-{number}", number, 1)
        clock += 1
        for number in range(10, 20):
            cache.set(f"key-{number}", number)
        assert left(cache, 20) == list(range(20))

    def test_a_touched_value_is_not_taken_for_expired(self, make, clock):
        cache = make(MAX_ENTRIES=4)
        cache.set("key-0", 0, 1)
        cache.touch("key-0", 100)
        fill(cache, 4, timeout=None)
        cache.set("key-0", 0, 1)
        cache.touch("key-0", None)
        clock += 2
        cache.set("key-3", 3)
        assert 0 in left(cache, 4)

    @pytest.mark.parametrize("use", ["get", "incr", "get_many", "set"])
    def test_the_least_recently_used_go_first(self, make, use):
        cache = make(MAX_ENTRIES=9, CULL_FREQUENCY=3)
        fill(cache, 8)
        for key in ("key-0", "key-1"):
            args = {"get_many": ([key],), "set": (key, 0)}.get(use, (key,))
            getattr(cache, use)(*args)
        cache.set("key-8", 8)
        cache.set("key-9", 9)
        gone = set(range(10)) - set(left(cache, 10))
        assert len(gone) == 3
        assert gone.isdisjoint({0, 1, 9})

    def test_stamps_fences_and_locks_do_not_count(self, make):
        cache = make(MAX_ENTRIES=10)
        for number in range(10):
            cache.set(f"key-{number}", number, tags=[f"tag-{number}", f"other-{number}"])
        with cache.lock("a"), cache.lock("b"):
            assert left(cache, 10) == list(range(10))

    def test_stamps_are_not_culled_with_the_values(self, make):
        cache = make(MAX_ENTRIES=10)
        cache.set("key-0", 0, tags=["tag"])
        for number in range(1, 40):
            cache.set(f"key-{number}", number)
            assert cache.get("key-0") == 0

    def test_stamps_are_bounded_too(self, make, monkeypatch):
        monkeypatch.setattr(locmem, "_SERVICE_LIMIT", 50)
        cache = make(MAX_ENTRIES=1000)
        for number in range(200):
            cache.set(f"key-{number}", number, tags=[f"tag-{number}"])
            assert cache.get(f"key-{number}") == number
        assert len(cache._shelf.services.stored) <= 50

    def test_a_limit_changed_at_run_time_holds(self, make):
        cache = make(MAX_ENTRIES=100)
        cache._max_entries = 5
        fill(cache, 20)
        assert len(left(cache, 20)) <= 5


class TestValues:
    def test_immutable_ones_are_handed_out_as_they_are(self, make):
        cache = make()
        for value in ("text" * 100, b"bytes" * 100, (1, "two"), 1.5, mark_safe("<b>")):
            cache.set("key", value)
            assert cache.get("key") is value

    def test_mutable_ones_are_copied_on_the_way_in_and_out(self, make):
        cache = make()
        for value in ([1], {"a": 1}, {1}, {"a": [1]}, bytearray(b"a")):
            before = pickle.dumps(value)
            cache.set("key", value)
            assert cache.get("key") is not value
            assert cache.get("key") is not cache.get("key")
            value.clear()
            cache.get("key").clear()
            assert pickle.dumps(cache.get("key")) == before

    def test_one_that_cannot_be_pickled_raises_and_leaves_the_old_one(self, make):
        cache = make()
        cache.set("key", "old")
        for call in (cache.set, cache.add):
            with pytest.raises((pickle.PickleError, AttributeError, TypeError)):
                call("key", lambda: None)
        assert cache.get("key") == "old"

    def test_a_value_whose_pickling_uses_the_cache_does_not_hang_it(self, make):
        cache = make()

        class Nested:
            def __reduce__(self):
                cache.set("inner", 1)
                return str, ("outer",)

        thread = threading.Thread(target=cache.set, args=("key", Nested()), daemon=True)
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
        assert cache.get_many(["key", "inner"]) == {"key": "outer", "inner": 1}

    def test_a_stamp_read_as_a_value_is_a_miss(self, make):
        cache = make()
        cache.set("key", 1, tags=["tag"])
        name = cache.tags.name("tag").removeprefix(":0:")
        assert cache.get(name, version=0) is None
        assert cache.get("key") is None


class TestLocation:
    def test_aliases_with_one_location_share_their_values(self):
        entry = {"BACKEND": "cacheplus.backends.locmem.LocMemCache", "LOCATION": secrets.token_hex(8)}
        other = {**entry, "LOCATION": secrets.token_hex(8)}
        with override_settings(CACHES={"default": entry, "same": {**entry, "TIMEOUT": 5}, "other": other}):
            caches["default"].set("key", "value", tags=["tag"])
            assert caches["same"].get("key") == "value"
            assert caches["other"].get("key") is None
            caches["same"].expire_tags("tag")
            assert caches["default"].get("key") is None

    def test_what_is_stored_survives_a_change_of_settings(self):
        entry = {"BACKEND": "cacheplus.backends.locmem.LocMemCache", "LOCATION": secrets.token_hex(8)}
        for expected in (None, "value"):
            with override_settings(CACHES={"default": entry}):
                assert caches["default"].get("key") == expected
                caches["default"].set("key", "value", None)

    def test_clear_reaches_backends_that_were_made_before(self, make):
        one, two = make(), make()
        one.set("key", "value", tags=["tag"])
        two.clear()
        assert one.get("key") is None
        one.set("key", "new")
        assert two.get("key") == "new"

    def test_is_known_to_the_checks_as_of_this_process_only(self):
        assert not LocMemCache.is_shared
        assert not LocMemCache.is_persistent
        assert not LocMemCache.is_blocking
