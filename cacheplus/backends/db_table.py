"""The cache table on one database connection: how statements get there, and how they spare its transaction."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from random import uniform
from typing import Any, NamedTuple, cast

from django.db import DEFAULT_DB_ALIAS, DatabaseError, Error, NotSupportedError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, Expression
from django.utils import timezone

from cacheplus.backends import db_patience
from cacheplus.backends.db_rows import EXACT, column_key, readable_under
from cacheplus.backends.db_sql import KEY, Dialect, Statement, Statements

# As Django writes it: naive, so that no time zone can push it beyond the last year that there is.
FOREVER = datetime.max.replace(microsecond=0)  # noqa: DTZ901

# How often the victim of a deadlock is tried again at least.
_TRIES = 3
# PostgreSQL takes a second to notice a deadlock. Whoever lets go of everything after half of the time ends it as well.
_SLICES = 2
# So long after a wait that was in vain nobody is waited for, or hardly: a page that stores a lot is late once.
_STUCK_FOR = 1.0
_LITTLE_PATIENCE = 0.01


class _Kind(NamedTuple):
    """How PostgreSQL, MySQL and SQLite call one kind of error."""

    states: frozenset[str]
    numbers: frozenset[int]
    texts: tuple[str, ...]


_LOCKED = _Kind(frozenset(), frozenset(), ("database is locked", "table is locked"))
_DEADLOCK = _Kind(frozenset({"40001", "40P01"}), frozenset({1213}), ())
_WAITED = _Kind(frozenset({"55P03"}), frozenset(), ())
_GAVE_UP = _Kind(_WAITED.states, frozenset({1205, 1969}), _LOCKED.texts)
_NO_TABLE = _Kind(frozenset({"42P01"}), frozenset({1146}), ("no such table",))

# A failed statement ruins a PostgreSQL transaction. A read can hardly fail once one has succeeded.
_seen_tables: set[tuple[str, str]] = set()
_collations: dict[tuple[str, str], str] = {}
_packets: dict[str, int] = {}

# No server has a smaller limit for one statement than this by itself, and so much of it is not the value.
_SMALLEST_PACKET = 1 << 20
_BESIDE_THE_VALUE = 4096


class Outcome(NamedTuple):
    """How many rows a statement changed, and the rows it returned."""

    changed: int
    rows: list[tuple[Any, ...]]


class CacheTable:
    """The table `name` behind `connection`, which belongs to the current thread. `cache` is for messages.

    `wait` is how many seconds a statement may wait for the locks of others, unless that was in vain a moment ago.
    """

    def __init__(self, connection: BaseDatabaseWrapper, name: str, cache: str, wait: float) -> None:
        self.connection = connection
        self.name = name
        self.cache = cache
        self._wait = wait
        self._stuck_until = 0.0

    @property
    def wait(self) -> float:
        """How many seconds to wait for others now."""
        return min(self._wait, _LITTLE_PATIENCE) if self._is_stuck else self._wait

    @property
    def _is_stuck(self) -> bool:
        return time.monotonic() < self._stuck_until

    @property
    def statements(self) -> Statements:
        """What can be said to it now. Raises NotSupportedError where the database has no upsert."""
        if self.is_in_transaction:
            return self._in_transaction
        return self._hurried if self._is_stuck else self._alone

    @cached_property
    def _in_transaction(self) -> Statements:
        return Statements(self._dialect, self.name, self.connection.ops.quote_name)

    @cached_property
    def _alone(self) -> Statements:
        return self._bounded(self._wait)

    @cached_property
    def _hurried(self) -> Statements:
        return self._bounded(min(self._wait, _LITTLE_PATIENCE))

    def _bounded(self, wait: float) -> Statements:
        dialect = replace(self._dialect, wait=db_patience.expression(self.connection, wait / _SLICES))
        return Statements(dialect, self.name, self.connection.ops.quote_name)

    @property
    def _dialect(self) -> Dialect:
        connection, features = self.connection, self.connection.features
        if not features.supports_update_conflicts:
            raise NotSupportedError(
                f"Cache {self.cache!r} cannot be kept in the {connection.alias!r} database ({connection.vendor}). "
                "SQLite, PostgreSQL, MySQL and MariaDB can: have a router name one of those for django_cache."
            )
        return Dialect(
            on_conflict=features.supports_update_conflicts_with_target,
            names_new_row=connection.vendor == "mysql" and _names_new_row(connection),
            returns=features.can_return_columns_from_insert,
            locks_rows=features.has_select_for_update,
            skips_locked=features.has_select_for_update_skip_locked,
        )

    @cached_property
    def most_params(self) -> int:
        """How many parameters a statement may have."""
        return min(self.connection.features.max_query_params or 3000, 3000)

    # Names and times as the table has them

    def key(self, name: str, prefix: str) -> str:
        """What stands in the key column for `name`."""
        readable = readable_under(self._collation) if self.connection.vendor == "mysql" else EXACT
        return column_key(name, prefix, readable)

    @property
    def _collation(self) -> str:
        """The collation of the key column, looked up once per process; "binary" where there is no table yet."""
        place = (self.connection.alias, self.name)
        if place not in _collations:
            found = self._ask(
                "SELECT collation_name FROM information_schema.columns"
                " WHERE table_schema = DATABASE() AND table_name = %s AND column_name = %s",
                self.name,
                KEY,
            )
            if found is None:
                return "binary"
            _collations[place] = found[0] or "binary"
        return _collations[place]

    def holds(self, text: str) -> bool:
        """Whether the database takes a value of this size: one that MySQL does not take costs the connection."""
        if self.connection.vendor != "mysql" or len(text) < _SMALLEST_PACKET:
            return True
        alias = self.connection.alias
        if alias not in _packets:
            _packets[alias] = int((self._ask("SELECT @@max_allowed_packet") or [_SMALLEST_PACKET])[0])
        return len(text) < _packets[alias] - _BESIDE_THE_VALUE

    def _ask(self, sql: str, *params: str) -> Any:
        """The first row that a query returns, past Django's cursor: no query shows up in a request that asked none."""
        self.connection.ensure_connection()
        with self.connection.wrap_database_errors, self.connection.connection.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchone()

    def now(self) -> Any:
        """The present, as the driver takes it."""
        return self.connection.ops.adapt_datetimefield_value(cast("Any", timezone.now()))

    def deadline(self, ttl: float | None) -> Any:
        """The end of `ttl` seconds from now, as the driver takes it."""
        try:
            expires = FOREVER if ttl is None else timezone.now() + timedelta(seconds=ttl)
        except OverflowError:
            expires = FOREVER
        return self.connection.ops.adapt_datetimefield_value(cast("Any", expires))

    def seconds_until(self, expires: Any) -> float | None:
        """Seconds from now to what the driver returned; None for ever."""
        column: Any = Expression(output_field=DateTimeField())
        for convert in [*self.connection.ops.get_db_converters(column), *column.get_db_converters(self.connection)]:
            expires = convert(expires, column, self.connection)
        if expires.year == FOREVER.year:
            return None
        left: float = (expires - timezone.now()).total_seconds()
        return max(left, 0.0)

    # Saying something to it

    @property
    def is_in_transaction(self) -> bool:
        """Whether somebody else decides when our changes are seen."""
        return not self.connection.get_autocommit()

    @property
    def reads_snapshot(self) -> bool:
        """Whether it is in a transaction that does not see what others have committed since it began.

        On SQLite such a transaction cannot write any more once somebody else has, so that nothing comes of it.
        """
        if self.connection.vendor == "sqlite" or not self.is_in_transaction:
            return False
        level = getattr(self.connection, "isolation_level", None)
        return str(getattr(level, "name", level)).lower().replace("_", " ") != "read committed"

    def read(self, statement: Statement) -> list[tuple[Any, ...]]:
        """The rows that a SELECT returns."""
        place = (self.connection.alias, self.name)
        if place in _seen_tables:
            return (self._once(statement) if self.is_in_transaction else self._insist(statement)).rows
        rows = self.execute(statement).rows
        _seen_tables.add(place)
        return rows

    def execute(self, statement: Statement) -> Outcome:
        """Run a statement; where it fails, the transaction that the request is in goes on."""
        try:
            return self._change(statement)
        except DatabaseError as error:
            if _says(error, _GAVE_UP):
                self._stuck_until = time.monotonic() + _STUCK_FOR
            raise

    def _change(self, statement: Statement) -> Outcome:
        hurried = Statement(db_patience.prefix(self.connection, statement, self.wait) + statement.sql, statement.params)
        if not self.is_in_transaction:
            return self._insist(hurried)
        with transaction.atomic(using=self.connection.alias), db_patience.limited(self.connection, self.wait):
            return self._once(hurried)

    def _insist(self, statement: Statement) -> Outcome:
        """Run a statement that is a transaction by itself: where it lost to another one, nothing of it has happened."""
        tries, start = 0, time.monotonic()
        # SQLite would sleep longer and longer, while others take turns.
        with db_patience.limited(self.connection, 0):
            while True:
                try:
                    return self._once(statement)
                except DatabaseError as error:
                    tries += 1
                    if not self._may_try_again(error, tries, time.monotonic() - start):
                        raise
                # Shorter than it takes to write: whoever writes without a pause must not always be faster.
                time.sleep(uniform(0.0001, 0.001))  # noqa: S311 (no secret)

    def _may_try_again(self, error: DatabaseError, tries: int, seconds: float) -> bool:
        """Whether a statement that failed so often in so many seconds may succeed yet."""
        is_victim = _says(error, _DEADLOCK)
        if _says(error, _WAITED):
            return tries < _SLICES
        return (is_victim and tries < _TRIES) or ((is_victim or _says(error, _LOCKED)) and seconds < self.wait)

    def attempt(self, statement: Statement) -> None:
        """Run a statement that may as well be left undone: not in a transaction, and without waiting for a lock."""
        if self.is_in_transaction:
            return
        with suppress(Error), self.connection.wrap_database_errors, db_patience.limited(self.connection, 0):
            self._once(statement)

    def _once(self, statement: Statement) -> Outcome:
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(statement.sql, statement.params)
                rows = cursor.fetchall() if cursor.description else []
                return Outcome(cursor.rowcount, rows)
        except DatabaseError as error:
            if _says(error, _NO_TABLE):
                raise type(error)(self._advice()) from error
            raise

    def _advice(self) -> str:
        database = self.connection.alias
        option = "" if database == DEFAULT_DB_ALIAS else f" --database {database}"
        return (
            f"Cache {self.cache!r} has no table {self.name!r} in the {database!r} database. "
            f"Run: python manage.py createcachetable{option}"
        )


def _names_new_row(server: Any) -> bool:
    """MySQL's new way, since its old one is deprecated; MariaDB has the old one only."""
    return not server.mysql_is_mariadb and server.mysql_version >= (8, 0, 19)


def _says(error: DatabaseError, kind: _Kind) -> bool:
    """Whether the driver's error is of this kind."""
    state = getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)
    number = error.args[0] if error.args else None
    return state in kind.states or number in kind.numbers or any(text in str(error) for text in kind.texts)
