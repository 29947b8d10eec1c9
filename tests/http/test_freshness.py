from __future__ import annotations

import pytest

from cacheplus.http.dates import format_date
from cacheplus.http.facts import UNSET, ResponseFacts, Rules
from cacheplus.http.freshness import Lifetime, Source, initial_age, lifetime
from cacheplus.http.headers import MAX_SECONDS, Fields
from cacheplus.http.targeted import governing

NOW = 1_795_000_000.0


def at(seconds):
    return format_date(NOW + seconds)


def lifetime_of(*pairs, status=200, page_timeout=UNSET, **rules):
    rules = Rules(page_timeout=page_timeout, targeted_fields=("CDN-Cache-Control",), **rules)
    response = ResponseFacts(status, Fields.of(pairs))
    return lifetime(response, governing(response.fields, rules.targeted_fields), rules, NOW)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        pytest.param([], Lifetime(600, Source.DEFAULT), id="default"),
        pytest.param(
            [("Cache-Control", "max-age=1, s-maxage=3600")], Lifetime(3600, Source.S_MAXAGE), id="rfc9111-5.2.2.10"
        ),
        pytest.param(
            [("Expires", at(9)), ("Cache-Control", "max-age=60")],
            Lifetime(60, Source.MAX_AGE),
            id="rfc9111-5.3-max-age-before-expires",
        ),
        pytest.param(
            [("Expires", at(9)), ("Cache-Control", "max-age=0")],
            Lifetime(0, Source.MAX_AGE),
            id="rfc9111-5.3-max-age-0-before-future-expires",
        ),
        pytest.param([("Expires", at(60))], Lifetime(60, Source.EXPIRES), id="rfc9111-4.2.1-expires"),
        pytest.param(
            [("Expires", at(60)), ("Date", at(-10))], Lifetime(70, Source.EXPIRES), id="rfc9111-4.2.1-expires-less-date"
        ),
        pytest.param([("Expires", at(60)), ("Date", "foo")], Lifetime(60, Source.EXPIRES), id="invalid-date-is-now"),
        pytest.param([("Expires", at(300)), ("Date", at(400))], Lifetime(0, Source.EXPIRES), id="expires-before-date"),
        pytest.param([("Expires", "0")], Lifetime(0, Source.EXPIRES), id="rfc9111-5.3-invalid-expires-is-past"),
        pytest.param(
            [("Expires", at(5)), ("Expires", at(9))], Lifetime(0, Source.EXPIRES), id="rfc9111-4.2.1-two-expires"
        ),
        pytest.param(
            [("Expires", "Fri, 31 Dec 9999 23:59:59 GMT")], Lifetime(MAX_SECONDS, Source.EXPIRES), id="rfc9111-1.2.2"
        ),
        pytest.param(
            [("CDN-Cache-Control", "max-age=7"), ("Cache-Control", "max-age=60"), ("Expires", at(9))],
            Lifetime(7, Source.TARGETED),
            id="rfc9213-2.2",
        ),
        pytest.param(
            [("CDN-Cache-Control", "foo"), ("Cache-Control", "max-age=60"), ("Expires", at(9))],
            Lifetime(600, Source.DEFAULT),
            id="rfc9213-2.2-others-ignored",
        ),
    ],
)
def test_headers_before_the_default(pairs, expected):
    assert lifetime_of(*pairs, default_timeout=600) == expected


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        pytest.param([("Cache-Control", "max-age=0")], Lifetime(60, Source.TIMEOUT), id="max-age-goes-to-the-client"),
        pytest.param([("Cache-Control", "s-maxage=5")], Lifetime(60, Source.TIMEOUT), id="s-maxage"),
        pytest.param([("Expires", at(-9))], Lifetime(60, Source.TIMEOUT), id="past-expires-goes-to-the-client"),
        pytest.param([("Cache-Control", "s-maxage=0")], Lifetime(0, Source.S_MAXAGE), id="s-maxage-0-wins"),
        pytest.param([("Cache-Control", "s-maxage=x")], Lifetime(0, Source.S_MAXAGE), id="unreadable-s-maxage-wins"),
        pytest.param([("CDN-Cache-Control", "max-age=5")], Lifetime(5, Source.TARGETED), id="targeted-field-wins"),
    ],
)
def test_timeout_of_the_view_before_its_headers(pairs, expected):
    assert lifetime_of(*pairs, page_timeout=60, default_timeout=600) == expected


