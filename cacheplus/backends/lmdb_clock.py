"""The clock of an lmdb store. All processes that share the store read the same time, whatever the wall clock does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

MICROSECONDS = 1_000_000

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Nobody can set it, and where there is a boot id it counts on while the machine sleeps.
_STEADY: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(NamedTuple):
    """Microseconds since 1970 as the wall clock told them once in this run of the machine, and counted on since."""

    boot: str
    """Which start of the machine it belongs to; empty where the system does not say, and then it is the wall clock."""
    offset: int
    """What is added to the steady clock, in microseconds."""

    @classmethod
    def start(cls) -> Clock:
        """A clock that shows wall time now."""
        boot = boot_id()
        return cls(boot, time.time_ns() // 1000 - _steady() if boot else 0)

    def now(self) -> int:
        """Microseconds, never fewer than before."""
        return (_steady() if self.boot else time.time_ns() // 1000) + self.offset


def boot_id() -> str:
    """What differs each time that the machine starts; empty where the system has no such thing."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _steady() -> int:
    return time.clock_gettime_ns(_STEADY) // 1000
