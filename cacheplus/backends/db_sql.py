"""The SQL of the database store: each statement with its parameters, for SQLite, PostgreSQL, MySQL and MariaDB.

Times are given as the database driver takes them. An entry lives while `expires` lies after `now`.
"""

# ruff: noqa: S608 (the names of the table and its columns are quoted, all else are parameters)

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

# Django's names. A column called "key" would be a reserved word on MySQL.
KEY, VALUE, EXPIRES = "cache_key", "value", "expires"


class Statement(NamedTuple):
    """SQL with its parameters."""

    sql: str
    params: Sequence[Any]


class Row(NamedTuple):
    """What is written: the key column, the value column, and when it expires."""

    key: str
    value: str
    expires: Any


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a database understands."""

    on_conflict: bool
    """`INSERT ... ON CONFLICT`; else it is MySQL's `ON DUPLICATE KEY`."""
    names_new_row: bool
    """`ON DUPLICATE KEY` calls the new row by an alias, and not by VALUES()."""
    returns: bool
    """`RETURNING` after an INSERT and a DELETE."""
    locks_rows: bool
    """`SELECT ... FOR UPDATE`."""
    skips_locked: bool
    """`SELECT ... FOR UPDATE SKIP LOCKED`."""
    wait: str = ""
    """An expression that bounds how long the statement waits for locks once it has been evaluated, if there is one."""

    @property
    def overlooks_inserts(self) -> bool:
        """Whether a DELETE passes by rows that are not committed yet: MySQL waits for them, SQLite has one writer."""
        return self.on_conflict and self.locks_rows


