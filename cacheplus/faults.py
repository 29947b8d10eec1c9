"""Faults: every one is counted and signalled, and told in the log once per kind in ten seconds."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import NamedTuple

from cacheplus.breaker import Opening
from cacheplus.exceptions import BadRecord, CacheUnavailable
from cacheplus.signals import cache_error

logger = logging.getLogger("cacheplus")

_INTERVAL = 10.0
_lock = threading.Lock()


class Fault(NamedTuple):
    """What is counted: the entry of CACHES, what was being done, and the kind of what went wrong."""

    alias: str
    operation: str
    kind: str


_counts: Counter[Fault] = Counter()
_told: dict[Fault, tuple[float, int]] = {}


def report(sender: type, alias: str, operation: str, error: BaseException) -> None:
    """Count, signal and log `error`, without the key or a credential: only the alias, the operation and the kind."""
    fault = Fault(alias, operation, kind_of(error))
    with _lock:
        _counts[fault] += 1
    cache_error.send_robust(sender=sender, alias=alias, operation=operation, error=error)
    # Refused calls were announced; one line for all of them says that it is not over.
    subject = _refusals(alias) if isinstance(error, CacheUnavailable) else fault
    silent = _suppressed(subject)
    if silent is not None:
        logger.warning("Cache %r: %s failed with %s (%d more not logged).", alias, operation, fault.kind, silent)


def kind_of(error: BaseException) -> str:
    """A word for what went wrong, out of a small set: the flaw of a record, or the class of the error."""
    return str(error.kind) if isinstance(error, BadRecord) else type(error).__name__


def counts() -> dict[Fault, int]:
    """How many faults of each sort this process has met."""
    with _lock:
        return dict(_counts)


def tell_opened(alias: str, opening: Opening) -> None:
    """Log that a store is left alone; the warning is that of its faults."""
    silent = _suppressed(Fault(alias, "", "opened"))
    _suppressed(_refusals(alias))
    if silent is not None:
        logger.info(
            "Cache %r is left alone until it answers: %d faults in a row took %.2f s, the last is %s (%d not logged).",
            alias,
            opening.faults,
            opening.seconds,
            opening.kind,
            silent,
        )


def tell_closed(alias: str, opening: Opening) -> None:
    """Log that a store answers again."""
    logger.info("Cache %r answers again after %.1f s.", alias, time.time() - opening.at)


def renew() -> None:
    """Begin anew with the lock, in a child of fork."""
    global _lock  # noqa: PLW0603 - the old one may be held for ever
    _lock = threading.Lock()


def _refusals(alias: str) -> Fault:
    return Fault(alias, "", CacheUnavailable.__name__)


def _suppressed(subject: Fault) -> int | None:
    """How many like it went unlogged since the last line, or None where this one goes unlogged too."""
    now = time.monotonic()
    with _lock:
        since, silent = _told.get(subject, (-_INTERVAL, 0))
        if now - since < _INTERVAL:
            _told[subject] = (since, silent + 1)
            return None
        _told[subject] = (now, 0)
        return silent
