from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.management import CommandError, call_command, get_commands
from django.core.management.commands.createcachetable import Command as DjangosCommand
from django.db import DatabaseError
from django.test.utils import CaptureQueriesContext

from cacheplus.management.commands.createcachetable import Command
from tests.databases import connected


class SomeDatabaseCache(BaseDatabaseCache):
    pass


def stored_in(*tables):
    path = f"{__name__}.SomeDatabaseCache"
    aliases = {table: {"BACKEND": path, "LOCATION": table} for table in tables}
    return {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, **aliases}


def create(*args, **options):
    out = StringIO()
    call_command("createcachetable", *args, database="other", stdout=out, **options)
    return out.getvalue()


def sqlite(path):
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": path}


@pytest.fixture(autouse=True)
def other(django_db_blocker, tmp_path):
    with django_db_blocker.unblock(), connected("other", sqlite(tmp_path / "other.sqlite3")) as connection:
        yield connection


@pytest.fixture
def refused(other, tmp_path):
    with connected("refused", sqlite(tmp_path / "refused.sqlite3")) as connection:
        yield connection


@pytest.fixture
def tables(other):
    return lambda: set(other.introspection.table_names())


def test_the_command_is_ours():
    assert get_commands()["createcachetable"] == "cacheplus"


def test_the_tables_of_all_aliases_are_made(settings, tables):
    settings.CACHES = stored_in("one", "a second table")

    assert create(verbosity=2) == "Cache table 'one' created.\nCache table 'a second table' created.\n"
    assert tables() == {"one", "a second table"}


def test_it_can_be_run_twice(settings):
    settings.CACHES = stored_in("one")

    assert create() == ""
    assert create() == "Cache table 'one' already exists.\n"
    assert create(verbosity=0) == ""


def test_named_tables_are_made_instead_of_those_of_the_settings(settings, tables):
    settings.CACHES = stored_in("one")

    create("two", "three")

    assert tables() == {"two", "three"}


def test_a_dry_run_prints_what_would_be_run_and_makes_nothing(settings, tables, other):
    settings.CACHES = stored_in("one")

    sql = create(dry_run=True)

    assert tables() == set()
    with other.cursor() as cursor:
        for statement in filter(str.strip, sql.split(";")):
            cursor.execute(statement)
    assert tables() == {"one"}


@pytest.mark.parametrize("table", ["entries", 'with "quotes" and spaces'])
def test_the_layout_is_djangos(table):
    theirs, ours = StringIO(), StringIO()
    call_command(DjangosCommand(), table, database="other", dry_run=True, stdout=theirs)
    call_command(Command(), table, database="other", dry_run=True, stdout=ours)

    assert ours.getvalue().split() == theirs.getvalue().split()


class OnOther:
    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return db == "other" if (app_label, model_name) == ("django_cache", "cacheentry") else None


def test_a_database_that_the_router_refuses_is_not_even_asked(settings, tables, refused):
    settings.CACHES = stored_in("one")
    settings.DATABASE_ROUTERS = [OnOther()]

    with CaptureQueriesContext(refused) as queries:
        call_command("createcachetable", database="refused", verbosity=0)
        assert len(queries) == 0
    create()

    assert tables() == {"one"}


def test_cache_router_says_where_the_table_is_made(settings, tables, refused):
    settings.CACHES = stored_in("one")
    settings.CACHEPLUS = {"CACHE_TABLE_DATABASE": "other"}
    settings.DATABASE_ROUTERS = ["cacheplus.routers.CacheRouter"]

    call_command("createcachetable", database="refused", verbosity=0)
    create()

    assert refused.introspection.table_names() == []
    assert tables() == {"one"}


def test_nothing_is_left_behind_by_a_table_that_could_not_be_made(settings, tables, other):
    settings.CACHES = stored_in("one")
    with other.cursor() as cursor:
        cursor.execute("CREATE TABLE holder (expires integer)")
        cursor.execute("CREATE INDEX one_expires ON holder (expires)")

    with pytest.raises(
        CommandError, match=r"Cache table 'one' could not be created\.\nThe error was: .*one_expires"
    ) as caught:
        create()

    assert isinstance(caught.value.__cause__, DatabaseError)
    assert tables() == {"holder"}


@contextmanager
def table_on(connection):
    call_command("createcachetable", "entries", database=connection.alias, verbosity=0)
    try:
        yield connection.ops.quote_name("entries")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE entries")


@pytest.mark.parametrize("database", ["other", "postgres_database", "mariadb_database"])
def test_keys_that_differ_in_any_byte_are_different_keys(request, database):
    connection = request.getfixturevalue(database)
    keys = ["lock:a", "lock:A", "lock:a ", "résumé", "resume", "ﬁ", "fi"]

    with table_on(connection) as table, connection.cursor() as cursor:
        for key in keys:
            cursor.execute(f"INSERT INTO {table} VALUES (%s, 'value', '2030-01-01 00:00:00')", [key])
        cursor.execute(f"SELECT cache_key FROM {table} WHERE cache_key = %s", ["lock:a"])
        assert [row[0] for row in cursor.fetchall()] == ["lock:a"]
        cursor.execute(f"SELECT COUNT(*) FROM {table}")
        assert cursor.fetchone() == (len(keys),)


@pytest.mark.parametrize("database", ["other", "postgres_database", "mariadb_database"])
def test_expiry_is_indexed_and_the_key_is_the_primary_key(request, database):
    connection = request.getfixturevalue(database)

    with table_on(connection), connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "entries")

    assert found["entries_expires"]["columns"] == ["expires"]
    assert [c["columns"] for c in found.values() if c["primary_key"]] == [["cache_key"]]


def test_the_database_is_one_of_the_site():
    with pytest.raises(CommandError, match="--database"):
        call_command("createcachetable", "--database", "nowhere")
