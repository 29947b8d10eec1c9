"""Cache tables on real databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings

# A name that has to be quoted.
TABLE = "cache table"


class OneDatabase:
    """A router that keeps cache tables on one database, and reads them from it or from another."""

    def __init__(self, leader: str, replica: str | None = None) -> None:
        self.leader = leader
        self.replica = replica or leader

    def db_for_read(self, model: Any, **_hints: Any) -> str | None:
        return self.replica if model._meta.app_label == "django_cache" else None

    def db_for_write(self, model: Any, **_hints: Any) -> str | None:
        return self.leader if model._meta.app_label == "django_cache" else None

    def allow_migrate(self, db: str, app_label: str, **_hints: Any) -> bool | None:
        return db in {self.leader, self.replica} if app_label == "django_cache" else None


@contextmanager
def routed(leader: BaseDatabaseWrapper, replica: BaseDatabaseWrapper | None = None) -> Iterator[None]:
    """Keep cache tables behind these connections."""
    with override_settings(DATABASE_ROUTERS=[OneDatabase(leader.alias, replica and replica.alias)]):
        yield


@contextmanager
def cache_table(*connections: BaseDatabaseWrapper, name: str = TABLE) -> Iterator[str]:
    """An empty cache table behind a leader's connection, and behind that of its replica; the name of the table."""
    with routed(*connections):
        for connection in connections:
            call_command("createcachetable", name, database=connection.alias, verbosity=0)
        try:
            yield name
        finally:
            for connection in connections:
                with connection.cursor() as cursor:
                    cursor.execute(f"DROP TABLE {connection.ops.quote_name(name)}")


def sqlite(path: Path, **options: Any) -> dict[str, Any]:
    """An entry for DATABASES, of a file that no crash has to survive."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {"init_command": "PRAGMA synchronous = OFF", **options},
    }
