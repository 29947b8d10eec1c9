"""The cached function: what `cached` makes of a function, a method or a coroutine function."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial, update_wrapper
from typing import Any, NamedTuple

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.cache import caches

from cacheplus.arguments import Arguments, digest, name_of
from cacheplus.backends.base import BaseCache
from cacheplus.backends.landing import Wanted
from cacheplus.invalidation import Expired, expire_tags
from cacheplus.tags import tag_names

# More would not fit into the keys of every store.
_LONGEST_NAME = 150


class FunctionOptions(NamedTuple):
    """The arguments of `cached`."""

    timeout: Any
    key: str | Callable[..., str] | None
    tags: Collection[str] | Callable[..., Collection[str]]
    stale: float
    cache: str
    unless: Callable[..., object] | None
    version: Any


class CachedFunction:
    """A function whose results are kept, once for each set of arguments. A fault of the cache is a miss.

    As a method it is bound like one, and its instance is an argument.
    """

    def __init__(self, function: Callable[..., Any], options: FunctionOptions) -> None:
        update_wrapper(self, function)
        self.uncached = function
        self._options = options
        self._arguments = Arguments(function)
        name = options.key if isinstance(options.key, str) else name_of(function)
        self._name = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 41]}.{digest(name)}"
        self._tag = f"function:{self._name}"

    def __repr__(self) -> str:
        return f"<cached {self._name}>"

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else BoundFunction(self, instance)

    # What a call means

    def key(self, *args: Any, **kwargs: Any) -> str:
        """The key under which the result for these arguments is kept."""
        return f"cached:{self._name}:{self._identity(args, kwargs)}"

    def _identity(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        make = self._options.key
        if not callable(make):
            return self._arguments.digest(args, kwargs)
        key = make(*args, **kwargs)
        if not isinstance(key, str):
            raise TypeError(f"The key function of {self._name} gave {key!r}, which is no string.")
        return key

    def _tag_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        return f"{self._tag}:{self._identity(args, kwargs)}"

    @property
    def _cache(self) -> BaseCache:
        cache = caches[self._options.cache]
        if not isinstance(cache, BaseCache):
            raise TypeError(
                f"{self._name} cannot be cached on alias {self._options.cache!r}: its backend is none of "
                "cacheplus. Set its BACKEND to one of cacheplus.backends."
            )
        return cache

    def _wanted(self, cache: BaseCache, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Wanted:
        options = self._options
        tags = options.tags(*args, **kwargs) if callable(options.tags) else options.tags
        tags = (self._tag, self._tag_of(args, kwargs), *tag_names(tags))
        compute = partial(self.uncached, *args, **kwargs)
        key = self.key(*args, **kwargs)
        return cache.computing.wanted(key, compute, options.timeout, options.version, tags, stale=options.stale)

    def _is_bypassed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        return self._options.unless is not None and bool(self._options.unless(*args, **kwargs))

    # The calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result, kept or computed now by one caller for all."""
        if self._is_bypassed(args, kwargs):
            return self.uncached(*args, **kwargs)
        cache = self._cache
        return cache.compute(self._wanted(cache, args, kwargs), tolerant=True)

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Compute now and keep that; return it."""
        cache = self._cache
        return cache.recompute(self._wanted(cache, args, kwargs))

    def peek(self, *args: Any, **kwargs: Any) -> Any:
        """The result that is kept, or None; nothing is computed."""
        return self._cache.get(self.key(*args, **kwargs), version=self._options.version)

    def expire(self, *args: Any, **kwargs: Any) -> Expired:
        """End the result for these arguments, and whatever was made from it."""
        return expire_tags(self._tag_of(args, kwargs))

    def expire_all(self) -> Expired:
        """End every result, and whatever was made from one."""
        return expire_tags(self._tag)


class CachedCoroutineFunction(CachedFunction):
    """`CachedFunction` for an async function; what it does with the cache is awaited too."""

    def __init__(self, function: Callable[..., Any], options: FunctionOptions) -> None:
        super().__init__(function, options)
        markcoroutinefunction(self)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._is_bypassed(args, kwargs):
            return await self.uncached(*args, **kwargs)
        cache = self._cache
        return await cache.acompute(self._wanted(cache, args, kwargs), tolerant=True)

    async def refresh(self, *args: Any, **kwargs: Any) -> Any:
        cache = self._cache
        return await cache.arecompute(self._wanted(cache, args, kwargs))

    async def peek(self, *args: Any, **kwargs: Any) -> Any:
        return await self._cache.aget(self.key(*args, **kwargs), version=self._options.version)

    async def expire(self, *args: Any, **kwargs: Any) -> Expired:  # type: ignore[override]
        return await sync_to_async(super().expire)(*args, **kwargs)

    async def expire_all(self) -> Expired:  # type: ignore[override]
        return await sync_to_async(super().expire_all)()


class BoundFunction:
    """A cached method of one instance, which is the first argument of every call."""

    def __init__(self, function: CachedFunction, instance: object) -> None:
        self.__func__, self.__self__ = function, instance
        update_wrapper(self, function.uncached)
        for name in ("uncached", "key", "refresh", "peek", "expire"):
            setattr(self, name, partial(getattr(function, name), instance))
        self.expire_all = function.expire_all
        if iscoroutinefunction(function):
            markcoroutinefunction(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(self.__self__, *args, **kwargs)
