"""Locks over a cache: one holder at a time, for at most `timeout` seconds.

A lock saves work; it is not a proof of exclusion. Whoever holds it longer than `timeout`, or loses the store, may not
be alone any more.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

from cacheplus.exceptions import LockNotAcquired, shown

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1


@dataclass(slots=True)
class _Claim:
    """A try to take the lock `label`: the owner's token, and the pauses between two looks."""

    label: str
    wait: float
    token: bytes = field(default_factory=lambda: b"\xcc" + os.urandom(12))

    def pauses(self) -> Iterator[float]:
        """Seconds to sleep before each further look, until `wait` is over; then raise."""
        deadline, pause = time.monotonic() + self.wait, _FIRST_PAUSE
        while (left := deadline - time.monotonic()) > 0:
            yield min(pause, left)
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise LockNotAcquired(
            f"The lock {shown(self.label)} is held elsewhere and was not free within {self.wait} seconds."
        )


class Lock:
    """A context manager; `with` gives the owner's token. Raises `LockNotAcquired` after waiting."""

    def __init__(
        self, label: str, wait: float, acquire: Callable[[bytes], bool], release: Callable[[bytes], bool]
    ) -> None:
        self._claim = _Claim(label, wait)
        self._acquire, self._release = acquire, release

    def __enter__(self) -> bytes:
        pauses = self._claim.pauses()
        while not self._acquire(self._claim.token):
            time.sleep(next(pauses))
        return self._claim.token

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release(self._claim.token)


class AsyncLock:
    """`Lock` for `async with`."""

    def __init__(
        self,
        label: str,
        wait: float,
        acquire: Callable[[bytes], Awaitable[bool]],
        release: Callable[[bytes], Awaitable[bool]],
    ) -> None:
        self._claim = _Claim(label, wait)
        self._acquire, self._release = acquire, release

    async def __aenter__(self) -> bytes:
        pauses = self._claim.pauses()
        while not await self._acquire(self._claim.token):  # noqa: ASYNC110 - nobody tells of a release elsewhere
            await asyncio.sleep(next(pauses))
        return self._claim.token

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._release(self._claim.token)
