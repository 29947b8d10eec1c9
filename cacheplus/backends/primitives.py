"""The boundary: what a concrete backend declares and fills in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from asgiref.sync import sync_to_async
from django.core.cache.backends.base import BaseCache as DjangoBaseCache

from cacheplus.backends.options import Option
from cacheplus.store import SERVICE_MARK, Stored

T = TypeVar("T")


class Primitives(DjangoBaseCache):
    """The primitives of `cacheplus.store.Store`, for final names, stored forms and a ttl that is None or above 0.

    What has expired is absent to all of them. Their `_a` twins take one thread hop where the store blocks; a backend
    with an async client overrides them all and says so in `is_native_async`.
    """

    is_shared: ClassVar[bool] = True
    """Whether other processes see what is stored: expiry then reaches them, and pickles are signed by default."""
    is_remote: ClassVar[bool] = False
    """Whether it is a server that may be away: after some faults in a row it is then left alone until it answers."""
    is_blocking: ClassVar[bool] = True
    """Whether a call may wait for a disk or a network; if not, the async twins call it where they are."""
    is_persistent: ClassVar[bool] = False
    """Whether what is stored survives a restart of the site."""
    keeps_nothing: ClassVar[bool] = False
    """Whether nothing is ever stored, so that there is nothing to expire."""
    is_native_async: ClassVar[bool] = False
    """Whether the `_a` primitives talk to the store without a thread."""
    is_thread_sensitive: ClassVar[bool] = False
    """Whether a thread hop has to go to the thread that owns the request's database connections."""
    supports_scoped_clear: ClassVar[bool] = True
    """Whether `clear` can be limited to the alias's KEY_PREFIX."""
    holds_others: ClassVar[bool] = False
    """Whether the whole store may hold what is no cache, so that nothing but a call may clear all of it."""
    takes_client_options: ClassVar[bool] = False
    """Whether unknown OPTIONS go to a client library."""
    extra_options: ClassVar[Mapping[str, Option]] = {}
    """Options of this backend alone."""
    faults: tuple[type[BaseException], ...] = (OSError,)
    """What the store or its client raises when it fails."""
    answers: tuple[type[BaseException], ...] = ()
    """Those of the faults that the store itself gave as its answer to one call, so that it is not away."""
    increment_errors: tuple[type[Exception], ...] = ()
    """What the store raises when it is asked to increment something that is no plain int."""

    async def _hop(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """`call` where it does no harm: here if the store does not block, else in a thread."""
        if not self.is_blocking:
            return call(*args, **kwargs)
        return await sync_to_async(call, thread_sensitive=self.is_thread_sensitive)(*args, **kwargs)

    def is_lasting(self) -> bool:
        """Whether what is written now stays written: not so in a transaction, which may be rolled back."""
        return True

    def servers_of(self, names: Collection[str]) -> Collection[str]:
        """The servers that a call for `names` needs, as far as that is known: each is left alone by itself."""
        return ("",)

    def _probe(self, server: str) -> None:
        """Raise a fault unless one of `servers_of` works. Asked while it is left alone."""
        self._read([f"{SERVICE_MARK}probe"])

    @abstractmethod
    def _read(self, names: Sequence[str]) -> dict[str, Stored]: ...

    @abstractmethod
    def _write(self, items: Mapping[str, Stored], ttl: float | None) -> list[str]: ...

    @abstractmethod
    def _add(self, name: str, stored: Stored, ttl: float | None) -> bool: ...

    def _add_many(self, items: Mapping[str, Stored], ttl: float | None) -> set[str]:
        return {name for name, stored in items.items() if self._add(name, stored, ttl)}

    @abstractmethod
    def _swap(self, name: str, expected: Stored, stored: Stored | None, ttl: float | None) -> bool: ...

    @abstractmethod
    def _touch(self, name: str, ttl: float | None) -> bool: ...

    @abstractmethod
    def _remove(self, names: Sequence[str]) -> int: ...

    @abstractmethod
    def _increment(self, name: str, delta: int) -> int | None: ...

    @abstractmethod
    def _ttl(self, name: str) -> float | None: ...

    @abstractmethod
    def _clear(self, prefix: str | None) -> None: ...

    async def _aread(self, names: Sequence[str]) -> dict[str, Stored]:
        return await self._hop(self._read, names)

    async def _awrite(self, items: Mapping[str, Stored], ttl: float | None) -> list[str]:
        return await self._hop(self._write, items, ttl)

    async def _aadd(self, name: str, stored: Stored, ttl: float | None) -> bool:
        return await self._hop(self._add, name, stored, ttl)

    async def _aadd_many(self, items: Mapping[str, Stored], ttl: float | None) -> set[str]:
        return await self._hop(self._add_many, items, ttl)

    async def _aswap(self, name: str, expected: Stored, stored: Stored | None, ttl: float | None) -> bool:
        return await self._hop(self._swap, name, expected, stored, ttl)

    async def _atouch(self, name: str, ttl: float | None) -> bool:
        return await self._hop(self._touch, name, ttl)

    async def _aremove(self, names: Sequence[str]) -> int:
        return await self._hop(self._remove, names)

    async def _aincrement(self, name: str, delta: int) -> int | None:
        return await self._hop(self._increment, name, delta)

    async def _attl(self, name: str) -> float | None:
        return await self._hop(self._ttl, name)

    async def _aclear(self, prefix: str | None) -> None:
        await self._hop(self._clear, prefix)
