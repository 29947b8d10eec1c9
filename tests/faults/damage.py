"""Stored bytes, and bytes on their way, that are not what was written: a miss, and gone by the next read."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.cache import caches

from cacheplus import health
from cacheplus.codecs.layout import scope
from tests.faults.behaviour import Measured, behaviour, unexpected
from tests.faults.faultsite import SHAPES, FaultySite, faulty_site
from tests.faults.proxy import flipped
from tests.faults.stores import BYTES, SERVERS, build, opened, served

_MISS = {"ON_FAULT": "miss"}

KINDS: Mapping[str, Callable[[bytes], bytes]] = {
    "emptied": lambda stored: b"",
    "garbage": lambda stored: b"\x80\x04garbage" + bytes(40),
    "cut": lambda stored: stored[: len(stored) // 2],
    "flipped": lambda stored: _flip(stored, len(stored) * 4),
    "appended to": lambda stored: stored + b"\x00",
    "a page of HTML": lambda stored: b"<!doctype html><h1>502 Bad Gateway</h1>",
    "another version": lambda stored: stored[:2] + bytes([stored[2] ^ 0x80]) + stored[3:],
}


def _flip(stored: bytes, bit: int) -> bytes:
    damaged = bytearray(stored)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


@contextmanager
def _names_written(cache: Any) -> Iterator[set[str]]:
    """The final names that this backend stores under meanwhile."""
    names: set[str] = set()

    def watched(primitive: Callable[..., Any]) -> Callable[..., Any]:
        def write(where: Any, *args: Any) -> Any:
            names.update([where] if isinstance(where, str) else where)
            return primitive(where, *args)

        return write

    for primitive in ("_write", "_add", "_add_many"):
        setattr(cache, primitive, watched(getattr(cache, primitive)))
    try:
        yield names
    finally:
        for primitive in ("_write", "_add", "_add_many"):
            delattr(cache, primitive)


@behaviour(
    "every entry of a page is emptied, cut, flipped or replaced",
    *BYTES,
    bars={"500s": 0, "wrong pages": 0, "pages not replaced by the second request": 0},
    small={"shapes": ("per site", "fragment")},
    large={"shapes": SHAPES},
)
def damaged_entries(store: str, *, shapes: tuple[str, ...]) -> Measured:
    answers, unhealed = [], 0
    with opened(store, **_MISS) as entry:
        for shape in shapes:
            with faulty_site(shape, entry) as asked:
                for number, damage in enumerate(KINDS.values()):
                    answers += [(first := _damaged(asked, number, damage)), (second := asked.get(number))]
                    unhealed += first.is_hit or not second.is_hit
    return {
        "requests": len(answers),
        "500s": sum(answer.status >= 500 for answer in answers),
        "wrong pages": sum(not answer.is_right for answer in answers),
        "pages not replaced by the second request": unhealed,
    }


def _damaged(asked: FaultySite, number: int, damage: Callable[[bytes], bytes]) -> Any:
    """The answer to the first request after everything that the page is made of was damaged."""
    cache = caches["default"]
    with _names_written(cache) as names:
        asked.get(number)
    assert asked.get(number).is_hit
    for name, stored in cache._read(sorted(names)).items():
        if isinstance(stored, bytes):
            assert cache._write({name: damage(stored)}, 300) == []
    return asked.get(number)


VALUES = {
    "text": "seven tenths of it are text, " * 9,
    "bytes": bytes(range(256)),
    "float": 3.25,
    "bool": True,
    "large-int": 2**80,
    "list": [1, "two", 3.5, None],
    "dict": {"a": [1, {"b": "c"}]},
    "object": complex(1, 2),
}


@behaviour(
    "one bit of a record is flipped",
    *BYTES,
    bars={"wrong values": 0, "raised": 0},
    small={"count": 200},
    large={"count": 10_000},
)
def flipped_records(store: str, *, count: int) -> Measured:
    """A bare int is its digits and no record: `docs/reference/stored-format.md` says so."""
    dice, wrong, raised = random.Random(store), 0, 0
    with opened(store) as entry:
        cache = build(entry)
        stored = {}
        for key, value in VALUES.items():
            cache.set(key, value, 300)
            name = cache.make_and_validate_key(key)
            stored[key] = name, cache._read([name])[name]
        for _ in range(count):
            key, (name, whole) = dice.choice(list(stored.items()))
            assert cache._write({name: _flip(whole, dice.randrange(len(whole) * 8))}, 300) == []
            try:
                found = cache.get(key)
            except Exception as error:  # noqa: BLE001 - that is what is counted
                raised += unexpected(error)
            else:
                wrong += found is not None
    return {"records": count, "wrong values": wrong, "raised": raised}


@behaviour(
    "bits are flipped in half of the replies",
    *SERVERS,
    bars={"wrong values": 0, "raised": 0, "slowest call s": 1.0, "hits back after s": 2.0},
    small={"seconds": 2.0, "flips": 400, "timeout": 0.05},
    large={"seconds": 200.0, "flips": 10_000, "timeout": 0.02},
)
def flipped_replies(store: str, *, seconds: float, flips: int, timeout: float) -> Measured:
    """The values say which key they belong to, so that one that comes to another key is noticed.

    What is known of the store is forgotten as soon as it is left alone, or few replies would ever be flipped.
    """
    values = {f"key{number}": f"value of key{number} " * 12 for number in range(20)}
    wrong, raised, calls, slowest, turned = 0, 0, 0, 0.0, 0
    with served(store) as way:
        cache = build(way.behind(**_MISS, SOCKET_TIMEOUT=timeout))
        cache.set_many(values, 300)
        flip = flipped(0.5, seed=7)

        def treat(reply: bytes) -> bytes:
            nonlocal turned
            damaged = flip(reply)
            turned += damaged != reply
            return damaged

        way.proxy.fault(replies=treat)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and turned < flips:
            key = f"key{calls % 20}"
            since = time.perf_counter()
            try:
                found = cache.get(key)
            except Exception as error:  # noqa: BLE001 - that is what is counted
                raised += unexpected(error)
            else:
                wrong += found is not None and found != values[key]
            slowest = max(slowest, time.perf_counter() - since)
            calls += 1
            if cache.health.openings():
                health.forget_all()
        way.proxy.heal()
        back = _right_again(cache, values)
    return {
        "calls": calls,
        "replies flipped": turned,
        "wrong values": wrong,
        "raised": raised,
        "slowest call s": slowest,
        "hits back after s": back,
    }


def _right_again(cache: Any, values: Mapping[str, str]) -> float:
    """Seconds until every value can be stored and read again."""
    since = time.monotonic()
    while time.monotonic() - since < 10:
        if cache.set_many(values, 300) == [] and cache.get_many(values) == values:
            return time.monotonic() - since
        time.sleep(0.02)
    return float("inf")


class _Gone:
    """Pickled, and then not there any more."""


@behaviour(
    "a class that a deploy removed",
    *BYTES,
    bars={"neighbours lost": 0, "raised": 0, "not healed": 0},
    small={},
    large={},
)
def removed_class(store: str) -> Measured:
    lost = raised = unhealed = 0
    with opened(store) as entry:
        cache = build(entry)
        for call in (cache.get, lambda key: cache.get_many([key, "neighbour"]), lambda key: cache.get_or_set(key, 5)):
            cache.set_many({"neighbour": "here", "gone": _Gone()}, 300)
            kept = globals().pop("_Gone")
            try:
                found = call("gone")
                lost += isinstance(found, dict) and found != {"neighbour": "here"}
            except Exception as error:  # noqa: BLE001 - that is what is counted
                raised += unexpected(error)
            finally:
                globals()["_Gone"] = kept
            cache.set("gone", "new", 300)
            unhealed += cache.get("gone") != "new"
    return {"neighbours lost": lost, "raised": raised, "not healed": unhealed}


@behaviour(
    "two releases with two record versions share a store",
    *BYTES,
    bars={"wrong values": 0, "raised": 0, "not replaced": 0},
    small={"rounds": 5},
    large={"rounds": 100},
)
def two_versions(store: str, *, rounds: int) -> Measured:
    """The other release writes records that are whole, and of a version that this one does not know."""
    wrong = raised = unreplaced = 0
    with opened(store) as entry:
        cache = build(entry)
        name = cache.make_and_validate_key("key")
        for number in range(rounds):
            cache.set("key", f"ours {number}", 300)
            theirs = _next_version(name, cache._seal(None), cache._read([name])[name])
            assert cache._write({name: theirs}, 300) == []
            try:
                wrong += cache.get("key") is not None
                wrong += cache.get_or_set("key", f"computed {number}", 300) != f"computed {number}"
            except Exception as error:  # noqa: BLE001 - that is what is counted
                raised += unexpected(error)
            unreplaced += cache.get("key") != f"computed {number}"
    return {"rounds": rounds, "wrong values": wrong, "raised": raised, "not replaced": unreplaced}


def _next_version(name: str, seal: bytes, stored: bytes) -> bytes:
    """The same record in the next version of the format, with a checksum that fits."""
    body = stored[:2] + bytes([stored[2] + 1]) + stored[3:-4]
    return body + zlib.crc32(body, zlib.crc32(scope(name, seal))).to_bytes(4, "big")