def test_timeout_none_has_no_end():
    assert lifetime_of(("Cache-Control", "max-age=5"), page_timeout=None) == Lifetime(None, Source.TIMEOUT)


@pytest.mark.parametrize("default", [None, 0])
def test_without_a_default_only_explicit_freshness_counts(default):
    assert lifetime_of(default_timeout=default) is None
    assert lifetime_of(("Cache-Control", "max-age=5"), default_timeout=default) == Lifetime(5, Source.MAX_AGE)


def test_default_and_timeout_are_for_planned_answers():
    for status in (200, 304):
        assert lifetime_of(status=status, default_timeout=600) == Lifetime(600, Source.DEFAULT)
        assert lifetime_of(status=status, page_timeout=60) == Lifetime(60, Source.TIMEOUT)
    for status in (404, 500, 301):
        assert lifetime_of(status=status, default_timeout=600) is None
        assert lifetime_of(status=status, page_timeout=60) is None


def test_statuses_give_a_lifetime_where_headers_give_none():
    statuses = {404: 30, 301: None}
    assert lifetime_of(status=404, statuses=statuses) == Lifetime(30, Source.STATUS)
    assert lifetime_of(status=301, statuses=statuses) == Lifetime(None, Source.STATUS)
    assert lifetime_of(("Cache-Control", "max-age=5"), status=404, statuses=statuses) == Lifetime(5, Source.MAX_AGE)


@pytest.mark.parametrize(
    ("status", "pairs", "expected"),
    [
        pytest.param(200, [("Last-Modified", at(-3600))], Lifetime(360, Source.HEURISTIC), id="rfc9111-4.2.2-tenth"),
        pytest.param(
            200,
            [("Last-Modified", at(-3600)), ("Date", at(-600))],
            Lifetime(300, Source.HEURISTIC),
            id="rfc9111-4.2.2-from-date",
        ),
        pytest.param(200, [("Last-Modified", at(-(10**8)))], Lifetime(86_400, Source.HEURISTIC), id="at-most-a-day"),
        pytest.param(200, [("Last-Modified", at(99))], Lifetime(0, Source.HEURISTIC), id="modified-in-the-future"),
        pytest.param(200, [("Last-Modified", "x")], None, id="no-date"),
        pytest.param(410, [("Last-Modified", at(-3600))], Lifetime(360, Source.HEURISTIC), id="rfc9110-15.1-410"),
        pytest.param(502, [("Last-Modified", at(-3600))], None, id="rfc9110-15.1-502"),
        pytest.param(
            599,
            [("Last-Modified", at(-3600)), ("Cache-Control", "public")],
            Lifetime(360, Source.HEURISTIC),
            id="rfc9111-4.2.2-public",
        ),
    ],
)
def test_heuristic(status, pairs, expected):
    assert lifetime_of(*pairs, status=status, heuristic=True) == expected
    assert lifetime_of(*pairs, status=status) is None


@pytest.mark.parametrize(
    ("pairs", "delay", "age"),
    [
        pytest.param([], 0, 0, id="nothing"),
        pytest.param([("Age", "30")], 0, 30, id="rfc9111-4.2.3-age"),
        pytest.param([("Age", "30")], 5, 35, id="rfc9111-4.2.3-response-delay"),
        pytest.param([("Date", at(-25))], 0, 25, id="rfc9111-4.2.3-apparent-age"),
        pytest.param([("Date", at(-25)), ("Age", "30")], 0, 30, id="rfc9111-4.2.3-the-greater-1"),
        pytest.param([("Date", at(-35)), ("Age", "30")], 0, 35, id="rfc9111-4.2.3-the-greater-2"),
        pytest.param([("Date", at(10)), ("Age", "15")], 0, 15, id="date-in-the-future"),
        pytest.param([("Date", "foo")], 0, 0, id="invalid-date"),
        pytest.param([("Date", "Thu, 01 Jan 1900 00:00:00 GMT")], 0, MAX_SECONDS, id="rfc9111-1.2.2"),
    ],
)
def test_initial_age(pairs, delay, age):
    assert initial_age(Fields.of(pairs), NOW, delay) == age


def test_explicit_sources_are_the_view_s_own_headers():
    explicit = {source for source in Source if source.is_explicit}
    assert explicit == {Source.TARGETED, Source.S_MAXAGE, Source.MAX_AGE, Source.EXPIRES}
