"""An alias of CACHES: its options, names, codec and tags, how it takes a fault, and where a blocking call may run."""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import cached_property
from hashlib import blake2b
from typing import Any, TypeVar

from django.core import checks
from django.core.cache import caches
from django.core.cache.backends.base import (
    DEFAULT_TIMEOUT,
    MEMCACHE_MAX_KEY_LENGTH,
    CacheKeyWarning,
    default_key_func,
    memcache_key_warnings,
)
from django.core.cache.backends.base import BaseCache as DjangoBaseCache

from cacheplus.backends.codec import build_codec
from cacheplus.backends.computing import Computing
from cacheplus.backends.landing import Wanted
from cacheplus.backends.operations import Codec, Operations, Place
from cacheplus.backends.options import TABLE, Options, check_options
from cacheplus.backends.primitives import Primitives
from cacheplus.backends.ways import Awaiting, Blocking
from cacheplus.codecs.serializers import PickleSerializer
from cacheplus.exceptions import BadRecord, CacheFault, CacheUnavailable, Flaw, shown
from cacheplus.faults import report
from cacheplus.health import Health, health_of
from cacheplus.signals import tags_expired
from cacheplus.store import FAULT_ANSWERS, SERVICE_MARK, Direct, Native, Store, run
from cacheplus.tags import Tags

T = TypeVar("T")
U = TypeVar("U")

# A site may use versions without end, the time of a change say.
_MOST_SEALS = 64

_UNSAFE = re.compile(r"[\x00-\x20\x7f]")


