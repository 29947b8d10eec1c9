import pickle
import secrets
import threading
import time

import pylibmc
import pytest
from django.core.cache.backends.base import InvalidCacheKey
from django.core.cache.backends.memcached import PyLibMCCache as DjangoPyLibMCCache
from django.core.cache.backends.memcached import PyMemcacheCache as DjangoPyMemcacheCache

from cacheplus.backends.memcached import PyLibMCCache
from tests.memcached_clients import CLIENTS, is_old, name_of, stat
from tests.servers import Memcached

LIMIT = 2**20


class Bomb:
    """Unpickled, it leaves a mark."""

    def __reduce__(self):
        return exploded.append, (True,)


exploded = []


# Keys


BAD_KEYS = ["two words", "tab\tkey", "line\r\nflush_all", "nul\x00", "\x7f", "a" * 250, "é" * 130]


@pytest.mark.parametrize("key", BAD_KEYS, ids=lambda key: ascii(key)[:12])
@pytest.mark.parametrize(
    "call",
    [
        lambda cache, key: cache.get(key),
        lambda cache, key: cache.get_many([key, "good"]),
        lambda cache, key: cache.set(key, 1),
        lambda cache, key: cache.set_many({key: 1, "good": 2}),
        lambda cache, key: cache.add(key, 1),
        lambda cache, key: cache.touch(key),
        lambda cache, key: cache.delete(key),
        lambda cache, key: cache.delete_many([key, "good"]),
        lambda cache, key: cache.incr(key),
        lambda cache, key: cache.decr(key),
        lambda cache, key: cache.has_key(key),
        lambda cache, key: cache.ttl(key),
        lambda cache, key: cache.get_or_set(key, 1),
    ],
)
def test_every_call_refuses_a_key_that_memcached_would(cache, key, call):
    with pytest.raises(InvalidCacheKey, match="will cause errors if used with memcached"):
        call(cache, key)


def test_the_error_of_a_key_is_djangos_also_where_only_its_bytes_are_too_many(cache):
    key = "é" * 130
    text = f"Cache key will cause errors if used with memcached: {cache.make_key(key)!r} (longer than 250)"
    with pytest.raises(InvalidCacheKey) as caught:
        cache.get(key)
    assert str(caught.value) == text


def test_under_the_hash_policy_sixteen_odd_keys_are_kept_apart(build):
    cache = build(KEY_POLICY="hash")
    odd = [
        *BAD_KEYS,
        "b" * 10_000,
        "c" * 10_000,
        "d" * 250,
        "é" * 200,
        "è" * 200,
        "ключ",
        "\ud800",
        "\x85\xa0",
        "two  words",
    ]
    assert len(odd) == 16
    assert cache.set_many({key: key for key in odd}) == []
    assert cache.get_many(odd) == {key: key for key in odd}
    assert [cache.get(key) for key in odd] == odd


def test_tags_and_locks_work_under_a_prefix_that_memcached_refuses(build):
    cache = build(KEY_POLICY="hash", prefix="my site é" * 40)
    with cache.lock("two words"):
        cache.set("key", "value", tags=["tag"])
    assert cache.get("key") == "value"
    assert cache.expire_tags("tag") == 1
    assert cache.get("key") is None


def test_a_site_may_let_odd_keys_through(build):
    odd = type("Odd", (type(build()),), {"validate_key": lambda self, key: None})
    cache = odd(build()._location, build()._params)
    cache.set("two words", 1)
    assert cache.incr("two words") == 2


# Values over the limit


def test_a_value_over_the_limit_is_not_stored_and_the_old_one_is_gone(cache, faults):
    cache.set("key", "old")
    cache.set("key", secrets.token_bytes(LIMIT + 1))
    assert cache.get("key") is None
    assert faults == []


def test_set_many_stores_the_neighbours_of_a_value_over_the_limit(cache):
    values = {f"key{number}": number for number in range(10)}
    cache.set_many({**values, "large": "old"})
    changed = {key: -value for key, value in values.items()}
    assert cache.set_many({**dict(list(changed.items())[:5]), "large": "x" * LIMIT, **changed}) == ["large"]
    assert cache.get_many([*values, "large"]) == changed


