"""What differs from database to database: how old a snapshot may be, and what the server was told as its default."""

import pytest
from django.core.cache import cache
from django.db import connections, transaction
from django.db.backends.postgresql.psycopg_any import IsolationLevel

from cacheplus.http.reasons import Reason
from cacheplus.recorder import recording
from cacheplus.tables.schema import table_tag
from cacheplus.tables.watch import database_name
from tests.tables.tracking import tracking

LEVELS = {"read committed": None, "repeatable read": Reason.SNAPSHOT, "serializable": Reason.SNAPSHOT}


@pytest.fixture
def postgres(postgres_database):
    with postgres_database.cursor() as cursor:
        cursor.execute("CREATE TABLE shelf (id integer, title text)")
    with tracking({"include": ["shelf"]}):
        yield postgres_database
    with postgres_database.cursor() as cursor:
        cursor.execute("DROP TABLE shelf")


@pytest.fixture
def mariadb(mariadb_database):
    with mariadb_database.cursor() as cursor:
        cursor.execute("CREATE TABLE shelf (id integer, title text)")
    with tracking({"include": ["shelf"]}):
        yield mariadb_database
    with mariadb_database.cursor() as cursor:
        cursor.execute("DROP TABLE shelf")


def ask(connection, sql="SELECT id FROM shelf"):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else None


def refusal(connection):
    """Why a computation is not kept that begins in an open transaction."""
    with transaction.atomic(using=connection.alias):
        ask(connection)
        with recording() as recorder:
            ask(connection)
    return recorder.refusal


@pytest.mark.parametrize("level", LEVELS)
def test_on_postgresql_the_level_of_the_connection_decides(postgres, level):
    postgres.settings_dict["OPTIONS"]["isolation_level"] = IsolationLevel[level.replace(" ", "_").upper()]
    postgres.close()

    assert refusal(postgres) is LEVELS[level]


def test_on_postgresql_the_default_of_the_server_is_asked_for_once(postgres):
    assert refusal(postgres) is None
    ask(postgres, "ALTER ROLE cacheplus SET default_transaction_isolation = 'repeatable read'")
    try:
        assert refusal(postgres) is None
        postgres.close()
        assert refusal(postgres) is Reason.SNAPSHOT
    finally:
        ask(postgres, "ALTER ROLE cacheplus RESET default_transaction_isolation")


def test_on_postgresql_a_level_that_is_set_by_hand_is_noticed(postgres):
    with transaction.atomic(using="postgres"):
        ask(postgres, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        ask(postgres)
        with recording() as recorder:
            ask(postgres)

    assert recorder.refusal is Reason.SNAPSHOT


@pytest.mark.parametrize(
    ("level", "reason"), [("read committed", None), ("repeatable read", Reason.SNAPSHOT), (None, Reason.SNAPSHOT)]
)
def test_on_mariadb_the_level_of_the_connection_decides(mariadb, level, reason):
    mariadb.settings_dict["OPTIONS"]["isolation_level"] = level
    mariadb.close()

    assert refusal(mariadb) is reason


def test_an_old_snapshot_brings_no_old_value_back(postgres):
    """The story of it: without the rule the value stays wrong."""
    postgres.settings_dict["OPTIONS"]["isolation_level"] = IsolationLevel.REPEATABLE_READ
    postgres.close()
    writer = postgres.copy("writer")
    writer.connect()
    try:
        with transaction.atomic(using="postgres"):
            ask(postgres)
            ask(writer, "INSERT INTO shelf VALUES (1, 'new')")
            assert cache.get_or_set("rows", lambda: ask(postgres), None) == []
        assert cache.get_or_set("rows", lambda: ask(postgres), None) == [(1,)]
    finally:
        writer.close()


def test_a_transaction_of_ones_own_hand_is_not_kept(postgres):
    postgres.set_autocommit(False)
    try:
        with recording() as recorder:
            ask(postgres)
        postgres.rollback()
    finally:
        postgres.set_autocommit(True)

    assert recorder.refusal is Reason.SNAPSHOT


def test_statements_that_psycopg_composes_are_read(postgres):
    from psycopg import sql  # noqa: PLC0415 - not everybody has it

    cache.get_or_set("rows", lambda: ask(postgres), None)
    composed = sql.SQL("INSERT INTO {} VALUES (%s, {})").format(sql.Identifier("shelf"), sql.Literal("it's"))

    with recording() as recorder, postgres.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT 1 FROM {}").format(sql.Identifier("shelf")))
        assert recorder.tags == {table_tag(database_name(postgres), "shelf")}
        cursor.execute(composed, [1])

    assert not cache.has_key("rows")


@pytest.mark.parametrize("name", ["postgres", "mariadb"])
def test_rows_that_come_in_pieces_are_read_too(name, request):
    connection = request.getfixturevalue(name)

    with recording() as recorder, connection.chunked_cursor() as cursor, transaction.atomic(using=name):
        cursor.execute("SELECT id FROM shelf")
        cursor.fetchall()

    assert recorder.tags == {table_tag(database_name(connections[name]), "shelf")}
