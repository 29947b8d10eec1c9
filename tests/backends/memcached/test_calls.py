import secrets
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace

import pylibmc
import pytest
from pymemcache.exceptions import MemcacheClientError

from cacheplus.backends.memcached import PyLibMCCache, PyMemcacheCache
from tests.memcached_clients import CLIENTS, is_old, name_of, stat
from tests.servers import Memcached


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


def test_threads_that_count_up_and_down_lose_nothing(build):
    cache = build(SOCKET_TIMEOUT=30)

    def work(_):
        for _ in range(50):
            cache.incr("count", 3)
            cache.decr("count", 2)

    cache.set("count", 0)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
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
def restless(build, monkeypatch):
    """A cache in which somebody else is always quicker."""
    # libmemcached of before 1.0.18 waits for all of it after a touch.
    cache = build(SOCKET_TIMEOUT=3)
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
