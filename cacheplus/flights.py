"""Flights: one computation per key at a time, across threads, tasks and event loops; and the lease for other processes.

A leader registers its flight, then puts a lease at the key's own name. Whoever finds the lease follows: it waits for
the flight if that is in this process, else looks again from time to time. Since the lease stands where the value will,
`set` and `delete` take it away, and the leader, which stores by compare-and-swap, then stores nothing.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NamedTuple

from cacheplus.codecs.record import Record

_TOKEN = 8
# The part of a token that tells whose process made it.
_MARK = 4
_NOBODY = bytes(_TOKEN)
# A lease is followed until its time; its trace stays, so that a computation that takes longer can still be stored.
TRACE = 3600.0
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1


class Lease(NamedTuple):
    """What stands at a key's name while its value is computed; no value to anybody.

    `root` is kept by whoever takes an overdue lease over: as long as it stands, nobody has set or deleted the key.
    """

    root: bytes
    owner: bytes
    until: float

    @classmethod
    def new(cls, seconds: float, root: bytes | None = None) -> Lease:
        """A lease of one's own for so many seconds, in succession to `root`."""
        return cls(root or os.urandom(_TOKEN), owner_token(), time.time() + seconds)

    def opened(self, seconds: float) -> Lease:
        """The word left behind that what was computed may not be stored: for so long nobody waits for anybody."""
        return Lease(self.root, _NOBODY, time.time() + seconds)

    @property
    def is_open(self) -> bool:
        """Whether everybody computes for himself."""
        return self.owner == _NOBODY

    @property
    def is_over(self) -> bool:
        """Whether its owner has had its time, or is known to have ended without a word: the store failed."""
        return self.until <= time.time() or is_orphaned(self.owner)

    @property
    def ttl(self) -> float:
        """Seconds for which the store keeps it."""
        return max(self.until - time.time(), 1.0) if self.is_open else TRACE

    def record(self) -> Record:
        """As stored: a record that was over before it began, so that it is absent to all who know nothing of leases."""
        return Record(self.root + self.owner, soft=self.until, expires=0.0)

    @classmethod
    def of(cls, record: Record) -> Lease | None:
        """The inverse of `record`."""
        token = record.value
        if record.expires != 0.0 or record.soft is None or type(token) is not bytes or len(token) != 2 * _TOKEN:
            return None
        return cls(token[:_TOKEN], token[_TOKEN:], record.soft)


class Flight:
    """A computation in progress in this process, or the watch over one elsewhere.

    `subject` is what is computed, `stands` what stood when it began, `landed` is set to its result, or to None where
    there is none to share.
    """

    def __init__(self, subject: Hashable, stands: Hashable, *, is_task: bool) -> None:
        self.subject = subject
        self.stands = stands
        self.is_task = is_task
        self.thread = threading.get_ident()
        self.landed: Future[Any] = Future()
        self._pid = os.getpid()
        self.awaits: list[Flight] = []

    @property
    def is_here(self) -> bool:
        """Whether its leader can end it: not in a child that was forked in the middle."""
        return self._pid == os.getpid()

    def land(self, result: Any = None) -> None:
        """Give the followers `result`."""
        if not self.landed.done():
            self.landed.set_result(result)

    def leads_to(self, flights: tuple[Flight, ...]) -> bool:
        """Whether it is one of `flights`, or waits for one of them, however indirectly."""
        seen, ahead = set(), [self]
        while ahead:
            flight = ahead.pop()
            if flight in flights:
                return True
            if flight not in seen:
                seen.add(flight)
                ahead.extend(flight.awaits)
        return False


_lock = threading.Lock()
_in_the_air: dict[Hashable, Flight] = {}
_led: ContextVar[tuple[Flight, ...]] = ContextVar("cacheplus_flights", default=())


def flight_of(owner: Hashable) -> Flight | None:
    """The flight in this process that goes by `owner`."""
    with _lock:
        flight = _in_the_air.get(owner)
    return flight if flight is not None and flight.is_here else None


def is_orphaned(owner: bytes) -> bool:
    """Whether `owner` was made in this process by a flight that is in the air no more."""
    return owner.startswith(_mark_of(os.getpid())) and flight_of(owner) is None


def owner_token() -> bytes:
    """A token for a flight of this process."""
    return _mark_of(os.getpid()) + os.urandom(_TOKEN - _MARK)


@lru_cache(maxsize=1)
def _mark_of(_pid: int) -> bytes:
    # Never decimal digits, which a store would take for a counter.
    return b"\xcd" + os.urandom(_MARK - 1)


@contextmanager
def airborne(flight: Flight, owner: Hashable) -> Iterator[bool]:
    """Register `flight` while the block lasts; gives False where another goes by `owner` already."""
    with _lock:
        other = _in_the_air.get(owner)
        is_first = other is None or not other.is_here
        if is_first:
            _in_the_air[owner] = flight
    try:
        yield is_first
    finally:
        if is_first:
            with _lock:
                _in_the_air.pop(owner, None)
        flight.land()


@contextmanager
def leading(flight: Flight) -> Iterator[None]:
    """Within the block, and in the tasks and threads that it starts, `flight` is one's own."""
    token = _led.set((*_led.get(), flight))
    try:
        yield
    finally:
        _led.reset(token)


@contextmanager
def on_ones_own() -> Iterator[None]:
    """Within the block none of the flights that led here counts as one's own."""
    token = _led.set(())
    try:
        yield
    finally:
        _led.reset(token)


def leads(subject: Hashable) -> bool:
    """Whether this context is computing `subject` already."""
    return any(flight.subject == subject for flight in _led.get())


@contextmanager
def awaiting(flight: Flight) -> Iterator[bool]:
    """Around a wait; gives False where `flight` waits for a flight of this context, and the wait would never end."""
    own = _led.get()
    with _lock:
        is_safe = not flight.leads_to(own)
        for each in own if is_safe else ():
            each.awaits.append(flight)
    try:
        yield is_safe
    finally:
        with _lock:
            for each in own if is_safe else ():
                each.awaits.remove(flight)


class Patience:
    """How long one call may wait in all, from its first wait on."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline: float | None = None
        self._pause = _FIRST_PAUSE

    @property
    def left(self) -> float:
        """Seconds; the first look starts the clock."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._seconds
        return max(0.0, self._deadline - now)

    def pause(self) -> float:
        """Seconds to sleep before the next look at a lease elsewhere, longer each time."""
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        return min(pause, self.left)
