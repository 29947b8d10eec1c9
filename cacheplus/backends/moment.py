"""A point in time, read from two clocks: one that can be set, and one that nobody can set."""

from __future__ import annotations

import time
from functools import cache
from math import inf
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UNKNOWN = bytes(16)
# Where it exists it counts on while the machine sleeps.
_STEADY: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Moment(NamedTuple):
    """What the clocks of a machine show."""

    wall: float
    """Unix time."""
    boot: bytes
    """16 bytes that differ with each start of the machine; all zero where the system does not say."""
    steady: float
    """Seconds since that start."""

    @classmethod
    def at(cls, wall: float) -> Moment:
        """The present, where the wall clock shows `wall`."""
        return cls(wall, _boot(), time.clock_gettime(_STEADY))

    def since(self, earlier: Moment) -> float:
        """Seconds from `earlier` to this moment, by the clock that says more: what has a ttl never outlives it.

        inf where the wall clock was set back behind `earlier`, for then it cannot be told.
        """
        if earlier.wall > self.wall + 1:
            return inf
        passed = self.wall - earlier.wall
        if earlier.boot == self.boot != _UNKNOWN:
            passed = max(passed, self.steady - earlier.steady)
        return passed


@cache
def _boot() -> bytes:
    try:
        return UUID(_BOOT_ID.read_text(encoding="ascii").strip()).bytes
    except (OSError, ValueError):
        return _UNKNOWN
