"""The file store: one file for each entry, in 256 directories, shared by all processes of a machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from hashlib import blake2b
from math import inf
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from cacheplus.backends.base import BaseCache
from cacheplus.backends.directories import check_private
from cacheplus.backends.file_directory import PATIENCE, SUFFIX, Directory
from cacheplus.backends.file_django import django_entry, django_path
from cacheplus.backends.file_entry import Entry, head_size, may_begin
from cacheplus.backends.file_room import Limit, Room
from cacheplus.backends.moment import Moment
from cacheplus.backends.options import SECONDS, Option, value_of
from cacheplus.codecs.compressors import ZlibCompressor
from cacheplus.codecs.record import COUNTABLE
from cacheplus.store import SERVICE_MARK, Stored

K = TypeVar("K")
T = TypeVar("T")

_VALUES = "values"
_SERVICES = "services"
# Stamps and locks do not count to MAX_ENTRIES. The oldest go first: a lock is young, and must not go before its time.
_SERVICE_LIMIT = Limit(50_000, 10, by_age=True)
# The time of a file that has no end: the year 2200.
_FOREVER = 7_258_118_400.0


class FileBasedCache(BaseCache):
    """A cache in a directory. LOCATION is its path, which has to be ours alone."""

    is_persistent: ClassVar[bool] = True
    extra_options: ClassVar[Mapping[str, Option]] = {
        "LOCK_TIMEOUT": Option(PATIENCE, "a number of seconds above 0", SECONDS),
    }
    faults: tuple[type[BaseException], ...] = (OSError,)
    cache_suffix = SUFFIX

    def __init__(self, location: str | os.PathLike[str], params: dict[str, Any]) -> None:
        super().__init__(location, params)
        self._dir = os.path.abspath(location)  # noqa: PTH100 - Path.resolve would follow links
        patience = value_of(self._client_options, "LOCK_TIMEOUT", self.extra_options)
        self._directory = Directory(Path(self._dir), patience)
        self._rooms = {kind: Room(self._directory, kind) for kind in (_VALUES, _SERVICES)}

    # Places

    def _path(self, name: str) -> Path:
        digest = blake2b(name.encode(errors="surrogatepass"), digest_size=20).hexdigest()
        return self._directory.path(_SERVICES if SERVICE_MARK in name else _VALUES, digest)

    def _key_to_file(self, key: Any, version: Any = None) -> str:
        return str(self._path(self.make_and_validate_key(key, version=version)))

    def _room(self, path: Path) -> tuple[Room, Limit]:
        kind = path.parent.parent.name
        limit = Limit(self._max_entries, self._cull_frequency) if kind == _VALUES else _SERVICE_LIMIT
        return self._rooms[kind], limit

    @property
    def _accepts_django(self) -> bool:
        """What Django wrote are pickles, which are loaded where they are asked for by name."""
        return self.options.accept_django and self.options.serializer == "pickle"

    # Entries

    def _entry(self, name: str, now: Moment) -> Entry | None:
        """The live entry of `name`."""
        content = self._directory.read(self._path(name))
        if content is not None:
            entry = Entry.unpack(content)
        elif self._accepts_django:
            entry = django_entry(self._directory, name, now)
        else:
            return None
        return entry if entry is not None and entry.name == name and entry.left(now) > 0 else None

    def _adding(self, path: Path, patience: float | None = None) -> AbstractContextManager[None]:
        """Alone in the part of `path`, with room for it."""
        room, limit = self._room(path)
        return room.adding(path, limit, time.time(), patience)

    def _removing(self, path: Path, patience: float | None = None) -> AbstractContextManager[None]:
        """Alone in the part of `path`, to delete it."""
        room, limit = self._room(path)
        return room.removing(path, limit, patience)

    def _put(self, entry: Entry) -> None:
        """Write an entry, with the lock of its part."""
        self._directory.write(self._path(entry.name), entry.pack(), min(entry.ends_at, _FOREVER))
        if self._accepts_django:
            # Or it would be back as soon as ours is gone.
            self._directory.remove(django_path(self._directory.root, entry.name))

    def _unlink(self, name: str) -> None:
        """Delete what stands for `name`, whatever it is."""
        self._directory.remove(self._path(name))
        if self._accepts_django:
            self._directory.remove(django_path(self._directory.root, name))

    # Primitives

    def _read(self, names: Sequence[str]) -> dict[str, Stored]:
        now = Moment.at(time.time())
        entries = ((name, self._entry(name, now)) for name in names)
        return {name: entry.stored for name, entry in entries if entry is not None}

    def _write(self, items: Mapping[str, Stored], ttl: float | None) -> list[str]:
        _each(items, lambda name, patience: self._set(name, items[name], ttl, patience))
        return []

    def _set(self, name: str, stored: Stored, ttl: float | None, patience: float | None) -> None:
        try:
            with self._adding(self._path(name), patience):
                self._put(Entry.new(name, stored, ttl, Moment.at(time.time())))
        except OSError:
            # What stood there before must not outlive a call that was to replace it.
            with suppress(OSError):
                self._unlink(name)
            raise

    def _add(self, name: str, stored: Stored, ttl: float | None) -> bool:
        with self._adding(self._path(name)):
            now = Moment.at(time.time())
            if self._entry(name, now) is not None:
                return False
            self._put(Entry.new(name, stored, ttl, now))
        return True

    def _swap(self, name: str, expected: Stored, stored: Stored | None, ttl: float | None) -> bool:
        with self._removing(self._path(name)):
            now = Moment.at(time.time())
            entry = self._entry(name, now)
            if entry is None or entry.stored != expected:
                return False
            if stored is None:
                self._unlink(name)
            else:
                self._put(Entry.new(name, stored, ttl, now))
        return True

    def _touch(self, name: str, ttl: float | None) -> bool:
        with self._directory.locked(self._path(name).parent):
            now = Moment.at(time.time())
            entry = self._entry(name, now)
            if entry is None:
                return False
            self._put(Entry.new(name, entry.stored, ttl, now))
        return True

    def _remove(self, names: Sequence[str]) -> int:
        return sum(_each(names, self._drop))

    def _drop(self, name: str, patience: float | None) -> bool:
        """Delete the entry of `name`; whether it was live."""
        path = self._path(name)
        places = [path, django_path(self._directory.root, name)] if self._accepts_django else [path]
        if not any(map(os.path.lexists, places)):
            return False
        try:
            with self._removing(path, patience):
                is_live = self._entry(name, Moment.at(time.time())) is not None
                self._unlink(name)
        except TimeoutError:
            # Nobody knows when the lock comes free, and meanwhile the entry must not be served.
            self._unlink(name)
            raise
        return is_live

    def _increment(self, name: str, delta: int) -> int | None:
        with self._directory.locked(self._path(name).parent):
            entry = self._entry(name, Moment.at(time.time()))
            if entry is None or not isinstance(entry.stored, int):
                return None
            value = entry.stored + delta
            if value not in COUNTABLE:
                return None
            self._put(entry._replace(stored=value))
        return value

    def _ttl(self, name: str) -> float | None:
        now = Moment.at(time.time())
        entry = self._entry(name, now)
        left = 0.0 if entry is None else entry.left(now)
        return None if left == inf else left

    def _clear(self, prefix: str | None) -> None:
        try:
            check_private(self._directory.root)
        except FileNotFoundError:
            return
        for path in self._directory.listing(self._directory.root, alone=False):
            # Django's: its names are hashes, so that no prefix can be told.
            self._directory.remove(path)
        parts = [part for kind in self._rooms for part in self._directory.parts(kind) if part.exists()]
        left = dict(
            zip(parts, _each(parts, lambda part, patience: self._clear_part(part, prefix, patience)), strict=True)
        )
        for kind, room in self._rooms.items():
            room.recount(sum(number for part, number in left.items() if part.parent.name == kind))

    def _clear_part(self, part: Path, prefix: str | None, patience: float | None) -> int:
        """`_clear` one part; return how many entries are left."""
        with self._directory.locked(part, patience) as tally:
            paths = self._directory.listing(part, alone=True)
            goners = paths if prefix is None else [path for path in paths if self._may_begin(path, prefix)]
            tally.number = len(paths) - sum(map(self._directory.remove, goners))
            return tally.number

    def _may_begin(self, path: Path, prefix: str) -> bool:
        head = self._directory.read(path, head_size(prefix))
        return head is None or may_begin(head, prefix)

    def _read_foreign(self, stored: bytes) -> Any:
        return self._load_django(ZlibCompressor().decompress(stored, self.options.max_bytes_decoded))


def _each(things: Iterable[K], work: Callable[[K, float | None], T]) -> list[T]:
    """`work(thing, patience)` for all `things`, and then the first error of any is raised.

    Once a lock did not come free there is no patience left: what else is busy fails at once.
    """
    results: list[T] = []
    first: OSError | None = None
    patience: float | None = None
    for thing in things:
        try:
            results.append(work(thing, patience))
        except OSError as error:
            first = first or error
            patience = 0.0 if isinstance(error, TimeoutError) else patience
    if first is not None:
        raise first
    return results
