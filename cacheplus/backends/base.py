"""The base of every backend: Django's cache API, written once over the primitives that a backend fills in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from django.core.cache.backends.base import (
    DEFAULT_TIMEOUT,
    CacheKeyWarning,
    InvalidCacheBackendError,
    InvalidCacheKey,
    default_key_func,
    memcache_key_warnings,
)

from cacheplus.backends.alias import CacheAlias
from cacheplus.backends.computing_many import ComputingMany
from cacheplus.backends.ways import Awaiting, Blocking
from cacheplus.locks import AsyncLock, Lock
from cacheplus.store import run

__all__ = [
    "DEFAULT_TIMEOUT",
    "BaseCache",
    "CacheKeyWarning",
    "InvalidCacheBackendError",
    "InvalidCacheKey",
    "default_key_func",
    "memcache_key_warnings",
]


class BaseCache(CacheAlias):
    """Django's cache API with tags, exact ttls and locks.

    A concrete backend fills in the primitives of `cacheplus.store.Leaf`, and may override a public method where a
    benchmark shows that it pays. Timeouts are seconds, None for ever; 0 or less stores nothing. `tags` are names that
    `expire_tags` takes. Every call has a twin that begins with "a" and never blocks the event loop.
    """

    async def _twin(self, call: str, *args: Any, **kwargs: Any) -> Any:
        """The twin of a public call: native where the store has an async client and no subclass overrode the call."""
        if self.is_native_async and getattr(type(self), call) is getattr(BaseCache, call):
            return await getattr(self.operations, call)(self._native, *args, **kwargs)
        return await self._hop(getattr(self, call), *args, **kwargs)

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """The value of `key`, or `default`."""
        return run(self.operations.get(self._direct, key, default, version))

    async def aget(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return await self._twin("get", key, default, version)

    def get_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        """The values of those `keys` that were found."""
        return run(self.operations.get_many(self._direct, keys, version))

    async def aget_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        return await self._twin("get_many", list(keys), version)

    def has_key(self, key: Any, version: Any = None) -> bool:
        """Whether `key` has a value, None included."""
        return run(self.operations.has_key(self._direct, key, version))

    async def ahas_key(self, key: Any, version: Any = None) -> bool:
        return await self._twin("has_key", key, version)

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None, *, tags: Collection[str] = ()
    ) -> None:
        """Store `value`. Raises what the serializer raises for a value that it cannot write."""
        run(self.operations.set(self._direct, key, value, timeout, version, tags=tags))

    async def aset(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None, *, tags: Collection[str] = ()
    ) -> None:
        await self._twin("set", key, value, timeout, version, **_tags(tags))

    def set_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Collection[str] = (),
    ) -> list[Any]:
        """Store each item of `data`; return the keys that could not be stored."""
        return run(self.operations.set_many(self._direct, data, timeout, version, tags=tags))

    async def aset_many(
        self,
        data: Mapping[Any, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Collection[str] = (),
    ) -> list[Any]:
        return await self._twin("set_many", data, timeout, version, **_tags(tags))

    def add(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None, *, tags: Collection[str] = ()
    ) -> bool:
        """Store `value` if `key` has none; whether it did. One of several callers at the same time is told True."""
        return run(self.operations.add(self._direct, key, value, timeout, version, tags=tags))

    async def aadd(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None, *, tags: Collection[str] = ()
    ) -> bool:
        return await self._twin("add", key, value, timeout, version, **_tags(tags))

    def get_or_set(
        self,
        key: Any,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Collection[str] = (),
        stale: float = 0,
        lock: bool = True,
    ) -> Any:
        """The value of `key`, or else `default`, called if it is callable, which is stored and returned.

        One caller at a time calls it, the others wait for the result, unless `lock` is False. What was expired, set or
        deleted meanwhile is returned and not stored. For `stale` seconds after its timeout the old value is given while
        one caller computes the new one.
        """
        if not callable(default):
            return run(self.operations.get_or_add(self._direct, key, default, timeout, version, tags))
        wanted = self.computing.wanted(key, default, timeout, version, tags, stale=stale, lock=lock)
        return self.compute(wanted)

    async def aget_or_set(
        self,
        key: Any,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Collection[str] = (),
        stale: float = 0,
        lock: bool = True,
    ) -> Any:
        """`get_or_set`; what `default` returns is awaited if it can be. No thread is held while it waits."""
        if type(self).get_or_set is not BaseCache.get_or_set:
            return await self._hop(self.get_or_set, key, default, timeout, version, **_tags(tags))
        if not callable(default):
            return await self._operate("get_or_add", key, default, timeout, version, tags)
        wanted = self.computing.wanted(key, default, timeout, version, tags, stale=stale, lock=lock)
        return await self.acompute(wanted)

    def get_or_set_many(
        self,
        keys: Iterable[Any],
        default: Callable[[list[Any]], Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Collection[str] = (),
    ) -> dict[Any, Any]:
        """The values of `keys`; `default` is given the list of those that are missing, and returns a dict of them.

        What another caller computes already is awaited. Keys that `default` leaves out are left out.
        """
        return run(self._many(keys, default, timeout, version, tags).values(Blocking(self)))

    async def aget_or_set_many(
        self,
        keys: Iterable[Any],
        default: Callable[[list[Any]], Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        *,
        tags: Collection[str] = (),
    ) -> dict[Any, Any]:
        if type(self).get_or_set_many is not BaseCache.get_or_set_many:
            return await self._hop(self.get_or_set_many, list(keys), default, timeout, version, **_tags(tags))
        return await self._many(keys, default, timeout, version, tags).values(Awaiting(self))

    def _many(
        self, keys: Iterable[Any], default: Any, timeout: Any, version: Any, tags: Collection[str]
    ) -> ComputingMany:
        wanted = {key: self.computing.wanted(key, default, timeout, version, tags) for key in keys}
        return ComputingMany(self.computing, default, wanted)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Give `key` a new timeout; False where it has no value."""
        return run(self.operations.touch(self._direct, key, timeout, version))

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        return await self._twin("touch", key, timeout, version)

    def ttl(self, key: Any, version: Any = None) -> float | None:
        """Seconds left; None for ever, 0 where `key` has no value."""
        return run(self.operations.ttl(self._direct, key, version))

    async def attl(self, key: Any, version: Any = None) -> float | None:
        return await self._twin("ttl", key, version)

    def delete(self, key: Any, version: Any = None) -> bool:
        """Delete the value of `key`; whether there was one."""
        return run(self.operations.delete(self._direct, key, version))

    async def adelete(self, key: Any, version: Any = None) -> bool:
        return await self._twin("delete", key, version)

    def delete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        """Delete the values of `keys`."""
        run(self.operations.delete_many(self._direct, keys, version))

    async def adelete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        await self._twin("delete_many", list(keys), version)

    def incr(self, key: Any, delta: Any = 1, version: Any = None) -> Any:
        """Add `delta` to a number and return it; its ttl stays. Raises ValueError where `key` has no value."""
        return run(self.operations.incr(self._direct, key, delta, version))

    async def aincr(self, key: Any, delta: Any = 1, version: Any = None) -> Any:
        return await self._twin("incr", key, delta, version)

    def decr(self, key: Any, delta: Any = 1, version: Any = None) -> Any:
        """`incr` by `-delta`."""
        return self.incr(key, -delta, version=version)

    async def adecr(self, key: Any, delta: Any = 1, version: Any = None) -> Any:
        if type(self).decr is not BaseCache.decr:
            return await self._hop(self.decr, key, delta, version)
        return await self.aincr(key, -delta, version=version)

    def incr_version(self, key: Any, delta: int = 1, version: Any = None) -> Any:
        """Move the value of `key`, with its ttl, to another version and return that. Raises ValueError if absent."""
        return run(self.operations.incr_version(self._direct, key, delta, self._version(version)))

    async def aincr_version(self, key: Any, delta: int = 1, version: Any = None) -> Any:
        return await self._twin("incr_version", key, delta, self._version(version))

    def decr_version(self, key: Any, delta: int = 1, version: Any = None) -> Any:
        """`incr_version` by `-delta`."""
        return self.incr_version(key, -delta, version)

    async def adecr_version(self, key: Any, delta: int = 1, version: Any = None) -> Any:
        if type(self).decr_version is not BaseCache.decr_version:
            return await self._hop(self.decr_version, key, delta, version)
        return await self.aincr_version(key, -delta, version)

    def expire_tags(self, *tags: str) -> int:
        """Make all that carries one of `tags` absent at once; return how many of them had been used here."""
        return run(self.operations.expire_tags(self._direct, *tags))

    async def aexpire_tags(self, *tags: str) -> int:
        return await self._twin("expire_tags", *tags)

    def clear(self, everything: bool = False) -> None:
        """Delete what has this alias's KEY_PREFIX, or the whole store.

        With a KEY_FUNCTION of its own, or where the store cannot list by prefix, it is always the whole store.
        """
        run(self.operations.clear(self._direct, everything))

    async def aclear(self, everything: bool = False) -> None:
        await self._twin("clear", everything)

    async def aclose(self, **kwargs: Any) -> None:
        await self._hop(self.close, **kwargs)

    def lock(self, key: Any, timeout: float | None = 30, wait: float = 5) -> Lock:
        """A context manager held by one owner at a time, for at most `timeout` seconds.

        Entering it waits up to `wait` seconds, then raises `cacheplus.exceptions.LockNotAcquired`. Raises ValueError
        for a timeout of 0 or less.
        """
        name, ttl = self._lock_name(key), self._lock_ttl(timeout)
        direct = self._direct
        return Lock(
            str(key),
            wait,
            lambda token: run(direct.add(name, token, ttl)),
            lambda token: run(direct.swap(name, token, None, None)),
        )

    def alock(self, key: Any, timeout: float | None = 30, wait: float = 5) -> AsyncLock:
        """`lock` for `async with`."""
        name, ttl = self._lock_name(key), self._lock_ttl(timeout)
        store = self._native
        return AsyncLock(
            str(key), wait, lambda token: store.add(name, token, ttl), lambda token: store.swap(name, token, None, None)
        )

    async def _operate(self, operation: str, *args: Any) -> Any:
        """An operation that is no public call, from a coroutine."""
        call: Callable[..., Awaitable[Any]] = getattr(self.operations, operation)
        if self.is_native_async:
            return await call(self._native, *args)
        return await self._hop(lambda: run(call(self._direct, *args)))  # type: ignore[arg-type]


def _tags(tags: Collection[str]) -> dict[str, Collection[str]]:
    """`tags` as a keyword, left out where there are none: a subclass may have overridden with Django's signature."""
    return {"tags": tags} if tags else {}