class Statements:
    """All that is ever said to one table."""

    def __init__(self, dialect: Dialect, table: str, quote: Callable[[str], str]) -> None:
        self.dialect = dialect
        self._table, self._key, self._value, self._expires = (
            quote(name).replace("%", "%%") for name in (table, KEY, VALUE, EXPIRES)
        )
        # A text column of MySQL compares as its collation likes, and is in a character set of its own.
        is_exact = dialect.on_conflict
        self._exact: Callable[[str], str] = str if is_exact else "CAST(CONVERT({} USING utf8mb4) AS BINARY)".format
        self._waiting = f" AND (SELECT {dialect.wait}) IS NOT NULL" if dialect.wait else ""
        self._live = f"{self._key} = %s AND {self._expires} > %s{self._waiting}"
        self._same = f"{self._live} AND {self._exact(self._value)} = {self._exact('%s')}"

    # Reading

    def read(self, keys: Sequence[str], now: Any) -> Statement:
        """(key, value) of each row that is there; the value is NULL where it has expired."""
        live_value = f"CASE WHEN {self._expires} > %s THEN {self._value} END"
        sql = f"SELECT {self._key}, {live_value} FROM {self._table} WHERE {self._within(keys)}"
        return Statement(sql, [now, *keys])

    def live(self, keys: Sequence[str], now: Any) -> Statement:
        """(key,) of each live row."""
        sql = f"SELECT {self._key} FROM {self._table} WHERE {self._within(keys)} AND {self._expires} > %s"
        return Statement(sql, [*keys, now])

    def hold(self, key: str, now: Any) -> Statement:
        """(value,) of a live row, the newest there is even in a transaction that reads a snapshot."""
        lock = " FOR UPDATE" if self.dialect.locks_rows else ""
        return Statement(f"SELECT {self._value} FROM {self._table} WHERE {self._live}{lock}", [key, now])

    def expiry(self, key: str, now: Any) -> Statement:
        """(expires,) of a live row."""
        return Statement(f"SELECT {self._expires} FROM {self._table} WHERE {self._live}", [key, now])

    # Writing

    def write(self, rows: Sequence[Row]) -> Statement:
        """Store, whatever stood there."""
        if self.dialect.on_conflict:
            return self._insert(rows, self._on_conflict_update())
        if self.dialect.names_new_row:
            alias, new = " AS new", "new.{}"
        else:
            alias, new = "", "VALUES({})"
        # The key too: under a lax collation the row may be that of a key which only looks the same.
        updates = ", ".join(f"{column} = {new.format(column)}" for column in (self._key, self._value, self._expires))
        return self._insert(rows, f"{alias} ON DUPLICATE KEY UPDATE {updates}")

    def add(self, rows: Sequence[Row], now: Any) -> Statement:
        """Store where nothing lives, and return (key,) of each that was stored. Needs ON CONFLICT and RETURNING."""
        suffix = f"{self._on_conflict_update()} WHERE {self._table}.{self._expires} <= %s RETURNING {self._key}"
        return self._insert(rows, suffix, now)

    def insert(self, rows: Sequence[Row]) -> Statement:
        """Store where there is no row, expired or not; it waits for others who are inserting one."""
        if self.dialect.on_conflict:
            return self._insert(rows, " ON CONFLICT DO NOTHING")
        return self._insert(rows, "", ignore="IGNORE ")

    def renew(self, row: Row, now: Any) -> Statement:
        """Store over a row that has expired."""
        changes = f"{self._value} = %s, {self._expires} = %s"
        sql = f"UPDATE {self._table} SET {changes} WHERE {self._key} = %s AND {self._expires} <= %s{self._waiting}"
        return Statement(sql, [row.value, row.expires, row.key, now])

    def swap(self, row: Row, expected: str, now: Any) -> Statement:
        """Store over a live row that holds `expected`."""
        sql = f"UPDATE {self._table} SET {self._value} = %s, {self._expires} = %s WHERE {self._same}"
        return Statement(sql, [row.value, row.expires, row.key, now, expected])

    def recount(self, key: str, value: str, expected: str, now: Any) -> Statement:
        """Change the value of a live row that holds `expected`, and not its expiry."""
        sql = f"UPDATE {self._table} SET {self._value} = %s WHERE {self._same}"
        return Statement(sql, [value, key, now, expected])

    def touch(self, key: str, expires: Any, now: Any) -> Statement:
        """Give a live row another expiry."""
        return Statement(f"UPDATE {self._table} SET {self._expires} = %s WHERE {self._live}", [expires, key, now])

    # Deleting

    def drop(self, key: str, expected: str, now: Any) -> Statement:
        """Delete a live row that holds `expected`."""
        return Statement(f"DELETE FROM {self._table} WHERE {self._same}", [key, now, expected])

    def remove(self, keys: Sequence[str], now: Any) -> list[Statement]:
        """Delete; the live ones among them are the rows that the first statement counts or returns."""
        sql, live = f"DELETE FROM {self._table} WHERE {self._within(keys)}{self._waiting}", f"{self._expires} > %s"
        if self.dialect.returns:
            # The expired go too: to a server whose clock is behind they are still alive.
            return [Statement(f"{sql} RETURNING CASE WHEN {live} THEN 1 ELSE 0 END", [*keys, now])]
        return [Statement(f"{sql} AND {live}", [*keys, now]), Statement(sql, keys)]

    def discard_expired(self, keys: Sequence[str], now: Any) -> Statement:
        """Delete those of `keys` that have expired."""
        return self._discard(f"{self._within(keys)} AND {self._expires} <= %s", [*keys, now], len(keys))

    def discard_all_expired(self, now: Any, most: int) -> Statement:
        """Delete what has expired."""
        return self._discard(f"{self._expires} <= %s", [now], most)

    def discard_oldest(self, mark: str, is_service: bool, most: int) -> Statement:
        """Delete what expires soonest among the entries whose key contains `mark`, or among all others."""
        return self._discard(f"{self._key} {'' if is_service else 'NOT '}LIKE %s", [f"%{mark}%"], most)

    def _discard(self, condition: str, params: Sequence[Any], most: int) -> Statement:
        # Rows that somebody else has locked are passed by: room is never worth a wait, nor a deadlock.
        lock = " FOR UPDATE SKIP LOCKED" if self.dialect.skips_locked else ""
        chosen = f"SELECT {self._key} FROM {self._table} WHERE {condition} ORDER BY {self._expires} LIMIT %s{lock}"
        if self.dialect.on_conflict:
            delete = f"DELETE FROM {self._table} WHERE {self._key} IN (SELECT {self._key} FROM gone)"
            return Statement(f"WITH gone AS ({chosen}) {delete}", [*params, most])
        sql = f"DELETE {self._table} FROM {self._table} JOIN ({chosen}) AS gone USING ({self._key})"
        return Statement(sql, [*params, most])

    def census(self, mark: str, now: Any) -> Statement:
        """(all rows, live rows, rows whose key contains `mark`, live rows whose key contains it)."""
        live, service = f"{self._expires} > %s", f"{self._key} LIKE %s"
        counts = ", ".join(f"COUNT(CASE WHEN {test} THEN 1 END)" for test in (live, service, f"{live} AND {service}"))
        pattern = f"%{mark}%"
        return Statement(f"SELECT COUNT(*), {counts} FROM {self._table}", [now, pattern, now, pattern])

    def clear(self, prefix: str | None) -> Statement:
        """Delete everything, or every key that begins with `prefix`: letter by letter, where LIKE may be lax."""
        sql = f"DELETE FROM {self._table}"
        if prefix is None:
            return Statement(sql + self._waiting.replace(" AND", " WHERE"), [])
        start = self._exact(f"SUBSTR({self._key}, 1, %s)")
        return Statement(f"{sql} WHERE {start} = {self._exact('%s')}{self._waiting}", [len(prefix), prefix])

    # Pieces

    def _within(self, keys: Sequence[str]) -> str:
        return f"{self._key} IN ({', '.join(['%s'] * len(keys))})"

    def _insert(self, rows: Sequence[Row], suffix: str, *more: Any, ignore: str = "") -> Statement:
        columns = f"{self._key}, {self._value}, {self._expires}"
        key = f"CASE WHEN {self.dialect.wait} IS NOT NULL THEN %s END" if self.dialect.wait else "%s"
        values = ", ".join([f"({key}, %s, %s)", *["(%s, %s, %s)"] * (len(rows) - 1)])
        sql = f"INSERT {ignore}INTO {self._table} ({columns}) VALUES {values}{suffix}"
        return Statement(sql, [*(part for row in rows for part in row), *more])

    def _on_conflict_update(self) -> str:
        updates = ", ".join(f"{column} = EXCLUDED.{column}" for column in (self._value, self._expires))
        return f" ON CONFLICT ({self._key}) DO UPDATE SET {updates}"
