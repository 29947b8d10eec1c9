"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig

from cacheplus.checks import register_checks
from cacheplus.requests import follow_requests


class CacheplusConfig(AppConfig):
    """Registers the system checks, and listens when a request begins and ends."""

    name = "cacheplus"
    verbose_name = "cacheplus"

    def ready(self) -> None:
        """Called by Django once the registry is filled."""
        register_checks()
        follow_requests()
