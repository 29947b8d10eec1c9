"""The lock file of an lmdb store: one writer at a time, for a limited wait.

Writers of LMDB wait for one another without an end, so a process that is stopped while it writes would stop them all.
Whoever takes this lock first waits for nothing but this lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from cacheplus.backends.lmdb_board import Board

_FIRST_PAUSE = 0.000_05
_LONGEST_PAUSE = 0.002
# Seconds after which a waiter pleads, again and again.
PATIENCE = 0.02
# What others then hold back before they take the lock: longer than any pause of his.
_COURTESY = 0.004


class FileLock:
    """The lock file at `path`, made where it is missing. Between threads it does nothing; see `lmdb_turns`.

    `stuck_at` is the turn in which somebody kept the lock for as long as another lock of this file waited, if any.
    """

    def __init__(self, path: Path, stuck_at: int = -1) -> None:
        self._path = path
        self.stuck_at = stuck_at
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(self._file, 0o600)  # whatever the umask
            self.board = Board(self._file)
        except BaseException:
            os.close(self._file)
            raise

    def give_way(self) -> None:
        """Hold back while somebody pleads: who writes without a pause would never let him in."""
        if self.board.is_pleaded:
            time.sleep(_COURTESY)

    def acquire(self, deadline: float, tick: Callable[[], None]) -> None:
        """Take the lock. Raises TimeoutError where another process keeps it until `deadline` (monotonic time).

        Where that was waited for once in vain it raises at once, until somebody else has had the lock: a page that
        writes a lot waits for a stopped process only once. `tick` is called after each pause.
        """
        turn = self.board.turn
        pause, plead_at = _FIRST_PAUSE, time.monotonic() + PATIENCE
        while not self._try():
            now = time.monotonic()
            if now >= deadline or turn == self.stuck_at:
                self.stuck_at = turn if self.board.turn == turn else -1
                raise TimeoutError(f"Another process has been writing to {self._path.parent} for too long.")
            if now >= plead_at:
                self.board.plead()
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            tick()
        self.board.turn += 1

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
            self.board.close()
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        if hasattr(self, "board"):
            self.close()
