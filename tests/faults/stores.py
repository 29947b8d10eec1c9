"""The stores under faults: how each is opened, and what of it may fail."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from django.utils.module_loading import import_string

from tests.cache_tables import cache_table, sqlite
from tests.databases import connected
from tests.faults.proxy import Proxy
from tests.servers import Memcached, Redis, Server, free_port

SERVED = {
    "redis": ("cacheplus.backends.redis.RedisCache", Redis),
    "pymemcache": ("cacheplus.backends.memcached.PyMemcacheCache", Memcached),
    "pylibmc": ("cacheplus.backends.memcached.PyLibMCCache", Memcached),
}
EMBEDDED = {
    "locmem": "cacheplus.backends.locmem.LocMemCache",
    "file": "cacheplus.backends.filebased.FileBasedCache",
    "lmdb": "cacheplus.backends.lmdb.LMDBCache",
    "db": "cacheplus.backends.db.DatabaseCache",
}
# A map of the default size is reserved on the disk for each test.
_OPTIONS = {"lmdb": {"MAP_SIZE": 32 * 2**20}}

SERVERS = tuple(SERVED)
BYTES = (*SERVED, "file", "lmdb", "db")
ALL = (*SERVED, *EMBEDDED)


class Served(NamedTuple):
    """A server, the proxy before it, and the entries of CACHES that lead to them."""

    store: str
    server: Server
    proxy: Proxy

    def behind(self, **options: Any) -> dict[str, Any]:
        """An entry whose calls go through the proxy."""
        return entry(self.store, _location(self.store, self.proxy), **options)

    def beside(self, **options: Any) -> dict[str, Any]:
        """An entry whose calls go straight to the server."""
        return entry(self.store, _location(self.store, self.server), **options)


def _location(store: str, place: Any) -> str:
    return place.url if store == "redis" else place.address


def entry(store: str, location: Any, prefix: str | None = None, **options: Any) -> dict[str, Any]:
    """An entry of CACHES, with a prefix of its own unless one is given."""
    backend = EMBEDDED.get(store) or SERVED[store][0]
    return {
        "BACKEND": backend,
        "LOCATION": location,
        "KEY_PREFIX": prefix or secrets.token_hex(4),
        "OPTIONS": {**_OPTIONS.get(store, {}), **options},
    }


def build(params: dict[str, Any]) -> Any:
    """The backend of an entry."""
    params = dict(params)
    return import_string(params.pop("BACKEND"))(params.pop("LOCATION", ""), params)


def nobody(store: str, **options: Any) -> dict[str, Any]:
    """An entry for a server that is not there."""
    address = f"127.0.0.1:{free_port()}"
    return entry(store, f"redis://{address}" if store == "redis" else address, **options)


@contextmanager
def served(store: str, *arguments: str) -> Iterator[Served]:
    """A server of its own, behind a proxy."""
    with SERVED[store][1](*arguments) as server, Proxy(server) as proxy:
        yield Served(store, server, proxy)


@contextmanager
def opened(store: str, **options: Any) -> Iterator[dict[str, Any]]:
    """An entry of CACHES for any store, alone in its place."""
    if store in SERVED:
        with SERVED[store][1]() as server:
            yield entry(store, _location(store, server), **options)
        return
    with tempfile.TemporaryDirectory(prefix="cacheplus-faults-") as directory:
        if store != "db":
            yield entry(store, secrets.token_hex(8) if store == "locmem" else f"{directory}/cache", **options)
            return
        dsn = sqlite(Path(directory) / "cache.sqlite3")
        # Threads remember aliases, so this one is never used again.
        with connected(f"faults-{secrets.token_hex(4)}", dsn) as connection, cache_table(connection) as table:
            yield entry(store, table, **options)
