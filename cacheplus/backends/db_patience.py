"""How long a statement of the cache waits for the locks of others: somebody's open transaction is no reason to hang.

The connection is the request's, so whatever is changed for that is changed back, or holds for one statement only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from cacheplus.backends.db_sql import Statement

# Statements with more parameters may take long without waiting for anybody.
_FEW = 100


def expression(connection: BaseDatabaseWrapper, seconds: float) -> str:
    """SQL that is evaluated in a statement which is a transaction by itself, and bounds its waits; else empty."""
    return f"set_config('lock_timeout', '{_milliseconds(seconds)}', true)" if _is_postgres(connection) else ""


def prefix(connection: Any, statement: Statement, seconds: float) -> str:
    """What is said before a statement to bound its waits; MariaDB alone has such a thing.

    It bounds the whole statement. For one that may take long by itself, waits are bounded by the second, which is the
    least that there is.
    """
    if connection.vendor != "mysql" or not connection.mysql_is_mariadb:
        return ""
    is_long = not 0 < len(statement.params) < _FEW
    bound = "innodb_lock_wait_timeout = 1" if is_long else f"max_statement_time = {seconds:.3f}"
    return f"SET STATEMENT {bound} FOR "


@contextmanager
def limited(connection: BaseDatabaseWrapper, seconds: float) -> Iterator[None]:
    """Bound the waits of what is said in the block, where neither of the above does."""
    if connection.vendor == "sqlite":
        with _on_sqlite(connection, seconds):
            yield
    elif _is_postgres(connection) and not connection.get_autocommit():
        with _in_postgres_transaction(connection, seconds):
            yield
    else:
        yield


@contextmanager
def _on_sqlite(connection: BaseDatabaseWrapper, seconds: float) -> Iterator[None]:
    connection.ensure_connection()
    handle = connection.connection
    (patience,) = handle.execute("PRAGMA busy_timeout").fetchone()
    handle.execute(f"PRAGMA busy_timeout = {min(patience, _milliseconds(seconds)):d}")
    try:
        yield
    finally:
        handle.execute(f"PRAGMA busy_timeout = {patience:d}")


@contextmanager
def _in_postgres_transaction(connection: BaseDatabaseWrapper, seconds: float) -> Iterator[None]:
    # Past Django's cursor, so that no query shows up in a request that did not ask for it. Where the block fails, the
    # savepoint that it stands in brings the old value back.
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        (before,) = cursor.fetchone()
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(_milliseconds(seconds))])
        yield
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])


def _is_postgres(connection: BaseDatabaseWrapper) -> bool:
    return connection.vendor == "postgresql"


def _milliseconds(seconds: float) -> int:
    return max(round(seconds * 1000), 1)
