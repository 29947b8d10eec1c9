"""CACHEPLUS and the settings of Django that belong to it, judged by the rules that the run time uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core import checks

from cacheplus.checks.paths import ancestry
from cacheplus.conf import bad_values, setting, unknown_keys

_TABLE_KEYS = ("CACHE_TABLE_DATABASE", "CACHE_TABLE_REPLICA")
_ROUTER = "cacheplus.routers.CacheRouter"


def check_keys(**_kwargs: Any) -> list[checks.Error]:
    """E001: a key of CACHEPLUS is unknown."""
    return [
        checks.Error(message, hint=hint, id="cacheplus.E001") for message, hint in unknown_keys(setting("CACHEPLUS"))
    ]


def check_values(**_kwargs: Any) -> list[checks.Error]:
    """E002: a value of CACHEPLUS is not one that its key accepts."""
    problems = bad_values(setting("CACHEPLUS"))
    return [checks.Error(message, hint=hint, id="cacheplus.E002") for message, hint in problems]


def check_table_databases(**_kwargs: Any) -> list[checks.Error]:
    """E003: the cache tables are sent to a database that does not exist."""
    known = list(setting("DATABASES", {}))
    return [
        checks.Error(
            f"CACHEPLUS[{key!r}] is {database!r}, which is no alias of DATABASES.",
            hint=f"There are {', '.join(map(repr, known))}.",
            id="cacheplus.E003",
        )
        for key, database in _table_databases().items()
        if database not in known
    ]


def check_router(**_kwargs: Any) -> list[checks.Warning]:
    """W003: the databases of the cache tables are named, but nothing reads the names."""
    if any(_ROUTER in ancestry(entry) for entry in setting("DATABASE_ROUTERS") or ()):
        return []
    return [
        checks.Warning(
            f"CACHEPLUS[{key!r}] has no effect: CacheRouter is not in DATABASE_ROUTERS.",
            hint=f"Add {_ROUTER!r} to DATABASE_ROUTERS, or leave the key out where a router of your own decides.",
            id="cacheplus.W003",
        )
        for key in _table_databases()
    ]


def check_page_seconds(**_kwargs: Any) -> list[checks.Error]:
    """E004: CACHE_MIDDLEWARE_SECONDS is neither a number nor None."""
    seconds = setting("CACHE_MIDDLEWARE_SECONDS")
    if seconds is None or (type(seconds) in {int, float} and seconds >= 0):
        return []
    return [
        checks.Error(
            f"CACHE_MIDDLEWARE_SECONDS is {seconds!r}.",
            hint="Make it a number of seconds, 0 or more, or None to store only what says itself how long it is fresh.",
            id="cacheplus.E004",
        )
    ]


def _table_databases() -> dict[str, Any]:
    given = setting("CACHEPLUS")
    given = given if isinstance(given, Mapping) else {}
    return {key: given[key] for key in _TABLE_KEYS if isinstance(given.get(key), str)}
