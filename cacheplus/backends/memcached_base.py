"""What the two memcached backends share: each primitive in terms of the calls that both client libraries have."""

from __future__ import annotations

import pickle
import random
import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from django.core import checks
from django.core.cache.backends.base import (
    DEFAULT_TIMEOUT,
    MEMCACHE_MAX_KEY_LENGTH,
    InvalidCacheBackendError,
    InvalidCacheKey,
)

from cacheplus.backends.alias import digest_of, is_refused, key_warnings
from cacheplus.backends.base import BaseCache
from cacheplus.backends.memcached_item import PAST, Item, is_foreign, pack, seconds_left, term_of, unpack
from cacheplus.backends.options import SECONDS, TABLE, Option, client_options, value_of
from cacheplus.exceptions import BadRecord, Flaw, shown
from cacheplus.store import Stored

_SWAP_TRIES = 64
_PAUSE = 0.0001
# The server's own increment wraps at 64 bits; one such step from the largest count does not get there.
_LARGEST_STEP = 2**31 - 1
_LARGEST_COUNT = 2**63 - 1

# By the flags that Django's clients set: ints have 2 with pymemcache and 4 with pylibmc, which has 2 for bools.
_FOREIGN_LOADERS: Mapping[int, Callable[[bytes], Any]] = {
    0: bytes,
    1: pickle.loads,
    2: int,
    4: int,
    16: bytes.decode,
}


