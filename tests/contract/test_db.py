import pytest

from cacheplus.backends.db import DatabaseCache
from cacheplus.testing import BackendContract


class DatabaseContract(BackendContract):
    @pytest.fixture
    def cache(self, table, prefix):
        return DatabaseCache(table, {"KEY_PREFIX": prefix, "OPTIONS": {"MAX_ENTRIES": 10**6}})


class TestSQLite(DatabaseContract):
    @pytest.fixture
    def table(self, sqlite_table):
        return sqlite_table


class TestPostgreSQL(DatabaseContract):
    # Each thread has a connection, of which the server takes a hundred in all.
    callers = 50

    @pytest.fixture
    def table(self, postgres_table):
        return postgres_table


class TestMariaDB(DatabaseContract):
    @pytest.fixture
    def table(self, mariadb_table):
        return mariadb_table
