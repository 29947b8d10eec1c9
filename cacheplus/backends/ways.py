"""The two ways to carry out a computation: in plain code, which blocks, and in a task, which awaits.

What has to be computed is thought through once, in `computing`; a way tells how to reach the store, call the site's
function and wait. The coroutines of `Blocking` never suspend.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from cacheplus.flights import Flight, awaiting
from cacheplus.requests import after_response, current_request, in_thread
from cacheplus.store import Store, run
from cacheplus.waiting import may_block

if TYPE_CHECKING:
    from cacheplus.backends.alias import CacheAlias

T = TypeVar("T")
Make = Callable[[Store], Coroutine[Any, Any, T]]

# An event loop keeps no task alive.
_tasks: set[asyncio.Task[None]] = set()


class Way(ABC):
    """How to reach the store of `cache`, compute, and wait. A `tolerant` one takes every fault for a miss."""

    is_task: bool

    def __init__(self, cache: CacheAlias, *, tolerant: bool = False) -> None:
        self.cache = cache
        self.tolerant = tolerant

    async def operate(self, make: Make[T]) -> T | None:
        """What an operation gives; None where a fault of the store was taken for a miss."""
        return await self.attempt(make) if self.tolerant else await self._operate(make)

    @abstractmethod
    async def attempt(self, make: Make[T]) -> T | None:
        """What an operation gives, None where the store failed."""

    @abstractmethod
    async def _operate(self, make: Make[T]) -> T: ...

    @abstractmethod
    async def compute(self, default: Callable[[], Any]) -> Any:
        """What the site's function gives."""

    @abstractmethod
    async def pause(self, seconds: float) -> None:
        """Sleep."""

    @abstractmethod
    async def wait(self, flight: Flight, seconds: float) -> bool:
        """Sleep until `flight` has landed; False where it would never, or not in time."""

    @abstractmethod
    def may_wait(self, flight: Flight | None) -> bool:
        """Whether to wait for `flight` at all, None for one in another process."""

    @abstractmethod
    def later(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Carry out what `make` gives in the background: in a request, once its response was sent."""


class Blocking(Way):
    """Plain code, in whatever thread."""

    is_task = False

    async def attempt(self, make: Make[T]) -> T | None:
        return self.cache.drive(make, None)

    async def _operate(self, make: Make[T]) -> T:
        return await make(self.cache._direct)  # noqa: SLF001

    async def compute(self, default: Callable[[], Any]) -> Any:
        return default()

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - plain code drives this coroutine

    async def wait(self, flight: Flight, seconds: float) -> bool:
        with awaiting(flight) as is_safe:
            try:
                return is_safe and (flight.landed.result(seconds), True)[1]
            except TimeoutError:
                return False

    def may_wait(self, flight: Flight | None) -> bool:
        return may_block(flight)

    def later(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        context = copy_context()
        after_response(lambda: context.run(lambda: run(make())))


class Awaiting(Way):
    """A task of an event loop, which is never blocked, and holds no thread while it waits."""

    is_task = True

    async def attempt(self, make: Make[T]) -> T | None:
        return await self.cache.adrive(make, None)

    async def _operate(self, make: Make[T]) -> T:
        if self.cache.is_native_async:
            return await make(self.cache._native)  # noqa: SLF001
        return await self.cache._hop(lambda: run(make(self.cache._direct)))  # noqa: SLF001

    async def compute(self, default: Callable[[], Any]) -> Any:
        value = default()
        return await value if inspect.isawaitable(value) else value

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait(self, flight: Flight, seconds: float) -> bool:
        with awaiting(flight) as is_safe:
            if not is_safe:
                return False
            # Unlike `wait_for` it cancels nothing: the result belongs to the others too.
            landed, _ = await asyncio.wait({asyncio.wrap_future(flight.landed)}, timeout=seconds)
            return bool(landed)

    def may_wait(self, flight: Flight | None) -> bool:
        return True  # it holds up nobody

    def later(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        loop, context = asyncio.get_running_loop(), copy_context()

        def start() -> None:
            task = loop.create_task(make(), context=context)
            _tasks.add(task)
            task.add_done_callback(end)

        def end(task: asyncio.Task[None]) -> None:
            _tasks.discard(task)
            if task.cancelled():
                # The loop was made for one call, and ends with it.
                in_thread(start_over)

        def start_over() -> None:
            context.copy().run(lambda: asyncio.run(make()))

        def start_from_thread() -> None:
            try:
                loop.call_soon_threadsafe(start)
            except RuntimeError:
                in_thread(start_over)

        if current_request() is None:
            start()
        else:
            after_response(start_from_thread)
