"""The clients of memcached under test, and what a server says of itself."""

import socket

import _pylibmc

from cacheplus.backends.memcached import PyLibMCCache, PyMemcacheCache

CLIENTS = {
    "pymemcache": (PyMemcacheCache, {}),
    "pylibmc": (PyLibMCCache, {}),
    "pylibmc-binary": (PyLibMCCache, {"binary": True}),
}


def is_old(cache):
    """Whether this is a libmemcached of before 1.0.18."""
    return isinstance(cache, PyLibMCCache) and _pylibmc.libmemcached_version < "1.0.18"


def name_of(cache, key):
    return cache.make_and_validate_key(key)


def stat(server, name):
    """One figure of `stats`."""
    with socket.create_connection((server.host, server.port), 1) as connection:
        connection.sendall(b"stats\r\n")
        reply = b""
        while not reply.endswith(b"END\r\n"):
            reply += connection.recv(4096)
    figures = dict(line.split()[1:3] for line in reply.splitlines()[:-1])
    return int(figures[name.encode()])
