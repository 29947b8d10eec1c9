"""The rules of `CACHEPLUS`: each takes what the site wrote and returns what is kept.

A rule raises ValueError with what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

Rule = Callable[[Any], Any]


def boolean(value: Any) -> bool:
    """True or False."""
    if isinstance(value, bool):
        return value
    raise ValueError("True or False")


def count(value: Any) -> int:
    """A whole number, 0 or more."""
    if type(value) is int and value >= 0:
        return value
    raise ValueError("a whole number, 0 or more")


def names(value: Any) -> tuple[str, ...]:
    """Names, in which `*` stands for any text."""
    if not isinstance(value, list | tuple | set | frozenset) or not all(
        isinstance(name, str) and name for name in value
    ):
        raise ValueError("a list of names, in which * stands for any text")
    return tuple(dict.fromkeys(value))


def or_none(rule: Rule) -> Rule:
    """None, or what `rule` takes."""

    def optional(value: Any) -> Any:
        try:
            return None if value is None else rule(value)
        except ValueError as expected:
            raise ValueError(f"None or {expected}") from None

    return optional


def seconds(value: Any) -> float:
    """A number of seconds above 0."""
    if type(value) in (int, float) and 0 < value < inf:
        return float(value)
    raise ValueError("a number of seconds above 0")


def wait(value: Any) -> float:
    """A number of seconds, 0 or more."""
    if type(value) in (int, float) and 0 <= value < inf:
        return float(value)
    raise ValueError("a number of seconds, 0 or more")


def meta_keys(value: Any) -> tuple[str, ...]:
    """Names of headers as keys of `request.META`; a name with an underscore is such a key already."""
    if not _is_names(value):
        raise ValueError("a list of header names")
    keys = (name if "_" in name else "HTTP_" + name.upper().replace("-", "_") for name in value)
    return tuple(dict.fromkeys(keys))


def database(value: Any) -> str | None:
    """None or an alias of DATABASES."""
    if value is None or (isinstance(value, str) and value):
        return value
    raise ValueError("None or an alias of DATABASES")


def one_of(*allowed: str | None) -> Rule:
    """One of these."""

    def rule(value: Any) -> Any:
        if (value is None or isinstance(value, str)) and value in allowed:
            return value
        raise ValueError("one of " + ", ".join(map(repr, allowed)))

    return rule


@dataclass(frozen=True, slots=True)
class TrackedTables:
    """Which tables are tracked: those of managed models, with `include` and without `exclude` (tables or models)."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


def tracked_tables(value: Any) -> TrackedTables | None:
    """Which tables are tracked; None for none."""
    if isinstance(value, bool):
        return TrackedTables() if value else None
    if isinstance(value, Mapping) and {*value} <= {"include", "exclude"} and all(map(_is_names, value.values())):
        return TrackedTables(**{key: tuple(names) for key, names in value.items()})
    raise ValueError('True, False, or {"include": [...], "exclude": [...]} with names of tables or "app.Model"')


def _is_names(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(name, str) and name for name in value)
