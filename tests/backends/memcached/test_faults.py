"""A memcached server, or the way to it, that fails."""

import json
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cacheplus.backends.memcached import PyLibMCCache, PyMemcacheCache
from cacheplus.exceptions import CacheFault
from tests.interrupts import Interrupt, interrupted
from tests.memcached_clients import CLIENTS, is_old
from tests.servers import Memcached

ROOT = Path(__file__).parents[3]


@pytest.fixture
def server():
    with Memcached() as server:
        yield server


def freeze(server):
    """Pause a server, and return when it does nothing any more."""
    server.pause()
    tasks = list(Path(f"/proc/{server.process.pid}/task").glob("*/stat"))
    while any(task.read_text().rpartition(")")[2].split()[0] != "T" for task in tasks):
        time.sleep(0.001)


class ScriptedServer:
    """Answers every line with the same bytes, and hangs up where they are None."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            while stream.readline():
                if self.answer is None:
                    return
                connection.sendall(self.answer)


@contextmanager
def scripted(answer):
    server = ScriptedServer(answer)
    try:
        yield server.address
    finally:
        server.listener.close()


CALLS = {
    "get": (lambda cache: cache.get("key"), None),
    "has_key": (lambda cache: cache.has_key("key"), False),
    "set": (lambda cache: cache.set("key", "value"), None),
    "set_many": (lambda cache: cache.set_many({"key": 1, "other": 2}), ["key", "other"]),
    "add": (lambda cache: cache.add("key", 1), False),
    "touch": (lambda cache: cache.touch("key"), False),
    "delete": (lambda cache: cache.delete("key"), False),
    "delete_many": (lambda cache: cache.delete_many(["key", "other"]), None),
    "get_or_set": (lambda cache: cache.get_or_set("key", 5), 5),
    "ttl": (lambda cache: cache.ttl("key"), 0),
    "clear": (lambda cache: cache.clear(), None),
    "get_many": (lambda cache: cache.get_many(["key", "other"]), {}),
}


@pytest.fixture(params=["refuses", "hangs"])
def dead(request, server):
    if request.param == "refuses":
        server.kill()
    else:
        freeze(server)
    return server.address


@pytest.mark.parametrize("call", CALLS)
def test_where_a_fault_is_a_miss_every_call_answers_in_time(build, dead, faults, call):
    cache = build(dead, ON_FAULT="miss", SOCKET_TIMEOUT=0.2)
    do, answer = CALLS[call]
    since = time.monotonic()
    assert do(cache) == answer
    # That is for each attempt.
    assert time.monotonic() - since < 0.3 * len(faults) + 0.5
    with pytest.raises(CacheFault):
        cache.incr("key")
    assert faults


@pytest.mark.parametrize("call", [call for call in CALLS if call != "get_many"])
def test_a_plain_call_raises_what_the_client_raises(build, dead, call):
    cache = build(dead, SOCKET_TIMEOUT=0.2)
    if is_old(cache):
        # To this libmemcached the first read is a miss.
        with suppress(*cache.faults):
            cache.get("key")
    with pytest.raises(cache.faults):
        CALLS[call][0](cache)


# More than one server


@pytest.fixture
def two_servers():
    with Memcached() as one, Memcached() as two:
        yield one, two


def spread(cache, count=40):
    """(keys of the first server, keys of the second), which is not there at the moment."""
    first, second = [], []
    for key in [f"key{number}" for number in range(count)]:
        try:
            cache.set(key, "old")
            first.append(key)
        except cache.faults:
            second.append(key)
    return first, second


def hit_again(cache, key):
    """Whether reads succeed within three seconds, whatever they bring."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            cache.get(key)
            cache.get(key)
        except cache.faults:
            time.sleep(0.05)
        else:
            return True
    return False


def test_the_keys_of_a_dead_server_go_to_no_other(build, two_servers):
    one, two = two_servers
    cache = build([one.address, two.address])
    two.kill()
    first, second = spread(cache)
    assert min(len(first), len(second)) > 5
    for _ in range(3):
        for key in second:
            with pytest.raises(cache.faults):
                cache.get(key)
    assert [cache.get(key) for key in first] == ["old"] * len(first)
    two.start()
    assert hit_again(cache, second[0])
    # Neither does a server that is back bring back what others were told meanwhile.
    assert [cache.get(key) for key in second] == [None] * len(second)
    cache.set(second[0], "new")
    one.kill()
    assert cache.get(second[0]) == "new"


def test_twenty_times_a_partitioned_server_brings_back_no_value_that_was_replaced(build, two_servers):
    one, two = two_servers
    cache = build([one.address, two.address], SOCKET_TIMEOUT=0.15)
    freeze(two)
    first, second = spread(cache, 20)
    two.resume()
    reached = stale = 0
    for number in range(20):
        assert hit_again(cache, second[0])
        cache.set_many({first[0]: "old", second[0]: "old"})
        freeze(two)
        for key in (first[0], second[0]):
            with suppress(*cache.faults):
                cache.set(key, number)
                reached += 1
                stale += cache.get(key) != number
        two.resume()
        assert hit_again(cache, second[0])
        stale += cache.get(first[0]) != number
    # What was not reached has said so.
    assert (reached, stale) == (20, 0)


def test_clear_reaches_the_servers_that_are_there(build, two_servers):
    one, two = two_servers
    cache = build([one.address, two.address])
    two.kill()
    first, _ = spread(cache)
    with pytest.raises(cache.faults):
        cache.clear()
    assert [cache.get(key) for key in first] == [None] * len(first)


