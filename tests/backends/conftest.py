import secrets

import pytest

from tests.cache_tables import sqlite
from tests.databases import connected


@pytest.fixture
def sqlite_database(tmp_path, django_db_blocker):
    """A connection to a file, known to Django under an alias that no other test has."""
    with django_db_blocker.unblock():
        dsn = sqlite(tmp_path / "cache.sqlite3")
        with connected(f"sqlite-{secrets.token_hex(4)}", dsn) as connection:
            yield connection


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def database(request):
    """A connection to each database in turn."""
    return request.getfixturevalue(f"{request.param}_database")
