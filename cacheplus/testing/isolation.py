"""Caches that one test has to itself."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.cache import caches
from django.test import override_settings

from cacheplus.backends.base import BaseCache


@contextmanager
def isolated_caches() -> Iterator[str]:
    """Give every alias of CACHES a KEY_PREFIX of its own until the block ends; yields what was put before the old one.

    Neither an earlier test nor another worker is seen, and nobody's server is flushed: what a shared store was given
    stays until its timeout, what this process keeps in memory is dropped. A KEY_FUNCTION that leaves out the prefix
    is not isolated. Also a decorator of plain functions.
    """
    prefix = f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.{secrets.token_hex(6)}."
    entries = {
        alias: {**entry, "KEY_PREFIX": f"{prefix}{entry.get('KEY_PREFIX', '')}"}
        for alias, entry in caches.settings.items()
    }
    with override_settings(CACHES=entries):
        try:
            yield prefix
        finally:
            for cache in caches.all(initialized_only=True):
                if isinstance(cache, BaseCache) and not cache.is_shared and cache.supports_scoped_clear:
                    cache.clear()
