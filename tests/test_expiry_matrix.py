"""One call ends every copy of a page, and of no other page: on every store, from this process and from another."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from django.urls import path
from django.utils import timezone

from cacheplus import expire_view_cache
from cacheplus.decorators import cache_page, vary_on_cookie
from tests.cache_tables import cache_table, sqlite
from tests.databases import connected
from tests.sites import LOCALE, Page, is_hit, layers, locmem, site


class Visit(NamedTuple):
    """One of the requests that lead to copies of their own."""

    secure: bool
    host: str
    language: str
    zone: str
    query: str
    cookie: str

    def ask(self, method: str, path: str) -> Any:
        client = Client(headers={"host": self.host, "accept-language": self.language, "x-zone": self.zone})
        client.cookies.load({"choice": self.cookie})
        return getattr(client, method.lower())(path + self.query, secure=self.secure)


VISITS = [
    Visit(*each)
    for each in product(
        (True, False),
        ("example.com", "www.example.com:8080"),
        ("en", "de"),
        ("UTC", "Europe/Berlin"),
        ("", "?page=2"),
        ("1", "2"),
    )
]
METHODS = ("HEAD", "GET")
NEIGHBOURS = ("/p2/", "/p/child/")


class Zone:
    """Middleware that activates the time zone that a header names."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        with timezone.override(request.headers.get("X-Zone", "UTC")):
            return self.get_response(request)


def on_server(fixture, backend):
    def entry(request):
        server = request.getfixturevalue(fixture)
        location = server.url if hasattr(server, "url") else server.address
        return locmem(KEY_PREFIX=locmem()["LOCATION"]) | {
            "BACKEND": f"cacheplus.backends.{backend}",
            "LOCATION": location,
        }

    return entry


def in_directory(backend):
    def entry(request):
        pytest.importorskip(f"cacheplus.backends.{backend.partition('.')[0]}")
        place = str(request.getfixturevalue("tmp_path") / "cache")
        options = {"OPTIONS": {"MAX_ENTRIES": 5000}}
        return {"BACKEND": f"cacheplus.backends.{backend}", "LOCATION": place, **options}

    return entry


STORES = {
    "filebased": in_directory("filebased.FileBasedCache"),
    "lmdb": in_directory("lmdb.LMDBCache"),
    "redis": on_server("redis_server", "redis.RedisCache"),
    "pymemcache": on_server("memcached_server", "memcached.PyMemcacheCache"),
    "pylibmc": on_server("memcached_server", "memcached.PyLibMCCache"),
}
DATABASES = {"sqlite": "sqlite_file", "postgres": "postgres_database", "mariadb": "mariadb_database"}


@pytest.fixture
def sqlite_file(tmp_path, django_db_blocker):
    with django_db_blocker.unblock(), connected("matrix-sqlite", sqlite(tmp_path / "matrix.sqlite3")) as connection:
        yield connection


@contextmanager
def table_of(connection):
    with cache_table(connection, name="matrix") as table:
        options = {"OPTIONS": {"MAX_ENTRIES": 5000}}
        yield {"BACKEND": "cacheplus.backends.db.DatabaseCache", "LOCATION": table, **options}


@pytest.fixture(params=[*STORES, *DATABASES])
def store(request):
    """(an entry of CACHES on each store that processes share, the database alias that it needs)."""
    if request.param in STORES:
        yield STORES[request.param](request), None
    else:
        connection = request.getfixturevalue(DATABASES[request.param])
        with table_of(connection) as entry:
            yield entry, connection.alias


WAYS = ("per site", "per view", "per site and per view")


@contextmanager
def served(entry, way):
    """A page at /p/ and its neighbours, cached in one way on one store; yields the view, which counts its runs."""
    page = Page()
    view = vary_on_cookie(page)
    view = cache_page(300)(view) if "view" in way else view
    shape = "pair" if "site" in way else "none"
    routes = [path(each.lstrip("/"), view) for each in ("/p/", *NEIGHBOURS)]
    with site(*routes, CACHES={"default": entry}, MIDDLEWARE=layers(shape, LOCALE, f"{__name__}.Zone")):
        yield page


def ask_all(page, where):
    """(requests that were answered by a stored page, runs of the view) over all visits to `where`.

    A HEAD comes first, so that what it brings could stand beside what a GET brings.
    """
    runs = page.runs
    hits = sum(is_hit(visit.ask(method, where)) for visit, method in product(VISITS, METHODS))
    return hits, page.runs - runs


def fill(page, paths):
    """Make every copy."""
    for where in paths:
        assert ask_all(page, where)[1] >= len(VISITS)
    assert ask_all(page, "/p/") == (len(VISITS) * len(METHODS), 0)


def check_that_only_p_is_gone(page, neighbours):
    for where in neighbours:
        assert ask_all(page, where) == (len(VISITS) * len(METHODS), 0)
    found = [visit.ask("HEAD", "/p/") for visit in VISITS]
    assert not any(map(is_hit, found))


@pytest.mark.parametrize("way", WAYS)
def test_one_call_ends_every_copy_of_each_layer(way):
    with served(locmem(OPTIONS={"MAX_ENTRIES": 5000}), way) as page:
        fill(page, ("/p/", *NEIGHBOURS))
        runs = page.runs
        assert expire_view_cache("/p/")
        check_that_only_p_is_gone(page, NEIGHBOURS)
        assert page.runs == runs + len(VISITS)
        assert not expire_view_cache("/never/")


@pytest.mark.parametrize("visit", VISITS[:2])
@pytest.mark.parametrize("way", WAYS)
def test_the_copy_that_a_get_stored_goes_without_the_help_of_a_head(way, visit):
    with served(locmem(), way) as page:
        for _ in range(2):
            visit.ask("GET", "/p/")
        assert page.runs == 1
        assert expire_view_cache("/p/")
        assert not is_hit(visit.ask("GET", "/p/"))
        assert page.runs == 2


def test_one_call_ends_every_copy_on_each_store(store):
    with served(store[0], WAYS[2]) as page:
        fill(page, ("/p/", *NEIGHBOURS))
        runs = page.runs
        assert expire_view_cache("/p/")
        check_that_only_p_is_gone(page, NEIGHBOURS)
        assert page.runs == runs + len(VISITS)


EXPIRE = """
import json, sys
import django
from django.conf import settings
from tests.cache_tables import OneDatabase
from tests.servers import install_mysql_driver

given, database = json.loads(sys.argv[1])
if database is not None:
    settings.configure(DATABASE_ROUTERS=[OneDatabase(database)], **given)
    install_mysql_driver()
else:
    settings.configure(**given)
django.setup()

from cacheplus import expire_view_cache

sys.exit(0 if expire_view_cache("/p/") else "nothing was expired")
"""


def expire_elsewhere(entry, database):
    """`expire_view_cache("/p/")` in another process, which knows the settings and nothing else."""
    given: dict[str, Any] = {"SECRET_KEY": settings.SECRET_KEY, "CACHES": {"default": entry}, "USE_TZ": True}
    if database is not None:
        given["DATABASES"] = {
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
            database: {
                name: connections.settings[database][name]
                for name in ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
            },
        }
    done = subprocess.run(
        [sys.executable, "-c", EXPIRE, json.dumps([given, database], default=str)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_one_call_in_another_process_ends_every_copy(store):
    with served(store[0], WAYS[2]) as page:
        fill(page, ("/p/", NEIGHBOURS[0]))
        runs = page.runs
        expire_elsewhere(*store)
        check_that_only_p_is_gone(page, NEIGHBOURS[:1])
        assert page.runs == runs + len(VISITS)
