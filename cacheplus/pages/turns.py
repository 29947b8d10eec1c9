"""Turns: of several requests for one missing page, one renders it and the others wait for that.

A turn saves work and no more: what is served is judged by its stamps. So it stands under a name of its own, and one
that ends without a word, with its process, ends with its lease.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from enum import Enum, auto
from functools import partial
from typing import Any

from cacheplus.backends.base import BaseCache
from cacheplus.backends.ways import Way
from cacheplus.flights import Flight, Patience, airborne, flight_of, is_orphaned, leads, owner_token
from cacheplus.requests import in_thread
from cacheplus.store import Store, Stored
from cacheplus.waiting import runs_a_loop

# Left behind where a page may not be stored: for so many seconds nobody waits for it.
OPEN = b"\xcdopen"
_OPEN_SECONDS = 10.0


class Next(Enum):
    """What a request does that has no turn."""

    LOOK = auto()
    """Look again: somebody was at it."""
    RENDER = auto()
    """Render the page, whoever else does."""


class Turn:
    """One's turn to render a page. It begins when it is made, and ends once."""

    def __init__(self, cache: BaseCache, name: str, *, is_task: bool) -> None:
        self.cache = cache
        self.name = name
        self.token = owner_token()
        self.flight = Flight(subject_of(cache, name), None, is_task=is_task)
        self._here = ExitStack()
        self._here.enter_context(airborne(self.flight, self.token))

    def end_here(self) -> None:
        """Let those go on who wait in this process."""
        self._here.close()

    def ending(self, *, may_be_shared: bool) -> Callable[[Store], Coroutine[Any, Any, bool]]:
        """What tells the others elsewhere: that the page is there or may be tried again, or never will be shared."""

        async def end(store: Store) -> bool:
            left, ttl = (None, None) if may_be_shared else (OPEN, _OPEN_SECONDS)
            return await store.swap(self.name, self.token, left, ttl)

        return end

    def fail(self) -> None:
        """The page will not come of this: let the next one try."""
        self.end_here()
        release = partial(self.cache.drive, self.ending(may_be_shared=True), None)
        if self.cache.is_blocking and runs_a_loop():
            in_thread(release)
        else:
            release()


def subject_of(cache: BaseCache, name: str) -> tuple[Any, ...]:
    """What a turn is for, to tell one's own again."""
    return cache.operations.space, name


class Turns:
    """The turns of the pages on one alias."""

    def __init__(self, cache: BaseCache, lease: float) -> None:
        self._cache = cache
        self._lease = lease

    async def take(self, way: Way, name: str, seen: Stored | None, patience: Patience) -> Turn | Next:
        """A turn for the page whose turns go by `name`, where `seen` stood a moment ago."""
        if leads(subject_of(self._cache, name)) or seen == OPEN:
            return Next.RENDER
        if seen is None or (isinstance(seen, bytes) and is_orphaned(seen)):
            turn = Turn(self._cache, name, is_task=way.is_task)
            if await way.attempt(partial(self._begin, turn, seen)):
                return turn
            turn.end_here()
            seen = await self._standing(way, name)
        if not isinstance(seen, bytes) or seen == OPEN:
            return Next.RENDER
        return await self._follow(way, name, seen, patience)

    async def _begin(self, turn: Turn, seen: Stored | None, store: Store) -> bool:
        if seen is None:
            return await store.add(turn.name, turn.token, self._lease)
        return await store.swap(turn.name, seen, turn.token, self._lease)

    async def _standing(self, way: Way, name: str) -> Stored | None:
        return (await way.attempt(lambda store: store.read([name])) or {}).get(name)

    async def _follow(self, way: Way, name: str, seen: bytes, patience: Patience) -> Next:
        flight = flight_of(seen)
        if not way.may_wait(flight) or patience.left <= 0:
            return Next.RENDER
        if flight is not None:
            return Next.LOOK if await way.wait(flight, patience.left) else Next.RENDER
        watch = Flight(subject_of(self._cache, name), None, is_task=way.is_task)
        with airborne(watch, seen) as is_first:
            while is_first and patience.left > 0:
                await way.pause(patience.pause())
                if await self._standing(way, name) != seen:
                    return Next.LOOK
        return Next.RENDER if is_first else Next.LOOK
