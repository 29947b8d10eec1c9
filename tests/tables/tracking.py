"""Tracking switched on for a test, over a cache whose calls can be counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import override_settings

from cacheplus.tables.switch import switch_off, switch_on
from tests.sites import nobody_listens, probed


@contextmanager
def tracking(choice: Any = True, **settings: Any) -> Iterator[None]:
    """Let tables be tracked, and nothing else expire anything."""
    given = {"CACHES": {"default": probed()}, **settings}
    with override_settings(CACHEPLUS={"TRACK_TABLES": choice}, **given), nobody_listens():
        switch_on()
        try:
            yield
        finally:
            switch_off()
