"""What the stores under contract stand on. Tables are made once for a class; each test has a prefix of its own."""

import secrets
from contextlib import contextmanager

import pytest

from tests.cache_tables import cache_table, sqlite
from tests.databases import connected


@pytest.fixture
def prefix():
    """A KEY_PREFIX of this test's own, for servers that many tests share."""
    return secrets.token_hex(6)


@contextmanager
def table_on(dsn):
    """The name of a cache table, while the block lasts. Threads remember aliases, so this one is never used again."""
    with connected(f"contract-{secrets.token_hex(4)}", dsn) as connection, cache_table(connection) as table:
        yield table


@pytest.fixture(scope="class")
def sqlite_table(tmp_path_factory, django_db_blocker):
    dsn = sqlite(tmp_path_factory.mktemp("contract") / "cache.sqlite3")
    with django_db_blocker.unblock(), table_on(dsn) as table:
        yield table


@pytest.fixture(scope="class")
def postgres_table(postgres_server, django_db_blocker):
    with django_db_blocker.unblock(), table_on(postgres_server.dsn) as table:
        yield table


@pytest.fixture(scope="class")
def mariadb_table(mariadb_server, django_db_blocker):
    with django_db_blocker.unblock(), table_on(mariadb_server.dsn) as table:
        yield table
