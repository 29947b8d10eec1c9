"""One alias of CACHES from one line: `CACHES = {"default": cache_url(os.environ["CACHE_URL"])}`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import isfinite
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote

from django.core.exceptions import ImproperlyConfigured


class CacheURLError(ImproperlyConfigured, ValueError):
    """A cache URL that cannot be used. Its text never holds a password."""


class CacheURLWarning(UserWarning):
    """An argument of a cache URL was left out, because it is unknown or its value cannot be used."""


def cache_url(url: str, **overrides: Any) -> dict[str, Any]:
    """The entry of CACHES that `url` describes.

    `overrides` are keys of such an entry and win over the URL; OPTIONS is merged. Credentials go to OPTIONS, where
    Django's debug page hides them. Raises CacheURLError; warns with CacheURLWarning of an argument that it leaves out.
    """
    scheme, rest, query = _split(url)
    try:
        place = scheme.place(rest)
    except _UnusableError as reason:
        raise CacheURLError(f"The cache URL {_redacted(url)!r} {reason}.") from None
    entry: dict[str, Any] = {"BACKEND": scheme.backend, "LOCATION": place.location}
    options = dict(place.options)
    for key, value, complaint in _arguments(scheme, query):
        if complaint:
            warnings.warn(
                f"The cache URL {_redacted(url)!r} {complaint}; it is left out.", CacheURLWarning, stacklevel=2
            )
        else:
            (entry if key in _ENTRY_KEYS else options)[key] = value
    return _merged(entry, options, overrides)


# Values


class _UnusableError(ValueError):
    """Says what is the matter, in words that follow "The cache URL ..."; never with a value that may be secret."""


def _whole(text: str) -> int:
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(text)
    return int(text)


def _timeout(text: str) -> int | None:
    return None if text.lower() == "none" else int(text)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not (isfinite(seconds) and seconds > 0):
        raise ValueError(text)
    return seconds


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError(text)
    return share


def _name(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


Reader = Callable[[str], Any]

_ENTRY_KEYS = ("BACKEND", "LOCATION", "TIMEOUT", "KEY_PREFIX", "VERSION", "KEY_FUNCTION", "OPTIONS")

# What an argument becomes, and how its text is read. In a URL the case of its name does not matter.
_COMMON: Mapping[str, Reader] = {
    "TIMEOUT": _timeout,
    "KEY_PREFIX": str,
    "VERSION": _whole,
    "KEY_FUNCTION": _name,
    "MAX_ENTRIES": _count,
    "CULL_FREQUENCY": _count,
    "SERIALIZER": _name,
    "SIGNED": _boolean,
    "ACCEPT_DJANGO": _boolean,
    "COMPRESSOR": _name,
    "COMPRESS_MIN_BYTES": _count,
    "MAX_BYTES_DECODED": _count,
    "ON_FAULT": _name,
    "KEY_POLICY": _name,
    "JITTER": _share,
}
_SERVER: Mapping[str, Reader] = {**_COMMON, "SOCKET_TIMEOUT": _seconds, "SOCKET_CONNECT_TIMEOUT": _seconds}
_REDIS: Mapping[str, Reader] = {**_SERVER, "db": _count, "max_connections": _count, "health_check_interval": _count}
_PYMEMCACHE: Mapping[str, Reader] = {**_SERVER, "max_pool_size": _count}
_PYLIBMC: Mapping[str, Reader] = {**_SERVER, "binary": _boolean}


# Places: what stands between "://" and "?"


@dataclass(frozen=True, slots=True)
class _Place:
    location: str | list[str] = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def _nowhere(_rest: str) -> _Place:
    return _Place()


def _named(rest: str) -> _Place:
    return _Place(unquote(rest.strip("/")))


def _table(rest: str) -> _Place:
    name = unquote(rest.strip("/"))
    return _Place(name) if name else _refuse("names no table: write db://my_cache_table")


def _directory(rest: str) -> _Place:
    path = unquote(rest)
    if re.match(r"/[A-Za-z]:/", path):  # file:///c:/dir, as RFC 8089 writes what Django wrote as file://c:/dir
        path = path[1:]
    if not path:
        _refuse("names no directory: write three slashes, as in file:///var/cache/site")
    return _Place(path.rstrip("/") or "/")


def _servers(rest: str) -> _Place:
    credentials, servers = _credentials(rest)
    if credentials:
        _refuse("has a user name or a password, and pymemcache knows none: use pylibmc://")
    return _Place(_one_or_many(_hosts(servers.removesuffix("/"))))


def _sasl_servers(rest: str) -> _Place:
    credentials, servers = _credentials(rest)
    options: dict[str, Any] = {name.lower(): value for name, value in credentials.items()}
    if options:
        options["binary"] = True  # the text protocol has no authentication
    return _Place(_one_or_many(_hosts(servers.removesuffix("/"))), options)


def _redis_servers(scheme: str) -> Callable[[str], _Place]:
    def place(rest: str) -> _Place:
        credentials, address = _credentials(rest)
        servers, _, database = address.partition("/")
        if database and not database.isdecimal():
            _refuse("has a path that is no database number: write it as in redis://host:6379/1")
        path = f"/{database}" if database else ""
        hosts = [_host(server) for server in _hosts(servers)]
        return _Place(_one_or_many([f"{scheme}://{host}{path}" for host in hosts]), credentials)

    return place


def _redis_socket(rest: str) -> _Place:
    credentials, path = _credentials(rest)
    if not path.startswith("/"):
        _refuse("names no socket: write three slashes, as in unix:///run/redis.sock")
    return _Place(f"unix://{path}", credentials)


def _credentials(rest: str) -> tuple[dict[str, str], str]:
    """What stands before the last @, decoded, and the rest."""
    given, _, address = rest.rpartition("@")
    user, _, password = given.partition(":")
    found = {"USERNAME": unquote(user), "PASSWORD": unquote(password)}
    return {name: value for name, value in found.items() if value}, address


def _hosts(servers: str) -> list[str]:
    hosts = [unquote(host.strip()) for host in re.split("[;,]", servers) if host.strip()]
    return hosts or _refuse("names no server: write scheme://host:port")


def _host(server: str) -> str:
    if not re.fullmatch(r"(\[[^\[\]]+\]|[^\[\]:]+)(:[0-9]+)?", server):
        _refuse('has a server that is no host:port; a "?" in a password must be percent-encoded')
    return server


def _one_or_many(servers: list[str]) -> str | list[str]:
    return servers if len(servers) > 1 else servers[0]


def _refuse(reason: str) -> NoReturn:
    raise _UnusableError(reason)


# Schemes


@dataclass(frozen=True, slots=True)
class _Scheme:
    backend: str
    place: Callable[[str], _Place]
    arguments: Mapping[str, Reader] = field(default_factory=lambda: _COMMON)


_REDIS_BACKEND = "cacheplus.backends.redis.RedisCache"
_SCHEMES = {
    "db": _Scheme("cacheplus.backends.db.DatabaseCache", _table),
    "dummy": _Scheme("cacheplus.backends.dummy.DummyCache", _nowhere),
    "file": _Scheme("cacheplus.backends.filebased.FileBasedCache", _directory),
    "lmdb": _Scheme("cacheplus.backends.lmdb.LMDBCache", _directory),
    "locmem": _Scheme("cacheplus.backends.locmem.LocMemCache", _named),
    "memcached": _Scheme("cacheplus.backends.memcached.PyMemcacheCache", _servers, _PYMEMCACHE),
    "pylibmc": _Scheme("cacheplus.backends.memcached.PyLibMCCache", _sasl_servers, _PYLIBMC),
    "redis": _Scheme(_REDIS_BACKEND, _redis_servers("redis"), _REDIS),
    "rediss": _Scheme(_REDIS_BACKEND, _redis_servers("rediss"), _REDIS),
    "unix": _Scheme(_REDIS_BACKEND, _redis_socket, _REDIS),
}


def _split(url: str) -> tuple[_Scheme, str, str]:
    """(scheme, place, query). By hand: urllib knows no scheme with an underscore, and no several hosts."""
    if not isinstance(url, str):
        raise CacheURLError(f"A cache URL must be a string such as 'locmem://', not {type(url).__name__}.")
    name, separator, rest = url.partition("://")
    if not separator:
        raise CacheURLError(f"The cache URL {_redacted(url)!r} has no scheme. {_known_schemes()}")
    rest, _, query = rest.partition("?")
    scheme = _SCHEMES.get(name.lower())
    if scheme is None and "." in name and all(part.isidentifier() for part in name.split(".")):
        scheme = _Scheme(name, _named)
    if scheme is None:
        near = get_close_matches(name.lower(), _SCHEMES, n=1)
        guess = f"Did you mean {near[0]}://? " if near else ""
        raise CacheURLError(
            f"The cache URL {_redacted(url)!r} has an unknown scheme {name!r}. {guess}{_known_schemes()}"
        )
    return scheme, rest, query


def _known_schemes() -> str:
    return (
        f"There are {', '.join(f'{name}://' for name in _SCHEMES)} and the path of a backend, as in path.to.Backend://."
    )


def _arguments(scheme: _Scheme, query: str) -> Iterator[tuple[str, Any, str]]:
    """(key, value, complaint) of each argument. A later one wins, as in Django 1.2."""
    keys = {key.lower(): key for key in scheme.arguments}
    for name, text in parse_qsl(query, keep_blank_values=True):
        key = keys.get(name.lower())
        if key is None:
            near = get_close_matches(name.lower(), keys, n=1)
            yield name, None, f"has an unknown argument {name!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
            continue
        try:
            value = scheme.arguments[key](text)
        except (ValueError, KeyError):
            yield key, None, f"has a bad value for {name!r}: {text!r}"
        else:
            yield key, value, ""


def _merged(entry: dict[str, Any], options: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(overrides) - set(_ENTRY_KEYS)):
        raise TypeError(
            f"cache_url() takes {', '.join(_ENTRY_KEYS)}, not {', '.join(unknown)}; "
            "what a backend takes goes into OPTIONS={...}."
        )
    options |= overrides.get("OPTIONS", {})
    entry |= {key: value for key, value in overrides.items() if key != "OPTIONS"}
    return {**entry, "OPTIONS": options} if options else entry


def _redacted(url: str) -> str:
    """`url` without credentials and without the values of its arguments."""
    shown = re.sub(r"^([^:/?@]*://)?.*@", r"\1***@", url, flags=re.DOTALL)
    return shown.partition("?")[0]
