"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig

from cacheplus.checks import register_checks


class CacheplusConfig(AppConfig):
    """Registers the system checks, and does nothing else."""

    name = "cacheplus"
    verbose_name = "cacheplus"

    def ready(self) -> None:
        """Called by Django once the registry is filled."""
        register_checks()