class MemcachedCache(BaseCache):
    """A cache on memcached. LOCATION is a server or several: a list, or one string with commas or semicolons."""

    is_remote: ClassVar[bool] = True
    supports_scoped_clear: ClassVar[bool] = False
    takes_client_options: ClassVar[bool] = True
    extra_options: ClassVar[Mapping[str, Option]] = {
        "SOCKET_CONNECT_TIMEOUT": Option(0.25, "a number of seconds above 0", SECONDS),
        "SOCKET_TIMEOUT": Option(0.5, "a number of seconds above 0", SECONDS),
        "MAX_ITEM_BYTES": Option(16 * 2**20, "a whole number of bytes", TABLE["MAX_BYTES_DECODED"].test),
    }
    overruled: ClassVar[Mapping[str, str]] = {}
    """Options of the client that are left out, and why."""

    # Django's names, which its tests and some tools look at.
    _lib: Any
    _class: Any

    _refusals: tuple[type[Exception], ...]
    """What the client raises where a healthy server does not store a value."""

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        super().__init__(location, params)
        self._servers = _servers(location)

    # The client

    @property
    @abstractmethod
    def client_servers(self) -> list[Any]:
        """LOCATION as the client takes it."""

    @abstractmethod
    def _client_arguments(self) -> dict[str, Any]:
        """The keyword arguments of the client."""

    @abstractmethod
    def _call(self, method: str, *args: Any) -> Any:
        """Call a method of a client that no other thread uses meanwhile; None or False where a key is absent."""

    @cached_property
    def _options(self) -> dict[str, Any]:
        return self._client_arguments()

    @cached_property
    def _identity(self) -> tuple[Any, ...]:
        """What two backends have in common if they can share their connections."""
        return self._class, repr(self.client_servers), repr(sorted(self._options.items()))

    def _connect(self) -> Any:
        """A new client, not connected yet. Raises InvalidCacheBackendError for what it cannot take."""
        if not self._servers:
            raise InvalidCacheBackendError(
                f"CACHES[{self.alias!r}]['LOCATION'] names no server: make it 'host:port', 'unix:/path', or several."
            )
        try:
            return self._class(self.client_servers, **self._options)
        except (TypeError, ValueError) as error:
            raise InvalidCacheBackendError(
                f"{self._lib.__name__} cannot use the LOCATION or OPTIONS of CACHES[{self.alias!r}]: {error}"
            ) from error

    def _given_options(self) -> dict[str, Any]:
        """OPTIONS for the client, but for what is overruled."""
        given = client_options(self._client_options, {**TABLE, **self.extra_options})
        return {name: value for name, value in given.items() if name not in self.overruled}

    def _option(self, name: str) -> Any:
        return value_of(self._client_options, name, self.extra_options)

    # Keys and timeouts

    def validate_key(self, key: str) -> None:
        """Refuse a final key that memcached would, in Django's words. The limit counts bytes."""
        if not is_refused(key):
            return
        for warning in key_warnings(key):
            raise InvalidCacheKey(warning)
        raise InvalidCacheKey(
            f"Cache key will cause errors if used with memcached: {shown(key)} (longer than {MEMCACHE_MAX_KEY_LENGTH})"
        )

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> int:
        """The expiry that memcached is told for a `timeout` argument."""
        ttl = self._ttl_of(timeout)
        return PAST if ttl is not None and ttl <= 0 else term_of(ttl, time.time()).expiry

    # The primitives

    def _read(self, names: Sequence[str]) -> dict[str, Stored]:
        known = {_wire_name(name): name for name in names}
        return {known[name]: unpack(item) for name, item in self._call("get_multi", list(known)).items()}

    def _write(self, items: Mapping[str, Stored], ttl: float | None) -> list[str]:
        known = {_wire_name(name): name for name in items}
        packed, expiry = self._pack(items, ttl)
        stored = packed.keys() - self._set(packed, expiry) if packed else ()
        return [name for wire, name in known.items() if wire not in stored]

    def _set(self, packed: Mapping[str, Item], expiry: int) -> list[str]:
        """Send items, by themselves if the server refuses one of them; return the names that were not stored."""
        try:
            return list(self._call("set_multi", packed, expiry))
        except self._refusals:
            if len(packed) == 1:
                return list(packed)
        return [name for name, item in packed.items() if self._set({name: item}, expiry)]

    def _add(self, name: str, stored: Stored, ttl: float | None) -> bool:
        return self._store("add", name, stored, ttl)

    def _swap(self, name: str, expected: Stored, stored: Stored | None, ttl: float | None) -> bool:
        item, token = self._call("gets", _wire_name(name))
        current = None if item is None else unpack(item)
        if type(current) is not type(expected) or current != expected:
            return False
        if stored is None:
            return bool(self._call("cas", _wire_name(name), item, token, PAST))
        return self._store("cas", name, stored, ttl, token)

    def _touch(self, name: str, ttl: float | None) -> bool:
        flags, expiry = term_of(ttl, time.time())
        for item, token in self._tokens(name):
            if item is None:
                return False
            # The flags of a foreign item say what it is.
            same = item if is_foreign(item) else Item(item.data, flags)
            if self._call("cas", _wire_name(name), same, token, expiry):
                return True
        # A counter that never rests: it lives as long as asked, though its flags do not say so.
        return bool(self._call("touch", _wire_name(name), expiry))

    def _remove(self, names: Sequence[str]) -> int:
        return sum(bool(self._call("delete", name)) for name in dict.fromkeys(map(_wire_name, names)))

    def _increment(self, name: str, delta: int) -> int | None:
        refusal = None
        if 0 <= delta <= _LARGEST_STEP:
            try:
                value = self._call("incr", _wire_name(name), delta)
            except self.increment_errors as error:
                refusal = error
            else:
                if value is not None and value > _LARGEST_COUNT:
                    # Stored anew in a form on which the server does not count, so that it never wraps.
                    self._count(name, 0, None)
                return value
        return self._count(name, delta, refusal)

    def _count(self, name: str, delta: int, refusal: Exception | None) -> int | None:
        """Increment by compare-and-swap: memcached knows no negative numbers, and stops at 0 when it counts down."""
        for item, token in self._tokens(name):
            if item is None:
                return None
            value = unpack(item)
            if not isinstance(value, int):
                raise refusal or self.increment_errors[0]("cannot increment or decrement non-numeric value")
            flags, expiry = term_of(self._left(item), time.time())
            if self._call("cas", _wire_name(name), pack(value + delta, flags), token, expiry):
                return value + delta
        raise TimeoutError(f"Cache {self.alias!r}: a number changed {_SWAP_TRIES} times while it was being counted.")

    def _ttl(self, name: str) -> float | None:
        item = self._call("get", _wire_name(name))
        return 0.0 if item is None else self._left(item)

    def _clear(self, prefix: str | None) -> None:
        self._call("flush_all")

    # What they stand on

    def _pack(self, items: Mapping[str, Stored], ttl: float | None) -> tuple[dict[str, Item], int]:
        """(items by the server's name, their expiry), without those that are too large to be sent.

        A server reads all of a value before it refuses it, whatever its size.
        """
        flags, expiry = term_of(ttl, time.time())
        limit = self._option("MAX_ITEM_BYTES")
        items_by_name = {_wire_name(name): pack(stored, flags) for name, stored in items.items()}
        packed = {name: item for name, item in items_by_name.items() if len(item.data) <= limit}
        if len(packed) < len(items_by_name):
            self.report_fault("write", BadRecord(Flaw.TOO_LARGE, "more bytes than MAX_ITEM_BYTES permits"))
        return packed, expiry

    def _store(self, method: str, name: str, stored: Stored, ttl: float | None, *token: Any) -> bool:
        """`add`, or `cas` with its token; False also where the value is refused."""
        packed, expiry = self._pack({name: stored}, ttl)
        try:
            return any(self._call(method, wire, item, *token, expiry) for wire, item in packed.items())
        except self._refusals:
            return False

    def _tokens(self, name: str) -> Iterator[tuple[Item | None, Any]]:
        """(item, token for `cas`), read anew for each try, with pauses that let others go first."""
        for tries in range(_SWAP_TRIES):
            time.sleep(random.random() * tries * _PAUSE)  # noqa: S311 (it need not be secret)
            yield self._call("gets", _wire_name(name))

    def _left(self, item: Item) -> float | None:
        """Seconds left. Items of other programs do not say; they count as stored now, for the default timeout."""
        return self._ttl_of(DEFAULT_TIMEOUT) if is_foreign(item) else seconds_left(item.flags, time.time())

    def _read_foreign(self, stored: bytes) -> Any:
        """What Django's backends write with either library, but for what a client has compressed."""
        flags, data = stored[0], stored[1:]
        if flags not in _FOREIGN_LOADERS:
            raise BadRecord(Flaw.FOREIGN, f"an item with the flags {flags}")
        if _FOREIGN_LOADERS[flags] is pickle.loads and self.options.serializer != "pickle":
            raise BadRecord(Flaw.SERIALIZER, "a pickle, and the alias's SERIALIZER is another")
        return _FOREIGN_LOADERS[flags](data)

    # Checks

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """As of every backend; E131 for a client that cannot be made, W131 for an option that is left out."""
        return [*super().check(**kwargs), *self._check_client()]

    def _check_client(self) -> Iterator[checks.CheckMessage]:
        try:
            self._connect()
        except InvalidCacheBackendError as error:
            hint = "LOCATION is one server or several; OPTIONS in small letters are the client's keyword arguments."
            yield checks.Error(str(error), hint=hint, id="cacheplus.E131")
            return
        for name in self._left_out():
            yield checks.Warning(
                f"CACHES[{self.alias!r}]['OPTIONS']: {name!r} is left out, because {self.overruled[name]}.",
                hint="Remove it.",
                id="cacheplus.W131",
            )

    def _left_out(self) -> list[str]:
        """The options given that are overruled."""
        return [name for name in self.overruled if name in self._client_options]


def _servers(location: Any) -> list[Any]:
    """The servers in LOCATION, a list or a string."""
    if isinstance(location, str):
        return [server for server in map(str.strip, re.split("[;,]", location)) if server]
    return list(location or ())


def _wire_name(name: str) -> str:
    """`name`, or its digest where no server takes it: stamps and locks are not validated, nor what a site lets by."""
    try:
        is_sendable = name.isascii() or bool(name.encode())
    except UnicodeEncodeError:
        is_sendable = False
    return name if is_sendable and not is_refused(name) else digest_of(name)
