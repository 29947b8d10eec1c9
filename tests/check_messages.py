"""What the system checks say of a site, and backends to say it of."""

import re

from django.core.cache.backends.db import BaseDatabaseCache
from django.core.checks import run_checks

from cacheplus.backends.dummy import DummyCache
from cacheplus.exceptions import MissingExtra

LOCMEM = "cacheplus.backends.locmem.LocMemCache"
DUMMY = "cacheplus.backends.dummy.DummyCache"
DJANGOS_LOCMEM = "django.core.cache.backends.locmem.LocMemCache"


class Shared(DummyCache):
    """Stands for any store that processes share."""

    is_shared = True


class Unlisted(Shared):
    """Stands for a store that cannot list its keys, such as memcached."""

    supports_scoped_clear = False


class NeedsLibrary(DummyCache):
    def __init__(self, location, params):
        raise MissingExtra("pymemcache", "memcached")


class Quoting(DummyCache):
    def __init__(self, location, params):
        raise ValueError(f"cannot reach {location}")


class SomeDatabaseCache(BaseDatabaseCache):
    pass


SHARED, UNLISTED, NEEDS_LIBRARY, QUOTING, DATABASE = (
    f"{__name__}.{kind.__name__}" for kind in (Shared, Unlisted, NeedsLibrary, Quoting, SomeDatabaseCache)
)


def found(pattern="cacheplus", *, deploy=False, databases=None):
    """The messages whose id matches, from a run of our registered checks."""
    tags = ["cacheplus"] if databases is None else ["cacheplus", "database"]
    messages = run_checks(tags=tags, include_deployment_checks=deploy, databases=databases)
    return [message for message in messages if re.match(pattern, message.id)]


def one(pattern, **kwargs):
    [message] = found(pattern, **kwargs)
    return message


def ids(**kwargs):
    return [message.id for message in found(**kwargs)]
