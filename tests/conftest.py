import time
from collections.abc import Iterator

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from cacheplus import faults, health
from tests import servers
from tests.databases import connected

# Before anybody imports it: the asserts of the contract are to explain themselves.
pytest.register_assert_rewrite("cacheplus.testing")

pytest_plugins = ["pytester", "tests.missing_servers"]


@pytest.fixture(autouse=True)
def _stores_are_well() -> Iterator[None]:
    """No test feels the faults of another, nor does a thread outlive the test whose store it looks after.

    A fault that was logged a moment ago is not logged again.
    """
    faults._told.clear()
    yield
    health.forget_all()


@pytest.fixture(scope="session")
def redis_server() -> servers.Redis:
    return servers.redis()


@pytest.fixture(scope="session")
def memcached_server() -> servers.Memcached:
    return servers.memcached()


@pytest.fixture(scope="session")
def postgres_server() -> servers.Postgres:
    return servers.postgres()


@pytest.fixture(scope="session")
def mariadb_server() -> servers.MariaDB:
    return servers.mariadb()


@pytest.fixture
def postgres_database(postgres_server, django_db_blocker) -> Iterator[BaseDatabaseWrapper]:
    """A connection to PostgreSQL, known to Django as the alias "postgres"."""
    with django_db_blocker.unblock(), connected("postgres", postgres_server.dsn) as connection:
        yield connection


@pytest.fixture
def mariadb_database(mariadb_server, django_db_blocker) -> Iterator[BaseDatabaseWrapper]:
    """A connection to MariaDB, known to Django as the alias "mariadb"."""
    with django_db_blocker.unblock(), connected("mariadb", mariadb_server.dsn) as connection:
        yield connection


@pytest.fixture
def later(monkeypatch):
    """Let seconds pass."""
    now, passed = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: now() + passed[0])

    def later(seconds):
        passed[0] += seconds

    return later
