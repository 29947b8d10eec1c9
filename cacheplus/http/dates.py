"""HTTP dates (RFC 9110 §5.6.7)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import formatdate

from cacheplus.http.headers import Fields

_DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_LONG_DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"

# The form that is sent, and the two obsolete ones that must still be read.
_FORMATS = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"(?:{_DAYS}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
        rf"(?:{_LONG_DAYS}), (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        rf"(?:{_DAYS}) {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)

_SHORT_YEAR = 2  # digits
_LAST_SECOND = 253_402_300_799  # the end of the year 9999


def parse_date(text: str, now: float) -> float | None:
    """Unix seconds, or None if `text` is in none of the three formats or names no moment.

    A year of two digits is the one that lies at most fifty years after `now`.
    """
    for date_format in _FORMATS:
        if match := date_format.fullmatch(text.strip(" \t")):
            return _moment(match, now)
    return None


def date_field(fields: Fields, name: str, now: float) -> float | None:
    """The moment that a header field names; None where it is absent, repeated or no date."""
    value = fields.get(name)
    return None if value is None else parse_date(value, now)


def format_date(moment: float) -> str:
    """The preferred format. A moment outside the years 1970 to 9999 becomes the nearest one inside."""
    return formatdate(int(max(0.0, min(moment, _LAST_SECOND))), usegmt=True)


def _moment(match: re.Match[str], now: float) -> float | None:
    year = int(match["year"])
    if len(match["year"]) == _SHORT_YEAR:
        year = _full_year(year, now)
    leap = match["second"] == "60"  # RFC 9110 allows a leap second, datetime does not
    try:
        moment = datetime(
            year,
            _MONTHS.index(match["month"].lower()) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            int(match["second"]) - leap,
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return moment.timestamp() + leap


def _full_year(year: int, now: float) -> int:
    current = datetime.fromtimestamp(max(0.0, min(now, _LAST_SECOND)), tz=UTC).year
    full = current - current % 100 + year
    return full - 100 if full > current + 50 else full