class CacheAlias(Primitives):
    """What a backend is before it answers its first call."""

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._location = location
        self._params = params
        self._client_options = dict(params.get("OPTIONS") or {})
        self.options = Options.read(self._client_options)
        self._seals: dict[Any, bytes] = {}

    # What an alias is made of

    @cached_property
    def alias(self) -> str:
        """The entry of CACHES that this backend was built from, for messages only; its class name if none matches."""
        for alias, entry in caches.settings.items():
            params = {name: value for name, value in entry.items() if name not in ("BACKEND", "LOCATION")}
            if params == self._params and entry.get("LOCATION", "") == self._location:
                return str(alias)
        return type(self).__name__

    @cached_property
    def codec(self) -> Codec:
        """Turns records into what the store keeps."""
        return build_codec(self.options, signed=self.is_shared, foreign=self._read_foreign)

    @cached_property
    def tags(self) -> Tags:
        """The stamps and the fence of this alias."""
        return Tags(self._service_name)

    @cached_property
    def operations(self) -> Operations:
        """What every call means."""
        space = (*self._store_identity, self.key_prefix, self.key_func)
        return Operations(
            place=self._place,
            ttl_of=self._jittered_ttl_of if self.options.jitter else self._ttl_of,
            codec=self.codec,
            tags=self.tags,
            space=space,
            on_bad_record=self._take_bad_record,
            on_expired=self._tell_expired,
            increment_errors=self.increment_errors,
            prefix=self._prefix,
        )

    @cached_property
    def _store_identity(self) -> tuple[str, str, str]:
        """What two backends have in common if they use one store."""
        # The number of a Redis database is an option, so what differs in options alone counts as another store.
        options = repr(sorted(self._client_options.items(), key=lambda option: str(option[0])))
        return type(self).__qualname__, str(self._location), options

    @cached_property
    def health(self) -> Health | None:
        """How the store is doing, for all of this process; None for one within it, with which nothing is ever wrong."""
        if not self.is_shared or self.keeps_nothing:
            return None
        # What only the thread of a request can reach cannot be looked after by another.
        health = health_of(self._store_identity, is_remote=self.is_remote, in_background=not self.is_thread_sensitive)
        health.fences.add(self.tags.fence_name)
        return health

    @cached_property
    def computing(self) -> Computing:
        """How a value is computed by one caller for all."""
        return Computing(self.operations)

    @cached_property
    def _direct(self) -> Store:
        return Direct(self)

    @cached_property
    def _native(self) -> Store:
        return Native(self)

    def _read_foreign(self, stored: bytes) -> Any:
        """The value that Django's own backend wrote as `stored`; only asked under ACCEPT_DJANGO."""
        raise BadRecord(Flaw.FOREIGN, "this store has no form that Django wrote")

    def _load_django(self, pickled: bytes) -> Any:
        """A pickle that nobody signed, as Django writes them; refused where the alias's SERIALIZER is another."""
        if self.options.serializer != "pickle":
            raise BadRecord(Flaw.SERIALIZER, "a pickle, and the alias's SERIALIZER is another")
        return PickleSerializer().loads(pickled)

    # Names

    def validate_key(self, key: str) -> None:
        """Warn of a final key that memcached would refuse, as Django does."""
        if len(key) > MEMCACHE_MAX_KEY_LENGTH or _UNSAFE.search(key):
            for warning in key_warnings(key):
                warnings.warn(warning, CacheKeyWarning, stacklevel=2)

    def make_and_validate_key(self, key: Any, version: Any = None) -> str:
        """The final name of `key`. Under KEY_POLICY "hash" a name that memcached would refuse is digested."""
        name = str(self.make_key(key, version=version))
        if self.options.key_policy == "hash" and is_refused(name):
            name = str(self.make_key(digest_of(name), version=version))
            name = digest_of(name) if is_refused(name) else name
        self.validate_key(name)
        return name

    def _place(self, key: Any, version: Any = None) -> Place:
        return Place(self.make_and_validate_key(key, version=version), self._seal(version))

    def _places(self, keys: Iterable[Any], version: Any) -> dict[Any, Place]:
        return {key: self._place(key, version) for key in keys}

    def _seal(self, version: Any) -> bytes:
        """Bytes that tell this prefix and version from any other pair that makes the same names."""
        version = self._version(version)
        scope = (self.key_prefix, str(version))
        if scope not in self._seals:
            if len(self._seals) >= _MOST_SEALS:
                self._seals.clear()
            self._seals[scope] = f"{len(str(self.key_prefix))}:{self.key_prefix}:{version}".encode(
                errors="surrogatepass"
            )
        return self._seals[scope]

    def _service_name(self, key: str) -> str:
        """The final name of a stamp, a fence or a lock. Tags are shared by all versions."""
        return str(self.make_key(f"{SERVICE_MARK}{key}", version=0))

    def _lock_name(self, key: Any) -> str:
        return self._service_name(f"lock.{digest_of(str(key))}")

    def _version(self, version: Any) -> Any:
        return self.version if version is None else version

    def _prefix(self) -> str | None:
        """What the names of this alias begin with; None where that cannot be told."""
        is_stock = self.key_func is default_key_func and type(self).make_key is DjangoBaseCache.make_key
        return f"{self.key_prefix}:" if is_stock and self.supports_scoped_clear else None

    def _ttl_of(self, timeout: Any) -> float | None:
        """Seconds from a `timeout` argument; None for ever, 0 or less for "not stored"."""
        if timeout == DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        if timeout is None:
            return None
        if not isinstance(timeout, int | float) or timeout != timeout:  # noqa: PLR0124 (only nan differs from itself)
            raise TypeError(
                f"The timeout for cache {self.alias!r} must be a number of seconds or None, not {timeout!r}."
            )
        return None if timeout == float("inf") else timeout

    def _jittered_ttl_of(self, timeout: Any) -> float | None:
        """`_ttl_of`, shortened at random, so that what was stored together does not expire together."""
        ttl = self._ttl_of(timeout)
        if ttl is None or ttl <= 0:
            return ttl
        # Never to nothing: 0 is not stored.
        return max(ttl * (1 - self.options.jitter * random.random()), min(ttl, 1.0))  # noqa: S311 - no secret

    def _lock_ttl(self, timeout: Any) -> float | None:
        """`_ttl_of`, above 0: a lock that is gone at once would let everybody in."""
        ttl = self._ttl_of(timeout)
        if ttl is not None and ttl <= 0:
            raise ValueError(f"The timeout of a lock must be above 0 seconds, or None for ever, not {timeout!r}.")
        return ttl

    # Faults

    def take_fault(self, primitive: str, args: tuple[Any, ...], error: BaseException, *, is_strict: bool) -> Any:
        """Report `error`, then do what ON_FAULT says: raise it, or answer as for a miss. A strict store raises it."""
        if primitive == "increment" and isinstance(error, self.increment_errors):
            raise error  # the store refused what is no int; nothing is wrong with it
        self.report_fault(primitive, error)
        if is_strict or self.options.on_fault == "raise":
            raise error
        if primitive == "increment":
            raise CacheFault(f"Cache {self.alias!r} could not increment: {type(error).__name__}.") from error
        return FAULT_ANSWERS[primitive](*args)

    def report_fault(self, operation: str, error: BaseException) -> None:
        """Signal and log what went wrong in `operation`."""
        report(type(self), self.alias, operation, error)

    def _take_bad_record(self, error: BadRecord) -> None:
        self.report_fault("decode", error)

    def _tell_expired(self, tags: tuple[str, ...]) -> None:
        tags_expired.send_robust(sender=type(self), alias=self.alias, tags=tags)

    @property
    def pending_removals(self) -> int:
        """How many removals the store owes this process: writes, deletes and expiries that it failed to carry out."""
        return 0 if self.health is None else len(self.health.owed)

    def owed_prefix(self) -> str | None:
        """What is cleared where too many removals are owed."""
        return self._prefix()

    def heal(self) -> None:
        """Probe what is left alone, and carry out what is owed. Raises the fault of what is still away."""
        run(Direct(self).heal())

    # Operations of the layers above

    def drive(self, operation: Callable[[Store], Coroutine[Any, Any, T]], otherwise: U) -> T | U:
        """Run an operation of a higher layer. A fault ends it, whatever ON_FAULT says, and gives `otherwise`."""
        try:
            return run(operation(Direct(self, is_strict=True)))
        except Exception as error:  # noqa: BLE001 - no fault of a cache may cost more than the cache
            return self._gave_up(error, otherwise)

    async def adrive(self, operation: Callable[[Store], Coroutine[Any, Any, T]], otherwise: U) -> T | U:
        """`drive`, without blocking the event loop."""
        if not self.is_native_async:
            return await self._hop(self.drive, operation, otherwise)
        try:
            return await operation(Native(self, is_strict=True))
        except Exception as error:  # noqa: BLE001 - no fault of a cache may cost more than the cache
            return self._gave_up(error, otherwise)

    def compute(self, wanted: Wanted, *, tolerant: bool = False) -> Any:
        """The value of `wanted`, by one caller for all; `tolerant` takes every fault for a miss."""
        try:
            return run(self.computing.value(Blocking(self, tolerant=tolerant), wanted))
        except RuntimeError as error:
            if isinstance(error.__cause__, StopIteration):
                # No coroutine can let it out as it is.
                raise error.__cause__ from None
            raise

    async def acompute(self, wanted: Wanted, *, tolerant: bool = False) -> Any:
        """`compute`, without blocking the event loop."""
        return await self.computing.value(Awaiting(self, tolerant=tolerant), wanted)

    def recompute(self, wanted: Wanted) -> Any:
        """Compute whatever is kept, and keep that. A fault is taken for a miss."""
        return run(self.computing.renewed(Blocking(self, tolerant=True), wanted))

    async def arecompute(self, wanted: Wanted) -> Any:
        """`recompute`, without blocking the event loop."""
        return await self.computing.renewed(Awaiting(self, tolerant=True), wanted)

    def _gave_up(self, error: Exception, otherwise: U) -> U:
        self.report_unmet(error)
        return otherwise

    def report_unmet(self, error: Exception) -> None:
        """Report what ended an operation, unless it is a fault of the store, which was reported where it was met."""
        if not isinstance(error, (*self.faults, CacheUnavailable)):
            self.report_fault("operation", error)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """The system check messages of this alias. It must not connect to anything."""
        table = {**TABLE, **self.extra_options}
        return list(
            check_options(self.alias, self._params.get("OPTIONS") or {}, table, open_ended=self.takes_client_options)
        )


def is_refused(name: str) -> bool:
    """Whether memcached would refuse the name; its limit counts bytes."""
    return bool(_UNSAFE.search(name)) or len(name.encode(errors="surrogatepass")) > MEMCACHE_MAX_KEY_LENGTH


def digest_of(name: str) -> str:
    return "h." + blake2b(name.encode(errors="surrogatepass"), digest_size=20).hexdigest()


def key_warnings(key: str) -> Iterator[str]:
    """What Django says of a key that memcached would refuse, without the whole of one that is very long."""
    return (warning.replace(repr(key), shown(key)) for warning in memcache_key_warnings(key))
