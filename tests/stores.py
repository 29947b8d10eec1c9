"""Stores for tests: one that counts its calls, and one that stops before each of them."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from cacheplus.store import Direct, Leaf, Store


class CountingStore(Direct):
    """Writes down the primitives it is asked for, in `calls`."""

    def __init__(self, leaf: Leaf) -> None:
        super().__init__(leaf)
        self.calls: list[str] = []

    async def _call(self, primitive: str, *args: Any) -> Any:
        self.calls.append(primitive)
        return await super()._call(primitive, *args)


@types.coroutine
def stop() -> Generator[None, None, None]:
    """Let others go first."""
    yield


class SteppedStore(Store):
    """Stops before every primitive, which then happens at once, as it does on a server."""

    async def _call(self, primitive: str, *args: Any) -> Any:
        await stop()
        return getattr(self.leaf, f"_{primitive}")(*args)


@dataclass
class Actor:
    """A coroutine that is stepped from stop to stop, in a context of its own."""

    coroutine: Coroutine[Any, Any, Any]
    context: Context = field(default_factory=copy_context)
    done: bool = False

    def step(self) -> None:
        try:
            self.context.run(self.coroutine.send, None)
        except StopIteration:
            self.done = True


def interleavings(start: Callable[[], tuple[Sequence[Actor], Callable[[], Any]]]) -> Iterator[tuple[str, Any]]:
    """Play every order in which the actors can take their steps; yield (order, outcome).

    `start` sets up a fresh world: its actors, and what to call for the outcome when all of them are done. An order is
    a string of their numbers.
    """
    pending = [""]
    while pending:
        order = pending.pop()
        actors, outcome = start()
        for number in order:
            actors[int(number)].step()
        while running := [number for number, actor in enumerate(actors) if not actor.done]:
            pending += [f"{order}{other}" for other in running[1:]]
            order += str(running[0])
            actors[running[0]].step()
        yield order, outcome()
