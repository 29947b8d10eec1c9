"""The embedded store: a memory map that all processes of a machine share, without a server, across restarts."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from cacheplus.backends.base import BaseCache
from cacheplus.backends.options import SECONDS, Option, value_of
from cacheplus.codecs.extras import import_extra
from cacheplus.codecs.record import from_wire, to_wire
from cacheplus.store import SERVICE_MARK, Stored

try:
    from cacheplus.backends import lmdb_files as files
    from cacheplus.backends.lmdb_entries import Entries, Look, look, over, rank_of, ttl_of
    from cacheplus.backends.lmdb_registry import stores
    from cacheplus.backends.lmdb_room import BATCH, OVERHEAD, Room
    from cacheplus.backends.lmdb_store import FAULTS, Limits, MapFull
except ModuleNotFoundError as error:
    # The backend says so when it is built, with the line that installs the library.
    if error.name != "lmdb":
        raise

_SMALLEST_MAP = 2**20
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


def _is_map_size(value: object) -> bool:
    return type(value) is int and value >= _SMALLEST_MAP


class LMDBCache(BaseCache):
    """A cache in the directory LOCATION, through LMDB.

    It is bounded by MAP_SIZE, and by MAX_ENTRIES only where that is given. Reads wait for nobody; a write waits
    LOCK_TIMEOUT for the others, and then fails with TimeoutError.
    """

    is_persistent: ClassVar[bool] = True
    # A read is a look into memory and is done where it is asked for, in a coroutine too. A write may wait for another
    # process: is_blocking stays True, and it takes the hop.
    is_native_async: ClassVar[bool] = True
    extra_options: ClassVar[Mapping[str, Option]] = {
        "MAP_SIZE": Option(256 * 2**20, f"a whole number of bytes, {_SMALLEST_MAP} or more", _is_map_size),
        "LOCK_TIMEOUT": Option(0.5, "a number of seconds above 0", SECONDS),
    }

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        super().__init__(location, params)
        import_extra("lmdb", "lmdb")
        if not isinstance(location, str | os.PathLike) or not os.fspath(location):
            raise ImproperlyConfigured(
                f"The LOCATION of an LMDBCache, {location!r}, is no directory. Set it to the path of one, such as "
                "BASE_DIR / 'cache'."
            )
        map_size, wait = (value_of(self._client_options, name, self.extra_options) for name in self.extra_options)
        self.faults = FAULTS
        self._limits = Limits(-(-map_size // mmap.PAGESIZE) * mmap.PAGESIZE, wait)
        self._store = stores.store_at(location)
        if "max_entries" not in params and "MAX_ENTRIES" not in self._client_options:
            # Django's default of 300 is for stores that look at every entry when they are full.
            self._max_entries = sys.maxsize

    # Reading

    def _read(self, names: Sequence[str]) -> dict[str, Stored]:
        return self._store.read(partial(_find, names), self._limits)

    def _ttl(self, name: str) -> float | None:
        return self._store.read(partial(_ttl_left, name), self._limits)

    async def _aread(self, names: Sequence[str]) -> dict[str, Stored]:
        # Opening the store may take a while.
        return self._read(names) if self._store.is_open else await super()._aread(names)

    async def _attl(self, name: str) -> float | None:
        return self._ttl(name) if self._store.is_open else await super()._attl(name)

    # Writing

    def _write(self, items: Mapping[str, Stored], ttl: float | None) -> list[str]:
        wires = {name: to_wire(stored) for name, stored in items.items()}
        fitting = {name: wire for name, wire in wires.items() if len(wire) <= self._limits.largest}
        if _volume(fitting) > self._limits.largest or not self._put(fitting, ttl):
            fitting = {name: wire for name, wire in fitting.items() if self._put({name: wire}, ttl)}
        return [name for name in wires if name not in fitting]

    def _put(self, wires: Mapping[str, bytes], ttl: float | None) -> bool:
        """Store all of `wires`; False where they find no room."""

        def put(entries: Entries, room: Room) -> None:
            rank = rank_of(ttl, entries.now)
            for name, wire in wires.items():
                self._make_room(entries, room, name, len(wire))
                entries.put(name, rank, wire)

        with suppress(MapFull):
            self._store.write(put, self._limits, _volume(wires))
            return True
        return False

    def _make_room(self, entries: Entries, room: Room, name: str, size: int) -> None:
        is_service = SERVICE_MARK in name
        room.make(entries, size, is_service=is_service, most=self._max_entries, frequency=self._cull_frequency)

    def _add(self, name: str, stored: Stored, ttl: float | None) -> bool:
        return name in self._add_many({name: stored}, ttl)

    def _add_many(self, items: Mapping[str, Stored], ttl: float | None) -> set[str]:
        wires = {name: to_wire(stored) for name, stored in items.items()}

        def add(entries: Entries, room: Room) -> set[str]:
            rank, added = rank_of(ttl, entries.now), set()
            for name, wire in wires.items():
                if len(wire) <= self._limits.largest and entries.get(name) is None:
                    self._make_room(entries, room, name, len(wire))
                    entries.put(name, rank, wire)
                    added.add(name)
            return added

        with suppress(MapFull):
            return self._store.write(add, self._limits, _volume(wires))
        return set()

    def _swap(self, name: str, expected: Stored, stored: Stored | None, ttl: float | None) -> bool:
        wire = None if stored is None else to_wire(stored)

        def swap(entries: Entries, _room: Room) -> bool:
            found = entries.get(name)
            if found is None or found.wire != to_wire(expected):
                return False
            if wire is None or len(wire) > self._limits.largest:
                entries.drop(name)
            else:
                entries.put(name, rank_of(ttl, entries.now), wire)
            return wire is None or len(wire) <= self._limits.largest

        return self._store.write(swap, self._limits, len(wire or b""))

    def _touch(self, name: str, ttl: float | None) -> bool:
        def touch(entries: Entries, _room: Room) -> bool:
            found = entries.get(name)
            if found is None:
                return False
            entries.put(name, rank_of(ttl, entries.now), found.wire)
            return True

        return self._store.write(touch, self._limits)

    def _remove(self, names: Sequence[str]) -> int:
        return self._store.write(lambda entries, _room: sum([entries.drop(name) for name in names]), self._limits)

    def _increment(self, name: str, delta: int) -> int | None:
        def increment(entries: Entries, _room: Room) -> int | None:
            found = entries.get(name)
            before = found and from_wire(found.wire)
            if found is None or not isinstance(before, int):
                return None
            value = before + delta
            if not _INT_MIN <= value <= _INT_MAX:
                return None
            entries.put(name, found.rank, to_wire(value))
            return value

        return self._store.write(increment, self._limits)

    def _clear(self, prefix: str | None) -> None:
        if prefix is None:
            self._store.write(lambda entries, _room: entries.clear(), self._limits)
            return
        start: bytes | None = b""
        while start is not None:
            # In steps, so that nobody waits too long for the lock.
            start = self._store.write(partial(_sweep, prefix, start), self._limits)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """As of every backend; E141 for a LOCATION on the file system of another machine."""
        return [*super().check(**kwargs), *self._check_filesystem()]

    def _check_filesystem(self) -> Iterator[checks.CheckMessage]:
        kind = files.filesystem_of(self._store.files.directory)
        if kind in files.REMOTE:
            yield checks.Error(
                f"The LOCATION of your {self.alias!r} cache lies on {kind}, where processes cannot share memory.",
                hint="Set it to a directory on a disk of this machine, or use a store that has a server.",
                id="cacheplus.E141",
            )


def _volume(wires: Mapping[str, bytes]) -> int:
    """Bytes that `wires` take in the store, about."""
    return sum(len(wire) + 4 * len(name) + OVERHEAD for name, wire in wires.items())


def _find(names: Sequence[str], get: Look, now: int) -> dict[str, Stored]:
    expired = over(now)
    return {name: from_wire(found.wire) for name in names if (found := look(get, name, expired)) is not None}


def _ttl_left(name: str, get: Look, now: int) -> float | None:
    found = look(get, name, over(now))
    return 0.0 if found is None else ttl_of(found.rank, now)


def _sweep(prefix: str, start: bytes, entries: Entries, _room: Room) -> bytes | None:
    return entries.sweep(prefix, start, BATCH)
