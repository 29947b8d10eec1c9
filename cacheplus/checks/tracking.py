"""TRACK_TABLES, beside the form of its value: what it names, and databases whose transactions it cannot follow."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from cacheplus.conf import conf, setting
from cacheplus.conf_rules import TrackedTables


def check_names(**_kwargs: Any) -> list[checks.Warning]:
    """W021: an entry of TRACK_TABLES names a model that its app does not have."""
    choice = _choice()
    given = {"include": choice.include, "exclude": choice.exclude} if choice else {}
    return [
        checks.Warning(
            f"CACHEPLUS['TRACK_TABLES'][{key!r}] names {name!r}, which is no model.",
            hint=f"Did you mean {nearest!r}?" if nearest else "Write it as 'app.Model', or name the table itself.",
            id="cacheplus.W021",
        )
        for key, names in given.items()
        for name, nearest in _no_models(names)
    ]


def check_transactions(**_kwargs: Any) -> list[checks.Warning]:
    """W022: tables are tracked on a database whose transactions Django does not manage."""
    databases = setting("DATABASES", {}) if _choice() else {}
    return [
        checks.Warning(
            f"Tables are tracked, but DATABASES[{alias!r}] has AUTOCOMMIT off: no commit is seen there.",
            hint="Leave AUTOCOMMIT on and use atomic(), or expire what is made from that database by tags.",
            id="cacheplus.W022",
        )
        for alias, entry in databases.items()
        if entry.get("AUTOCOMMIT") is False
    ]


def _choice() -> TrackedTables | None:
    try:
        return conf().track_tables
    except ImproperlyConfigured:
        # The check of values tells.
        return None


def _no_models(names: tuple[str, ...]) -> Iterator[tuple[str, str | None]]:
    """Those that begin with an app, as a model would, each with the nearest model; others are names of tables."""
    known = {model._meta.label_lower: model._meta.label for model in apps.get_models(include_auto_created=True)}
    for name in names:
        app, _, model = name.lower().partition(".")
        if model and app in apps.app_configs and name.lower() not in known:
            nearest = get_close_matches(name.lower(), known, n=1)
            yield name, known[nearest[0]] if nearest else None
