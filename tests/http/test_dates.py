from __future__ import annotations

import pytest

from cacheplus.http.dates import date_field, format_date, parse_date
from cacheplus.http.headers import Fields

NOW = 1_795_000_000.0  # November 2026


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("Sun, 06 Nov 1994 08:49:37 GMT", 784111777, id="rfc9110-5.6.7-preferred"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", 784111777, id="rfc9110-5.6.7-rfc850"),
        pytest.param("Sun Nov  6 08:49:37 1994", 784111777, id="rfc9110-5.6.7-asctime"),
        pytest.param("Thursday, 18-Aug-50 02:01:18 GMT", 2544400878, id="rfc9110-5.6.7-two-digits-within-fifty-years"),
        pytest.param("SUN, 06 nov 1994 08:49:37 gMT", 784111777, id="case"),
        pytest.param("Sun, 21 Nov 2286 04:46:39 GMT", 10000039599, id="far-future"),
        pytest.param("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800, id="leap-second"),
    ],
)
def test_dates_are_read(text, moment):
    assert parse_date(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "Thu, 18 Aug 2050 02:01:18 UTC",
        "Thu, 18 Aug 2050 02:01:18 AEST",
        "Thu, 18 Aug 50 02:01:18 GMT",
        "Thu 18 Aug 2050 02:01:18 GMT",
        "Thu, 18  Aug  2050 02:01:18 GMT",
        "Thu, 18-Aug-2050 02:01:18 GMT",
        "Thu, 18 Aug 2050 02.01.18 GMT",
        "Thu, 18 Aug 2050 2:01:18 GMT",
        "Thu, 31 Feb 2050 02:01:18 GMT",
        "Thu, 18 Aug 2050 24:00:00 GMT",
        "Thu, 18 Aug 2050 02:01:61 GMT",
        "Thu, 18 Aug 0000 02:01:18 GMT",
        "Thu, ١٨ Aug 2050 02:01:18 GMT",
        "Thu Aug    2050 02:01:18",
    ],
)
def test_what_is_no_date_is_none(text):
    assert parse_date(text, NOW) is None


def test_two_digit_year_more_than_fifty_years_ahead_is_past():
    """RFC 9110 §5.6.7."""
    assert format_date(parse_date("Friday, 01-Jan-77 00:00:00 GMT", NOW)).endswith("1977 00:00:00 GMT")


def test_repeated_date_is_none():
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert date_field(Fields.of([("Expires", date), ("Expires", date)]), "Expires", NOW) is None


@pytest.mark.parametrize("moment", [0.0, 784111777.9, NOW])
def test_format_is_read_back(moment):
    assert parse_date(format_date(moment), NOW) == int(moment)


@pytest.mark.parametrize("moment", [-1e30, 1e30, float("inf"), float("-inf")])
def test_format_never_fails(moment):
    assert parse_date(format_date(moment), NOW) is not None
