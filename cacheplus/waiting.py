"""Whether a thread may wait for a computation elsewhere without holding up whoever would end it."""

from __future__ import annotations

import asyncio
import threading

from asgiref.sync import SyncToAsync
from django.db import connections

from cacheplus.flights import Flight


def may_block(flight: Flight | None) -> bool:
    """Whether this thread may sleep until `flight` lands, None for one in another process.

    Not within a transaction, whose locks the leader may need; not on an event loop, nor where the leader's own work for
    a thread could be meant for this one.
    """
    if runs_a_loop() or _is_in_transaction():
        return False
    if flight is not None and flight.thread == threading.get_ident():
        return False
    loop = getattr(SyncToAsync.threadlocal, "main_event_loop", None)
    if loop is None or not loop.is_running():
        return True
    # Called through sync_to_async. Only a request of ASGI has a thread of its own for that.
    is_own_thread = SyncToAsync.thread_sensitive_context.get(None) is not None
    return is_own_thread and not (flight is not None and flight.is_task)


def runs_a_loop() -> bool:
    """Whether this thread is that of a running event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _is_in_transaction() -> bool:
    return any(connection.in_atomic_block for connection in connections.all(initialized_only=True))
