import pickle
import secrets
import socket
import sys
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import _pylibmc
import pylibmc
import pytest
from django.core.cache import caches
from django.core.cache.backends.base import InvalidCacheBackendError, InvalidCacheKey
from django.core.cache.backends.memcached import PyLibMCCache as DjangoPyLibMCCache
from django.core.cache.backends.memcached import PyMemcacheCache as DjangoPyMemcacheCache
from django.core.signals import request_finished
from django.test import override_settings
from pymemcache.exceptions import MemcacheClientError

from cacheplus.backends import memcached_process
from cacheplus.backends.memcached import PyLibMCCache, PyMemcacheCache
from cacheplus.exceptions import MissingExtra
from cacheplus.signals import cache_error
from tests.servers import Memcached, ask

CLIENTS = {
    "pymemcache": (PyMemcacheCache, {}),
    "pylibmc": (PyLibMCCache, {}),
    "pylibmc-binary": (PyLibMCCache, {"binary": True}),
}
LIMIT = 2**20


class CountingSocket(socket.socket):
    trips = 0

    def sendall(self, data, *args):
        CountingSocket.trips += 1
        super().sendall(data, *args)


COUNTED = SimpleNamespace(**{**vars(socket), "socket": CountingSocket})


class SocketMemcached(Memcached):
    """Listens on a Unix socket alone."""

    @property
    def address(self):
        return f"{self.directory}/memcached.sock"

    def command(self):
        return [self.executable, "-s", self.address, "-u", "root"]

    def is_ready(self):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self.address) == 0


class Bomb:
    """Unpickled, it leaves a mark."""

    def __reduce__(self):
        return exploded.append, (True,)


exploded = []


@pytest.fixture(params=CLIENTS)
def build(request, memcached_server):
    """Makes backends for one client library on the shared server, all with one prefix that is new."""
    cls, defaults = CLIENTS[request.param]
    prefix = secrets.token_hex(4)

    def build(location=None, **options):
        params = {"KEY_PREFIX": options.pop("prefix", prefix), **options.pop("params", {})}
        return cls(location or memcached_server.address, {**params, "OPTIONS": {**defaults, **options}})

    return build


@pytest.fixture
def cache(build):
    return build()


@pytest.fixture
def faults():
    seen = []

    def listen(error, **_):
        seen.append(error)

    cache_error.connect(listen)
    yield seen
    cache_error.disconnect(listen)


@pytest.fixture
def tell(memcached_server):
    """Sends plain commands to the shared server."""

    def tell(command):
        return ask(memcached_server.host, memcached_server.port, command)

    return tell


def is_old(cache):
    """Whether this is a libmemcached of before 1.0.18."""
    return isinstance(cache, PyLibMCCache) and _pylibmc.libmemcached_version < "1.0.18"


def name_of(cache, key):
    return cache.make_and_validate_key(key)


def stat(server, name):
    """One figure of `stats`."""
    with socket.create_connection((server.host, server.port), 1) as connection:
        connection.sendall(b"stats\r\n")
        reply = b""
        while not reply.endswith(b"END\r\n"):
            reply += connection.recv(4096)
    figures = dict(line.split()[1:3] for line in reply.splitlines()[:-1])
    return int(figures[name.encode()])


# Servers


@pytest.mark.parametrize(
    "location",
    [["a.invalid", "b.invalid:1"], "a.invalid;b.invalid:1", "a.invalid, b.invalid:1;", ("a.invalid", "b.invalid:1")],
)
def test_location_is_a_list_or_a_string(build, location):
    assert build(location)._servers == ["a.invalid", "b.invalid:1"]


@pytest.mark.parametrize("form", ["{}", "unix:{}"])
def test_a_unix_socket_is_a_server(build, form):
    with SocketMemcached() as server:
        cache = build(form.format(server.address))
        cache.set("key", "value")
        assert cache.get("key") == "value"


def test_an_ipv6_address_is_a_server(build):
    if is_old(build()):
        pytest.skip("this libmemcached knows no IPv6 addresses")
    with Memcached("-l", "::1") as server:
        cache = build(f"[::1]:{server.port}")
        cache.set("key", "value")
        assert cache.get("key") == "value"


