"""The database store on SQLite and the processes that share its file: nothing is lost, and nobody fails."""

import random
import sqlite3
import time
from contextlib import closing

import pytest

from cacheplus.backends.db import DatabaseCache
from tests.cache_tables import cache_table, sqlite
from tests.databases import connected
from tests.processes import process, together

CONNECT = """
import django
from django.db import connections
mode, file, number = arguments[0]
options = {"init_command": f"PRAGMA synchronous = {mode}"}
dsn = {"ENGINE": "django.db.backends.sqlite3", "NAME": file, "OPTIONS": options}
connections.settings["default"] = connections.configure_settings({"default": dsn})["default"]
django.setup()
"""

WORK = """
lost = 0
for turn in range(150):
    cache.set(f"own-{number}", turn, 60)
    lost += cache.get(f"own-{number}") != turn
    if turn % 3 < 2:
        cache.incr("shared")
tell([lost, [cache.add(f"lock-{turn}", number, 60) for turn in range(150)]])
"""

CULLING = """
told = []
for turn in range(150):
    cache.set(f"value-{number}-{turn}", "x" * 100, 600 + turn)
    told.append(cache.add(f"lock-{turn}", number, 6000))
    if turn % 3 < 2:
        cache.incr("shared")
tell(told)
"""

LENGTH = 100_000
VALUES = f"""
tell("writing")
turn = 0
while True:
    turn += 1
    cache.set_many({{name: [turn] * {LENGTH} for name in "abc"}}, None)
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "cache.sqlite3"


@pytest.fixture
def database(request, file, django_db_blocker):
    mode = getattr(request, "param", "WAL")
    with django_db_blocker.unblock(), connected(f"shared-{mode}-{file.parent.name}", sqlite(file)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA journal_mode = {mode}")
        yield connection


@pytest.fixture
def table(database):
    with cache_table(database) as table:
        yield table


@pytest.fixture
def cache(table):
    """It waits for long, so that a busy machine or a slow disk is no failure."""
    return DatabaseCache(table, {"OPTIONS": {"CULL_PROBABILITY": 0, "LOCK_TIMEOUT": 10}})


def four(file, synchronous="OFF"):
    """The arguments of four processes."""
    return [[synchronous, str(file), number] for number in range(4)]


@pytest.mark.parametrize("synchronous", ["OFF", "FULL"])
@pytest.mark.parametrize("database", ["DELETE", "TRUNCATE", "PERSIST", "WAL"], indirect=True)
def test_four_writers_lose_nothing_and_none_of_them_fails(cache, file, synchronous):
    """F17."""
    cache.set("shared", 0, 60)
    told = together(cache, CONNECT + WORK, four(file, synchronous))
    assert [lost for lost, _ in told] == [0] * 4
    assert cache.get("shared") == 400
    assert [sum(winners) for winners in zip(*(won for _, won in told), strict=True)] == [1] * 150


@pytest.mark.parametrize("database", ["DELETE", "WAL"], indirect=True)
def test_culling_disturbs_nobody(table, file):
    """F16: the locks end last, so that none of them goes, even if all four make room at the same time."""
    options = {"MAX_ENTRIES": 400, "CULL_FREQUENCY": 20, "CULL_PROBABILITY": 0.2, "LOCK_TIMEOUT": 10}
    cache = DatabaseCache(table, {"OPTIONS": options})
    cache.set("shared", 0, 6000)
    told = together(cache, CONNECT + CULLING, four(file))
    assert [sum(winners) for winners in zip(*told, strict=True)] == [1] * 150
    assert cache.get("shared") == 400
    with closing(sqlite3.connect(file)) as connection:
        ((rows,),) = connection.execute(f'SELECT COUNT(*) FROM "{table}"')
    assert rows < 600


@pytest.mark.parametrize("database", ["DELETE", "WAL"], indirect=True)
def test_what_a_killed_writer_leaves_is_whole(cache, file):
    """F30: twelve times, in the middle of writes of megabytes."""
    names = ["a", "b", "c"]
    for kill in range(12):
        with process(cache, CONNECT + VALUES, ["OFF", str(file), 0]) as writer:
            writer.go()
            assert writer.heard() == "writing"
            time.sleep(random.uniform(0.02, 0.2))
        found = cache.get_many(names)
        # One statement is all or nothing.
        assert [value == [value[0]] * LENGTH for value in found.values()] == [True] * len(found)
        assert len({value[0] for value in found.values()}) <= 1
        assert len(found) in (0, 3)
        cache.set(f"after-{kill}", "value", None)
        assert cache.get(f"after-{kill}") == "value"
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("database", ["DELETE", "WAL"], indirect=True)
def test_a_full_disk_is_a_fault_that_leaves_no_old_value(table, database):
    """F31."""
    resource = pytest.importorskip("resource")
    cache = DatabaseCache(table, {"OPTIONS": {"ON_FAULT": "miss", "CULL_PROBABILITY": 0}})
    cache.set("key", "old", 60)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**17, limits[1]))
    try:
        failed = [number for number in range(60) if cache.set_many({f"key-{number}": "x" * 10_000})]
        assert cache.set_many({"key": "x" * 100_000}) == ["key"]
        assert cache.get("key") is None
        assert failed
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    cache.set("key", "new", 60)
    assert cache.get("key") == "new"
