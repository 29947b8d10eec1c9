"""Redis and Valkey, through django-redis and redis-py: one server, or a leader and its replicas."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import ceil
from time import monotonic
from typing import Any, ClassVar

from django.core import checks

from cacheplus.backends.base import DEFAULT_TIMEOUT, BaseCache, InvalidCacheBackendError
from cacheplus.backends.operations import Codec
from cacheplus.backends.options import SECONDS, TABLE, Option, client_options, value_of
from cacheplus.codecs.extras import import_extra
from cacheplus.codecs.record import Record, from_wire, to_wire
from cacheplus.store import SERVICE_MARK, Stored

try:
    from cacheplus.backends import redis_connections as connections
    from cacheplus.backends import redis_wire as wire
except ModuleNotFoundError as error:
    # The backend says so when it is built, with the line that installs the library.
    if error.name not in {"redis", "django_redis"}:
        raise

_FOREVER = 2**62
_SCAN_COUNT = 1000
# What is left alone by itself, since all that they answer the leader can answer too.
_REPLICAS = "replicas"
_GLOB = re.compile(r"([\\*?\[\]])")


def _is_any(_value: object) -> bool:
    return True


def _is_mapping(value: object) -> bool:
    return value is None or isinstance(value, Mapping)


def _is_path(value: object) -> bool:
    return value is None or (isinstance(value, str) and "." in value)


def _is_pairs(value: object) -> bool:
    return value is None or (isinstance(value, list | tuple) and all(isinstance(pair, list | tuple) for pair in value))


class ValueSerializer:
    """What Django calls the serializer of a client: values to stored forms and back, by the codec of the alias."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def dumps(self, value: Any) -> Stored:
        """The stored form, under no name."""
        return self._codec.encode("", Record(value))

    def loads(self, stored: Stored) -> Any:
        """The value of what `dumps` made. Raises BadRecord for anything else."""
        return self._codec.decode("", from_wire(stored) if isinstance(stored, bytes) else stored).value


class RedisCacheClient:
    """The servers of an alias: the first one leads, the others are its replicas.

    A site that chooses servers in another way overrides `get_client` and puts its class into `RedisCache._class`.
    """

    def __init__(self, servers: Sequence[str], serializer: Any = None, **options: Any) -> None:
        self._servers = servers
        self._serializer = serializer
        self._options = options
        self._identity = connections.identity(options)

    def get_client(self, key: str | None = None, *, write: bool = False) -> wire.Client:
        """The `redis.Redis` for a final name, None for several; it and its pool are shared by the process."""
        url = self._servers[self._get_connection_pool_index(write)]
        return connections.clients.get(url, self._options, self._identity)

    def _get_connection_pool_index(self, write: bool) -> int:
        if write or len(self._servers) == 1:
            return 0
        return random.randint(1, len(self._servers) - 1)  # noqa: S311 (it spreads load)

    def _get_connection_pool(self, write: bool) -> Any:
        return self.get_client(write=write).connection_pool


