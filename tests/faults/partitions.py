"""A writer that is cut off from its store, and comes back: what it ended meanwhile is not read again."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from cacheplus.invalidation import expire_view_cache
from tests.faults.behaviour import Measured, behaviour, unexpected
from tests.faults.faultsite import faulty_site
from tests.faults.proxy import Proxy, swallowed
from tests.faults.stores import SERVERS, Served, build, entry, served
from tests.servers import Memcached

_MISS = {"ON_FAULT": "miss"}
# A healed store has so long to bring back what was owed to it.
_GRACE = 1.0


def _expired(cache: Any) -> None:
    cache.expire_tags("tag")


def _deleted(cache: Any) -> None:
    cache.delete("key")


def _replaced(cache: Any) -> None:
    cache.set("key", "new", 300)


WAYS: dict[str, Callable[[Any], None]] = {"expired": _expired, "deleted": _deleted, "replaced": _replaced}


@behaviour(
    "what was expired, deleted or replaced in a partition is not read once it has healed",
    *SERVERS,
    bars={"stale for the writer": 0, "stale for others": 0, "raised": 0, "back in use after s": 2.0},
    small={"rounds": 1},
    large={"rounds": 10},
)
def healed_partition(store: str, *, rounds: int) -> Measured:
    """The others have a way of their own to the server, so that no breaker of the writer's keeps them from it."""
    stale_here = stale_there = raised = 0
    back = 0.0
    with served(store) as way:
        prefix = secrets.token_hex(4)
        writer = build(way.behind(**_MISS) | {"KEY_PREFIX": prefix})
        others = build(way.beside(SOCKET_TIMEOUT=5) | {"KEY_PREFIX": prefix})
        for _ in range(rounds):
            for end in WAYS.values():
                assert _stored(writer), "nothing could be stored before the partition"
                assert others.get("key") == "old"
                way.proxy.fault(requests=swallowed)
                try:
                    end(writer)
                    stale_here += writer.get("key") == "old"
                except Exception as error:  # noqa: BLE001 - that is what is counted
                    raised += unexpected(error)
                way.proxy.heal()
                back = max(back, _usable(writer))
                stale_here += writer.get("key") == "old"
                stale_there += _still(others, _GRACE)
    return {
        "rounds": rounds * len(WAYS),
        "stale for the writer": stale_here,
        "stale for others": stale_there,
        "raised": raised,
        "back in use after s": back,
    }


def _stored(cache: Any) -> bool:
    cache.set("key", "old", 300, tags=["tag"])
    return cache.get("key") == "old"


def _usable(cache: Any) -> float:
    """Seconds until the cache keeps what it is given."""
    since = time.monotonic()
    while time.monotonic() - since < 10:
        cache.set("probe", since, 300)
        if cache.get("probe") == since:
            return time.monotonic() - since
        time.sleep(0.02)
    return float("inf")


def _still(cache: Any, grace: float) -> bool:
    """Whether the old value stands there yet when the grace is over."""
    deadline = time.monotonic() + grace
    while cache.get("key") == "old":
        if time.monotonic() > deadline:
            return True
        time.sleep(0.02)
    return False


@behaviour(
    "a page that was expired in a partition is not served once it has healed",
    *SERVERS,
    bars={"stale pages": 0, "500s": 0},
    small={"rounds": 1},
    large={"rounds": 5},
)
def healed_pages(store: str, *, rounds: int) -> Measured:
    stale = errors = 0
    with served(store) as way, faulty_site("per site", way.behind()) as asked:
        for number in range(rounds):
            asked.get(number)
            assert asked.hit_within(5, number) < 5
            way.proxy.fault(requests=swallowed)
            expire_view_cache(f"/{number}/")
            answers = [asked.get(number)]
            way.proxy.heal()
            assert asked.hit_within(10, 1000 + number) < 10, "the store is not trusted again"
            answers.append(asked.get(number))
            stale += sum(answer.is_hit for answer in answers)
            errors += sum(answer.status >= 500 for answer in answers)
    return {"rounds": rounds, "stale pages": stale, "500s": errors}


@behaviour(
    "a memcached node is partitioned, and comes back",
    "pymemcache",
    "pylibmc",
    bars={"stale values": 0, "keys rehashed": 0},
    small={"rounds": 1},
    large={"rounds": 20},
)
def node_back(store: str, *, rounds: int) -> Measured:
    stale = rehashed = 0
    keys = [f"key{number}" for number in range(12)]
    with ExitStack() as stack:
        ways = []
        for _ in range(2):
            server = stack.enter_context(Memcached())
            ways.append(Served(store, server, stack.enter_context(Proxy(server))))
        prefix = secrets.token_hex(4)
        cache = build(entry(store, [way.proxy.address for way in ways], prefix, **_MISS))
        for number in range(rounds):
            lost = ways[number % 2].proxy
            _filled(cache, keys, f"old {number}")
            lost.fault(requests=swallowed)
            for key in keys:
                cache.set(key, f"new {number}", 300)
            lost.heal()
            _all_back(cache, keys)
            found = cache.get_many(keys)
            stale += sum(value == f"old {number}" for value in found.values())
            rehashed += sum(value != f"new {number}" for value in found.values())
    return {"rounds": rounds, "stale values": stale, "keys rehashed": rehashed}


def _filled(cache: Any, keys: list[str], value: str) -> None:
    deadline = time.monotonic() + 10
    while cache.set_many(dict.fromkeys(keys, value), 300):
        assert time.monotonic() < deadline, "the nodes do not come back"
        time.sleep(0.05)


def _all_back(cache: Any, keys: list[str]) -> None:
    """Wait until every node takes writes again, under keys of their own."""
    _filled(cache, [f"other {key}".replace(" ", "-") for key in keys], "probe")
