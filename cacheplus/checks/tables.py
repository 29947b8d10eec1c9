"""The tables of database caches. The only check that asks a database, and only those that Django tells it to."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.core import checks
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db import Error as DatabaseFault

from cacheplus.checks.aliases import Alias, all_aliases


def check_tables(*, databases: Collection[str] | None = None, **_kwargs: Any) -> list[checks.Warning]:
    """W004: a cache table is missing. W005: that cannot be found out.

    Warnings, because an error would stop the `migrate` of a new site, which comes before `createcachetable`.
    """
    return [message for database in databases or () for message in _missing(database)]


def _missing(database: str) -> Iterator[checks.Warning]:
    wanted = [(alias, table) for alias, table in _tables(database)]
    if not wanted:
        return
    try:
        existing = set(connections[database].introspection.table_names())
    except (DatabaseFault, ImproperlyConfigured) as error:
        yield checks.Warning(
            f"Whether the cache tables of the {database!r} database exist cannot be told: {type(error).__name__}.",
            hint="Start the database, or correct its entry in DATABASES.",
            id="cacheplus.W005",
        )
        return
    option = "" if database == DEFAULT_DB_ALIAS else f" --database {database}"
    for alias, table in wanted:
        if table not in existing:
            yield checks.Warning(
                f"The table {table!r} of your {alias.name!r} cache is missing from the {database!r} database.",
                hint=f"Run: python manage.py createcachetable{option}",
                id="cacheplus.W004",
            )


def _tables(database: str) -> Iterator[tuple[Alias, str]]:
    """The aliases whose table belongs on `database`, as `createcachetable` sees it."""
    for alias in all_aliases():
        if isinstance(alias.backend, BaseDatabaseCache):
            model: Any = alias.backend.cache_model_class
            if router.allow_migrate_model(database, model) and router.db_for_write(model) == database:
                yield alias, model._meta.db_table
