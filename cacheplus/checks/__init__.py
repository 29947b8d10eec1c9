"""System checks, one module per subject. None of them raises, and only the database check opens a connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.core.checks import CheckMessage, Tags, register
from django.core.checks.caches import E001

from cacheplus.checks import aliases, locations, middleware, operations, settings, tables, tracking
from cacheplus.checks.locations import (
    check_cache_location_not_exposed,
    check_default_cache_is_configured,
    check_file_based_cache_is_absolute,
)

__all__ = [
    "E001",
    "check_cache_location_not_exposed",
    "check_default_cache_is_configured",
    "check_file_based_cache_is_absolute",
    "register_checks",
]

TAG = "cacheplus"

Check = Callable[..., Sequence[CheckMessage]]

_ALWAYS: tuple[Check, ...] = (
    settings.check_keys,
    settings.check_values,
    settings.check_table_databases,
    settings.check_router,
    settings.check_page_seconds,
    aliases.check_backends,
    aliases.check_keys,
    aliases.check_numbers,
    aliases.check_own,
    locations.check_file_based_cache_is_absolute,
    locations.check_ownership,
    middleware.check_pairing,
    middleware.check_order,
    middleware.check_alias,
    operations.check_clear,
    operations.check_session_faults,
    tracking.check_names,
    tracking.check_transactions,
    operations.check_cached_session_faults,
)
_DEPLOY: tuple[Check, ...] = (
    locations.check_cache_location_not_exposed,
    operations.check_pages_are_shared,
    operations.check_sessions_can_move,
    operations.check_move_is_over,
)


def register_checks() -> None:
    """Register what Django does not check itself. Called once, by the app.

    `check_default_cache_is_configured` is left out: Django's own runs under that id, and asks the same.
    """
    for check in _ALWAYS:
        register(check, TAG, Tags.caches)
    for check in _DEPLOY:
        register(check, TAG, Tags.caches, deploy=True)
    # Not under our tag: Django 6.1 asks every database when checks are chosen by tag.
    register(tables.check_tables, Tags.database)
