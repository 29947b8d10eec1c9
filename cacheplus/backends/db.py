"""The database store: Django's cache table, on SQLite, PostgreSQL, MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from random import random
from typing import Any, ClassVar

from django.core import checks
from django.core.cache.backends.base import BaseCache as DjangoBaseCache
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.cache.backends.db import Options as ModelOptions
from django.db import Error, connections, router

from cacheplus.backends.base import BaseCache
from cacheplus.backends.db_rows import LONGEST_PREFIX, from_text, to_text
from cacheplus.backends.db_sql import Row
from cacheplus.backends.db_table import CacheTable
from cacheplus.backends.options import SECONDS, SHARE, Option, value_of
from cacheplus.store import SERVICE_MARK, Stored

# A statement is kept below what every server takes, whatever its settings.
_MOST_BYTES = 1 << 20
_BIGINT = 1 << 63

# How often a write looks at the size of the table, where nobody says: this many times while it fills up once.
_LOOKS = 50
# Stamps and locks have a bound of their own, far above what a site of MAX_ENTRIES pages needs.
_SERVICE_ROWS = 50_000
_SERVICE_FREQUENCY = 10
_NO_LIMIT = 2**31 - 1


class _DjangosType(BaseDatabaseCache):
    """What `createcachetable` looks for. Its constructor takes what the next in line is called with."""

    def __init__(self, params: dict[str, Any]) -> None:
        DjangoBaseCache.__init__(self, params)


class DatabaseCache(BaseCache, _DjangosType):
    """A cache in a table of the site's database. LOCATION is the name of the table, which `createcachetable` makes.

    It uses the request's own connection: what is written inside a transaction is seen by others when that commits, and
    gone when it rolls back. Every change is one statement, in a savepoint where there is a transaction.
    """

    is_persistent: ClassVar[bool] = True
    is_thread_sensitive: ClassVar[bool] = True
    extra_options: ClassVar[Mapping[str, Option]] = {
        "CULL_PROBABILITY": Option(
            None,
            "a number from 0 to 1, the share of writes that look at the size of the table, or None",
            lambda value: value is None or SHARE(value),
        ),
        "LOCK_TIMEOUT": Option(0.5, "a number of seconds above 0", SECONDS),
    }
    faults = (Error, OSError)

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(location, params)
        self._table = location
        # Routers are asked with this, which quacks like a model.
        self.cache_model_class = type("CacheEntry", (), {"_meta": ModelOptions(location)})
        self._tables: dict[str, CacheTable] = {}

    def _read_foreign(self, stored: bytes) -> Any:
        return self._load_django(stored)

    # The table, and what is said to it

    def _on(self, database: str) -> CacheTable:
        """The table on a database, by the connection of the current thread."""
        connection = connections[database]
        table = self._tables.get(database)
        if table is None or table.connection is not connection:
            table = self._tables[database] = CacheTable(
                connection, self._table, self.alias, value_of(self._client_options, "LOCK_TIMEOUT", self.extra_options)
            )
        return table

    @property
    def _leader(self) -> CacheTable:
        return self._on(router.db_for_write(self.cache_model_class))

    def _readers(self, names: Sequence[str]) -> Iterator[tuple[CacheTable, Sequence[str]]]:
        """Where to read each of `names`: stamps, fences and locks from the leader, whose word they are."""
        follower = self._on(router.db_for_read(self.cache_model_class))
        services = [name for name in names if SERVICE_MARK in name]
        leader = self._leader if services else follower
        if not services or (leader is follower and not leader.reads_snapshot):
            yield follower, names
            return
        yield follower, [name for name in names if SERVICE_MARK not in name]
        # A stamp that others may have deleted since proves nothing, and one that is missing never matches.
        if not leader.reads_snapshot:
            yield leader, services

    def _key(self, table: CacheTable, name: str) -> str:
        return table.key(name, str(self.key_prefix))

    def _keys(self, table: CacheTable, names: Iterable[str]) -> dict[str, str]:
        """From the key column to the name."""
        return {self._key(table, name): name for name in names}

    def is_lasting(self) -> bool:
        """Not while a transaction may still be rolled back, and with it what was deleted."""
        return not self._leader.connection.in_atomic_block

    # The primitives

    def _read(self, names: Sequence[str]) -> dict[str, Stored]:
        found = {}
        for table, group in self._readers(names):
            now, keys = table.now(), self._keys(table, group)
            expired = []
            for chunk in _chunks(list(keys), table.most_params - 1):
                for key, text in table.read(table.statements.read(chunk, now)):
                    if text is None:
                        expired.append(key)
                    elif key in keys:
                        found[keys[key]] = from_text(text)
            self._discard_met(table, expired, now)
        return found

    def _discard_met(self, table: CacheTable, expired: Sequence[str], now: Any) -> None:
        """Delete the expired rows that a read came upon, where that can wait for nobody."""
        if not expired or table is not self._leader:
            return
        if table.statements.dialect.skips_locked or table.connection.vendor == "sqlite":
            table.attempt(table.statements.discard_expired(expired[: table.most_params // 2], now))

    def _write(self, items: Mapping[str, Stored], ttl: float | None) -> list[str]:
        table = self._leader
        self._make_room(table, len(items))
        stored: set[str] = set()
        for rows in self._rows(table, items, ttl):
            table.execute(table.statements.write(rows))
            stored.update(row.key for row in rows)
        return [name for key, name in self._keys(table, items).items() if key not in stored]

    def _add(self, name: str, stored: Stored, ttl: float | None) -> bool:
        return bool(self._add_many({name: stored}, ttl))

    def _add_many(self, items: Mapping[str, Stored], ttl: float | None) -> set[str]:
        table = self._leader
        self._make_room(table, len(items))
        now, dialect = table.now(), table.statements.dialect
        names = self._keys(table, items)
        added: set[str] = set()
        if dialect.locks_rows and table.is_in_transaction:
            # An INSERT that finds a row in its place locks it, for everybody, until the transaction ends: look first.
            taken = {key for chunk in _chunks(list(names), table.most_params - 1) for key in _live(table, chunk, now)}
            items = {name: items[name] for key, name in names.items() if key not in taken}
        for rows in self._rows(table, items, ttl):
            if dialect.on_conflict and dialect.returns:
                added.update(names[key] for (key,) in table.execute(table.statements.add(rows, now)).rows)
            else:
                added.update(names[row.key] for row in rows if _add_row(table, row, now))
        return added

    def _rows(self, table: CacheTable, items: Mapping[str, Stored], ttl: float | None) -> Iterator[list[Row]]:
        """`items` as rows, as many at a time as a statement takes; in order, for two that meet must not deadlock.

        What is too large for the database is left out.
        """
        deadline = table.deadline(ttl)
        texts = sorted((self._key(table, name), to_text(stored)) for name, stored in items.items())
        rows = [Row(key, text, deadline) for key, text in texts if table.holds(text)]
        chunk: list[Row] = []
        size = 0
        for row in rows:
            size += len(row.value)
            if chunk and (size > _MOST_BYTES or len(chunk) >= table.most_params // len(row) - 1):
                yield chunk
                chunk, size = [], len(row.value)
            chunk.append(row)
        if chunk:
            yield chunk

    def _swap(self, name: str, expected: Stored, stored: Stored | None, ttl: float | None) -> bool:
        table = self._leader
        now, says = table.now(), table.statements
        row = Row(self._key(table, name), "" if stored is None else to_text(stored), table.deadline(ttl))
        if stored is None or not table.holds(row.value):
            is_dropped = table.execute(says.drop(row.key, to_text(expected), now)).changed > 0
            return is_dropped and stored is None
        return table.execute(says.swap(row, to_text(expected), now)).changed > 0

    def _touch(self, name: str, ttl: float | None) -> bool:
        table = self._leader
        touch = table.statements.touch(self._key(table, name), table.deadline(ttl), table.now())
        return table.execute(touch).changed > 0

    def _remove(self, names: Sequence[str]) -> int:
        table, removed = self._leader, 0
        now, keys = table.now(), sorted(self._keys(table, names))
        self._meet_inserts(table, [key for key in keys if SERVICE_MARK in key], now)
        for chunk in _chunks(keys, table.most_params - 1):
            first, *rest = table.statements.remove(chunk, now)
            outcome = table.execute(first)
            removed += sum(live for (live,) in outcome.rows) if table.statements.dialect.returns else outcome.changed
            for statement in rest:
                table.execute(statement)
        return removed

    def _meet_inserts(self, table: CacheTable, keys: Sequence[str], now: Any) -> None:
        """Before stamps are deleted: wait for transactions that are about to make one, or it would survive.

        Not in a transaction of our own, for which others would have to wait in turn: there the expiry is repeated on
        commit.
        """
        if keys and table.statements.dialect.overlooks_inserts and not table.is_in_transaction:
            for chunk in _chunks(keys, table.most_params // len(Row._fields)):
                table.execute(table.statements.insert([Row(key, "", now) for key in chunk]))

    def _increment(self, name: str, delta: int) -> int | None:
        table, key = self._leader, self._key(self._leader, name)
        # Somebody else's increment makes ours try again: one of all who try has always succeeded.
        while held := table.execute(table.statements.hold(key, now := table.now())).rows:
            text = held[0][0]
            value = from_text(text)
            if not isinstance(value, int) or not -_BIGINT <= value + delta < _BIGINT:
                return None
            if table.execute(table.statements.recount(key, to_text(value + delta), text, now)).changed:
                return value + delta
        return None

    def _ttl(self, name: str) -> float | None:
        table = self._leader
        rows = table.read(table.statements.expiry(self._key(table, name), table.now()))
        return table.seconds_until(rows[0][0]) if rows else 0.0

    def _clear(self, prefix: str | None) -> None:
        table = self._leader
        table.execute(table.statements.clear(prefix and prefix[:LONGEST_PREFIX]))

    # Making room

    def _make_room(self, table: CacheTable, writes: int) -> None:
        """Before `writes` rows are written: now and then count, and cull as Django does, but the expired first."""
        share = value_of(self._client_options, "CULL_PROBABILITY", self.extra_options)
        if share is None:
            share = _LOOKS / max(self._max_entries, _LOOKS)
        if random() < share * writes:  # noqa: S311 (no secret)
            # A table that has grown too large is no reason not to write.
            with suppress(Error):
                self._cull(table)

    def _cull(self, table: CacheTable) -> None:
        now, says = table.now(), table.statements
        total, live, services, live_services = table.read(says.census(SERVICE_MARK, now))[0]
        values, live_values = total - services, live - live_services
        excess = _excess(values, live_values, self._max_entries, self._cull_frequency)
        service_excess = _excess(services, live_services, _SERVICE_ROWS, _SERVICE_FREQUENCY)
        if excess is None and service_excess is None:
            return
        if live < total:
            table.execute(says.discard_all_expired(now, _NO_LIMIT))
        for is_service, most in ((False, excess), (True, service_excess)):
            if most:
                table.execute(says.discard_oldest(SERVICE_MARK, is_service, most))

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Beside the options: E121, LOCATION names no table; W122, a KEY_PREFIX too long to be cleared by itself."""
        messages = super().check(**kwargs)
        if not isinstance(self._location, str) or not self._location:
            messages.append(
                checks.Error(
                    f"CACHES[{self.alias!r}]['LOCATION'] is {self._location!r}, which names no table.",
                    hint="Give the table a name, then run: python manage.py createcachetable",
                    id="cacheplus.E121",
                )
            )
        if len(str(self.key_prefix)) > LONGEST_PREFIX:
            messages.append(
                checks.Warning(
                    f"CACHES[{self.alias!r}]['KEY_PREFIX'] has {len(str(self.key_prefix))} characters.",
                    hint=f"clear() tells prefixes apart by their first {LONGEST_PREFIX} characters: use a shorter one.",
                    id="cacheplus.W122",
                )
            )
        return messages


def _chunks(keys: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    return (keys[start : start + most] for start in range(0, len(keys), most))


def _live(table: CacheTable, keys: Sequence[str], now: Any) -> Iterator[str]:
    return (key for (key,) in table.read(table.statements.live(keys, now)))


def _add_row(table: CacheTable, row: Row, now: Any) -> bool:
    """`add` in two statements: whoever changes a row in either is the one winner."""
    says = table.statements
    return table.execute(says.renew(row, now)).changed > 0 or table.execute(says.insert([row])).changed > 0


def _excess(rows: int, live: int, limit: int, frequency: int) -> int | None:
    """How many live rows have to go, once the expired have gone; None where there is room."""
    if rows <= limit:
        return None
    if frequency == 0:
        return live
    return live // frequency if live > limit else 0