def test_no_other_call_fails_for_a_value_over_the_limit(cache, faults):
    large = "x" * LIMIT
    assert cache.add("new", large) is False
    assert cache.get_or_set("computed", lambda: large) == large
    assert cache.get("computed") is None
    cache.set("key", "old", tags=["tag"])
    cache.expire_tags("tag")
    assert cache.add("key", large) is False
    assert cache.get("key") is None
    assert faults == []


def test_a_value_that_no_server_would_take_is_not_sent(build, memcached_server):
    cache = build()
    cache.set_many({"key": "old", "other": "old"})
    before = stat(memcached_server, "bytes_read")
    assert cache.set_many({"key": secrets.token_bytes(20 * LIMIT), "small": 1}) == ["key"]
    assert cache.add("new", secrets.token_bytes(20 * LIMIT)) is False
    assert stat(memcached_server, "bytes_read") - before < LIMIT
    assert cache.get_many(["key", "other", "small", "new"]) == {"other": "old", "small": 1}


def test_max_item_bytes_can_be_lowered_and_the_server_raised(build):
    with Memcached("-I", "4m") as server:
        cache = build(server.address)
        cache.set("key", "x" * 2 * LIMIT)
        assert len(cache.get("key")) == 2 * LIMIT
        limited = build(server.address, MAX_ITEM_BYTES=1000)
        limited.set("key", "x" * 2000)
        assert cache.get("key") is None


def test_a_server_without_memory_stores_nothing_and_nothing_is_raised(build, faults):
    if is_old(build()):
        pytest.skip("this libmemcached takes a refusal for a failure of the server")
    with Memcached("-M", "-m", "8") as server:
        cache = build(server.address)
        # Distinct sizes, so that each asks for pages of its own.
        values = {f"key{number}": "x" * (number * 6000) for number in range(1, 100)}
        failed = cache.set_many(values)
        assert failed
        assert set(cache.get_many(values)) == set(values) - set(failed)
        assert faults == []


def test_add_many_tells_what_a_server_without_memory_took(build, faults):
    if is_old(build()):
        pytest.skip("this libmemcached takes a refusal for a failure of the server")
    with Memcached("-M", "-m", "8") as server:
        cache = build(server.address)
        cache.set_many({f"key{number}": "x" * (number * 6000) for number in range(1, 100)})
        items = {f"name{number}": b"x" * (number * 20_000) for number in range(40)}
        added = cache._add_many(items, 60)
        assert set() < added < set(items)
        assert cache._read(list(items)).keys() == added
        assert cache._add_many(dict.fromkeys(added, b"x"), 60) == set()
        assert faults == []


# What others wrote


DJANGO = {"pymemcache": DjangoPyMemcacheCache, "pylibmc": DjangoPyLibMCCache}
VALUES = {
    "text": "é",
    "bytes": b"12",
    "int": 41,
    "negative": -3,
    "large": 2**70,
    "float": 1.5,
    "none": None,
    "list": [1],
}


@pytest.fixture(params=DJANGO)
def former(request, memcached_server):
    """(Django's backend, ours for the same client, made of options)."""
    params = {"KEY_PREFIX": secrets.token_hex(4)}
    ours, _ = CLIENTS[request.param]
    location = memcached_server.address
    # Without behaviors pylibmc makes Python complain of an ignored exception.
    options = {"behaviors": {}} if request.param == "pylibmc" else {}
    django = DJANGO[request.param](location, {**params, "OPTIONS": options})
    yield django, lambda **options: ours(location, {**params, "OPTIONS": options})
    django._cache.disconnect_all()


def test_values_of_djangos_backend_are_read_where_that_is_accepted(former):
    django, build = former
    django.set_many(VALUES)
    assert build(ACCEPT_DJANGO=True).get_many(VALUES) == VALUES


def test_values_that_pylibmc_compressed_are_read_where_that_is_accepted(memcached_server):
    params = {"KEY_PREFIX": secrets.token_hex(4), "OPTIONS": {"ACCEPT_DJANGO": True}}
    cache = PyLibMCCache(memcached_server.address, params)
    client = pylibmc.Client([memcached_server.address], behaviors={})
    values = {"text": "é" * 1000, "list": [1] * 1000}
    for key, value in values.items():
        client.set(name_of(cache, key), value, 60, min_compress_len=10)
    assert cache.get_many(values) == values
    assert [cache.get(key) for key in values] == list(values.values())


