"""Faults: every one is signalled, and told in the log once per kind in ten seconds."""

from __future__ import annotations

import logging
import threading
import time

from cacheplus.signals import cache_error

logger = logging.getLogger("cacheplus")

_INTERVAL = 10.0
_lock = threading.Lock()
_told: dict[tuple[str, str, str], tuple[float, int]] = {}


def report(sender: type, alias: str, operation: str, error: BaseException) -> None:
    """Signal `error` and log it, without the key or a credential: only the alias, the operation and the kind."""
    kind = type(error).__name__
    cache_error.send_robust(sender=sender, alias=alias, operation=operation, error=error)
    silent = _suppressed((alias, operation, kind))
    if silent is not None:
        logger.warning("Cache %r: %s failed with %s (%d more not logged).", alias, operation, kind, silent)


def _suppressed(key: tuple[str, str, str]) -> int | None:
    """How many like it went unlogged since the last line, or None where this one goes unlogged too."""
    now = time.monotonic()
    with _lock:
        since, silent = _told.get(key, (-_INTERVAL, 0))
        if now - since < _INTERVAL:
            _told[key] = (since, silent + 1)
            return None
        _told[key] = (now, 0)
        return silent
