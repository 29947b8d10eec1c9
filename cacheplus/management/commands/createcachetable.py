"""`createcachetable`: the tables of the database caches, in Django's layout and with Django's options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from django.core.cache import caches
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, DateTimeField, Field, TextField


class Command(BaseCommand):
    help = "Creates the tables needed to use the SQL cache backend."
    # A check may complain of the very table that is about to be made.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Django's arguments."""
        parser.add_argument(
            "args",
            metavar="table_name",
            nargs="*",
            help="Optional table names. Otherwise, settings.CACHES is used to find cache tables.",
        )
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            choices=tuple(connections),
            help="Nominates a database onto which the cache tables will be installed. "
            'Defaults to the "default" database.',
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Does not create the table, just prints the SQL that would be run.",
        )

    def handle(self, *tables: str, database: str, dry_run: bool, verbosity: int, **_options: Any) -> None:
        """Make the named tables, or those that CACHES names, where the routers allow it."""
        for model in [BaseDatabaseCache(table, {}).cache_model_class for table in tables] or _models():
            if router.allow_migrate_model(database, model):
                self._create(connections[database], model._meta.db_table, dry_run=dry_run, verbosity=verbosity)

    def _create(self, connection: BaseDatabaseWrapper, table: str, *, dry_run: bool, verbosity: int) -> None:
        if table in connection.introspection.table_names():
            self._say(f"Cache table '{table}' already exists.", loud=verbosity > 0)
            return
        statements = list(_statements(connection, table))
        if dry_run:
            self._say("\n".join(statements), loud=True)
            return
        with (
            transaction.atomic(using=connection.alias, savepoint=connection.features.can_rollback_ddl),
            connection.cursor() as cursor,
        ):
            try:
                for statement in statements:
                    cursor.execute(statement)
            except DatabaseError as error:
                raise CommandError(f"Cache table '{table}' could not be created.\nThe error was: {error}.") from error
        self._say(f"Cache table '{table}' created.", loud=verbosity > 1)

    def _say(self, text: str, *, loud: bool) -> None:
        if loud:
            self.stdout.write(text)


def _models() -> list[Any]:
    """What stands in for a model, for the routers: one for each alias that is kept in a database."""
    backends = [caches[alias] for alias in caches.settings]
    return [backend.cache_model_class for backend in backends if isinstance(backend, BaseDatabaseCache)]


def _statements(connection: BaseDatabaseWrapper, table: str) -> Iterator[str]:
    quote = connection.ops.quote_name
    columns: tuple[tuple[str, Field[Any, Any], str], ...] = (
        ("cache_key", CharField(max_length=255), f"{_exact_collation(connection)}NOT NULL PRIMARY KEY"),
        ("value", TextField(), "NOT NULL"),
        ("expires", DateTimeField(), "NOT NULL"),
    )
    lines = ",\n".join(f"    {quote(name)} {kind.db_type(connection)} {rest}" for name, kind, rest in columns)
    yield f"CREATE TABLE {quote(table)} (\n{lines}\n);"
    yield f"CREATE INDEX {quote(table + '_expires')} ON {quote(table)} ({quote('expires')});"


def _exact_collation(connection: BaseDatabaseWrapper) -> str:
    """A COLLATE clause where the default takes "Key", "key" and "key " for one: these three compare bytes."""
    if connection.vendor != "mysql":
        return ""
    server = cast("Any", connection)
    if server.mysql_is_mariadb:
        return "COLLATE utf8mb4_nopad_bin "
    return "COLLATE utf8mb4_0900_bin " if server.mysql_version >= (8, 0, 17) else "COLLATE utf8mb4_bin "
