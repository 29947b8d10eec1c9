"""What a site may write as a rule: seconds, lifetimes by status, names of fields.

Each function raises ValueError with what was expected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from cacheplus.http.headers import is_token

_STATUSES = range(200, 600)


class Lifetimes(Mapping[int, float | None]):
    """Seconds by status. It cannot be changed, so that it can be the default of a field."""

    def __init__(self, seconds_by_status: Mapping[int, float | None]) -> None:
        self._seconds = dict(seconds_by_status)

    def __getitem__(self, status: int) -> float | None:
        return self._seconds[status]

    def __iter__(self) -> Iterator[int]:
        return iter(self._seconds)

    def __len__(self) -> int:
        return len(self._seconds)

    def __hash__(self) -> int:
        return hash(frozenset(self._seconds.items()))

    def __repr__(self) -> str:
        return repr(self._seconds)


def seconds(value: Any) -> float:
    """A number of seconds, 0 or more."""
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0:
        return value
    raise ValueError("a number of seconds, 0 or more")


def seconds_or_none(value: Any) -> float | None:
    """`seconds`, or None."""
    try:
        return None if value is None else seconds(value)
    except ValueError as expected:
        raise ValueError(f"None or {expected}") from None


def lifetimes(value: Any) -> Lifetimes:
    """Seconds, or None for until expired, by status."""
    expected = "a dict from status to seconds or None, such as {404: 30}"
    if not isinstance(value, Mapping) or not all(type(status) is int and status in _STATUSES for status in value):
        raise ValueError(expected)
    try:
        return Lifetimes({status: seconds_or_none(lifetime) for status, lifetime in value.items()})
    except ValueError:
        raise ValueError(expected) from None


def field_names(value: Any) -> tuple[str, ...]:
    """Names of header fields, in order."""
    is_list = isinstance(value, list | tuple)
    if not is_list or not all(isinstance(name, str) and is_token(name) for name in value):
        raise ValueError("a list of header names")
    return tuple(value)