def test_keys_are_spread_over_the_servers_and_found_again(build):
    keys = [f"key{number}" for number in range(40)]
    with Memcached() as one, Memcached() as two:
        cache = build([one.address, two.address])
        cache.set_many({key: key for key in keys})
        assert min(stat(one, "curr_items"), stat(two, "curr_items")) > 5
        assert cache.get_many(keys) == {key: key for key in keys}
        cache.delete_many(keys[:20])
        assert cache.get_many(keys) == {key: key for key in keys[20:]}
        cache.clear()
        assert cache.get_many(keys) == {}


def test_pylibmc_takes_weights():
    with Memcached() as light, Memcached() as heavy:
        behaviors = {"ketama_weighted": True}
        servers = [f"{light.address}:1", f"{heavy.address}:9"]
        cache = PyLibMCCache(servers, {"OPTIONS": {"behaviors": behaviors}})
        cache.set_many({f"key{number}": 1 for number in range(300)})
        assert stat(heavy, "curr_items") > 3 * stat(light, "curr_items") > 0


def test_both_clients_read_what_the_other_wrote(memcached_server):
    params = {"KEY_PREFIX": secrets.token_hex(4)}
    caches = [cls(memcached_server.address, {**params, "OPTIONS": options}) for cls, options in CLIENTS.values()]
    for writer in caches:
        writer.set_many({"object": {"a": [1]}, "text": "é", "count": 5}, 60)
        for reader in caches:
            assert reader.get_many(["object", "text", "count"]) == {"object": {"a": [1]}, "text": "é", "count": 5}
            assert 55 < reader.ttl("count") <= 60


# Round trips


@pytest.mark.parametrize(
    ("trips", "call"),
    [
        (1, lambda cache: cache.get("a")),
        (1, lambda cache: cache.get("absent")),
        (1, lambda cache: cache.get_many([*"abcdefgh"])),
        (1, lambda cache: cache.set("a", "x" * 50_000, 60)),
        (1, lambda cache: cache.set_many(dict.fromkeys("abcdefgh", 1), 60)),
        (1, lambda cache: cache.add("new", 1)),
        (1, lambda cache: cache.delete("a")),
        (1, lambda cache: cache.delete_many([*"abcdefgh"])),
        (1, lambda cache: cache.incr("count")),
        (2, lambda cache: cache.decr("count")),
        (2, lambda cache: cache.ttl("a")),
        (3, lambda cache: cache.touch("a", 60)),
    ],
)
def test_a_call_takes_as_few_round_trips_as_it_can(memcached_server, trips, call):
    params = {"KEY_PREFIX": secrets.token_hex(4), "OPTIONS": {"socket_module": COUNTED}}
    cache = PyMemcacheCache(memcached_server.address, params)
    cache.set_many({"a": "x", "count": 1})
    CountingSocket.trips = 0
    call(cache)
    assert CountingSocket.trips == trips


def test_stamps_of_many_tags_are_made_in_one_trip(memcached_server):
    params = {"KEY_PREFIX": secrets.token_hex(4), "OPTIONS": {"socket_module": COUNTED}}
    cache = PyMemcacheCache(memcached_server.address, params)
    cache.set("connect", "value", tags=["first"])
    trips = []
    for count in (1, 20):
        CountingSocket.trips = 0
        cache.set("key", "value", tags=[f"tag{count}.{number}" for number in range(count)])
        trips.append(CountingSocket.trips)
    assert trips[0] == trips[1]


# Timeouts


@pytest.mark.parametrize("timeout", [0.3, 1])
def test_a_timeout_is_never_shorter_than_asked(cache, timeout):
    beginnings = {}
    for number in range(10):
        # The server's tick falls somewhere between them.
        beginnings[f"set{number}"] = time.monotonic()
        cache.set(f"set{number}", "value", timeout)
        cache.add(f"add{number}", "value", timeout)
        beginnings[f"add{number}"] = beginnings[f"set{number}"]
        time.sleep(0.1)
    alive = set(beginnings)
    ends = {}
    while alive:
        since = time.monotonic()
        gone = alive - cache.get_many(alive).keys()
        ends |= dict.fromkeys(gone, since)
        alive -= gone
        assert since < max(beginnings.values()) + timeout + 3
        time.sleep(0.02)
    assert min(ends[key] - beginnings[key] for key in ends) >= timeout - 0.03


@pytest.mark.parametrize("timeout", [31 * 24 * 3600, 365 * 24 * 3600, 50 * 365 * 24 * 3600])
def test_a_timeout_above_30_days_is_no_time_of_1970(cache, timeout):
    cache.set("key", "value", timeout)
    assert cache.add("key", "other", timeout) is False
    assert cache.touch("key", timeout) is True
    assert cache.get("key") == "value"


