"""The breaker: a server that does not answer is left alone, so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import NamedTuple

_MOST_FAULTS = 3
# One timeout of half a second is enough: with what a second call could cost, a request stays within one second.
_MOST_SECONDS = 0.45

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
# A store that fails again so soon after it came back is not looked at in haste.
_RELAPSE = 10.0


class Opening(NamedTuple):
    """Why a store is left alone: the kind of its last fault, how many there were in a row, and what they cost."""

    kind: str
    faults: int
    seconds: float
    at: float


class Breaker:
    """The faults of one server that came in a row. `opening` is None while it is asked. It looks at no clock."""

    def __init__(self) -> None:
        self.opening: Opening | None = None
        self._faults = 0
        self._seconds = 0.0
        self._closed_at = -inf

    @property
    def is_strained(self) -> bool:
        """Whether its last call was a fault; so it is while the server is left alone."""
        return self._faults > 0

    def failed(self, kind: str, seconds: float, now: float) -> bool:
        """Count a fault that came after so many seconds; whether the store is left alone from now on."""
        if self.opening is not None:
            return False
        self._faults += 1
        self._seconds += seconds
        if self._faults < _MOST_FAULTS and self._seconds < _MOST_SECONDS:
            return False
        self.opening = Opening(kind, self._faults, self._seconds, now)
        return True

    def answered(self, now: float) -> Opening | None:
        """The store answers: what it was left alone for until now, if it was."""
        self._faults, self._seconds = 0, 0.0
        opening, self.opening = self.opening, None
        if opening is not None:
            self._closed_at = now
        return opening

    def is_relapse(self) -> bool:
        """Whether it opened soon after it had closed."""
        return self.opening is not None and self.opening.at - self._closed_at < _RELAPSE


def pauses(*, in_haste: bool) -> Iterator[float]:
    """Seconds to wait before each look after a store. In haste the first ones are short: most faults are hiccups."""
    pause = _FIRST_PAUSE if in_haste else _LONGEST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)
