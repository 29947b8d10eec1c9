"""The workloads: what one call is, on any cache.

Values vary from write to write: a store may skip what is unchanged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

from django.core.cache import caches

from benchmarks.rounds import Batch

_TEXT = "x" * 100
_FLAT = {"id": 17, "name": "a name", "price": 12.5, "tags": None, "is_new": True}
_PAGE = ("<p>A paragraph of a page, as pages have them.</p>\n" * 410)[:20_000]
_MANY = 100
_THREADS = 8

Workload = Callable[[Any], Batch]
"""From a cache to its batch; what it needs is stored on the way."""

_numbers = count()


def _get(value: Any) -> Workload:
    def prepare(cache: Any) -> Batch:
        cache.set("key", value, None)

        def batch(calls: int) -> None:
            get = cache.get
            for _ in range(calls):
                get("key")

        return batch

    return prepare


def _miss(cache: Any) -> Batch:
    def batch(calls: int) -> None:
        get = cache.get
        for _ in range(calls):
            get("absent")

    return batch


def _set(filled: int) -> Workload:
    """Over keys that exist, beside `filled` others."""

    def prepare(cache: Any) -> Batch:
        for start in range(0, filled, 1000):
            cache.set_many({f"filler-{number}": _TEXT for number in range(start, start + 1000)}, None)

        def batch(calls: int) -> None:
            set_ = cache.set
            for _ in range(calls):
                number = next(_numbers)
                set_(f"key-{number % 500}", f"{number:0100d}", 300)

        return batch

    return prepare


def _incr(cache: Any) -> Batch:
    cache.set("count", 0, None)

    def batch(calls: int) -> None:
        incr = cache.incr
        for _ in range(calls):
            incr("count")

    return batch


def _get_many(cache: Any) -> Batch:
    keys = [f"many-{number}" for number in range(_MANY)]
    cache.set_many(dict.fromkeys(keys, _TEXT), None)

    def batch(calls: int) -> None:
        for _ in range(calls):
            cache.get_many(keys)

    return batch


def _set_many(cache: Any) -> Batch:
    def batch(calls: int) -> None:
        for _ in range(calls):
            turn = next(_numbers)
            cache.set_many({f"many-{number}": f"{turn}-{number:090d}" for number in range(_MANY)}, 300)

    return batch


def _add_and_delete(cache: Any) -> Batch:
    def batch(calls: int) -> None:
        for _ in range(calls):
            key = f"once-{next(_numbers)}"
            cache.add(key, _TEXT)
            cache.delete(key)

    return batch


def _get_or_set(cache: Any) -> Batch:
    cache.set("computed", _TEXT, None)

    def batch(calls: int) -> None:
        for _ in range(calls):
            cache.get_or_set("computed", list)

    return batch


def _threads(cache: Any) -> Batch:
    cache.set("key", _TEXT, None)
    alias = next(name for name in caches if caches[name] is cache)

    def work(calls: int) -> None:
        # As in a site: a backend object for each thread.
        get = caches[alias].get
        for _ in range(calls):
            get("key")

    threads = ThreadPoolExecutor(_THREADS)

    def batch(calls: int) -> None:
        list(threads.map(work, [max(1, calls // _THREADS)] * _THREADS))

    return batch


def _aget(cache: Any) -> Batch:
    cache.set("key", _TEXT, None)

    async def work(calls: int) -> None:
        for _ in range(calls):
            await cache.aget("key")

    return lambda calls: asyncio.run(work(calls))


WORKLOADS: Mapping[str, Workload] = {
    "get 100 B": _get(_TEXT),
    "get flat dict": _get(_FLAT),
    "get 20 kB": _get(_PAGE),
    "get, a miss": _miss,
    "set 100 B": _set(0),
    "set beside 10,000": _set(10_000),
    "incr": _incr,
    "get_many(100)": _get_many,
    "set_many(100)": _set_many,
    "add and delete": _add_and_delete,
    "get_or_set, a hit": _get_or_set,
    "get, 8 threads": _threads,
    "aget": _aget,
}