def test_a_timeout_of_zero_deletes(cache):
    cache.set("key", "value")
    cache.set("key", "other", 0)
    assert cache.get("key") is None
    cache.set("key", "value")
    assert cache.touch("key", 0) is True
    assert cache.get("key") is None
    assert (cache.get_backend_timeout(0), cache.get_backend_timeout(-1)) == (30 * 24 * 3600 + 1,) * 2


def test_touch_changes_what_ttl_says_and_what_the_server_does(cache, tell):
    cache.set("long", "value", 2)
    cache.set("ever", 5, 2)
    assert cache.touch("long", 100) is True
    assert cache.touch("ever", None) is True
    assert 95 < cache.ttl("long") <= 100
    assert cache.ttl("ever") is None
    time.sleep(3.5)
    assert cache.get_many(["long", "ever"]) == {"long": "value", "ever": 5}
    expiry = tell(f"mg {name_of(cache, 'long')} t\r\n".encode())
    assert 90 < int(expiry.split()[1][1:]) <= 98
    assert tell(f"mg {name_of(cache, 'ever')} t\r\n".encode()) == b"HD t-1\r\n"


def test_touch_loses_no_write_of_another(cache):
    done = threading.Event()

    def touch():
        while not done.is_set():
            cache.touch("count", 100)

    cache.set("count", 0)
    toucher = threading.Thread(target=touch)
    toucher.start()
    try:
        for expected in range(1, 201):
            assert cache.incr("count") == expected
    finally:
        done.set()
        toucher.join()


# Counters


@pytest.mark.parametrize(
    ("start", "delta"),
    [
        (5, -10),
        (0, -1),
        (-5, 3),
        (-5, 10),
        (-5, -1),
        (10, -1),
        (100, -91),
        (2**63 - 1, 1),
        (2**63 - 1, 2**32),
        (2**63 - 1, 2**40),
        (2**63, 1),
        (2**64 - 1, 1),
        (2**64, -1),
        (-(2**63), -1),
        (-(2**64), 2**65),
        (1, 0),
        (5, 2**70),
    ],
)
def test_counting_is_exact_below_zero_and_beyond_64_bits(cache, start, delta):
    cache.set("count", start, 60)
    assert cache.incr("count", delta) == start + delta
    assert cache.get("count") == start + delta
    assert cache.decr("count", delta) == start
    assert cache.get("count") == start
    assert 50 < cache.ttl("count") <= 60


def test_a_counter_that_left_64_bits_never_wraps(cache):
    cache.set("count", 2**63 - 1)
    for step in range(1, 4):
        assert cache.incr("count", 2**32) == 2**63 - 1 + step * 2**32
    assert cache.incr("count", 2**63) == 2**64 - 1 + 3 * 2**32
    assert cache.incr("count") == 2**64 + 3 * 2**32


def test_threads_that_count_up_and_down_lose_nothing(cache):
    def work():
        for _ in range(50):
            cache.incr("count", 3)
            cache.decr("count", 2)

    cache.set("count", 0)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("count") == 200


@pytest.mark.parametrize("value", ["text", None, [1]])
@pytest.mark.parametrize("delta", [1, -1])
def test_incr_of_what_is_no_number_is_the_clients_error_and_no_fault(build, faults, value, delta):
    for cache in (build(), build(ON_FAULT="miss")):
        cache.set("key", value)
        with pytest.raises((MemcacheClientError, pylibmc.ClientError)):
            cache.incr("key", delta)
        assert cache.get("key") == value
    assert faults == []


def test_a_number_that_is_counted_past_its_end_does_not_live_on(cache):
    cache.set("count", -1000, 1)
    deadline = time.monotonic() + 6
    while cache.get("count") is not None:
        assert time.monotonic() < deadline
        with suppress(ValueError):
            cache.incr("count")
        time.sleep(0.05)


@pytest.fixture
def restless(cache, monkeypatch):
    """A cache in which somebody else is always quicker."""
    call = cache._call
    monkeypatch.setattr(cache, "_call", lambda method, *args: method != "cas" and call(method, *args))
    return cache


def test_a_value_that_never_rests_is_touched_all_the_same(restless, tell):
    restless.set("count", 1, 5)
    assert restless.touch("count", 100) is True
    assert 90 < int(tell(f"mg {name_of(restless, 'count')} t\r\n".encode()).split()[1][1:]) <= 101
    assert restless.get_many(["count", "absent"]) == {"count": 1}


