import pickle
import secrets
import sys
import threading
import time

import pylibmc
import pytest
from django.core.cache import caches, close_caches
from django.core.cache.backends.base import InvalidCacheBackendError
from django.test import override_settings

from cacheplus.backends import memcached_process
from cacheplus.backends.memcached import PyLibMCCache, PyMemcacheCache
from cacheplus.exceptions import MissingExtra
from tests.memcached_clients import stat
from tests.servers import Memcached

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
            # Not the signal itself: it closes the connections to databases that other tests left open, too.
            close_caches()
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
