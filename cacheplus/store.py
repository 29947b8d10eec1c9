"""The store: the primitives that a backend fills in, and the one way to call them.

Every operation of the cache is written once, as a coroutine over a :class:`Store`. `Direct` answers from the blocking
primitives of a backend without ever suspending, so that :func:`run` can drive the coroutine from plain code; `Native`
awaits their `_a` twins. Both pass through the same fault boundary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from time import monotonic
from typing import Any, TypeVar

from cacheplus.boundary import Boundary, Leaf
from cacheplus.codecs.record import TOO_LARGE

__all__ = ["FAULT_ANSWERS", "SERVICE_MARK", "Direct", "Leaf", "Native", "Store", "Stored", "run"]
from cacheplus.recall import forget

T = TypeVar("T")

# What a record becomes on the way to a store: bytes or an int; an in-process store may keep any object.
Stored = Any

# Part of the name of every stamp, fence and lock. Bounded stores leave such entries out of MAX_ENTRIES.
SERVICE_MARK = "cacheplus.service."


class Store(Boundary, ABC):
    """The primitives as coroutines. Operations know nothing else of a backend.

    A strict store raises every fault; another one does what the alias's ON_FAULT says.
    """

    @abstractmethod
    async def _call(self, primitive: str, *args: Any) -> Any: ...

    async def _change(self, names: Collection[str] | None, primitive: str, *args: Any) -> Any:
        """`_call`, after which a memo has to ask for `names` again, for everything where it is None."""
        try:
            return await self._call(primitive, *args)
        finally:
            forget(names)

    async def read(self, names: Sequence[str]) -> dict[str, Stored]:
        """What is stored under `names`; absent and expired ones are left out."""
        return await self._call("read", names)

    async def write(self, items: Mapping[str, Stored], ttl: float | None) -> list[str]:
        """Store `items`; return the names that could not be stored."""
        if TOO_LARGE not in items.values():
            return await self._change(items, "write", items, ttl)
        refused = [name for name in items if self._is_refused("write", items[name])]
        rest = {name: stored for name, stored in items.items() if name not in refused}
        return [*refused, *(await self._change(rest, "write", rest, ttl) if rest else ())]

    async def add(self, name: str, stored: Stored, ttl: float | None) -> bool:
        """Store under a free name: one winner, whoever calls at the same time."""
        return not self._is_refused("add", stored) and await self._change((name,), "add", name, stored, ttl)

    async def add_many(self, items: Mapping[str, Stored], ttl: float | None) -> set[str]:
        """`add` for each item; return the names that were free."""
        return await self._change(items, "add_many", items, ttl)

    async def swap(self, name: str, expected: Stored, stored: Stored | None, ttl: float | None) -> bool:
        """Replace `expected`, or delete it where `stored` is None; False where something else stands there."""
        return not self._is_refused("swap", stored) and await self._change((name,), "swap", name, expected, stored, ttl)

    async def touch(self, name: str, ttl: float | None) -> bool:
        """Give what lives under `name` a new ttl; False where nothing does."""
        return await self._change((name,), "touch", name, ttl)

    async def remove(self, names: Sequence[str]) -> int:
        """Delete `names`; return how many of them were there."""
        return await self._change(names, "remove", names)

    async def increment(self, name: str, delta: int) -> int | None:
        """Add to a stored int, keeping its ttl; None where no plain int is stored."""
        return await self._change((name,), "increment", name, delta)

    async def ttl(self, name: str) -> float | None:
        """Seconds left, None for ever, 0 where nothing is stored."""
        return await self._call("ttl", name)

    async def clear(self, prefix: str | None) -> None:
        """Delete every name that begins with `prefix`, or everything where it is None."""
        await self._change(None, "clear", prefix)


class Direct(Store):
    """Calls the blocking primitives; its coroutines never suspend."""

    async def _call(self, primitive: str, *args: Any) -> Any:
        health = self.leaf.health
        if health is not None and health.is_ailing:
            return await self._call_with_care(health, primitive, args)
        begun = monotonic() if health is not None else 0.0
        try:
            return getattr(self.leaf, f"_{primitive}")(*args)
        except self.leaf.faults as error:
            return await self._met(primitive, args, error, begun)


class Native(Store):
    """Awaits the `_a` primitives."""

    async def _ask(self, primitive: str, *args: Any) -> Any:
        return await getattr(self.leaf, f"_a{primitive}")(*args)

    async def _call(self, primitive: str, *args: Any) -> Any:
        health = self.leaf.health
        if health is not None and health.is_ailing:
            return await self._call_with_care(health, primitive, args)
        begun = monotonic() if health is not None else 0.0
        try:
            return await getattr(self.leaf, f"_a{primitive}")(*args)
        except self.leaf.faults as error:
            return await self._met(primitive, args, error, begun)


def run(operation: Coroutine[Any, Any, T]) -> T:
    """Drive `operation` to its end from plain code. It must stand on a :class:`Direct` store."""
    try:
        operation.send(None)
    except StopIteration as done:
        return done.value
    operation.close()
    raise RuntimeError("An operation suspended: it stands on a native store and must be awaited.")


# What each primitive answers when its fault is taken for a miss: reads miss, writes report failure, nothing was added.
FAULT_ANSWERS: Mapping[str, Callable[..., Any]] = {
    "read": lambda _names: {},
    "write": lambda items, _ttl: list(items),
    "add": lambda *_: False,
    "add_many": lambda *_: set(),
    "swap": lambda *_: False,
    "touch": lambda *_: False,
    "remove": lambda _names: 0,
    "ttl": lambda _name: 0.0,
    "clear": lambda _prefix: None,
}
