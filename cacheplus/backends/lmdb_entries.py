"""The entries of an lmdb store, and the index that knows which of them goes first.

An entry is kept under the UTF-8 bytes of its name and begins with its rank: 8 bytes, big-endian, that sort by what has
to go first. A rank is the deadline in microseconds of the store's clock, or, above 2**63, when something without a
deadline was stored. The index holds rank + key for each entry, so that the first of it goes first; stamps, fences and
locks have an index of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from math import ceil
from typing import Any, NamedTuple

from cacheplus.backends.lmdb_clock import MICROSECONDS
from cacheplus.store import SERVICE_MARK

# Looks a key up in the entries.
Look = Callable[[bytes], bytes | None]

RANK = 8
_FOREVER = 1 << 63
_LONGEST_TTL = 9e12

# LMDB's keys have at most 511 bytes, and those of the index begin with a rank.
_LONGEST_KEY = 511 - RANK
_DIGEST = 20
_HEAD = _LONGEST_KEY - _DIGEST - 1
# Bytes that UTF-8 does not have: no name can be taken for a digest.
_CUT, _CUT_SERVICE = b"\xff", b"\xfe"
_MARK = SERVICE_MARK.encode()
_LENGTH = 4


class Key(NamedTuple):
    """Where a name is kept. One that is too long for a key is cut and digested, and written out as a `label`."""

    key: bytes
    label: bytes

    @classmethod
    def of(cls, name: str) -> Key:
        """The place of `name`, whatever its length and its characters."""
        key = name.encode(errors="surrogatepass")
        if 0 < len(key) <= _LONGEST_KEY:
            return cls(key, b"")
        cut = _CUT_SERVICE if _MARK in key else _CUT
        digest = blake2b(key, digest_size=_DIGEST).digest()
        return cls(key[:_HEAD] + cut + digest, len(key).to_bytes(_LENGTH, "big") + key)


def rank_of(ttl: float | None, now: int) -> bytes:
    """The rank of what is stored `now` for `ttl` seconds, rounded up."""
    rank = _FOREVER + now if ttl is None else now + ceil(min(ttl, _LONGEST_TTL) * MICROSECONDS)
    return rank.to_bytes(RANK, "big")


def over(now: int) -> bytes:
    """The highest rank of what has expired."""
    return now.to_bytes(RANK, "big")


def ttl_of(rank: bytes, now: int) -> float | None:
    """Seconds left of what has `rank`; None for ever."""
    deadline = int.from_bytes(rank, "big")
    return None if deadline >= _FOREVER else (deadline - now) / MICROSECONDS


class Entry(NamedTuple):
    """What lives under a name."""

    rank: bytes
    wire: bytes


def look(get: Look, name: str, expired: bytes) -> Entry | None:
    """What lives under `name`, above the rank `expired`; `get` looks a key up in the entries."""
    key, label = Key.of(name)
    data = get(key)
    if data is None or data[:RANK] <= expired or not data.startswith(label, RANK):
        return None
    return Entry(data[:RANK], data[RANK + len(label) :])


class Tables(NamedTuple):
    """The three databases of a store: entries by key, and the indexes of ordinary ones and of services."""

    entries: Any
    ordinary: Any
    services: Any

    def index_of(self, key: bytes) -> Any:
        """The index that a key belongs to."""
        return self.services if _is_service(key) else self.ordinary


class Entries:
    """The entries and their indexes, in step, within one write transaction at the time `now`."""

    def __init__(self, txn: Any, tables: Tables, now: int) -> None:
        self._txn = txn
        self._tables = tables
        self.now = now
        self._over = over(now)

    def get(self, name: str) -> Entry | None:
        """What lives under `name`."""
        return look(self._get, name, self._over)

    def _get(self, key: bytes) -> bytes | None:
        found: bytes | None = self._txn.get(key, db=self._tables.entries)
        return found

    def put(self, name: str, rank: bytes, wire: bytes) -> None:
        """Store, in the place of what was there."""
        key, label = Key.of(name)
        before = self._txn.replace(key, rank + label + wire, db=self._tables.entries)
        index = self._tables.index_of(key)
        if before is not None and before[:RANK] != rank:
            self._txn.delete(before[:RANK] + key, db=index)
        self._txn.put(rank + key, b"", db=index)

    def drop(self, name: str) -> bool:
        """Delete; whether something lived there."""
        data = self._drop(Key.of(name).key)
        return data is not None and data[:RANK] > self._over

    def _drop(self, key: bytes) -> bytes | None:
        data: bytes | None = self._txn.pop(key, db=self._tables.entries)
        if data is not None:
            self._txn.delete(data[:RANK] + key, db=self._tables.index_of(key))
        return data

    # Making room

    def pages(self) -> int:
        """How many pages of the map are in use by what is stored."""
        stats = [self._txn.stat(table) for table in self._tables]
        return sum(stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in stats)

    def count(self, *, services: bool = False) -> int:
        """How many entries there are, those included that expired and were not deleted yet."""
        found: int = self._txn.stat(self._index(services))["entries"]
        return found

    def cull(self, most: int, *, services: bool = False, size: int = 0, expired_only: bool = False) -> int:
        """Delete up to `most` entries, those that go first; stop at `size` bytes, if given. Return how many went."""
        index, gone, freed = self._index(services), 0, 0
        with self._txn.cursor(db=index) as cursor:
            while gone < most and cursor.first():
                ranked = cursor.key()
                if expired_only and ranked[:RANK] > self._over:
                    break
                # Not through the cursor: its delete() hides what is wrong with a damaged page.
                self._txn.delete(ranked, db=index)
                freed += len(self._txn.pop(ranked[RANK:], db=self._tables.entries) or b"")
                gone += 1
                if size and freed >= size:
                    break
        return gone

    def _index(self, services: bool) -> Any:
        return self._tables.services if services else self._tables.ordinary

    # Clearing

    def sweep(self, prefix: str, start: bytes, most: int) -> bytes | None:
        """Delete what begins with `prefix`, up to `most` entries from key `start` on (empty: from the first).

        Return where to go on, or None at the end.
        """
        wanted = prefix.encode(errors="surrogatepass")
        shared = wanted[:_HEAD]
        keys: list[bytes] = []
        with self._txn.cursor(db=self._tables.entries) as cursor:
            is_there = cursor.set_range(start or shared) if start or shared else cursor.first()
            while is_there and len(keys) < most and cursor.key().startswith(shared):
                keys.append(cursor.key())
                is_there = cursor.next()
            rest = cursor.key() if is_there and cursor.key().startswith(shared) else None
        for key in keys:
            if key.startswith(wanted) or (len(wanted) > _HEAD and self._label(key).startswith(wanted)):
                self._drop(key)
        return rest

    def _label(self, key: bytes) -> bytes:
        """The whole name of a key that was cut; empty for any other."""
        if key[_HEAD : _HEAD + 1] not in (_CUT, _CUT_SERVICE):
            return b""
        data = self._get(key) or b""
        start = RANK + _LENGTH
        return data[start : start + int.from_bytes(data[RANK:start], "big")]

    def clear(self) -> None:
        """Delete everything."""
        for table in self._tables:
            self._txn.drop(table, delete=False)


def _is_service(key: bytes) -> bool:
    return _MARK in key or key[-_DIGEST - 1 : -_DIGEST] == _CUT_SERVICE
