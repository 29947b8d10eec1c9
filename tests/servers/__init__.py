"""Real servers for tests: started on free loopback ports, with their data in temporary directories.

`redis()`, `memcached()`, `postgres()` and `mariadb()` give one server per process, started when first asked for. A test
that stops, kills or fills a server takes one of its own: `with Redis() as server: ...`. Everything started here, and
nothing else, is stopped by `stop_all`.
"""

from __future__ import annotations

import atexit
from typing import TypeVar

from tests.servers.caches import Memcached, Redis
from tests.servers.databases import MariaDB, Postgres, install_mysql_driver
from tests.servers.server import MissingServer, Server, ask, free_port, running

__all__ = [
    "MariaDB",
    "Memcached",
    "MissingServer",
    "Postgres",
    "Redis",
    "Server",
    "ask",
    "free_port",
    "install_mysql_driver",
    "mariadb",
    "memcached",
    "postgres",
    "redis",
    "stop_all",
]

S = TypeVar("S", bound=Server)

_shared: dict[type[Server], Server] = {}


def _share(kind: type[S]) -> S:
    server = _shared.get(kind)
    if not isinstance(server, kind):
        server = _shared[kind] = kind()
    if not server.is_running:
        server.start()
    return server


def redis() -> Redis:
    """The Redis of this process. Raises MissingServer, as the other three do."""
    return _share(Redis)


def memcached() -> Memcached:
    """The memcached of this process."""
    return _share(Memcached)


def postgres() -> Postgres:
    """The PostgreSQL of this process."""
    return _share(Postgres)


def mariadb() -> MariaDB:
    """The MariaDB of this process."""
    return _share(MariaDB)


def stop_all() -> None:
    """Stop every server that this process started."""
    _shared.clear()
    for server in reversed(running[:]):
        server.close()


atexit.register(stop_all)
