"""A Redis server, or the way to it, that fails."""

import asyncio
import gc
import queue
import secrets
import signal
import socket
import threading
import time
from contextlib import contextmanager

import pytest
import redis as driver

from cacheplus.backends import redis_wire as wire
from cacheplus.backends.redis import RedisCache
from cacheplus.exceptions import CacheFault
from cacheplus.signals import cache_error
from tests.servers import Redis, free_port


@pytest.fixture
def own_server():
    with Redis() as server:
        yield server


@pytest.fixture
def faults():
    seen = []

    def listen(operation, error, **_):
        seen.append((operation, type(error).__name__))

    cache_error.connect(listen)
    yield seen
    cache_error.disconnect(listen)


@pytest.fixture(scope="module")
def read_only_server():
    """A replica whose leader is gone."""
    with Redis("--replicaof", "127.0.0.1", str(free_port())) as server:
        yield server


def build(location, **options):
    return RedisCache(location, {"KEY_PREFIX": secrets.token_hex(4), "OPTIONS": options})


class ScriptedServer:
    """Answers each command with the bytes given for it, +OK where none are given, and hangs up where they are None."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []
        self.ends = queue.Queue()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            self.converse(connection)
            self.ends.put("closed")
        except ConnectionResetError:
            self.ends.put("reset")

    def converse(self, connection):
        with connection, connection.makefile("rb") as stream:
            while head := stream.readline():
                words = [stream.read(int(stream.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))]
                self.asked.append(words[0])
                answer = self.answers.get(words[0], b"+OK\r\n")
                if answer is None:
                    return
                connection.sendall(answer)

    def close(self):
        self.listener.close()


@contextmanager
def answering(**answers):
    server = ScriptedServer({name.encode(): answer for name, answer in answers.items()})
    try:
        yield server
    finally:
        server.close()


@contextmanager
def interrupted(after):
    """Raises KeyboardInterrupt in the main thread that many seconds from now."""

    def interrupt(*_):
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGALRM, interrupt)
    # A callback of the collector, such as hypothesis has one, could not let the interrupt out.
    gc.disable()
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.enable()
        signal.signal(signal.SIGALRM, former)


CALLS = {
    "get": lambda cache: cache.get("key"),
    "get_many": lambda cache: cache.get_many(["key", "other"]),
    "has_key": lambda cache: cache.has_key("key"),
    "set": lambda cache: cache.set("key", "value"),
    "set_many": lambda cache: cache.set_many({"key": 1, "other": 2}),
    "add": lambda cache: cache.add("key", "value"),
    "touch": lambda cache: cache.touch("key", 10),
    "delete": lambda cache: cache.delete("key"),
    "delete_many": lambda cache: cache.delete_many(["key", "other"]),
    "incr": lambda cache: cache.incr("key"),
    "ttl": lambda cache: cache.ttl("key"),
    "clear": lambda cache: cache.clear(),
    "clear everything": lambda cache: cache.clear(everything=True),
    "expire_tags": lambda cache: cache.expire_tags("tag"),
}
HARMLESS = {
    "get": None,
    "get_many": {},
    "has_key": False,
    "set": None,
    "set_many": ["key", "other"],
    "add": False,
    "touch": False,
    "delete": False,
    "delete_many": None,
    "ttl": 0,
    "clear": None,
    "clear everything": None,
    "expire_tags": 0,
}


# Nobody there


@pytest.mark.parametrize("call", CALLS)
def test_a_refused_connection_raises_as_in_django(call):
    cache = build(f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(driver.ConnectionError):
        CALLS[call](cache)


@pytest.mark.parametrize("call", HARMLESS)
def test_a_refused_connection_is_a_miss_where_the_alias_says_so(call, faults):
    cache = build(f"redis://127.0.0.1:{free_port()}", ON_FAULT="miss")
    assert CALLS[call](cache) == HARMLESS[call]
    assert {kind for _, kind in faults} == {"ConnectionError"}


def test_incr_has_no_harmless_answer():
    cache = build(f"redis://127.0.0.1:{free_port()}", ON_FAULT="miss")
    with pytest.raises(CacheFault):
        cache.incr("key")


def test_a_server_that_was_killed_is_used_again_once_it_is_back(own_server):
    cache = build(own_server.url)
    cache.set("key", "value")
    own_server.kill()
    with pytest.raises(driver.ConnectionError):
        cache.get("key")
    own_server.start()
    assert cache.get("key") is None
    cache.set("number", 1)
    assert cache.incr("number") == 2  # the script went with the old server


def test_a_restart_that_nobody_noticed_costs_nothing(own_server, faults):
    cache = build(own_server.url)
    cache.set("key", "value")
    own_server.kill()
    own_server.start()
    assert cache.get("key") is None
    assert not faults


# A server that hangs


@pytest.mark.parametrize("is_connected", [True, False])
def test_a_server_that_hangs_costs_less_than_a_second(own_server, is_connected):
    cache = build(own_server.url)
    if is_connected:
        cache.set("key", "value")
    own_server.pause()
    start = time.monotonic()
    with pytest.raises((driver.TimeoutError, TimeoutError)):
        cache.get("key")
    assert time.monotonic() - start < 3


async def test_coroutines_wait_for_a_server_that_hangs_beside_each_other(own_server):
    cache = build(own_server.url, ON_FAULT="miss")
    cache.set("key", "value")
    own_server.pause()
    start = time.monotonic()
    assert await asyncio.gather(*(cache.aget("key") for _ in range(4))) == [None] * 4
    assert time.monotonic() - start < 4


def test_an_answer_that_comes_late_is_nobodys(own_server):
    cache = build(own_server.url, SOCKET_TIMEOUT=0.1)
    values = {str(number): f"value {number}" for number in range(10)}
    cache.set_many(values)
    for number in range(9):
        own_server.pause()
        with pytest.raises(driver.TimeoutError):
            cache.get(str(number))
        own_server.resume()
        assert cache.get(str(number + 1)) == f"value {number + 1}"


@pytest.mark.parametrize("call", ["get_many", "set_many", "incr"])
def test_an_interrupt_between_request_and_reply_leaves_no_connection_out_of_step(own_server, call):
    cache = build(own_server.url, SOCKET_TIMEOUT=5)
    cache.set_many({"a": "value of a", "key": 1})
    for _ in range(5):
        own_server.pause()
        with pytest.raises(KeyboardInterrupt), interrupted(0.05):
            CALLS[call](cache)
        own_server.resume()
        assert cache.get("a") == "value of a"
        assert cache.delete("absent") is False


def test_an_interrupt_between_two_replies_leaves_no_connection_out_of_step(own_server):
    """redis-py closes a connection that is interrupted within a reply, but not one that is between two."""

    class Interrupted(driver.Connection):
        armed = 0

        def read_response(self, *args, **kwargs):
            reply = super().read_response(*args, **kwargs)
            if Interrupted.armed:
                Interrupted.armed -= 1
                if not Interrupted.armed:
                    raise KeyboardInterrupt
            return reply

    cache = build(own_server.url, connection_class=Interrupted)
    cache.set_many({"a": "value of a", "b": "value of b"})
    for position in (1, 2, 3):
        Interrupted.armed = position
        with pytest.raises(KeyboardInterrupt):
            cache.set_many({"x": 1, "y": 2, "z": 3})
        assert cache.get("a") == "value of a"
        assert cache.get_many(["a", "b"]) == {"a": "value of a", "b": "value of b"}


# Replies that are none

GARBAGE = {
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "no number": b":12x\r\n",
    "cut short": b"$100\r\nabc",
    "of the wrong kind": b"+PONG\r\n",
    "a number": b":5\r\n",
    "too many": b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
    "nested": b"*1\r\n*1\r\n$1\r\na\r\n",
    "nothing": b"",
    "invalid text": b"-\xff\xfe\r\n",
}


@pytest.mark.parametrize("parser", ["redis._parsers._HiredisParser", "redis._parsers._RESP2Parser"])
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_a_fault_and_the_connection_goes(garbage, parser, faults):
    with answering(MGET=GARBAGE[garbage]) as server:
        cache = build(server.url, ON_FAULT="miss", protocol=2, parser_class=parser, SOCKET_TIMEOUT=0.1)
        assert cache.get("key") is None
        assert [operation for operation, _ in faults] == ["read"]
        assert cache.get_many(["key", "other"]) == {}
        server.answers[b"MGET"] = b"*1\r\n$2\r\n12\r\n"
        assert cache.get("key") == 12


@pytest.mark.parametrize("answer", [b"*1\r\n$1\r\n5\r\n*1\r\n$1\r\n6\r\n", b"*1\r\n$1\r\n5\r\n+OK\r\n"])
def test_a_reply_too_many_is_not_taken_for_the_next_one(answer):
    with answering(MGET=answer) as server:
        cache = build(server.url, protocol=2)
        assert cache.get("key") == 5
        server.answers[b"MGET"] = b"*1\r\n$1\r\n7\r\n"
        assert cache.get("key") == 7


@pytest.mark.parametrize(
    "option", [{}, {"retry_on_timeout": True}, {"retry": driver.retry.Retry(driver.backoff.NoBackoff(), 3)}]
)
def test_no_command_is_sent_twice(option):
    """A second INCRBY or SET NX would be applied twice, and tell the winner that it lost."""
    with answering(SET=None, EVALSHA=None) as server:
        cache = build(server.url, protocol=2, **option)
        for call in ("add", "incr", "set"):
            with pytest.raises(driver.ConnectionError):
                CALLS[call](cache)
        assert server.asked.count(b"SET") == 2
        assert server.asked.count(b"EVALSHA") == 1


# Refusals of the server


def test_a_full_server_keeps_no_old_value(own_server):
    cache, forgiving = build(own_server.url), build(own_server.url, ON_FAULT="miss")
    for each in (cache, forgiving):
        each.set_many({"key": "old", "other": "old"})
    with driver.Redis.from_url(own_server.url) as server:
        server.config_set("maxmemory", 1)
        with pytest.raises(driver.exceptions.OutOfMemoryError):
            cache.set("key", "new")
        assert forgiving.set("key", "new") is None
        assert forgiving.set_many({"key": "new", "other": "new"}) == ["key", "other"]
        assert forgiving.add("another", 1) is False
        assert cache.get("key") is None
        assert cache.get("other") == "old"
        assert forgiving.get_many(["key", "other"]) == {}


@pytest.mark.parametrize("call", ["set", "add", "delete", "clear everything"])
def test_a_server_that_may_only_be_read_is_a_fault(read_only_server, call, faults):
    cache = build(read_only_server.url, ON_FAULT="miss")
    assert cache.get("key") is None
    assert not faults
    assert CALLS[call](cache) == HARMLESS[call]
    assert {kind for _, kind in faults} == {"ReadOnlyError"}


def test_what_a_server_did_not_answer_in_time_is_taken_back_and_not_sent_later():
    with answering(MGET=b"") as server:
        with pytest.raises(wire.FAULTS):
            build(server.url, SOCKET_TIMEOUT=0.2, protocol=2).get("key")
        assert server.ends.get(timeout=20) == "reset"


def test_a_greeting_that_makes_no_sense_is_a_fault_and_its_connection_is_not_used():
    with answering() as server:
        cache = build(server.url)
        for _ in range(2):
            # Asked anew each time: a connection that was half greeted has no database selected.
            with pytest.raises(driver.exceptions.InvalidResponse, match="greeting"):
                cache.get("key")
        assert server.asked.count(b"HELLO") == 2
        assert b"MGET" not in server.asked


def test_a_connection_whose_greeting_was_interrupted_is_not_used():
    with answering(HELLO=b"") as server:
        cache = build(server.url, SOCKET_TIMEOUT=20)
        with pytest.raises(KeyboardInterrupt), interrupted(0.3):
            cache.get("key")
        server.answers[b"HELLO"] = b"*2\r\n$5\r\nproto\r\n:3\r\n"
        with pytest.raises(wire.FAULTS):
            cache.get("key")
        assert server.asked.count(b"HELLO") == 2