def test_a_number_that_never_rests_is_a_fault_in_the_end(restless, faults):
    restless.set("count", 1)
    with pytest.raises(TimeoutError, match="changed 64 times"):
        restless.decr("count")
    assert restless.get("count") == 1
    assert len(faults) == 1


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


# Connections


class Connections:
    """How many connections a server has, more than when this was made. It hears of their end a little later."""

    def __init__(self, server):
        self.server = server
        self.before = min(self.now() for _ in range(10))

    def now(self):
        time.sleep(0.05)
        return stat(self.server, "curr_connections")

    def become(self, count):
        deadline = time.monotonic() + 2
        while self.now() != self.before + count:
            if time.monotonic() > deadline:
                return False
        return True


def test_backends_and_threads_share_the_connections_of_the_process(build):
    with Memcached() as server:
        connections = Connections(server)

        def work():
            cache = build(server.address)
            for number in range(5):
                cache.set(f"key{number}", number)

        for _ in range(10):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        assert connections.become(1)


def test_backends_with_other_options_have_connections_of_their_own(build):
    with Memcached() as server:
        connections = Connections(server)
        for seconds in (1, 2):
            build(server.address, SOCKET_TIMEOUT=seconds).get("key")
        assert connections.become(2)


def test_one_backend_serves_many_threads_at_once(cache):
    wrong = []

    def work(who):
        for number in range(100):
            cache.set(f"{who}", f"{who}.{number}")
            if cache.get(f"{who}") != f"{who}.{number}":
                wrong.append((who, number))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(("idle_timeout", "left"), [(60, 1), (0, 1), (0.05, 0)])
def test_the_end_of_a_request_closes_what_pymemcache_has_not_used_for_long(idle_timeout, left):
    with Memcached() as server:
        entry = {
            "BACKEND": "cacheplus.backends.memcached.PyMemcacheCache",
            "LOCATION": server.address,
            "OPTIONS": {"pool_idle_timeout": idle_timeout},
        }
        connections = Connections(server)
        with override_settings(CACHES={"default": entry}):
            caches["default"].get("key")
            time.sleep(0.1)
            request_finished.send(None)
        assert connections.become(left)


def test_before_a_fork_idle_connections_are_closed(build):
    with Memcached() as server:
        connections = Connections(server)
        cache = build(server.address)
        cache.set("key", "value")
        assert connections.become(1)
        memcached_process._close_idle()
        assert connections.become(0)
        assert cache.get("key") == "value"


def test_max_pool_size_is_a_fault_and_no_wait(memcached_server):
    cache = PyMemcacheCache(memcached_server.address, {"OPTIONS": {"max_pool_size": 1}})
    [node] = cache._cache.clients.values()
    with node.client_pool.get_and_release(), pytest.raises(cache.faults, match="all 1 connections of max_pool_size"):
        cache.get("key")
    assert cache.get("key") is None


# Options, errors and checks


def messages(backend):
    return [(message.id, message.msg) for message in backend.check()]


@pytest.mark.parametrize("extra", [("pymemcache", "memcached", PyMemcacheCache), ("pylibmc", "pylibmc", PyLibMCCache)])
def test_a_missing_library_names_the_extra_when_a_backend_is_made(monkeypatch, extra):
    module, name, cls = extra
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"pip install cacheplus\[{name}\]"):
        cls("127.0.0.1", {})


def test_timeouts_and_delay_are_short_unless_the_site_says_otherwise():
    defaults = PyMemcacheCache("h.invalid", {})._cache.default_kwargs
    assert (defaults["connect_timeout"], defaults["timeout"], defaults["no_delay"]) == (0.25, 0.5, True)
    ours = PyMemcacheCache("h.invalid", {"OPTIONS": {"SOCKET_TIMEOUT": 2, "connect_timeout": 3}})._cache.default_kwargs
    assert (ours["connect_timeout"], ours["timeout"]) == (3, 2)
    behaviors = PyLibMCCache("h.invalid", {"OPTIONS": {"behaviors": {"connect_timeout": 3000}}})._cache.behaviors
    assert (behaviors["connect_timeout"], behaviors["receive_timeout"]) == (3000, 500_000)


def test_sasl_credentials_reach_the_server(memcached_server):
    options = {"binary": True, "username": "user", "password": "word"}
    cache = PyLibMCCache(memcached_server.address, {"OPTIONS": options})
    # This server knows no SASL, and says so.
    with pytest.raises(pylibmc.Error):
        cache.get("key")


