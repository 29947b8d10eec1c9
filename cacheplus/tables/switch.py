"""Puts the watch over each database connection, and takes it away."""

from __future__ import annotations

from typing import Any

from django.core.signals import request_finished
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from cacheplus.tables.watch import TableWatch


def switch_on() -> None:
    """Watch every connection of this thread, and those that are made from now on."""
    connection_created.connect(_made)
    request_finished.connect(_finished)
    for connection in connections.all(initialized_only=True):
        _watch(connection)


def switch_off() -> None:
    """Watch no connection of this thread, nor any that is made from now on."""
    connection_created.disconnect(_made)
    request_finished.disconnect(_finished)
    for watch in watches():
        watch.leave()


def watches() -> list[TableWatch]:
    """Those of this thread."""
    wrappers = [each for connection in connections.all(initialized_only=True) for each in connection.execute_wrappers]
    return [each for each in wrappers if isinstance(each, TableWatch)]


def _watch(connection: BaseDatabaseWrapper) -> None:
    if not any(isinstance(each, TableWatch) for each in connection.execute_wrappers):
        # First, so that it is the outermost, and not the one that ends with a `with connection.execute_wrapper(...)`.
        connection.execute_wrappers.insert(0, TableWatch(connection))


def _made(connection: BaseDatabaseWrapper, **_: Any) -> None:
    _watch(connection)


def _finished(**_: Any) -> None:
    """Nothing of a transaction that was rolled back outlives the request."""
    for watch in watches():
        watch.catch_up()