def test_expired_tags_stay_expired_when_a_server_comes_back(build, two_servers):
    one, two = two_servers
    cache = build([one.address, two.address])
    for number in range(20):
        cache.set(f"key{number}", "old", tags=[f"tag{number}"])
    two.stop()
    two.start()
    assert all(hit_again(cache, f"key{number}") for number in range(20))
    for number in range(20):
        cache.expire_tags(f"tag{number}")
        assert cache.get(f"key{number}") is None


# Connections out of step


def test_a_restarted_server_is_no_fault_for_idle_connections_of_pymemcache(server):
    cache = PyMemcacheCache(server.address, {})
    cache.set("key", "value")
    server.stop()
    server.start()
    assert cache.get("key") is None
    cache.set("key", "value")
    assert cache.get("key") == "value"


def test_a_restarted_server_answers_pylibmc_again_soon(server):
    for options in ({}, {"binary": True}):
        cache = PyLibMCCache(server.address, {"OPTIONS": options})
        cache.set("key", "value")
        server.stop()
        server.start()
        assert hit_again(cache, "key")
        cache.set("key", "value")
        assert cache.get("key") == "value"


@pytest.mark.parametrize("call", ["get", "set", "incr", "add", "delete"])
def test_an_interrupted_call_leaves_no_reply_to_the_next_one(build, server, call):
    cache = build(server.address, SOCKET_TIMEOUT=0.2)
    calls = {**{name: do for name, (do, _) in CALLS.items()}, "incr": lambda cache: cache.incr("count")}
    cache.set_many({"key": "key", "count": 1, **{f"other{number}": number for number in range(10)}})
    for _ in range(3):
        freeze(server)
        with interrupted(after=0.05), pytest.raises((Interrupt, *cache.faults)):
            calls[call](cache)
        server.resume()
        assert hit_again(cache, "key")
        assert [cache.get(f"other{number}") for number in range(10)] == list(range(10))


def test_a_reply_that_comes_too_late_is_not_taken_for_the_next_one(build, server):
    cache = build(server.address, SOCKET_TIMEOUT=0.1)
    cache.set_many({"late": "late", "key": "key"})
    for _ in range(5):
        freeze(server)
        with suppress(*cache.faults):
            assert cache.get("late") is None
        server.resume()
        assert hit_again(cache, "key")
        assert cache.get("key") == "key"


GARBAGE = {
    "hang up": None,
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "error": b"SERVER_ERROR no way\r\n",
    "unknown command": b"ERROR\r\n",
    "no size": b"VALUE key 0 x\r\nxx\r\nEND\r\n",
    "too short": b"VALUE\r\n",
    "another key": b"VALUE another 0 2\r\nxx\r\nEND\r\n",
    "no flags": b"VALUE key x 2\r\nxx\r\nEND\r\n",
    "endless": b"x" * 100,
}


@pytest.mark.parametrize("answer", GARBAGE)
@pytest.mark.parametrize("call", [call for call in CALLS if call != "set_many"])
def test_whatever_a_server_says_pymemcache_fails_in_one_way_and_in_time(faults, answer, call):
    do, missed = CALLS[call]
    with scripted(GARBAGE[answer]) as address:
        cache = PyMemcacheCache(address, {"OPTIONS": {"ON_FAULT": "miss", "SOCKET_TIMEOUT": 0.2}})
        since = time.monotonic()
        assert do(cache) == missed
        assert time.monotonic() - since < 0.3 * len(faults) + 0.5
        assert faults
        with pytest.raises(CacheFault):
            cache.incr("key")


def test_an_item_that_nobody_asked_for_is_a_fault_to_pylibmc_too(faults):
    with scripted(GARBAGE["another key"]) as address:
        cache = PyLibMCCache(address, {"OPTIONS": {"ON_FAULT": "miss", "SOCKET_TIMEOUT": 0.2}})
        assert cache.get_many(["key", "other"]) == {}
    assert [type(error).__name__ for error in faults] == ["ProtocolError"]


# Forks


FORK = """
import json, os, sys, threading
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "testproject.settings"
django.setup()
from cacheplus.backends import memcached

kind, options, location, prefix = json.loads(sys.argv[1])
cache = getattr(memcached, kind)(location, {"KEY_PREFIX": prefix, "OPTIONS": options})
names = [f"key{number}" for number in range(50)]
cache.set_many({name: name for name in names})
cache.set("count", 0)

def work(who):
    wrong = 0
    for name in names * 3:
        wrong += cache.get(name) != name
        cache.set(f"{who}.{name}", who)
        wrong += cache.get(f"{who}.{name}") != who
        wrong += cache.incr("count") <= 0
    return wrong

# Some of the parent's connections are in use when it forks.
stop = threading.Event()
def keep_busy():
    while not stop.is_set():
        cache.get("key0")
busy = [threading.Thread(target=keep_busy) for _ in range(2)]
for thread in busy:
    thread.start()
children = []
for who in range(4):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, json.dumps(work(who)).encode())
        sys.exit() if who % 2 else os._exit(0)
    os.close(writer)
    children.append((pid, reader))
stop.set()
for thread in busy:
    thread.join()
results = [work(4)]
for pid, reader in children:
    results.append(json.loads(os.read(reader, 1000) or "null"))
    os.waitpid(pid, 0)
print(json.dumps({"results": results, "count": cache.get("count")}))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system does not fork")
@pytest.mark.parametrize("client", CLIENTS)
def test_four_forked_children_never_take_a_reply_of_one_another(server, client):
    cls, options = CLIENTS[client]
    arguments = json.dumps([cls.__name__, options, server.address, secrets.token_hex(4)])
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"results": [0] * 5, "count": 750}
