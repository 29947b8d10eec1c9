"""The in-process store: a dict of entries for each LOCATION, shared by the threads of one process."""

from __future__ import annotations

import heapq
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from django.utils.safestring import SafeString

from cacheplus.backends.base import BaseCache
from cacheplus.codecs.objects import ObjectCodec
from cacheplus.store import SERVICE_MARK, Stored

_SERVICE_LIMIT = 50_000


class Entries:
    """Stored things with their deadlines on the monotonic clock, the least recently used first."""

    def __init__(self) -> None:
        self.stored: OrderedDict[str, Stored] = OrderedDict()
        self.deadlines: dict[str, float | None] = {}
        self._queue: list[tuple[float, str]] = []

    def get(self, name: str, now: float) -> Stored | None:
        """What lives under `name`; an entry past its deadline is dropped."""
        deadline = self.deadlines.get(name)
        if deadline is not None and deadline <= now:
            self.drop(name)
        return self.stored.get(name)

    def put(self, name: str, stored: Stored, deadline: float | None) -> None:
        """Store as the most recently used."""
        self.stored[name] = stored
        self.stored.move_to_end(name)
        self.retime(name, deadline)

    def retime(self, name: str, deadline: float | None) -> None:
        """Give an entry another deadline."""
        self.deadlines[name] = deadline
        if deadline is not None:
            heapq.heappush(self._queue, (deadline, name))
            if len(self._queue) > 2 * len(self.stored) + 64:
                self._queue = [(at, key) for key, at in self.deadlines.items() if at is not None]
                heapq.heapify(self._queue)

    def drop(self, name: str) -> None:
        """Forget an entry."""
        self.stored.pop(name, None)
        self.deadlines.pop(name, None)

    def make_room(self, limit: int, frequency: int, now: float) -> None:
        """Before an insert: at `limit` entries drop the expired ones, then 1/`frequency` of all, least used first.

        A `frequency` of 0 drops everything, as in Django.
        """
        if len(self.stored) < limit:
            return
        while self._queue and self._queue[0][0] <= now:
            deadline, name = heapq.heappop(self._queue)
            if self.deadlines.get(name) == deadline:
                self.drop(name)
        if len(self.stored) < limit:
            return
        if frequency == 0:
            self.clear()
        else:
            for name in list(self.stored)[: len(self.stored) // frequency]:
                self.drop(name)

    def clear(self) -> None:
        """Forget everything, in place: every backend of this LOCATION holds these dicts."""
        self.stored.clear()
        self.deadlines.clear()
        self._queue.clear()


class Shelf:
    """What is stored under one LOCATION and key prefix, so that neighbours neither clear nor evict each other.

    Stamps and locks stand apart, so that they do not use up MAX_ENTRIES.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values = Entries()
        self.services = Entries()

    def entries(self, name: str) -> Entries:
        """Where `name` belongs."""
        return self.services if SERVICE_MARK in name else self.values


_shelves: dict[tuple[str, str | None], Shelf] = {}
_shelves_lock = threading.Lock()


def _shelf(location: str, prefix: str | None) -> Shelf:
    with _shelves_lock:
        return _shelves.setdefault((location, prefix), Shelf())


def _shelves_of(location: str) -> list[Shelf]:
    with _shelves_lock:
        return [shelf for (place, _), shelf in _shelves.items() if place == location]


class LocMemCache(BaseCache):
    """A cache in the memory of this process. LOCATION names it: aliases with the same one share their entries."""

    is_shared: ClassVar[bool] = False
    is_blocking: ClassVar[bool] = False

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(location, params)
        self._shelf = _shelf(location, self._prefix())
        # Django's names for the same things; its own tests and some tools look at them.
        self._cache = self._shelf.values.stored
        self._expire_info = self._shelf.values.deadlines
        self._lock = self._shelf.lock

    @cached_property
    def codec(self) -> ObjectCodec:
        """Keeps immutable values as they are, copies flat containers, pickles the rest."""
        return ObjectCodec(immutable=frozenset({SafeString}))

    def _read(self, names: Sequence[str]) -> dict[str, Stored]:
        now, found = time.monotonic(), {}
        with self._lock:
            for name in names:
                entries = self._shelf.entries(name)
                stored = entries.get(name, now)
                if stored is not None:
                    found[name] = stored
                    entries.stored.move_to_end(name)
        return found

    def _put(self, name: str, stored: Stored, deadline: float | None, now: float) -> None:
        entries = self._shelf.entries(name)
        if entries is self._shelf.values:
            entries.make_room(self._max_entries, self._cull_frequency, now)
        else:
            entries.make_room(_SERVICE_LIMIT, 10, now)
        entries.put(name, stored, deadline)

    def _write(self, items: Mapping[str, Stored], ttl: float | None) -> list[str]:
        now = time.monotonic()
        with self._lock:
            for name, stored in items.items():
                self._put(name, stored, _deadline(now, ttl), now)
        return []

    def _add(self, name: str, stored: Stored, ttl: float | None) -> bool:
        now = time.monotonic()
        with self._lock:
            if self._shelf.entries(name).get(name, now) is not None:
                return False
            self._put(name, stored, _deadline(now, ttl), now)
        return True

    def _swap(self, name: str, expected: Stored, stored: Stored | None, ttl: float | None) -> bool:
        now = time.monotonic()
        with self._lock:
            entries = self._shelf.entries(name)
            current = entries.get(name, now)
            if current is not expected and (type(current) is not type(expected) or current != expected):
                return False
            if stored is None:
                entries.drop(name)
            else:
                entries.put(name, stored, _deadline(now, ttl))
        return True

    def _touch(self, name: str, ttl: float | None) -> bool:
        now = time.monotonic()
        with self._lock:
            entries = self._shelf.entries(name)
            if entries.get(name, now) is None:
                return False
            entries.retime(name, _deadline(now, ttl))
        return True

    def _remove(self, names: Sequence[str]) -> int:
        now, removed = time.monotonic(), 0
        with self._lock:
            for name in names:
                entries = self._shelf.entries(name)
                removed += entries.get(name, now) is not None
                entries.drop(name)
        return removed

    def _increment(self, name: str, delta: int) -> int | None:
        now = time.monotonic()
        with self._lock:
            entries = self._shelf.entries(name)
            value = entries.get(name, now)
            if type(value) is not int:
                return None
            value += delta
            entries.stored[name] = value
            entries.stored.move_to_end(name)
        return value

    def _ttl(self, name: str) -> float | None:
        now = time.monotonic()
        with self._lock:
            entries = self._shelf.entries(name)
            if entries.get(name, now) is None:
                return 0.0
            deadline = entries.deadlines[name]
        return None if deadline is None else deadline - now

    def _clear(self, prefix: str | None) -> None:
        for shelf in [self._shelf] if prefix is not None else _shelves_of(self._location):
            with shelf.lock:
                shelf.values.clear()
                shelf.services.clear()


def _deadline(now: float, ttl: float | None) -> float | None:
    return None if ttl is None else now + ttl
