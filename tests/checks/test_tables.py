import pytest
from django.core.management import call_command
from django.db.utils import OperationalError

import cacheplus.checks
from tests.check_messages import DATABASE, ids, one
from tests.databases import connected


@pytest.fixture
def other(settings, django_db_blocker, tmp_path):
    """A second database, which the router gives the cache tables."""
    settings.CACHEPLUS = {"CACHE_TABLE_DATABASE": "other"}
    settings.DATABASE_ROUTERS = ["cacheplus.routers.CacheRouter"]
    dsn = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "other.sqlite3"}
    with django_db_blocker.unblock(), connected("other", dsn) as connection:
        yield connection


def test_a_missing_table_names_the_command_that_makes_it(caches, other):
    caches(table={"BACKEND": DATABASE, "LOCATION": "entries"})

    message = one("cacheplus", databases=["other"])

    assert message.id == "cacheplus.W004"
    for part in ("'entries'", "'table'", "'other'"):
        assert part in message.msg
    command = message.hint.partition("manage.py ")[2].split()
    call_command(*command, verbosity=0)
    assert ids(databases=["other"]) == []


def test_a_missing_table_does_not_stop_the_first_migrate(caches, other):
    caches(table={"BACKEND": DATABASE, "LOCATION": "entries"})

    assert not one("cacheplus", databases=["other"]).is_serious()


def test_a_table_is_missed_only_where_the_router_wants_it(settings, caches, other):
    caches(table={"BACKEND": DATABASE, "LOCATION": "entries"})
    assert ids(databases=["other"]) == ["cacheplus.W004"]

    settings.CACHEPLUS = {"CACHE_TABLE_DATABASE": "default"}
    assert ids(databases=["other"]) == []


def test_a_database_that_is_not_there_is_said_and_not_raised(caches, other, monkeypatch):
    caches(table={"BACKEND": DATABASE, "LOCATION": "entries"})

    def refuse(*args):
        raise OperationalError("no route to host")

    monkeypatch.setattr(other, "cursor", refuse)

    assert "OperationalError" in one("cacheplus", databases=["other"]).msg
    assert one("cacheplus.W005", databases=["other"])


def test_without_databases_none_is_asked(caches):
    caches(table={"BACKEND": DATABASE, "LOCATION": "entries"})

    assert ids(databases=[]) == []
    assert cacheplus.checks.tables.check_tables(app_configs=None, databases=None) == []
