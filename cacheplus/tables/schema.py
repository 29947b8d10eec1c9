"""The schema: which tables are tracked, and what a statement means for them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any, NamedTuple

from django.apps import apps
from django.core.cache import caches
from django.core.cache.backends.db import BaseDatabaseCache

from cacheplus.conf import conf, setting
from cacheplus.conf_rules import TrackedTables
from cacheplus.tables.sql import Statement, read, shorten

logger = logging.getLogger("cacheplus")

# Written by the site itself, or hardly ever; nothing that is shown to many is made of them.
_LEFT_OUT = frozenset({"admin.logentry", "contenttypes.contenttype"})
_MIGRATIONS = "django_migrations"
# A table of no rows that some databases want behind FROM.
_NO_TABLES = frozenset({"dual"})
_NEW = "new__"
_LAST_LOGIN = frozenset({"last_login"})

_MOST_STATEMENTS = 2048
_LONG = 2000

_NOTHING: frozenset[str] = frozenset()


class Effect(NamedTuple):
    """What a statement means for the tracked tables of one database. `reads` and `writes` are tags."""

    reads: frozenset[str] = _NOTHING
    writes: frozenset[str] = _NOTHING
    is_tracked: bool = True
    """Whether all that it returns comes from tracked tables, or from those that are left out."""


class Schema:
    """The tables of the site, by the names that stand in SQL: in lower case, without their schema.

    `dependents` are the tables whose rows the database itself deletes or changes when rows of a table are deleted.
    """

    def __init__(
        self,
        tracked: AbstractSet[str],
        left_out: AbstractSet[str],
        users: str | None,
        dependents: Mapping[str, AbstractSet[str]],
    ) -> None:
        self.tracked = frozenset(tracked) - left_out
        self.left_out = frozenset(left_out)
        self._users = users
        self._dependents = dependents

    def effect(self, statement: Statement, database: str) -> Effect:
        """What `statement` means for `database`."""
        unknown = statement.relations - self.tracked - self.left_out - _NO_TABLES
        for name in unknown:
            _tell_untracked(name)
        return Effect(
            reads=_tags(statement.mentions & self.tracked, database),
            writes=_tags(self._written(statement), database),
            is_tracked=statement.is_understood and not unknown,
        )

    def _written(self, statement: Statement) -> AbstractSet[str]:
        # On SQLite, Django makes a table anew to alter it.
        targets = {name.removeprefix(_NEW) for name in statement.targets}
        unknown = targets - self.tracked - self.left_out
        for name in unknown:
            _tell_unknown_target(name)
        if statement.writes_anything or unknown:
            return self.tracked
        if statement.columns == _LAST_LOGIN and self._users in targets:
            return _NOTHING
        return (self._behind(targets) if statement.deletes else targets) & self.tracked

    def _behind(self, deleted: AbstractSet[str]) -> set[str]:
        """The tables that the database changes along, from table to table."""
        found: set[str] = set()
        unseen = set(deleted)
        while unseen:
            found |= unseen
            unseen = {name for table in unseen for name in self._dependents.get(table, ())} - found
        return found


def table_tag(database: str, table: str) -> str:
    """The tag of what was computed from a table."""
    return f"table:{database} {table}"


def _tags(tables: Iterable[str], database: str) -> frozenset[str]:
    return frozenset(table_tag(database, table) for table in tables)


def schema() -> Schema | None:
    """The tables that the settings say are tracked; None where none are."""
    choice = conf().track_tables
    if choice is None:
        return None
    # Django makes a new list when a model was added.
    models = apps.get_models(include_auto_created=True)
    seen = _memo[0]
    if seen[0] is not choice or seen[1] is not models or seen[2] is not caches.settings:
        seen = _memo[0] = (choice, models, caches.settings, _schema(choice, models))
    return seen[3]


def effect(schema: Schema, vendor: str, database: str, sql: str) -> Effect:
    """What `sql` means; remembered, because a site sends the same few hundred statements again and again."""
    if len(sql) > _LONG:
        sql = shorten(sql)
        if len(sql) > _LONG:
            return schema.effect(read(vendor, sql), database)
    return _remembered(schema, vendor, database, sql)


@lru_cache(maxsize=_MOST_STATEMENTS)
def _remembered(schema: Schema, vendor: str, database: str, sql: str) -> Effect:
    return schema.effect(read(vendor, sql), database)


_memo: list[tuple[Any, Any, Any, Schema | None]] = [(None, None, None, None)]


def _schema(choice: TrackedTables, models: Iterable[Any]) -> Schema:
    models = list(models)
    include = {name for given in choice.include for name in named_tables(given)}
    exclude = {name for given in choice.exclude for name in named_tables(given)}
    by_default = {table_name(model._meta.db_table) for model in models if _is_left_out(model)}
    left_out = ({*by_default, *_cache_tables(), _MIGRATIONS} - include) | exclude
    managed = {table_name(model._meta.db_table) for model in models if model._meta.managed}
    users = next(
        (model for model in models if model._meta.label_lower == str(setting("AUTH_USER_MODEL")).lower()), None
    )
    users_table = table_name(users._meta.db_table) if users else None
    return Schema(managed | include, left_out, None if users_table in include else users_table, _dependents(models))


def table_name(db_table: str) -> str:
    """The name of a table as it stands in SQL, without quotes and schema."""
    return re.split(r'["`\].]+', db_table.strip('"`]'))[-1].lower()


def named_tables(given: str) -> Iterator[str]:
    """The tables that an entry of `include` or `exclude` means: that of a model, or the one with this name."""
    models = {model._meta.label_lower: model for model in apps.get_models(include_auto_created=True)}
    model = models.get(given.lower())
    yield table_name(model._meta.db_table if model else given)


def _is_left_out(model: Any) -> bool:
    is_session = hasattr(model, "get_session_store_class")
    return is_session or model._meta.label_lower in _LEFT_OUT


def _cache_tables() -> Iterator[str]:
    for alias in caches.settings:
        cache = caches[alias]
        if isinstance(cache, BaseDatabaseCache):
            yield table_name(cache.cache_model_class._meta.db_table)


def _dependents(models: Iterable[Any]) -> dict[str, set[str]]:
    """By table: those that refer to it with an `on_delete` that the database carries out (Django 6.1)."""
    found: dict[str, set[str]] = {}
    for model in models:
        for field in model._meta.local_fields:
            remote = field.remote_field
            if remote is not None and hasattr(getattr(remote, "on_delete", None), "on_delete_sql"):
                target = table_name(remote.model._meta.concrete_model._meta.db_table)
                found.setdefault(target, set()).add(table_name(model._meta.db_table))
    return found


@lru_cache(maxsize=256)
def _tell_untracked(name: str) -> None:
    """Once for each name, as far as memory goes."""
    logger.info(
        "What was computed from %r is not cached: no managed model has such a table. If it is a table that is written "
        'through Django, name it under "include" in TRACK_TABLES; if it never changes, under "exclude".',
        name,
    )


@lru_cache(maxsize=256)
def _tell_unknown_target(name: str) -> None:
    logger.warning(
        "A write to %r expires every tracked table: no managed model has such a table. Name it in TRACK_TABLES, under "
        '"include" where pages are made from it, or else under "exclude".',
        name,
    )
