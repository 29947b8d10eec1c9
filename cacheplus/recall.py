"""The memo: within its block nothing is read twice from a store, unless the block itself has changed it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Memo:
    """What was read so far, by name and then by who read it; None for what was not there."""

    def __init__(self) -> None:
        self._read: dict[str, dict[object, Any]] = {}

    def unread(self, reader: object, names: Sequence[str]) -> list[str]:
        """Those that `reader` has to ask for."""
        return [name for name in names if reader not in self._read.get(name, ())]

    def note(self, reader: object, asked: Sequence[str], found: Mapping[str, Any]) -> None:
        """Keep what was `found` of the names that were `asked` for."""
        for name in asked:
            self._read.setdefault(name, {})[reader] = found.get(name)

    def told(self, reader: object, names: Sequence[str]) -> dict[str, Any]:
        """What is known of `names`, those left out that are not there."""
        known = {name: self._read.get(name, {}).get(reader) for name in names}
        return {name: stored for name, stored in known.items() if stored is not None}

    def forget(self, names: Collection[str] | None) -> None:
        """Read `names` again, or everything where it is None."""
        if names is None:
            self._read.clear()
        else:
            for name in names:
                self._read.pop(name, None)


_memo: ContextVar[Memo | None] = ContextVar("cacheplus_memo", default=None)


@contextmanager
def memo() -> Iterator[None]:
    """Within the block, and in the threads and tasks that it starts, read each key once.

    What others change meanwhile is not seen before the block ends; what the block changes itself is seen at once. Each
    caller still has a value of its own.
    """
    token = _memo.set(_memo.get() or Memo())
    try:
        yield
    finally:
        _memo.reset(token)


def current_memo() -> Memo | None:
    """The memo of the block that runs here."""
    return _memo.get()


def forget(names: Collection[str] | None) -> None:
    """Names whose content changed, or may have."""
    known = _memo.get()
    if known is not None:
        known.forget(names)


async def read_once(
    reader: object, read: Callable[[Sequence[str]], Awaitable[dict[str, Any]]], names: Sequence[str]
) -> dict[str, Any]:
    """What `read` gives for `names`, or within a memo what it gave before; `reader` tells one store from another."""
    known = _memo.get()
    if known is None:
        return await read(names)
    unread = known.unread(reader, names)
    if unread:
        known.note(reader, unread, await read(unread))
    return known.told(reader, names)
