"""The database of the cache tables, from two settings."""

from __future__ import annotations

from typing import Any

from cacheplus.conf import conf

_APP_LABEL = "django_cache"


class CacheRouter:
    """Sends the cache tables to CACHE_TABLE_DATABASE, and reads of them to CACHE_TABLE_REPLICA if there is one.

    Without CACHE_TABLE_DATABASE, and for every other model, it leaves the answer to the next router.
    """

    def db_for_read(self, model: Any, **_hints: Any) -> str | None:
        """The alias to read `model` from."""
        return (conf().cache_table_replica or conf().cache_table_database) if _is_cache_table(model) else None

    def db_for_write(self, model: Any, **_hints: Any) -> str | None:
        """The alias to write `model` to."""
        return conf().cache_table_database if _is_cache_table(model) else None

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **_hints: Any) -> bool | None:
        """Whether `createcachetable` may make a cache table on `db`: not on a replica, and on no other database."""
        database = conf().cache_table_database
        return db == database if app_label == _APP_LABEL and database else None


def _is_cache_table(model: Any) -> bool:
    return bool(model._meta.app_label == _APP_LABEL)