def test_values_of_djangos_backend_are_a_miss_otherwise(former):
    django, build = former
    django.set_many(VALUES)
    assert build().get_many(VALUES) == {"int": 41, "negative": -3}


def test_counters_of_djangos_backend_go_on(former):
    django, build = former
    django.set_many({"up": 41, "down": 10})
    cache = build()
    assert cache.incr("up") == 42
    # memcached pads the shorter number with a space.
    django.decr("down")
    assert cache.get("down") == 9
    assert cache.decr("down", 20) == -11


def test_a_value_of_djangos_backend_is_touched_and_can_still_be_read(former):
    django, build = former
    django.set("key", [1], 2)
    cache = build(ACCEPT_DJANGO=True)
    assert cache.touch("key", 60) is True
    time.sleep(3)
    assert cache.get("key") == [1]
    assert django.get("key") == [1]


def test_the_ttl_of_a_value_of_djangos_backend_counts_as_the_default(former):
    django, build = former
    django.set("key", [1], 5000)
    assert build(ACCEPT_DJANGO=True).ttl("key") == 300


@pytest.mark.parametrize("serializer", ["pickle", "json"])
def test_a_pickle_of_somebody_else_is_not_loaded(former, serializer):
    django, build = former
    for options in ({}, {"ACCEPT_DJANGO": True}) if serializer == "json" else ({},):
        django.set("key", Bomb())
        assert build(SERIALIZER=serializer, **options).get("key") is None
    assert exploded == []


@pytest.mark.parametrize("options", [{}, {"ACCEPT_DJANGO": True}])
@pytest.mark.parametrize("flags", [0, 1, 2, 4, 16, 31, 32, 99, 2**32 - 9])
@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"i5", b"\xca\x50garbage", pickle.dumps("x")[:-2]])
def test_garbage_under_any_flags_raises_nothing(build, tell, options, flags, data):
    cache = build(**options)
    name = name_of(cache, "key").encode()
    assert tell(b"set %b %d 60 %d\r\n%b\r\n" % (name, flags, len(data), data)) == b"STORED\r\n"
    found = cache.get("key")
    assert found is None or options or data == b"i5"
    assert cache.add("key", "value") is (found is None)
    assert cache.delete("key") is True


def test_an_item_that_only_claims_to_be_compressed_is_absent_and_its_neighbours_are_not(build, tell):
    cache = build()
    neighbours = {f"key{number}": number for number in range(5)}
    for lookup in (
        lambda: cache.get_many([*neighbours, "bad"]) == neighbours,
        lambda: cache._swap(name_of(cache, "bad"), b"", 1, None) is False,
        lambda: cache.ttl("bad") == 0,
        lambda: cache.touch("bad") is False,
    ):
        cache.set_many(neighbours)
        assert tell(b"set %b 9 60 3\r\nbad\r\n" % name_of(cache, "bad").encode()) == b"STORED\r\n"
        assert lookup()
        assert cache.get("bad") is None
        assert cache.get_many([*neighbours, "bad"]) == neighbours


# clear


def test_clear_empties_the_whole_server(build):
    with Memcached() as server:
        ours, neighbour = build(server.address), build(server.address, prefix="other")
        ours.set("key", 1)
        neighbour.set("key", 2)
        ours.clear()
        assert (ours.get("key"), neighbour.get("key")) == (None, None)


# swap


def test_swap_replaces_and_deletes_only_what_is_expected(cache):
    name = name_of(cache, "key")
    assert cache._swap(name, 1, 2, None) is False
    assert cache._add(name, 1, None) is True
    assert cache._swap(name, b"1", 2, None) is False
    assert cache._swap(name, 1, b"two", 60) is True
    assert cache._read([name]) == {name: b"two"}
    assert cache._swap(name, b"one", None, None) is False
    assert cache._swap(name, b"two", None, None) is True
    assert cache._read([name]) == {}
    assert cache._add(name, 1, None) is True


def test_one_of_many_swaps_wins(cache):
    name = name_of(cache, "key")
    cache._write({name: 0}, None)
    won = []

    def swap(number):
        if cache._swap(name, 0, number, None):
            won.append(number)

    threads = [threading.Thread(target=swap, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [cache._read([name])[name]] == won
