"""How a store is doing: whether it is asked at all, and which removals it owes.

One `Health` stands for one store, whichever alias, thread or task of the process uses it. While there is something to
be done about the store, a thread of its own does it, so that no request pays for that.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Collection, Hashable, Iterable
from functools import cache
from math import inf
from typing import ClassVar, Protocol

from cacheplus import faults
from cacheplus.breaker import Breaker, Opening, pauses
from cacheplus.owed import Claims, Owed

logger = logging.getLogger("cacheplus")

# Where no thread can run, a call does what it would have done, one call in so many seconds.
_LATE = 5.0
_INTERVAL = 1.0


class Patient(Protocol):
    """A backend, as whoever looks after its store needs it."""

    holds_others: ClassVar[bool]
    """Whether the whole store may hold what is no cache, so that nothing but a call may clear all of it."""

    @property
    def alias(self) -> str:
        """The entry of CACHES."""

    def heal(self) -> None:
        """Probe what is left alone, and carry out what is owed. Raises the fault of what is still away."""

    def owed_prefix(self) -> str | None:
        """What to sweep where too many names are owed; None for the whole store."""


class Health:
    """The health of one store. `is_ailing` is all that a call looks at while everything is well.

    Only a remote store has breakers, one for each server: elsewhere no call waits for nothing. `in_background` is
    False for a store that only the thread of a request can reach; what it owes is carried out by the next call.
    """

    def __init__(self, *, is_remote: bool, in_background: bool) -> None:
        self.is_ailing = False
        self.owed = Owed()
        self.fences: set[str] = set()
        self._is_remote = is_remote
        self._breakers: dict[str, Breaker] = {}
        self._in_background = in_background
        self._seen_to_at = -inf
        self.renew()

    def renew(self) -> None:
        """Begin anew with locks and threads, in a child of fork. What is owed stays so: its parent may be gone."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._healer: threading.Thread | None = None

    def openings(self) -> dict[str, Opening]:
        """The servers that are left alone, and why."""
        breakers = self._breakers.copy().items()
        return {server: breaker.opening for server, breaker in breakers if breaker.opening is not None}

    # What calls tell

    def failed(self, patient: Patient, servers: Iterable[str], error: BaseException, seconds: float) -> None:
        """A call of `servers` failed after so many seconds, and not because one of them said so."""
        if not self._is_remote:
            return
        kind, now, opened = type(error).__name__, time.time(), None
        with self._lock:
            for server in servers:
                breaker = self._breakers.setdefault(server, Breaker())
                if breaker.failed(kind, seconds, now):
                    opened = breaker.opening
            self._refresh()
        if opened is not None:
            faults.tell_opened(patient.alias, opened)
            self._ensure_healer(patient)

    def answered(self, alias: str, servers: Iterable[str]) -> None:
        """These servers answered."""
        now = time.time()
        with self._lock:
            closed = [self._breakers[server].answered(now) for server in servers if server in self._breakers]
            self._refresh()
        for opening in filter(None, closed):
            faults.tell_closed(alias, opening)

    def owe(self, patient: Patient, names: Collection[str]) -> None:
        """Remember that `names` are to be removed. Of too many everything is owed."""
        if not names:
            return
        forgotten = 0
        with self._lock:
            if not self.owed.owe(names, self.fences):
                prefix = patient.owed_prefix()
                if prefix is None and patient.holds_others:
                    forgotten = self.owed.forget_oldest()
                else:
                    self.owed.owe_all(prefix)
            self._refresh()
        if forgotten:
            logger.error("Cache %r owes too many removals: %d were forgotten.", patient.alias, forgotten)

    def owe_all(self, prefix: str | None) -> None:
        """Remember that everything with `prefix` is to be removed."""
        with self._lock:
            self.owed.owe_all(prefix)
            self._refresh()

    def settle(self, claims: Claims) -> None:
        """These removals were carried out."""
        if claims:
            with self._lock:
                self.owed.settle(claims)
                self._refresh()

    def _refresh(self) -> None:
        self.is_ailing = bool(self.owed) or any(breaker.is_strained for breaker in self._breakers.values())

    # Who looks after it

    def refusal(self, patient: Patient, servers: Iterable[str]) -> Opening | None:
        """Why a call of these servers is not to be made, or None."""
        openings = self.openings()
        opening = next((openings[server] for server in servers if server in openings), None)
        if opening is None or (not self._ensure_healer(patient) and self._is_turn(_LATE)):
            return None
        return opening

    def is_due(self, patient: Patient) -> bool:
        """Whether this call is the one to carry out what is owed."""
        if self._in_background and self._ensure_healer(patient):
            return False
        return self._is_turn(_LATE if self._in_background else _INTERVAL)

    def _is_turn(self, after: float) -> bool:
        """Whether nobody saw to the store for so many seconds; then the caller is the one who does."""
        with self._lock:
            now = time.monotonic()
            if now - self._seen_to_at < after:
                return False
            self._seen_to_at = now
            return True

    def see_to(self, patient: Patient) -> None:
        """Have the store looked after, if it can be in the background."""
        if self._in_background and self._needs_care:
            self._ensure_healer(patient)

    @property
    def _needs_care(self) -> bool:
        return bool(self.owed) or bool(self.openings())

    @property
    def _is_relapse(self) -> bool:
        return any(breaker.is_relapse() for breaker in self._breakers.copy().values())

    def _ensure_healer(self, patient: Patient) -> bool:
        """Start the thread that looks after the store, if need be; whether it does so in time."""
        healer = self._healer
        if healer is not None and healer.is_alive():
            return time.monotonic() - self._seen_to_at < _LATE
        with self._lock:
            if self._healer is not None and self._healer.is_alive():
                return True
            self._healer = threading.Thread(target=self._look_after, args=(patient,), name="cacheplus", daemon=True)
            self._seen_to_at = time.monotonic()
            try:
                self._healer.start()
            except RuntimeError:
                # The process may start no more threads, or is about to end.
                self._healer = None
        return True

    def _look_after(self, patient: Patient) -> None:
        """Until the store is well: the life of the thread."""
        stop = self._stop
        for pause in pauses(in_haste=not self._is_relapse):
            if stop.wait(pause):
                return
            self._seen_to_at = time.monotonic()
            try:
                patient.heal()
            except Exception as error:  # noqa: BLE001 - it is what is the matter with the store, and is tried again
                logger.debug("Cache %r is still not well: %s.", patient.alias, type(error).__name__)
            with self._lock:
                if not self._needs_care:
                    self._healer = None
                    return

    def forget(self) -> None:
        """Be well: nothing is owed, nobody looks after the store."""
        self._stop.set()
        with self._lock:
            self.owed = Owed()
            self._breakers = {}
            self._seen_to_at = -inf
            self._refresh()
        healer = self._healer
        if healer is not None:
            healer.join(_LATE)
        self.renew()


_healths: dict[Hashable, Health] = {}


def health_of(store: Hashable, *, is_remote: bool, in_background: bool) -> Health:
    """The one `Health` in this process of what `store` identifies."""
    _watch_forks()
    if store not in _healths:
        # Of two threads that come first at once, both get what came first.
        _healths.setdefault(store, Health(is_remote=is_remote, in_background=in_background))
    return _healths[store]


def forget_all() -> None:
    """Forget what is known of every store, so that one test does not feel the faults of another."""
    for health in list(_healths.values()):
        if health.is_ailing or health._healer is not None:  # noqa: SLF001 - the same module
            health.forget()


@cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_renew)


def _renew() -> None:
    faults.renew()
    for health in _healths.values():
        health.renew()
