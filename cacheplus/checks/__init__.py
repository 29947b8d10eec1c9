"""System checks, one module per subject. None of them raises, and only the database check opens a connection."""

from __future__ import annotations

from django.core.checks import Tags, register

from cacheplus.checks.settings import check_keys, check_values

__all__ = ["register_checks"]


def register_checks() -> None:
    """Register what Django does not check itself. Called once, by the app."""
    for check in (check_keys, check_values):
        register(check, Tags.caches)
