"""The file store: one file for each entry, in 256 directories, shared by all processes of a machine."""

from __future__ import annotations

import os
import pickle
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b, md5
from io import BytesIO
from math import inf
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

from cacheplus.backends.base import BaseCache
from cacheplus.backends.file_directory import SUFFIX, Directory, Seen
from cacheplus.backends.file_entry import Entry
from cacheplus.codecs.record import COUNTABLE
from cacheplus.store import SERVICE_MARK, Stored

_VALUES = "values"
_SERVICES = "services"
_PARTS = 256
_SERVICE_LIMIT = 50_000
# From here on each part is counted and culled by itself, so that a write lists a few files and never all of them.
_LARGE = 8 * _PARTS
# The time of a file that has no end: the year 2200.
_FOREVER = 7_258_118_400.0


class _Counts:
    """How many entries there are in each group of parts, as far as this process knows; shared by its threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[Path, int] = {}

    def grown(self, group: Path) -> int | None:
        """The number of entries after one more was added; None = never listed."""
        with self._lock:
            if group not in self._counts:
                return None
            self._counts[group] += 1
            return self._counts[group]

    def set(self, group: Path, number: int) -> None:
        """What a listing has shown."""
        with self._lock:
            self._counts[group] = number


_counts = _Counts()


class FileBasedCache(BaseCache):
    """A cache in a directory. LOCATION is its path, which has to be ours alone."""

    is_persistent: ClassVar[bool] = True
    faults: tuple[type[BaseException], ...] = (OSError,)
    cache_suffix = SUFFIX

    def __init__(self, location: str | os.PathLike[str], params: dict[str, Any]) -> None:
        super().__init__(location, params)
        self._dir = os.path.abspath(location)  # noqa: PTH100 - Path.resolve would follow links
        self._directory = Directory(Path(self._dir))

    # Places

    def _path(self, name: str) -> Path:
        digest = blake2b(name.encode(errors="surrogatepass"), digest_size=20).hexdigest()
        kind = _SERVICES if SERVICE_MARK in name else _VALUES
        return self._directory.root / kind / digest[:2] / f"{digest}{SUFFIX}"

    def _key_to_file(self, key: Any, version: Any = None) -> str:
        return str(self._path(self.make_and_validate_key(key, version=version)))

    def _parts(self, kind: str) -> Iterator[Path]:
        return (self._directory.root / kind / f"{number:02x}" for number in range(_PARTS))

    # Entries

    def _entry(self, name: str, now: float) -> Entry | None:
        """The live entry of `name`."""
        path = self._path(name)
        content = self._directory.read(path)
        if content is None:
            return self._django_entry(name, now) if self.options.accept_django else None
        entry = Entry.unpack(content)
        return entry if entry is not None and entry.name == name and entry.is_live(now) else None

    def _put(self, entry: Entry) -> None:
        """Write an entry; where that fails, what stood there before is gone too."""
        path = self._path(entry.name)
        try:
            if not path.exists():
                self._make_room(path.parent)
            self._directory.write(path, entry.pack(), min(entry.expires_at, _FOREVER))
        except OSError:
            with suppress(OSError):
                self._directory.remove(path)
            raise

    def _make_room(self, part: Path) -> None:
        """Before an insert into `part`: at the limit drop what has expired, then what ends soonest.

        The limit holds for all parts together, or for each by itself where there are many entries.
        """
        limit = self._max_entries if part.parent.name == _VALUES else _SERVICE_LIMIT
        is_large = limit >= _LARGE
        group, limit = (part, limit // _PARTS) if is_large else (part.parent, limit)
        number = _counts.grown(group)
        if number is not None and number <= limit:
            return
        parts = [part] if is_large else self._parts(part.parent.name)
        left = self._cull([seen for each in parts for seen in self._directory.listing(each)], limit)
        _counts.set(group, left + 1)

    def _cull(self, entries: list[Seen], limit: int) -> int:
        """Delete some of `entries` if there are `limit` of them; return how many are left."""
        if len(entries) < limit:
            return len(entries)
        now = time.time()
        live = sorted((seen for seen in entries if seen.expires_at > now), key=lambda seen: seen.expires_at)
        surplus = len(live) if self._cull_frequency == 0 else max(1, len(live) // self._cull_frequency)
        kept = live if len(live) < limit else live[surplus:]
        for seen in {*entries}.difference(kept):
            self._directory.remove(seen.path)
        return len(kept)

    def _read(self, names: Sequence[str]) -> dict[str, Stored]:
        now = time.time()
        entries = ((name, self._entry(name, now)) for name in names)
        return {name: entry.stored for name, entry in entries if entry is not None}

    def _write(self, items: Mapping[str, Stored], ttl: float | None) -> list[str]:
        for name, stored in items.items():
            with self._directory.locked(self._path(name).parent):
                self._put(Entry.new(name, stored, ttl, time.time()))
        return []

    def _add(self, name: str, stored: Stored, ttl: float | None) -> bool:
        with self._directory.locked(self._path(name).parent):
            if self._entry(name, time.time()) is not None:
                return False
            self._put(Entry.new(name, stored, ttl, time.time()))
        return True

    def _swap(self, name: str, expected: Stored, stored: Stored | None, ttl: float | None) -> bool:
        path = self._path(name)
        with self._directory.locked(path.parent):
            entry = self._entry(name, time.time())
            if entry is None or entry.stored != expected:
                return False
            if stored is None:
                self._directory.remove(path)
            else:
                self._put(Entry.new(name, stored, ttl, time.time()))
        return True

    def _touch(self, name: str, ttl: float | None) -> bool:
        with self._directory.locked(self._path(name).parent):
            entry = self._entry(name, time.time())
            if entry is None:
                return False
            self._put(Entry.new(name, entry.stored, ttl, time.time()))
        return True

    def _remove(self, names: Sequence[str]) -> int:
        removed = 0
        for name in names:
            path = self._path(name)
            if not path.parent.exists() and not self.options.accept_django:
                continue
            with self._directory.locked(path.parent):
                removed += self._entry(name, time.time()) is not None
                self._directory.remove(path)
                self._directory.remove(self._django_path(name))
        return removed

    def _increment(self, name: str, delta: int) -> int | None:
        with self._directory.locked(self._path(name).parent):
            entry = self._entry(name, time.time())
            if entry is None or not isinstance(entry.stored, int):
                return None
            value = entry.stored + delta
            if value not in COUNTABLE:
                return None
            self._put(entry._replace(stored=value))
        return value

    def _ttl(self, name: str) -> float | None:
        now = time.time()
        entry = self._entry(name, now)
        return 0.0 if entry is None else entry.ttl(now)

    def _clear(self, prefix: str | None) -> None:
        for part in (*self._parts(_VALUES), *self._parts(_SERVICES)):
            if part.exists():
                with self._directory.locked(part):
                    for seen in self._directory.listing(part):
                        if prefix is None or self._begins(seen.path, prefix):
                            self._directory.remove(seen.path)
        for seen in self._directory.listing(self._directory.root):
            # What Django left here: its names are hashes, so that no prefix can be told.
            self._directory.remove(seen.path)

    def _begins(self, path: Path, prefix: str) -> bool:
        content = self._directory.read(path)
        entry = None if content is None else Entry.unpack(content)
        return entry is None or entry.name.startswith(prefix)

    # What Django wrote

    def _django_path(self, name: str) -> Path:
        digest = md5(name.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
        return self._directory.root / f"{digest}{SUFFIX}"

    def _django_entry(self, name: str, now: float) -> Entry | None:
        """An entry of Django's: the pickle of its end, then the compressed pickle of its value."""
        content = self._directory.read(self._django_path(name))
        if not content:
            return None
        file = BytesIO(content)
        try:
            expires_at = pickle.load(file)
        except Exception:  # noqa: BLE001 - a damaged entry is none
            return None
        entry = Entry(name, now, inf if expires_at is None else float(expires_at), file.read())
        return entry if entry.is_live(now) else None

    def _read_foreign(self, stored: bytes) -> Any:
        return pickle.loads(zlib.decompress(stored))
