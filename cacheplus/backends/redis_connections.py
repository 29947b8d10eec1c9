"""Connections to Redis: one pool in a process for each server and its options.

django-redis chooses the pool and the parser and knows Sentinel; redis-py connects, authenticates and encrypts.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Any

import redis
from django.core.cache.backends.base import InvalidCacheBackendError
from django.utils.module_loading import import_string
from django.utils.version import get_version
from django_redis.pool import get_connection_factory
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from cacheplus.backends.redis_wire import Client

_SENTINEL_FACTORY = "django_redis.pool.SentinelConnectionFactory"
_TIMEOUTS = ("SOCKET_CONNECT_TIMEOUT", "SOCKET_TIMEOUT")
_UNLIMITED = 2**31


class Clients:
    """The clients of a process. All threads, and all backends with the same options, share one and its pool.

    A forked child begins with none: the sockets are its parent's, and a lock of a pool may have been held at the
    fork. Here no lock is needed: a new client is connected to nothing yet, and of two the first stays.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._clients: dict[Hashable, Client] = {}

    def get(self, url: str, options: Mapping[str, Any], identity: Hashable) -> Client:
        """The client of the server at `url`, made by `build_client` if need be; `identity` is that of `options`."""
        if self._pid != os.getpid():
            self._clients, self._pid = {}, os.getpid()
        client = self._clients.get((url, identity))
        return self._clients.setdefault((url, identity), build_client(url, options)) if client is None else client


clients = Clients()


class _Itself:
    """An object in an identity: equal to nothing but itself, whatever it says of that."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other._value is self._value

    def __hash__(self) -> int:
        return id(self._value)


def identity(options: Any) -> Hashable:
    """What two sets of options share only if they mean the same."""
    if isinstance(options, Mapping):
        return frozenset((name, identity(value)) for name, value in options.items())
    if isinstance(options, list | tuple):
        return tuple(map(identity, options))
    return options if options is None or isinstance(options, str | bytes | int | float) else _Itself(options)


def build_client(url: str, options: Mapping[str, Any]) -> Client:
    """A client with a pool of its own, connected to nothing yet.

    `options` are those of django-redis, in capitals, and keyword arguments of a pool or connection of redis-py. Raises
    InvalidCacheBackendError for what they cannot use, in words that hold no password.
    """
    if not is_usable(url):
        raise InvalidCacheBackendError(
            f"The server {shown(url)!r} in LOCATION cannot be used: write it as redis://host:6379/0, "
            "rediss://host:6379/0 or unix:///path/to/socket."
        )
    try:
        factory = get_connection_factory(_factory_options(options))
        if isinstance(options.get("pool_class"), type):
            factory.pool_cls = options["pool_class"]
        if not issubclass(factory.pool_cls, redis.BlockingConnectionPool):
            # One pool serves all threads here, and at its own limit, 100, it raises.
            factory.pool_cls_kwargs.setdefault("max_connections", _UNLIMITED)
        pool = factory.get_connection_pool(factory.make_connection_params(url))
        # Made for its errors: a keyword that it does not know would come to light in the first call only.
        pool.connection_class(**pool.connection_kwargs)
        return factory.redis_client_cls(connection_pool=pool, **factory.redis_client_cls_kwargs)
    except (ImportError, TypeError, ValueError, redis.RedisError) as error:
        raise InvalidCacheBackendError(
            f"The OPTIONS for {shown(url)!r} cannot be used: {str(error).rstrip('.')}."
        ) from error


def _factory_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` as a connection factory of django-redis takes them."""
    chosen = {name: value for name, value in options.items() if name.isupper()}
    keywords = {name: value for name, value in options.items() if name not in chosen}
    pool_class, parser_class = keywords.pop("pool_class", None), keywords.pop("parser_class", None)
    if isinstance(pool_class, str):
        chosen["CONNECTION_POOL_CLASS"] = pool_class
    if parser_class is not None:
        keywords["parser_class"] = import_string(parser_class) if isinstance(parser_class, str) else parser_class
    if "SENTINELS" in chosen:
        chosen.setdefault("CONNECTION_FACTORY", _SENTINEL_FACTORY)
        chosen["SENTINEL_KWARGS"] = {**_sentinel_keywords(chosen), **chosen.get("SENTINEL_KWARGS", {})}
    chosen["CONNECTION_POOL_KWARGS"] = {
        **_keywords(),
        **chosen.get("CONNECTION_POOL_KWARGS", {}),
        **keywords,
    }
    return chosen


def _keywords() -> dict[str, Any]:
    """What we ask of connections, where the site does not ask for something else."""
    driver_info = redis.DriverInfo()  # type: ignore[attr-defined,unused-ignore]  # not in the stubs of types-redis
    return {
        "driver_info": driver_info.add_upstream_driver("django", get_version()),
        # While maintenance is announced redis-py waits for ten seconds; and where it listens for that, it no longer
        # looks for unread replies before it lends a connection.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


def _sentinel_keywords(options: Mapping[str, Any]) -> dict[str, Any]:
    """For the connections to the sentinels, which redis-py would try eleven times over several seconds."""
    timeouts = {name.lower(): options[name] for name in _TIMEOUTS if name in options}
    return {"retry": Retry(NoBackoff(), 0), **timeouts}


def _parsed(url: str) -> dict[str, Any]:
    parts: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call,assignment,unused-ignore]
    return parts


def is_usable(url: str) -> bool:
    """Whether redis-py can read the address."""
    try:
        _parsed(url)
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def has_password(url: str) -> bool:
    """Whether the address holds one."""
    return is_usable(url) and "password" in _parsed(url)


def shown(url: object) -> str:
    """The address without credentials and arguments."""
    text = str(url)
    if "@" not in text and "?" not in text:
        return text
    scheme, separator, _ = text.partition("://")
    address = text.partition("?")[0]
    parts = _parsed(address) if is_usable(address) else {}
    return f"{scheme}://{parts.get('path') or parts.get('host') or '***'}" if separator else "***"
