"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured

from cacheplus.checks import register_checks
from cacheplus.conf import conf
from cacheplus.requests import follow_requests
from cacheplus.tables.switch import switch_on


class CacheplusConfig(AppConfig):
    """Registers the system checks, and listens: to requests, and to database connections if TRACK_TABLES is on."""

    name = "cacheplus"
    verbose_name = "cacheplus"

    def ready(self) -> None:
        """Called by Django once the registry is filled."""
        register_checks()
        follow_requests()
        if _tracks_tables():
            switch_on()


def _tracks_tables() -> bool:
    try:
        return conf().track_tables is not None
    except ImproperlyConfigured:
        # A system check tells what is wrong, and runs only where this does not stop it.
        return False
