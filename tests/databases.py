"""One more entry of DATABASES while the tests run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def connected(alias: str, dsn: dict[str, Any]) -> Iterator[BaseDatabaseWrapper]:
    """Make `dsn` the database `alias` of this process until the block ends; the connection is that of this thread."""
    settings = {DEFAULT_DB_ALIAS: connections.settings[DEFAULT_DB_ALIAS], alias: dsn}
    connections.settings[alias] = connections.configure_settings(settings)[alias]
    try:
        yield connections[alias]
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]
