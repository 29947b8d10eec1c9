"""A signal between the request and the reply of a call."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interrupt(BaseException):
    """Like KeyboardInterrupt, but no runner of tests stops for it."""


@contextmanager
def interrupted(after: float) -> Iterator[None]:
    """Raises Interrupt in the main thread that many seconds from now."""

    def interrupt(*_: Any) -> None:
        raise Interrupt

    former = signal.signal(signal.SIGALRM, interrupt)
    # A callback of the collector, such as hypothesis has one, could not let the interrupt out.
    gc.disable()
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.enable()
        signal.signal(signal.SIGALRM, former)
