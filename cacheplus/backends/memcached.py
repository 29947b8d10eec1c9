"""memcached, through pymemcache or pylibmc. Both write the same items, but spread keys over servers each in its way."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from django.core.cache.backends.base import InvalidCacheBackendError

from cacheplus.backends.memcached_base import MemcachedCache, _wire_name
from cacheplus.backends.memcached_process import client_of_process
from cacheplus.codecs.extras import import_extra
from cacheplus.store import Stored

_ONE_SERVER = "a server that fails is a fault, and its keys have no other"
_REPLIES = "without replies add() could not tell who won"
_SERIALIZER = "SERIALIZER says how values are written"

_WEIGHTED = re.compile(r"(\[.*\]|[^:/]+):\d+:\d+")


class PyMemcacheCache(MemcachedCache):
    """A cache on memcached, through pymemcache. OPTIONS are the keyword arguments of its HashClient.

    All threads of a process share the connections; those unused for a minute are closed at the end of a request.
    """

    overruled: ClassVar[Mapping[str, str]] = {
        "serde": _SERIALIZER,
        "serializer": _SERIALIZER,
        "deserializer": _SERIALIZER,
        "default_noreply": _REPLIES,
        "use_pooling": "connections are always pooled",
        "retry_attempts": _ONE_SERVER,
        "retry_timeout": _ONE_SERVER,
        "dead_timeout": _ONE_SERVER,
    }

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        super().__init__(location, params)
        self._lib = import_extra("pymemcache", "memcached")
        from cacheplus.backends import memcached_pymemcache as driver  # noqa: PLC0415 (it imports the library)

        self._class = driver.Nodes
        self._serde = driver.ITEM_SERDE
        self._refusals = driver.REFUSALS
        self.faults = driver.FAULTS
        self.answers = (*driver.REFUSALS, driver.NotANumber)
        self.increment_errors = (driver.NotANumber,)
        if self._client_options.get("ignore_exc") and "ON_FAULT" not in self._client_options:
            self.options = replace(self.options, on_fault="miss")

    @property
    def client_servers(self) -> list[Any]:
        """LOCATION as pymemcache takes it. Raises InvalidCacheBackendError for a weight, which it does not know."""
        for server in self._servers:
            if isinstance(server, str) and _WEIGHTED.fullmatch(server):
                raise InvalidCacheBackendError(
                    f"CACHES[{self.alias!r}]['LOCATION'] gives the server {server!r} a weight, which pymemcache does "
                    "not know: leave it out, or use PyLibMCCache."
                )
        return self._servers

    def _client_arguments(self) -> dict[str, Any]:
        defaults = {
            "allow_unicode_keys": True,
            "no_delay": True,
            "pool_idle_timeout": 60,
            "connect_timeout": self._option("SOCKET_CONNECT_TIMEOUT"),
            "timeout": self._option("SOCKET_TIMEOUT"),
        }
        # ON_FAULT does what ignore_exc is for, and reports what happened.
        ours = {"serde": self._serde, "default_noreply": False, "use_pooling": True, "ignore_exc": False}
        return {**defaults, **self._given_options(), **ours}

    @property
    def _cache(self) -> Any:
        """The client, which all threads of the process share."""
        return client_of_process(self._identity, self._connect)

    def _call(self, method: str, *args: Any) -> Any:
        return self._cache.call(method, *args)

    def servers_of(self, names: Collection[str]) -> Collection[str]:
        """The nodes that have `names`: one that is dead does not keep others from being asked."""
        return self._cache.nodes_of(map(_wire_name, names))

    def _probe(self, server: str) -> None:
        self._call("probe", server)

    def _add_many(self, items: Mapping[str, Stored], ttl: float | None) -> set[str]:
        known = {_wire_name(name): name for name in items}
        return {known[name] for name in self._call("add_many", *self._pack(items, ttl))}

    def _remove(self, names: Sequence[str]) -> int:
        return int(self._call("remove_many", list(dict.fromkeys(map(_wire_name, names)))))

    def close(self, **kwargs: Any) -> None:
        """Close what has not been used for `pool_idle_timeout`. Django calls it after each request."""
        if unused_for := self._options["pool_idle_timeout"]:
            self._cache.disconnect_all(unused_for=unused_for)


class PyLibMCCache(MemcachedCache):
    """A cache on memcached, through pylibmc. OPTIONS are the keyword arguments of its Client.

    The threads of a process lend each other the clients that are not in use.
    """

    overruled: ClassVar[Mapping[str, str]] = {
        "auto_eject": _ONE_SERVER,
        "remove_failed": _ONE_SERVER,
        "buffer_requests": _REPLIES,
        "_noreply": _REPLIES,
        "cas": "values are replaced by compare-and-swap, which needs it",
    }
    """Here they are behaviors."""

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        super().__init__(location, params)
        self._lib = import_extra("pylibmc", "pylibmc")
        from cacheplus.backends import memcached_pylibmc as driver  # noqa: PLC0415 (it imports the library)

        self._class = driver.Client
        self._pool_class = driver.Pool
        self._refusals = driver.REFUSALS
        self.faults = driver.FAULTS
        self.answers = (*driver.REFUSALS, driver.NotANumber)
        self.increment_errors = (driver.NotANumber,)

    @property
    def client_servers(self) -> list[Any]:
        """LOCATION as pylibmc takes it."""
        return [server.removeprefix("unix:") if isinstance(server, str) else server for server in self._servers]

    def _client_arguments(self) -> dict[str, Any]:
        operation = self._option("SOCKET_TIMEOUT")
        defaults = {
            "tcp_nodelay": True,
            "retry_timeout": 1,
            "connect_timeout": round(self._option("SOCKET_CONNECT_TIMEOUT") * 1e3),
            "_poll_timeout": round(operation * 1e3),
            "send_timeout": round(operation * 1e6),
            "receive_timeout": round(operation * 1e6),
        }
        given = {name: value for name, value in self._behaviors().items() if name not in self.overruled}
        return {**self._given_options(), "behaviors": {**defaults, **given, "cas": True}}

    def _behaviors(self) -> Mapping[str, Any]:
        behaviors = self._client_options.get("behaviors") or {}
        if not isinstance(behaviors, Mapping):
            raise InvalidCacheBackendError(
                f"CACHES[{self.alias!r}]['OPTIONS']['behaviors'] is {behaviors!r}, not a dict."
            )
        return behaviors

    def _left_out(self) -> list[str]:
        # All of them are to be off, but for "cas".
        return [
            name for name, is_on in self._behaviors().items() if name in self.overruled and is_on == (name != "cas")
        ]

    def servers_of(self, names: Collection[str]) -> Collection[str]:
        """Only known where there is one. Of several, libmemcached itself leaves alone for a second what has failed."""
        return super().servers_of(names) if len(self._servers) == 1 else ()

    @cached_property
    def _cache(self) -> Any:
        """A client for the caller's own use; the cache itself has others."""
        return self._connect()

    def _call(self, method: str, *args: Any) -> Any:
        return client_of_process(self._identity, lambda: self._pool_class(self._connect)).call(method, *args)