class RedisCache(BaseCache):
    """A cache on a Redis server. LOCATION is its URL, or several: a list, or one string with commas or semicolons.

    Of several servers the first takes all writes, and reads of stamps, fences and locks; records are read from one
    of the others, or from the first if that fails. OPTIONS are those of redis-py's connections and of django-redis.
    """

    is_remote: ClassVar[bool] = True
    holds_others: ClassVar[bool] = True
    takes_client_options: ClassVar[bool] = True
    extra_options: ClassVar[Mapping[str, Option]] = {
        "SOCKET_CONNECT_TIMEOUT": Option(0.25, "a number of seconds above 0", SECONDS),
        "SOCKET_TIMEOUT": Option(0.5, "a number of seconds above 0", SECONDS),
        "USERNAME": Option(None, "a user name", _is_any),
        "PASSWORD": Option(None, "a password", _is_any),
        "SENTINELS": Option(None, "a list of (host, port)", _is_pairs),
        "SENTINEL_KWARGS": Option(None, "a dict of arguments for connections to sentinels", _is_mapping),
        "CONNECTION_FACTORY": Option(None, "the dotted path of a connection factory", _is_path),
        "CONNECTION_POOL_CLASS": Option(None, "the dotted path of a pool", _is_path),
        "CONNECTION_POOL_KWARGS": Option(None, "a dict of arguments for pools and connections", _is_mapping),
        "PARSER_CLASS": Option(None, "the dotted path of a parser", _is_path),
        "REDIS_CLIENT_CLASS": Option(None, "the dotted path of a client", _is_path),
        "REDIS_CLIENT_KWARGS": Option(None, "a dict of arguments for the client", _is_mapping),
    }

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        super().__init__(location, params)
        for module in ("redis", "django_redis"):
            import_extra(module, "redis")
        self.faults = wire.FAULTS
        self.answers = wire.ANSWERS
        self.increment_errors = (wire.NotAnInteger,)
        self._class: type[RedisCacheClient] = RedisCacheClient
        self._servers = _servers(location)
        if "serializer" in self._client_options and "SERIALIZER" not in self._client_options:
            # Django's spelling.
            self.options = replace(self.options, serializer=self._client_options["serializer"])

    @cached_property
    def _cache(self) -> RedisCacheClient:
        return self._class(self._servers, ValueSerializer(self.codec), **self._connection_options())

    def _connection_options(self) -> dict[str, Any]:
        """What of OPTIONS is for the connections."""
        others = client_options(self._client_options, {**TABLE, **self.extra_options})
        others.pop("serializer", None)
        own = {name: value_of(self._client_options, name, self.extra_options) for name in self.extra_options}
        return others | {name: value for name, value in own.items() if value is not None}

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> float | None:
        """Seconds from now, 0 for "not stored", None for ever; fractions are kept."""
        ttl = self._ttl_of(timeout)
        return None if ttl is None else max(0, ttl)

    # The primitives

    def _client(self, name: str | None, *, write: bool = True) -> wire.Client:
        try:
            return self._cache.get_client(name, write=write)
        except InvalidCacheBackendError as error:
            raise InvalidCacheBackendError(f"Cache {self.alias!r}: {error}") from error

    def _read(self, names: Sequence[str]) -> dict[str, Stored]:
        if len(self._servers) == 1:
            return self._fetch(names, write=False)
        records = [name for name in names if SERVICE_MARK not in name]
        services = [name for name in names if SERVICE_MARK in name]
        # Before the stamps: one that is expired in between then still counts.
        found = self._read_replicas(records)
        if found is None:
            return self._fetch(names, write=True)
        return found | self._fetch(services, write=True)

    def _read_replicas(self, names: Sequence[str]) -> dict[str, Stored] | None:
        """What a replica has under `names`; None where it fails, or where they are left alone because one did."""
        health = self.health
        if health is None or (health.is_ailing and _REPLICAS in health.openings()):
            return None
        begun = monotonic()
        try:
            found = self._fetch(names, write=False)
        except self.faults as error:
            self.report_fault("read", error)
            health.failed(self, (_REPLICAS,), error, monotonic() - begun)
            return None
        if health.is_ailing:
            health.answered(self.alias, (_REPLICAS,))
        return found

    def _probe(self, server: str) -> None:
        if server == _REPLICAS:
            self._fetch([f"{SERVICE_MARK}probe"], write=False)
        else:
            super()._probe(server)

    def _fetch(self, names: Sequence[str], *, write: bool) -> dict[str, Stored]:
        """What one server has under `names`."""
        if not names:
            return {}
        client = self._client(names[0] if len(names) == 1 else None, write=write)
        found = wire.ask(client, ("MGET", *map(_wire_name, names)), wire.values(len(names)))
        return {name: from_wire(value) for name, value in zip(names, found, strict=True) if value is not None}

    def _set(self, items: Mapping[str, Stored], ttl: float | None, *conditions: str) -> dict[str, Any]:
        """What SET answers for each of `items`: whether it was stored, or the server's error."""
        commands = [("SET", _wire_name(name), to_wire(items[name]), *conditions, *_lifetime(ttl)) for name in items]
        client = self._client(next(iter(items)) if len(items) == 1 else None)
        return dict(zip(items, wire.exchange(client, commands, wire.is_done), strict=True))

    def _write(self, items: Mapping[str, Stored], ttl: float | None) -> list[str]:
        answers = self._set(items, ttl)
        _raise_first(answers)
        return [name for name, answer in answers.items() if answer is not True]

    def _add(self, name: str, stored: Stored, ttl: float | None) -> bool:
        return name in self._add_many({name: stored}, ttl)

    def _add_many(self, items: Mapping[str, Stored], ttl: float | None) -> set[str]:
        answers = self._set(items, ttl, "NX")
        _raise_first(answers)
        return {name for name, is_added in answers.items() if is_added}

    def _swap(self, name: str, expected: Stored, stored: Stored | None, ttl: float | None) -> bool:
        args = () if stored is None else (to_wire(stored), *_lifetime(ttl))
        return bool(wire.SWAP.run(self._client(name), wire.count, _wire_name(name), to_wire(expected), *args))

    def _touch(self, name: str, ttl: float | None) -> bool:
        lifetime = _lifetime(ttl)
        if lifetime:
            return bool(wire.ask(self._client(name), ("PEXPIRE", _wire_name(name), lifetime[1]), wire.count))
        # PERSIST alone answers "no" for what lives for ever already.
        commands = [(command, _wire_name(name)) for command in ("PERSIST", "EXISTS")]
        answers = dict(enumerate(wire.exchange(self._client(name), commands, wire.count)))
        _raise_first(answers)
        return bool(answers[1])

    def _remove(self, names: Sequence[str]) -> int:
        if not names:
            return 0
        client = self._client(names[0] if len(names) == 1 else None)
        return wire.ask(client, ("UNLINK", *map(_wire_name, names)), wire.count)

    def _increment(self, name: str, delta: int) -> int | None:
        if not -(2**63) <= delta < 2**63:
            return None
        return wire.INCREMENT.run(self._client(name), wire.counted, _wire_name(name), delta)

    def _ttl(self, name: str) -> float | None:
        left = wire.ask(self._client(name), ("PTTL", _wire_name(name)), wire.count)
        return None if left == -1 else max(left, 0) / 1000

    def _clear(self, prefix: str | None) -> None:
        client = self._client(None)
        if prefix is None:
            wire.ask(client, ("FLUSHDB", "ASYNC"), wire.is_done)
            return
        start = _wire_name(prefix)
        pattern = _wire_name(_GLOB.sub(r"\\\1", prefix) + "*")
        cursor = b"0"
        while True:
            cursor, names = wire.ask(client, ("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT), wire.page)
            if doomed := [name for name in names if name.startswith(start)]:
                wire.ask(client, ("UNLINK", *doomed), wire.count)
            if cursor == b"0":
                return

    def _read_foreign(self, stored: bytes) -> Any:
        """An int beyond 64 bits, or a pickle, as Django's backend writes them and django-redis without a compressor."""
        return int(stored) if stored.lstrip(b"-").isdigit() else self._load_django(stored)

    # Checks

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """As of every backend; W121 for a password in LOCATION, E122 for servers or options that cannot be used."""
        return [*super().check(**kwargs), *self._check_servers()]

    def _check_servers(self) -> Iterator[checks.CheckMessage]:
        if any(map(connections.has_password, self._servers)):
            yield checks.Warning(
                f"CACHES[{self.alias!r}]['LOCATION'] holds a password, which error pages and mails will show.",
                hint="Move it to OPTIONS['PASSWORD'], and the user name to OPTIONS['USERNAME'].",
                id="cacheplus.W121",
            )
        complaints = dict.fromkeys(filter(None, map(self._complaint, self._servers)))
        for complaint in complaints:
            yield checks.Error(
                f"CACHES[{self.alias!r}]: {complaint}",
                hint="OPTIONS takes the keyword arguments of redis-py's connections and the options of django-redis.",
                id="cacheplus.E122",
            )

    def _complaint(self, url: str) -> str:
        try:
            connections.build_client(url, self._connection_options())
        except InvalidCacheBackendError as error:
            return str(error)
        return ""


def _servers(location: Any) -> list[str]:
    """The URLs in LOCATION; one empty one where there is none, for the error to name."""
    parts = re.split("[;,]", location) if isinstance(location, str) else location or ()
    return [part for part in (str(part).strip() for part in parts) if part] or [""]


def _wire_name(name: str) -> bytes:
    """`name` as the server knows it. Lone surrogates have no UTF-8, but must not fail or meet."""
    return name.encode("utf-8", "surrogatepass")


def _lifetime(ttl: float | None) -> tuple[()] | tuple[str, int]:
    """What SET is told of a ttl. Rounded up, and for ever beyond what the server can count."""
    milliseconds = None if ttl is None else max(1, ceil(ttl * 1000))
    return () if milliseconds is None or milliseconds > _FOREVER else ("PX", milliseconds)


def _raise_first(answers: Mapping[Any, Any]) -> None:
    """Raise the first error among `answers`."""
    for answer in answers.values():
        if isinstance(answer, Exception):
            raise answer
