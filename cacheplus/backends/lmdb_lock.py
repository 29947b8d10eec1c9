"""The lock file of an lmdb store: one writer at a time, for a limited wait, and the count of its new starts.

Writers of LMDB wait for one another without an end, so a process that is stopped while it writes would stop them all.
Whoever takes this lock first waits for nothing but this lock.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path

# Two numbers: how often the store was started anew, and when somebody last pleaded for the lock.
_SHARED = 16
_FIRST_PAUSE = 0.000_05
_LONGEST_PAUSE = 0.002
# Seconds after which a waiter pleads, again and again, and for how long that counts.
PATIENCE = 0.02
_PLEA = 50_000_000
# What others then hold back before they take the lock: longer than any pause of his.
_COURTESY = 0.004


class FileLock:
    """The lock file at `path`, made where it is missing. Between threads it does nothing: they need a lock of theirs.

    What is read here after `close`, by another thread, raises ValueError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(self._file, 0o600)  # whatever the umask
            if os.fstat(self._file).st_size < _SHARED:
                os.pwrite(self._file, bytes(_SHARED), 0)
            self._map = mmap.mmap(self._file, _SHARED)
        except BaseException:
            os.close(self._file)
            raise
        self._shared = memoryview(self._map).cast("Q")

    @property
    def generation(self) -> int:
        """How often the store was started anew, by any process. Whoever does it adds one."""
        return self._shared[0]

    @generation.setter
    def generation(self, value: int) -> None:
        self._shared[0] = value

    def plead(self) -> None:
        """Tell everybody that somebody has waited for long."""
        self._shared[1] = time.monotonic_ns()

    def give_way(self) -> None:
        """Hold back while somebody pleads: who writes without a pause would never let him in."""
        if time.monotonic_ns() - self._shared[1] < _PLEA:
            time.sleep(_COURTESY)

    def acquire(self, deadline: float, tick: Callable[[], None]) -> None:
        """Take the lock. Raises TimeoutError where another process keeps it until `deadline` (monotonic time).

        `tick` is called after each pause.
        """
        pause, plead_at = _FIRST_PAUSE, time.monotonic() + PATIENCE
        while not self._try():
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError(f"Another process has been writing to {self._path.parent} for too long.")
            if now >= plead_at:
                self.plead()
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            tick()

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let the next one write. Harmless where the lock is not held."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def is_in_place(self) -> bool:
        """Whether the file at `path` is still the one that is locked here."""
        try:
            there = self._path.lstat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._file))

    def close(self) -> None:
        """Close the file, and with it let go of the lock. What a forked child inherited must be closed there too."""
        if self._file >= 0:
            self._shared.release()
            self._map.close()
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        if hasattr(self, "_shared"):
            self.close()
