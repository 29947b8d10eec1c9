"""What no store may get wrong, whatever it stands on: odd keys, huge values, records of another release, other keys."""

from collections import OrderedDict
from contextlib import ExitStack
from unittest import mock

import pytest
from django.test import override_settings

from cacheplus.backends.db import DatabaseCache
from cacheplus.backends.filebased import FileBasedCache
from cacheplus.backends.lmdb import LMDBCache
from cacheplus.backends.locmem import LocMemCache
from cacheplus.backends.memcached import PyLibMCCache, PyMemcacheCache
from cacheplus.backends.redis import RedisCache
from cacheplus.codecs import layout
from tests.cache_tables import cache_table

# pylibmc asks its arguments in a way that newer Pythons warn of.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Exception ignored in PyMapping_HasKeyString"),
    pytest.mark.filterwarnings("ignore::django.core.cache.backends.base.CacheKeyWarning"),
]

# F33: sixteen kinds.
KEYS = {
    "blank": "two words",
    "crlf": "line\r\nflush_all",
    "nul": "nul\x00byte",
    "del": "\x7f",
    "C1": "\x85\xa0",
    "surrogate": "\ud800",
    "emoji": "🔑",
    "composed": "caf\u00e9",
    "decomposed": "cafe\u0301",
    "250 bytes": "a" * 250,
    "255 characters": "b" * 255,
    "256 characters": "c" * 256,
    "400 bytes": "é" * 200,
    "10 KB": "d" * 10_000,
    "the same 10 KB but the last": "d" * 9_999 + "e",
    "empty": "",
}
assert len(KEYS) == 16

PLACES = {
    "locmem": lambda request: (LocMemCache, request.node.name),
    "filebased": lambda request: (FileBasedCache, request.getfixturevalue("tmp_path") / "cache"),
    "lmdb": lambda request: (LMDBCache, request.getfixturevalue("tmp_path") / "cache"),
    "redis": lambda request: (RedisCache, request.getfixturevalue("redis_server").url),
    "pymemcache": lambda request: (PyMemcacheCache, request.getfixturevalue("memcached_server").address),
    "pylibmc": lambda request: (PyLibMCCache, request.getfixturevalue("memcached_server").address),
}
DATABASES = ["sqlite", "postgres", "mariadb"]
SHARED = [*(store for store in PLACES if store != "locmem"), *DATABASES]


@pytest.fixture(params=[*PLACES, *DATABASES])
def store(request):
    """(class, LOCATION) of each store in turn."""
    with ExitStack() as stack:
        if request.param in DATABASES:
            table = stack.enter_context(cache_table(request.getfixturevalue(f"{request.param}_database")))
            yield DatabaseCache, table
        else:
            yield PLACES[request.param](request)


@pytest.fixture
def build(store, request):
    """Makes backends on the store, with options."""
    kind, location = store
    return lambda **options: kind(location, {"KEY_PREFIX": request.node.name[:20], "OPTIONS": options})


def test_sixteen_kinds_of_keys_are_stored_and_kept_apart(build):
    """memcached refuses half of them, unless KEY_POLICY says otherwise."""
    cache = build(KEY_POLICY="hash")
    assert cache.set_many({key: kind for kind, key in KEYS.items()}, 60) == []
    assert cache.get_many(KEYS.values()) == {key: kind for kind, key in KEYS.items()}
    for kind, key in KEYS.items():
        assert cache.get(key) == kind
        assert cache.add(key, "other") is False
        assert cache.delete(key) is True
        assert cache.get(key) is None
    assert cache.get_many(KEYS.values()) == {}


@pytest.mark.parametrize("store", [name for name in [*PLACES, *DATABASES] if not name.startswith("py")], indirect=True)
def test_so_they_are_under_djangos_policy_where_the_store_takes_them(build):
    cache = build()
    assert cache.set_many({key: kind for kind, key in KEYS.items()}, 60) == []
    assert cache.get_many(KEYS.values()) == {key: kind for kind, key in KEYS.items()}


class NextRelease:
    """What it writes is of a format that this release does not know, and the other way round."""

    def __init__(self, cache):
        self.cache = cache

    def __getattr__(self, call):
        def patched(*args, **kwargs):
            with mock.patch.object(layout, "VERSION", layout.VERSION + 1):
                return getattr(self.cache, call)(*args, **kwargs)

        return patched


@pytest.mark.parametrize("store", SHARED, indirect=True)
def test_two_releases_that_write_different_formats_share_a_store(build):
    """F42: each takes what the other wrote for a miss, and nobody fails."""
    old, new = build(), NextRelease(build())
    for first, second in ((old, new), (new, old)):
        for call, answer in (
            (lambda cache: cache.get("key"), None),
            (lambda cache: cache.get_many(["key", "other"]), {}),
            (lambda cache: cache.has_key("key"), False),
            (lambda cache: cache.ttl("key"), 0),
            (lambda cache: cache.touch("key", 5), False),
            (lambda cache: cache.add("key", "second", 60), True),
            (lambda cache: cache.get_or_set("key", "second", 60), "second"),
        ):
            first.set("key", ["first"], 60, tags=["tag"])
            assert first.get("key") == ["first"]
            assert call(second) == answer
        # Stamps and counters have one format.
        first.set("tagged", "value", 60, tags=["tag"])
        first.set("counter", 1, 60)
        second.expire_tags("tag")
        assert first.get("tagged") is None
        assert second.incr("counter") == 2
        assert first.get("counter") == 2


@pytest.mark.parametrize("store", SHARED, indirect=True)
def test_keys_are_rotated_without_a_loss(build, settings):
    """What is pickled is signed."""
    value, former = OrderedDict(one=1), settings.SECRET_KEY
    old = build()
    old.set_many({"before": value, "forged": value}, 60)
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[former]):
        new = build()
        assert new.get("before") == value
        new.set("after", value, 60)
        assert new.get("after") == value
    assert old.get("after") is None
    with override_settings(SECRET_KEY="of somebody else", SECRET_KEY_FALLBACKS=[]):
        assert build().get("forged") is None
