"""The watch over a connection: notes what is read, and expires what is written, at once and on commit."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import lru_cache, partial
from math import inf
from time import monotonic
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from cacheplus.expiry import expire_everywhere
from cacheplus.http.reasons import Reason
from cacheplus.recorder import Recorder, current
from cacheplus.tables.schema import Effect, effect, schema
from cacheplus.tables.snapshots import Isolation
from cacheplus.uncommitted import add_source, remove_source

_REWIND = "ROLLBACK TO"

Execute = Callable[[Any, Any, bool, dict[str, Any]], Any]


@dataclass(slots=True, eq=False)
class Transaction:
    """What is known of an open transaction."""

    hooks: list[Any]
    """Django's list of functions to call on commit: another one in each transaction, and after a rewind."""
    began: float
    changed: set[str] = field(default_factory=set)
    """The tags of what it has changed."""
    hooked: list[Any] | None = None
    """The list in which the expiry stands that is due on commit."""
    is_rewound: bool = False
    """Whether it was just rolled back to a savepoint."""


class TableWatch:
    """An `execute_wrapper` for one connection.

    Work is done for statements that write, and for all while something is recorded; a transaction is kept track of.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._vendor = connection.vendor
        self._isolation = Isolation(connection)
        self._transaction: Transaction | None = None

    def __call__(self, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        """Carry out a statement."""
        if self._transaction is not None or self._connection.in_atomic_block:
            self.catch_up()
        recorder = current()
        if recorder is None and type(sql) is str and sql.startswith("SELECT "):
            return execute(sql, params, many, context)
        means = self._effect(sql)
        if means is None:
            return execute(sql, params, many, context)
        if recorder is not None and recorder.tracks_tables:
            self._record(recorder, means)
        if not means.writes:
            return execute(sql, params, many, context)
        try:
            return execute(sql, params, many, context)
        finally:
            # Also where it failed: some of it may have been done.
            self._changed(means.writes)

    def _effect(self, sql: Any) -> Effect | None:
        tables = schema()
        if tables is None:
            return None
        text = sql if isinstance(sql, str) else _composed(sql)
        self._isolation.notice(text)
        if self._transaction is not None and text.startswith(_REWIND):
            self._transaction.is_rewound = True
        return effect(tables, self._vendor, database_name(self._connection), text)

    def _record(self, recorder: Recorder, means: Effect) -> None:
        if not means.is_tracked:
            recorder.refuse(Reason.UNTRACKED)
        if not means.reads:
            return
        recorder.tags |= means.reads
        if not self._connection.in_atomic_block:
            # By hand: nobody tells when such a transaction begins.
            recorder.as_of = min(recorder.as_of, inf if self._connection.get_autocommit() else -inf)
            return
        transaction = self._transaction
        if transaction is None:
            return
        if not transaction.changed.isdisjoint(means.reads):
            recorder.refuse(Reason.UNCOMMITTED)
        if self._isolation.is_snapshot():
            recorder.as_of = min(recorder.as_of, transaction.began)

    def _changed(self, tags: AbstractSet[str]) -> None:
        transaction = self._transaction
        if transaction is None or not self._connection.in_atomic_block:
            expire_everywhere(sorted(tags))
            return
        fresh = tags - transaction.changed
        transaction.changed |= tags
        add_source(self.uncommitted)
        if transaction.hooked is not self._connection.run_on_commit:
            self._connection.on_commit(partial(self._committed, transaction), robust=True)
            transaction.hooked = self._connection.run_on_commit
        if fresh:
            expire_everywhere(sorted(fresh))

    def uncommitted(self) -> AbstractSet[str]:
        """The tags that the open transaction has changed."""
        return self._transaction.changed if self._transaction is not None else frozenset()

    def catch_up(self) -> None:
        """Notice that a transaction has ended or begun since the last statement."""
        transaction, is_open, hooks = (
            self._transaction,
            self._connection.in_atomic_block,
            self._connection.run_on_commit,
        )
        if transaction is not None:
            if is_open and (transaction.hooks is hooks or transaction.is_rewound):
                transaction.is_rewound = transaction.is_rewound and transaction.hooks is hooks
                transaction.hooks = hooks
                return
            # Rolled back, or committed where another hook failed and Django called no more of them.
            self._committed(transaction)
        self._transaction = Transaction(hooks, monotonic()) if is_open else None

    def leave(self) -> None:
        """Watch no longer."""
        self._connection.execute_wrappers.remove(self)
        remove_source(self.uncommitted)

    def _committed(self, transaction: Transaction) -> None:
        changed, transaction.changed = transaction.changed, set()
        transaction.hooked = None
        if transaction is self._transaction:
            remove_source(self.uncommitted)
            if not self._connection.in_atomic_block:
                self._transaction = None
        if changed:
            expire_everywhere(sorted(changed))


def database_name(connection: BaseDatabaseWrapper) -> str:
    """What names the database of a connection in every process.

    Not its host: replicas have another, and two processes may spell the same one differently. A replica with another
    name has to be declared in the way of Django, with MIRROR.
    """
    settings = connection.settings_dict
    mirror = settings.get("TEST", {}).get("MIRROR")
    if mirror and mirror != connection.alias:
        return database_name(connections[mirror])
    name = str(settings.get("NAME") or settings.get("OPTIONS", {}).get("service") or connection.alias)
    return _file(name) if connection.vendor == "sqlite" and ":" not in name else name


@lru_cache(maxsize=64)
def _file(name: str) -> str:
    return os.path.realpath(name)


def _composed(sql: Any) -> str:
    """The text of a statement that psycopg composes; one that nobody understands where it cannot be told."""
    return str(sql.as_string(None)) if hasattr(sql, "as_string") else "?"
