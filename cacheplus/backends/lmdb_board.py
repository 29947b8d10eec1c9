"""What the processes that share an lmdb store tell one another: five numbers in shared memory."""

from __future__ import annotations

import mmap
import os
import time

_NUMBERS = 5
_GENERATION, _PLEA, _ALLOCATED, _USED, _TURN = range(_NUMBERS)
_SIZE = 8 * _NUMBERS
# How long a plea counts, in nanoseconds.
_PLEA_LASTS = 50_000_000


class Board:
    """Numbers at the start of an open `file`. To look at one is to look into memory.

    Once it was closed, by another thread, all of it raises ValueError.
    """

    def __init__(self, file: int) -> None:
        if os.fstat(file).st_size < _SIZE:
            # A byte that is always zero, so that nothing is lost where another process was quicker.
            os.pwrite(file, b"\x00", _SIZE - 1)
        self._map = mmap.mmap(file, _SIZE)
        self._numbers = memoryview(self._map).cast("Q")

    @property
    def generation(self) -> int:
        """How often the store was started anew, by any process. Whoever does it adds one."""
        return self._numbers[_GENERATION]

    @generation.setter
    def generation(self, value: int) -> None:
        self._numbers[_GENERATION] = value

    @property
    def allocated(self) -> int:
        """How many bytes of the data have disk space."""
        return self._numbers[_ALLOCATED]

    @allocated.setter
    def allocated(self, value: int) -> None:
        self._numbers[_ALLOCATED] = value

    @property
    def used(self) -> int:
        """How many bytes of the data are in use at most."""
        return self._numbers[_USED]

    @used.setter
    def used(self, value: int) -> None:
        self._numbers[_USED] = value

    @property
    def turn(self) -> int:
        """How often the lock was taken. Whoever takes it adds one."""
        return self._numbers[_TURN]

    @turn.setter
    def turn(self, value: int) -> None:
        self._numbers[_TURN] = value

    def plead(self) -> None:
        """Tell that somebody has waited long for the lock."""
        self._numbers[_PLEA] = time.monotonic_ns()

    @property
    def is_pleaded(self) -> bool:
        """Whether somebody has told so lately."""
        return time.monotonic_ns() - self._numbers[_PLEA] < _PLEA_LASTS

    def close(self) -> None:
        """Let go of the memory."""
        self._numbers.release()
        self._map.close()