def test_ignore_exc_means_that_a_fault_is_a_miss():
    cache = PyMemcacheCache("127.0.0.1:1", {"OPTIONS": {"ignore_exc": True}})
    assert cache.get("key", "default") == "default"
    assert cache.add("key", 1) is False
    strict = PyMemcacheCache("127.0.0.1:1", {"OPTIONS": {"ignore_exc": True, "ON_FAULT": "raise"}})
    with pytest.raises(ConnectionRefusedError):
        strict.get("key")


@pytest.mark.parametrize(
    "options",
    [
        {"serde": pickle, "default_noreply": True, "use_pooling": False, "dead_timeout": 1},
        {"retry_attempts": 0, "retry_timeout": 0},
        {"serializer": repr, "deserializer": repr},
    ],
)
def test_options_of_pymemcache_that_would_do_harm_are_left_out_and_named(memcached_server, options):
    cache = PyMemcacheCache(memcached_server.address, {"KEY_PREFIX": secrets.token_hex(4), "OPTIONS": options})
    told = messages(cache)
    assert [kind for kind, _ in told] == ["cacheplus.W131"] * len(options)
    assert all(any(repr(name) in message for _, message in told) for name in options)
    assert [cache.add("key", [1]), cache.add("key", [2]), cache.get("key")] == [True, False, [1]]


def test_behaviors_of_pylibmc_that_would_do_harm_are_left_out_and_named(memcached_server):
    behaviors = {"cas": False, "auto_eject": True, "remove_failed": 1, "buffer_requests": True, "tcp_keepalive": True}
    cache = PyLibMCCache(memcached_server.address, {"OPTIONS": {"behaviors": behaviors}})
    assert [kind for kind, _ in messages(cache)] == ["cacheplus.W131"] * 4
    active, default = cache._cache.behaviors, PyLibMCCache("h.invalid", {})._cache.behaviors
    assert {name: active[name] for name in behaviors} == {name: default[name] for name in behaviors} | {
        "tcp_keepalive": 1
    }
    assert active["cas"] == 1
    harmless = {"cas": True, "auto_eject": False, "tcp_nodelay": False}
    assert messages(PyLibMCCache("h.invalid", {"OPTIONS": {"behaviors": harmless}})) == []


@pytest.mark.parametrize(
    ("cls", "location", "options", "words"),
    [
        (PyMemcacheCache, "", {}, "names no server"),
        (PyLibMCCache, [], {}, "names no server"),
        (PyMemcacheCache, "h.invalid:port", {}, "cannot use the LOCATION or OPTIONS.*'port'"),
        (PyLibMCCache, "h.invalid:port", {}, "cannot use the LOCATION or OPTIONS.*'port'"),
        (PyMemcacheCache, "h.invalid:1:5", {}, "gives the server 'h.invalid:1:5' a weight"),
        (PyMemcacheCache, "h.invalid", {"no_dealy": True}, "cannot use the LOCATION or OPTIONS.*'no_dealy'"),
        (PyLibMCCache, "h.invalid", {"binray": True}, "cannot use the LOCATION or OPTIONS.*binray"),
        (PyLibMCCache, "h.invalid", {"behaviors": {"tpc": 1}}, "cannot use the LOCATION or OPTIONS.*tpc"),
        (PyLibMCCache, "h.invalid", {"behaviors": "cas"}, "'behaviors'.* is 'cas', not a dict"),
    ],
)
def test_what_cannot_be_used_is_an_error_of_the_checks_and_of_the_first_call(cls, location, options, words):
    cache = cls(location, {"OPTIONS": options})
    [(kind, message)] = messages(cache)
    assert kind == "cacheplus.E131"
    with pytest.raises(InvalidCacheBackendError, match=words) as caught:
        cache.get("key")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("cls", "location", "options"),
    [
        (
            PyMemcacheCache,
            "h.invalid:1;unix:/nowhere,/elsewhere,[::1]:5,[::1]",
            {"max_pool_size": 4, "key_prefix": b"x"},
        ),
        (
            PyLibMCCache,
            "h.invalid:1:7;[::1]:5,[::1],127.0.0.1",
            {"binary": True, "username": "x", "password": "y"},
        ),
    ],
)
def test_the_checks_accept_what_can_be_used_and_connect_to_nothing(cls, location, options):
    since = time.monotonic()
    assert messages(cls(location, {"OPTIONS": options})) == []
    assert time.monotonic() - since < 0.5
