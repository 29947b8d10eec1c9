"""The contenders: what stands in CACHES, and which of them are measured against which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

from tests import servers

_DJANGO = "django.core.cache.backends"
_OURS = "cacheplus.backends"
_PLENTY = {"MAX_ENTRIES": 10**7}

Entry = Mapping[str, Any]
Found = Callable[[Path], dict[str, Entry]]


def _locmem(_: Path) -> dict[str, Entry]:
    return {
        "django locmem": {"BACKEND": f"{_DJANGO}.locmem.LocMemCache", "LOCATION": "django", "OPTIONS": _PLENTY},
        "cacheplus locmem": {"BACKEND": f"{_OURS}.locmem.LocMemCache", "LOCATION": "cacheplus", "OPTIONS": _PLENTY},
    }


def _files(directory: Path) -> dict[str, Entry]:
    entries: dict[str, Entry] = {
        "django file": {
            "BACKEND": f"{_DJANGO}.filebased.FileBasedCache",
            "LOCATION": str(directory / "django"),
            "OPTIONS": _PLENTY,
        },
        "cacheplus file": {
            "BACKEND": f"{_OURS}.filebased.FileBasedCache",
            "LOCATION": str(directory / "cacheplus"),
            "OPTIONS": _PLENTY,
        },
        "cacheplus lmdb": {
            "BACKEND": f"{_OURS}.lmdb.LMDBCache",
            "LOCATION": str(directory / "lmdb"),
            "OPTIONS": _PLENTY,
        },
        "django locmem": _locmem(directory)["django locmem"],
    }
    if find_spec("diskcache"):
        entries["diskcache"] = {"BACKEND": "diskcache.DjangoCache", "LOCATION": str(directory / "diskcache")}
    return entries


def _database(_: Path) -> dict[str, Entry]:
    return {
        "django db": {"BACKEND": f"{_DJANGO}.db.DatabaseCache", "LOCATION": "django_cache", "OPTIONS": _PLENTY},
        "cacheplus db": {"BACKEND": f"{_OURS}.db.DatabaseCache", "LOCATION": "cacheplus_cache", "OPTIONS": _PLENTY},
    }


def _redis(_: Path) -> dict[str, Entry]:
    url = servers.redis().url
    return {
        "django redis": {"BACKEND": f"{_DJANGO}.redis.RedisCache", "LOCATION": f"{url}/0"},
        "django-redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"{url}/1"},
        "cacheplus redis": {"BACKEND": f"{_OURS}.redis.RedisCache", "LOCATION": f"{url}/2"},
    }


def _memcached(_: Path) -> dict[str, Entry]:
    address = servers.memcached().address
    return {
        f"{who} {name}": {"BACKEND": f"{path}.memcached.{name}", "LOCATION": address, "KEY_PREFIX": who}
        for name in ("PyMemcacheCache", "PyLibMCCache")
        for who, path in (("django", _DJANGO), ("cacheplus", _OURS))
    }


GROUPS: Mapping[str, Found] = {
    "locmem": _locmem,
    "files": _files,
    "db": _database,
    "redis": _redis,
    "memcached": _memcached,
}
"""By name, what is measured against what: the first of a group is the measure of the others."""


@contextmanager
def contenders(names: Sequence[str]) -> Iterator[dict[str, list[str]]]:
    """Start the servers and set Django up; give the aliases of each group."""
    with TemporaryDirectory(prefix="cacheplus-benchmarks-") as root:
        groups = {name: GROUPS[name](Path(root)) for name in names}
        caches = {alias: entry for entries in groups.values() for alias, entry in entries.items()}
        database = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(root) / "db.sqlite3",
            "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"},
        }
        settings.configure(
            SECRET_KEY="benchmarks",
            CACHES={"default": {"BACKEND": f"{_DJANGO}.locmem.LocMemCache"}, **caches},
            DATABASES={"default": database},
            INSTALLED_APPS=["cacheplus"],
            ROOT_URLCONF="benchmarks.pages",
            ALLOWED_HOSTS=["*"],
            USE_TZ=True,
        )
        django.setup()
        if "db" in names:
            call_command("createcachetable", verbosity=0)
        try:
            yield {name: list(entries) for name, entries in groups.items()}
        finally:
            servers.stop_all()
