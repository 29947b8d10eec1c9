"""Keys and values of any form and size, headers of any content, and what messages may not tell."""

from __future__ import annotations

import logging
import random
import resource
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.cache import CacheKeyWarning
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import path

from cacheplus.decorators import cache_page
from tests.faults.behaviour import Measured, behaviour, unexpected
from tests.faults.stores import ALL, SERVERS, build, nobody, opened
from tests.sites import is_hit, locmem, site

_MISS = {"ON_FAULT": "miss"}

KEYS = [
    "plain",
    "with space",
    "tab\there",
    "line\r\nflush_all\r\n",
    "nul\x00byte",
    "é" * 200,
    "e\u0301" * 100,
    "\u540d" * 90,
    "\U0001f511",
    "lone \ud800 surrogate",
    "x" * 10_000,
    "x" * 250,
    "PLAIN",
    "plain ",
    "../../etc/passwd",
    "%s %d {} *?[a-z]",
]


@behaviour(
    "keys with any character, of any length",
    *ALL,
    bars={"not stored or not distinct": 0, "raised": 0},
    small={},
    large={},
)
def odd_keys(store: str) -> Measured:
    lost = raised = 0
    with opened(store, KEY_POLICY="hash") as params, warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheKeyWarning)
        cache = build(params)
        for number, key in enumerate(KEYS):
            try:
                cache.set(key, number, 300)
            except Exception as error:  # noqa: BLE001 - that is what is counted
                raised += unexpected(error)
        for number, key in enumerate(KEYS):
            try:
                lost += cache.get(key) != number
            except Exception as error:  # noqa: BLE001 - that is what is counted
                raised += unexpected(error)
    return {"keys": len(KEYS), "not stored or not distinct": lost, "raised": raised}


@behaviour(
    "values over the limit",
    *ALL,
    bars={"old values left": 0, "raised": 0},
    small={"size": 20 * 2**20},
    large={"size": 100 * 2**20},
)
def large_values(store: str, *, size: int) -> Measured:
    """Stored whole or not at all; what was there before is gone in either case."""
    old = raised = 0
    slowest = 0.0
    value = b"\x00" * size
    with opened(store) as params:
        cache = build(params)
        before = _peak()
        for _ in range(3):
            cache.set("key", "old", 300)
            since = time.perf_counter()
            try:
                cache.set("key", value, 300)
            except Exception as error:  # noqa: BLE001 - that is what is counted
                raised += unexpected(error)
            slowest = max(slowest, time.perf_counter() - since)
            found = cache.get("key")
            old += found not in (None, value)
    return {"old values left": old, "raised": raised, "set s": slowest, "values held": (_peak() - before) / size}


def _peak() -> int:
    """The most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


SECRETS = ("secret-key", "hunter2", "\n", "\r")


@behaviour(
    "messages about faults",
    *SERVERS,
    "file",
    "db",
    bars={"lines with a key, a password or a raw newline": 0, "nothing logged": 0},
    small={},
    large={},
)
def messages(store: str) -> Measured:
    key = "secret-key\r\nforged line"
    options = {**_MISS, "KEY_POLICY": "hash"} | ({"PASSWORD": "hunter2"} if store == "redis" else {})
    with _logged() as lines:
        if store in SERVERS:
            cache = build(nobody(store, **options))
            cache.get(key)
            cache.set(key, "hunter2")
            cache.get_or_set(key, "hunter2")
            cache.expire_tags(key)
        with opened(store, **{name: value for name, value in options.items() if name != "PASSWORD"}) as params:
            cache = build(params)
            cache.set(key, "hunter2", 300)
            assert cache._write({cache.make_and_validate_key(key): b"hunter2 damaged"}, 300) == []
            cache.get(key)
    told = sum(any(secret in line for secret in SECRETS) for line in lines)
    return {"lines with a key, a password or a raw newline": told, "nothing logged": not lines}


@contextmanager
def _logged() -> Iterator[list[str]]:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Lines()
    logger = logging.getLogger("cacheplus")
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


PIECES = [
    "no-store", "private", "no-cache", "public", "max-age", "s-maxage", "stale-if-error", "must-revalidate", "=", ",",
    ";", " ", '"', "\\", "*", "0", "60", "-1", "1.5", "abc", "9" * 40, "Cookie", "GMT", "Sun, 06 Nov 1994 08:49:37 GMT",
    "W/", "é", "٣", "\x7f", "bytes=0-1", "Accept-Language", "Content-Type",
]  # fmt: skip
FIELDS = [
    "Cache-Control", "CDN-Cache-Control", "Vary", "Expires", "Age", "Date", "ETag", "Last-Modified", "Pragma",
    "Content-Range", "Content-Length", "Connection",
]  # fmt: skip
FORBIDDING = ("no-store", "private")


@behaviour(
    "views send any header",
    "locmem",
    bars={"500s": 0, "stored though forbidden": 0},
    small={"count": 600},
    large={"count": 100_000},
)
def fuzzed_headers(store: str, *, count: int) -> Measured:
    """Every third view forbids to store, between whatever else it says."""
    dice = random.Random(35)
    errors = stored = forbidden = 0
    chosen: list[tuple[str, str]] = []

    def view(request: Any, number: int) -> HttpResponse:
        response = HttpResponse("page")
        for name, value in chosen:
            response[name] = value
        return response

    settings = {"CACHES": {"default": locmem(OPTIONS={"MAX_ENTRIES": 100})}}
    asker, page = RequestFactory(), cache_page(60)(view)
    with site(path("<int:number>/", page), **settings):
        for number in range(count):
            chosen[:] = [(dice.choice(FIELDS), _value(dice)) for _ in range(dice.randrange(1, 5))]
            is_forbidden = number % 3 == 0
            if is_forbidden:
                # A field that is meant for caches like ours wins over Cache-Control, RFC 9213 §2.2.
                chosen[:] = [field for field in chosen if field[0] != "CDN-Cache-Control"]
                value = f"{_value(dice)}, {dice.choice(FORBIDDING)}, {_value(dice)}"
                chosen.append(("Cache-Control", value))
            asked = {"Range": _value(dice), "If-None-Match": _value(dice), "Cache-Control": _value(dice)}
            forbidden += is_forbidden
            try:
                answers = [page(asker.get(f"/{number}/", headers=asked), number) for _ in range(2)]
            except Exception as error:  # noqa: BLE001 - that is what is counted
                errors += unexpected(error)
            else:
                errors += sum(answer.status_code >= 500 for answer in answers)
                stored += is_forbidden and is_hit(answers[1])
    return {"responses": 2 * count, "forbidden": forbidden, "500s": errors, "stored though forbidden": stored}


def _value(dice: random.Random) -> str:
    return "".join(dice.choice(PIECES) for _ in range(dice.randrange(8)))
