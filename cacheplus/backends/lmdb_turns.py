"""Whose turn it is among the threads of one process that want to write to an lmdb store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from cacheplus.backends.lmdb_lock import PATIENCE, FileLock

# Seconds without a step of a thread that wants to write, after which readers let it have the interpreter's lock. LMDB
# drops that lock at each step, and of many threads that do so all the time some hardly get it back.
_STARVED = 0.01
_PAUSE = 0.001
# What a fork waits for a thread that writes, in seconds.
_FREEZE_WAIT = 5.0


class Turns:
    """One thread at a time, for a limited wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # One element for each thread that wants to write, and when the last of them made a step.
        self._waiting: list[None] = []
        self._stepped_at = 0.0

    @contextmanager
    def turn(self, deadline: float, lock: FileLock | None) -> Iterator[None]:
        """Be the only thread that writes. Raises TimeoutError where it is not free by `deadline` (monotonic time).

        `lock`, if there is one yet, is where other processes are told that somebody waits long.
        """
        waiting = self._waiting
        waiting.append(None)
        try:
            self._acquire(deadline, lock)
            try:
                yield
            finally:
                self._lock.release()
        finally:
            waiting.pop()

    def _acquire(self, deadline: float, lock: FileLock | None) -> None:
        self.step()
        with suppress(ValueError):  # another thread may close the file meanwhile
            if lock is not None:
                lock.give_way()
        while not self._lock.acquire(timeout=PATIENCE):
            if monotonic() >= deadline:
                raise TimeoutError("Other threads have been writing to the same store for too long.")
            with suppress(ValueError):
                if lock is not None:
                    lock.board.plead()
        self.step()

    def step(self) -> None:
        """Note that a thread that wants to write has got on."""
        self._stepped_at = monotonic()

    def give_way(self) -> None:
        """Before a read: pause where a thread that wants to write does not get on."""
        if self._waiting and monotonic() - self._stepped_at > _STARVED:
            sleep(_PAUSE)

    def stop(self) -> bool:
        """Before a fork: let nobody write. False where a thread does not come to an end."""
        return self._lock.acquire(timeout=_FREEZE_WAIT)

    def go_on(self) -> None:
        """After `stop`."""
        self._lock.release()
