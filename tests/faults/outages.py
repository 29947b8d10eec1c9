"""A server that is killed, stopped, slow, out of reach, or answers nonsense, while visitors come to a site."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from tests.faults.behaviour import Measured, behaviour
from tests.faults.faultsite import SHAPES, Answer, FaultySite, faulty_site
from tests.faults.proxy import delayed, garbage, halved, reset, swallowed
from tests.faults.stores import SERVERS, Served, nobody, served
from tests.servers import Server

# What every answer under a fault is held to.
NOBODY_SEES = {"500s": 0, "wrong pages": 0}
IN_TIME = {"first answer s": 1.0, "later answers s": 0.02}

_MISS = {"ON_FAULT": "miss"}


def _options(shape: str) -> dict[str, Any]:
    """Plain calls raise unless they are told not to; the others never do."""
    return _MISS if shape == "plain" else {}


def _seen(answers: list[Answer]) -> dict[str, float]:
    return {
        "500s": sum(answer.status >= 500 for answer in answers),
        "wrong pages": sum(answer.status < 500 and not answer.is_right for answer in answers),
    }


def _timed(sites: list[list[Answer]]) -> dict[str, float]:
    """The slowest first answer, and the slowest of the medians of what came after the breaker had its three faults."""
    return {
        "first answer s": max(answers[0].seconds for answers in sites),
        "later answers s": max(statistics.median(each.seconds for each in answers[4:]) for answers in sites),
    }


class Crowd:
    """Threads that ask for pages, one after the other, until the block ends."""

    def __init__(self, asked: FaultySite, threads: int, pages: int = 4) -> None:
        self.answers: list[Answer] = []
        self._asked, self._pages = asked, pages
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(threads)]

    def _ask(self, number: int) -> None:
        while not self._over.is_set():
            self.answers.append(self._asked.get(number % self._pages))
            number += 1
            # So that two threads do not keep the others, and the server, from the processor.
            time.sleep(0.002)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@behaviour(
    "the server is killed and restarted under load",
    *SERVERS,
    bars={**NOBODY_SEES, "first hit after restart s": 2.0, "log lines a second": 1},
    small={"seconds": 1.0, "shapes": ("per site", "plain")},
    large={"seconds": 4.0, "shapes": SHAPES},
)
def killed_and_restarted(store: str, *, seconds: float, shapes: tuple[str, ...]) -> Measured:
    answers: list[Answer] = []
    back = lines = 0.0
    for shape in shapes:
        with served(store) as way, faulty_site(shape, way.beside(**_options(shape))) as asked:
            with Crowd(asked, threads=4) as crowd:
                time.sleep(seconds / 4)
                since = time.monotonic()
                way.server.kill()
                time.sleep(seconds)
                way.server.start()
                back = max(back, asked.hit_within(10))
            answers += crowd.answers
            # A kind of fault is told once in ten seconds, so that a shorter outage says little.
            lines = max(lines, len(asked.lines) / max(time.monotonic() - since, 10))
    return {
        "requests": len(answers),
        **_seen(answers),
        "first hit after restart s": back,
        "log lines a second": lines,
    }


@contextmanager
def _paused(way: Served) -> Iterator[None]:
    way.server.pause()
    try:
        yield
    finally:
        way.server.resume()


@contextmanager
def _unreachable(way: Served) -> Iterator[None]:
    way.proxy.fault(requests=swallowed, replies=swallowed)
    try:
        yield
    finally:
        way.proxy.heal()


def _endured(store: str, fault: Callable[[Served], Any], shapes: tuple[str, ...], count: int) -> dict[str, float]:
    """Figures of `count` requests under a fault, to a site that was warm, and of the way back."""
    sites, back = [], 0.0
    for shape in shapes:
        with served(store) as way, faulty_site(shape, way.behind(**_options(shape))) as asked:
            assert not asked.get().is_hit
            assert asked.hit_within(5) < 5, f"{shape} on {store} has no hits without a fault"
            with fault(way):
                sites.append([asked.get() for _ in range(count)])
            back = max(back, asked.hit_within(10))
    everybody = [answer for answers in sites for answer in answers]
    return {"requests": len(everybody), **_seen(everybody), **_timed(sites), "first hit afterwards s": back}


@behaviour(
    "the server is not there from the start",
    *SERVERS,
    bars={**NOBODY_SEES, "added by the cache s": 0.002},
    small={"count": 12},
    large={"count": 60},
)
def refused_from_the_start(store: str, *, count: int) -> Measured:
    """The time that the cache adds, with the breaker open, is that beyond a site whose cache keeps nothing."""
    everybody: list[Answer] = []
    added = 0.0
    for shape in SHAPES:
        with faulty_site(shape, {"BACKEND": "cacheplus.backends.dummy.DummyCache"}) as asked:
            without = [asked.get() for _ in range(count)]
        with faulty_site(shape, nobody(store, **_options(shape))) as asked:
            answers = [asked.get() for _ in range(count)]
        everybody += answers
        added = max(added, _median(answers[4:]) - _median(without[4:]))
    return {"requests": len(everybody), **_seen(everybody), "added by the cache s": added}


def _median(answers: list[Answer]) -> float:
    return statistics.median(answer.seconds for answer in answers)


@behaviour(
    "the server is stopped in the middle",
    *SERVERS,
    bars={**NOBODY_SEES, **IN_TIME, "first hit afterwards s": 2.0},
    small={"count": 12, "shapes": ("per site", "plain")},
    large={"count": 60, "shapes": SHAPES},
)
def stopped(store: str, *, count: int, shapes: tuple[str, ...]) -> Measured:
    return _endured(store, _paused, shapes, count)


@behaviour(
    "the network swallows everything",
    *SERVERS,
    bars={**NOBODY_SEES, **IN_TIME, "first hit afterwards s": 2.0},
    small={"count": 12, "shapes": ("per view", "fragment")},
    large={"count": 60, "shapes": SHAPES},
)
def swallowed_by_the_network(store: str, *, count: int, shapes: tuple[str, ...]) -> Measured:
    return _endured(store, _unreachable, shapes, count)


@behaviour(
    "each reply is 250 ms late",
    *SERVERS,
    bars={**NOBODY_SEES, "page hit s": 0.55},
    small={"count": 2},
    large={"count": 10},
)
def late_replies(store: str, *, count: int) -> Measured:
    with served(store) as way, faulty_site("per site", way.behind()) as asked:
        assert not asked.get().is_hit
        assert asked.get().is_hit
        way.proxy.fault(replies=delayed(0.25))
        answers = [asked.get() for _ in range(count)]
        assert all(answer.is_hit for answer in answers)
    return {"requests": count, **_seen(answers), "page hit s": max(answer.seconds for answer in answers)}


NONSENSE = {"reset": reset, "cut short": halved, "garbage": garbage}


@behaviour(
    "replies are reset, cut short or garbage",
    *SERVERS,
    bars={**NOBODY_SEES, **IN_TIME, "first hit afterwards s": 2.0},
    small={"count": 8, "shapes": ("plain",)},
    large={"count": 30, "shapes": SHAPES},
)
def nonsense(store: str, *, count: int, shapes: tuple[str, ...]) -> Measured:
    worst: dict[str, float] = {}
    for treatment in NONSENSE.values():

        @contextmanager
        def fault(way: Served, treatment: Callable[[bytes], bytes] = treatment) -> Iterator[None]:
            way.proxy.fault(replies=treatment)
            try:
                yield
            finally:
                way.proxy.heal()

        worst = _worse(worst, _endured(store, fault, shapes, count))
    return worst


def _worse(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """Of each count the sum, of each time the longer one."""
    return {
        name: max(one.get(name, 0), value) if name.endswith(" s") else one.get(name, 0) + value
        for name, value in other.items()
    }


# What a server refuses


def _tell(server: Server, *words: str) -> None:
    with socket.create_connection((server.host, server.port), 1) as connection:
        connection.sendall(
            b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%b\r\n" % (len(w), w.encode()) for w in words)])
        )
        assert not connection.recv(100).startswith(b"-")


_LISTS_FOR_ALL = """
for _, name in ipairs(redis.call('KEYS', '*')) do redis.call('DEL', name); redis.call('LPUSH', name, 'x') end
return 1
"""


def _no_memory(server: Server) -> None:
    _tell(server, "CONFIG", "SET", "maxmemory", "1")


def _read_only(server: Server) -> None:
    _tell(server, "REPLICAOF", "127.0.0.1", "1")


def _wrong_type(server: Server) -> None:
    _tell(server, "EVAL", _LISTS_FOR_ALL, "0")


def _no_password(server: Server) -> None:
    # Those who are connected already would be let in for ever.
    server.kill()
    server.options = ("--requirepass", "secret")
    server.start()


REFUSALS = {"no memory": _no_memory, "read-only": _read_only, "wrong type": _wrong_type, "no password": _no_password}


@behaviour(
    "the server refuses: no memory, read-only, wrong type, no password",
    "redis",
    bars={**NOBODY_SEES, "refusals that were not told": 0},
    small={"count": 5},
    large={"count": 30},
)
def refusals(store: str, *, count: int) -> Measured:
    answers, untold = [], 0
    for refuse in REFUSALS.values():
        for shape in SHAPES:
            with served(store) as way, faulty_site(shape, way.beside(**_options(shape))) as asked:
                asked.get()
                refuse(way.server)
                answers += [asked.get(number) for number in range(count)]
                untold += refuse is not _wrong_type and not asked.faults
    return {"requests": len(answers), **_seen(answers), "refusals that were not told": untold}
