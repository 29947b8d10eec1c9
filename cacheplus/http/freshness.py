"""How long a response stays fresh in this cache, and how old it is (RFC 9111 §4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cacheplus.http.dates import date_field
from cacheplus.http.facts import ResponseFacts, Rules, Unset
from cacheplus.http.headers import MAX_SECONDS, Fields, age_value
from cacheplus.http.targeted import Governing

# RFC 9110 §15.1: their definition allows a lifetime to be guessed. 206 is left out because it is not stored.
HEURISTIC_STATUSES = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})

# A guess must not outlive the memory of the last edit: RFC 9111 §4.2.2 suggests the tenth, the day is ours.
_HEURISTIC_FRACTION = 0.1
_HEURISTIC_LIMIT = 86_400.0

# The view answered as planned: a 304 stands for the 200 that the client has already.
_TIMEOUT_STATUSES = frozenset({200, 304})


class Source(StrEnum):
    """What gave a response its lifetime."""

    TIMEOUT = "timeout"
    TARGETED = "targeted"
    S_MAXAGE = "s-maxage"
    MAX_AGE = "max-age"
    EXPIRES = "expires"
    STATUS = "status"
    HEURISTIC = "heuristic"
    DEFAULT = "default"

    @property
    def is_explicit(self) -> bool:
        """Whether the view's own headers say it, so that they go to the client as they are."""
        return self in _EXPLICIT


_EXPLICIT = frozenset({Source.TARGETED, Source.S_MAXAGE, Source.MAX_AGE, Source.EXPIRES})


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a response is fresh, in seconds. None = until it is expired; 0 or less = it never was."""

    seconds: float | None
    source: Source


def lifetime(response: ResponseFacts, directives: Governing, rules: Rules, now: float) -> Lifetime | None:
    """The lifetime of a response, None where nothing gives one.

    A timeout of the view wins over its headers, except over `s-maxage=0` and over a targeted field: whoever writes
    those speaks to this cache.
    """
    explicit = _explicit(response.fields, directives, now)
    if explicit is not None and (directives.is_targeted or explicit == Lifetime(0, Source.S_MAXAGE)):
        return explicit
    if not isinstance(rules.page_timeout, Unset) and response.status in _TIMEOUT_STATUSES:
        return Lifetime(rules.page_timeout, Source.TIMEOUT)
    return _implicit(response, directives, rules, now) if explicit is None else explicit


def initial_age(fields: Fields, now: float, delay: float = 0.0) -> float:
    """How old a response was when it arrived at `now`, `delay` seconds after it was asked for (RFC 9111 §4.2.3)."""
    date = date_field(fields, "Date", now)
    apparent = max(0.0, now - date) if date is not None else 0.0
    return min(max(apparent, age_value(fields) + delay), float(MAX_SECONDS))


def _explicit(fields: Fields, directives: Governing, now: float) -> Lifetime | None:
    control = directives.control
    if control.s_maxage is not None:
        return Lifetime(control.s_maxage, Source.TARGETED if directives.is_targeted else Source.S_MAXAGE)
    if control.max_age is not None:
        return Lifetime(control.max_age, Source.TARGETED if directives.is_targeted else Source.MAX_AGE)
    if directives.is_targeted or "Expires" not in fields:
        return None
    expires = date_field(fields, "Expires", now)
    if expires is None:
        # RFC 9111 §5.3: an invalid date, such as 0, lies in the past.
        return Lifetime(0, Source.EXPIRES)
    date = date_field(fields, "Date", now)
    seconds = expires - (now if date is None else date)
    return Lifetime(max(0.0, min(seconds, float(MAX_SECONDS))), Source.EXPIRES)


def _implicit(response: ResponseFacts, directives: Governing, rules: Rules, now: float) -> Lifetime | None:
    if response.status in rules.statuses:
        return Lifetime(rules.statuses[response.status], Source.STATUS)
    if rules.heuristic and (response.status in HEURISTIC_STATUSES or directives.control.public):
        modified = date_field(response.fields, "Last-Modified", now)
        if modified is not None:
            date = date_field(response.fields, "Date", now)
            seconds = ((now if date is None else date) - modified) * _HEURISTIC_FRACTION
            return Lifetime(max(0.0, min(seconds, _HEURISTIC_LIMIT)), Source.HEURISTIC)
    if response.status in _TIMEOUT_STATUSES and rules.default_timeout:
        return Lifetime(rules.default_timeout, Source.DEFAULT)
    return None
