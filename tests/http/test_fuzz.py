"""Whatever a view or a client sends: nothing raises, and nothing that is forbidden is stored or served."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplus.http.cache_control import CacheControl
from cacheplus.http.cache_status import CacheStatus
from cacheplus.http.conditional import conditions, confirmed, confirms, is_not_modified, not_modified_fields
from cacheplus.http.dates import format_date, parse_date
from cacheplus.http.facts import UNSET, Personal, RequestFacts, ResponseFacts, Rules
from cacheplus.http.headers import Fields, Vary, storable
from cacheplus.http.policy import Use, may_forward, may_lookup, may_replace_error, may_serve, may_store
from cacheplus.http.ranges import part_fields, requested_part
from cacheplus.http.targeted import parse_directives
from cacheplus.http.unsafe import outdated_urls
from cacheplus.http.variants import selecting_values

NOW = 1_795_000_000.0
DIRECTIVES = ["no-store", "no-cache", "private", "public", "max-age", "s-maxage", "must-revalidate", "proxy-revalidate"]
DIRECTIVES += [
    "stale-while-revalidate",
    "stale-if-error",
    "must-understand",
    "only-if-cached",
    "min-fresh",
    "max-stale",
]
PIECES = [
    *DIRECTIVES,
    "=",
    ",",
    ";",
    " ",
    "\t",
    '"',
    "\\",
    "*",
    "0",
    "60",
    "-1",
    "9" * 30,
    "1.5",
    "é",
    "\x00",
    "\n",
    "٣",
]
PIECES += [
    "GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Cookie",
    "W/",
    '"a"',
    "bytes",
    "?1",
]
NAMES = ["Cache-Control", "CDN-Cache-Control", "Vary", "Expires", "Age", "Date", "ETag", "Last-Modified", "Set-Cookie"]
NAMES += ["Content-Range", "Connection", "Location", "Content-Location", "Content-Length", "Authorization", "Pragma"]
NAMES += ["If-None-Match", "If-Modified-Since", "If-Range", "Range", "Accept-Encoding"]

values = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.lists(st.sampled_from(DIRECTIVES), max_size=4).map(", ".join),
    st.integers(-10, 2**40).map("max-age={}".format),
    st.datetimes(timezones=st.just(UTC)).map(lambda moment: format_date(moment.timestamp())),
)
headers = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=6).map(Fields.of)
times = st.one_of(st.none(), st.floats(-10, 1e12), st.floats(allow_nan=True, allow_infinity=True))
flags = st.booleans()
requests = st.builds(
    RequestFacts,
    st.sampled_from(["GET", "HEAD", "POST"]),
    headers,
    has_body=flags,
    credentials=st.sampled_from([(), ("X-Api-Key",)]),
    has_visitor_cookie=flags,
    is_authenticated=flags,
    is_excluded=flags,
)
responses = st.builds(
    ResponseFacts,
    st.one_of(st.sampled_from([200, 200, 206, 301, 304, 404, 500]), st.integers(-1, 1000)),
    headers,
    is_streaming=flags,
    sets_cookies=flags,
    used=st.frozensets(st.sampled_from(Personal), max_size=2),
    language_changed=flags,
    time_zone_changed=flags,
    saw_ignored_input=flags,
)
rules = st.builds(
    Rules,
    page_timeout=st.one_of(st.just(UNSET), times),
    default_timeout=times,
    statuses=st.dictionaries(st.sampled_from([200, 206, 301, 304, 404]), times),
    public=flags,
    per_user=flags,
    share_authenticated=flags,
    store_set_cookie=flags,
    anonymous_only=flags,
    heuristic=flags,
    honor_request=flags,
    targeted_fields=st.sampled_from([(), ("CDN-Cache-Control",)]),
    stale=st.floats(0, 1e6),
    stale_if_error=st.floats(0, 1e6),
    revalidate_for=st.floats(0, 1e6),
)


@given(values)
def test_parsers_never_raise(value):
    control = CacheControl.parse(value)
    numbers = (control.max_age, control.s_maxage, control.min_fresh, control.max_stale)
    assert all(number is None or 0 <= number <= 2**31 for number in numbers)
    assert Vary.parse(value) == Vary.parse(value.swapcase() if value.isascii() else value)
    parse_directives(value)
    parse_date(value, NOW)


@given(values, st.sampled_from(["no-store", "No-Store", "private", 'private="a"']), st.integers(0, 2))
def test_no_neighbour_hides_what_forbids_to_store(value, forbidding, place):
    """Either the directive is seen, or the value is known to be broken."""
    written = [f"{value}, {forbidding}", f"{forbidding},{value}", f"{forbidding}\t,,{value}"][place]
    control = CacheControl.parse(written)
    assert control.no_store or control.private or control.broken


@given(headers, headers, st.integers(0, 10**6))
def test_answers_made_from_a_stored_page_never_raise(request, page, size):
    is_not_modified(request, page, NOW, NOW)
    confirms(request, page)
    assert not {"age", "date"} & (confirmed(page, Fields())).names()
    assert not_modified_fields(page).names() <= page.names()
    assert conditions(page).names() <= {"if-none-match", "if-modified-since"}
    assert "connection" not in storable(page)
    part = requested_part(request, page, size, NOW)
    if part is not None:
        assert 0 <= part.start <= part.stop <= size
        assert part_fields(page, part).get("Content-Range") == part.content_range
    for url in outdated_urls("POST", "https://example.com/a", 200, page):
        assert url.lower().startswith("https://example.com")


@given(headers, values)
def test_variants_are_the_same_for_the_same_request(request, vary):
    wanted = Vary.parse(vary)
    selected = selecting_values(wanted, request)
    assert len(selected) == len(wanted.names)
    assert selected == selecting_values(wanted, Fields.of(request))


@given(requests, responses, rules, st.floats(0, 1e6))
def test_nothing_forbidden_is_stored(request, response, site, delay):
    decision = may_store(request, response, site, NOW, delay)
    if not decision.allowed:
        assert decision.terms is None
        return
    assert may_lookup(request, site).allowed
    assert request.method != "POST"
    assert not request.has_body
    assert not response.is_streaming
    assert 200 <= response.status <= 599
    assert response.status not in {206, 304}
    assert not response.used & {Personal.CSRF, Personal.MESSAGES, Personal.CSP_NONCE, Personal.SESSION_WRITE}
    assert "*" not in [member.strip() for member in (response.fields.get("Vary") or "").split(",")]
    assert site.store_set_cookie or not (response.sets_cookies or "Set-Cookie" in response.fields)
    targeted = parse_directives(*response.fields.get_all("CDN-Cache-Control")) if site.targeted_fields else None
    if targeted is None:
        control = CacheControl.parse(*response.fields.get_all("Cache-Control"))
        assert not control.broken
        assert not control.private
        assert not control.no_store or control.must_understand
    if Personal.USER in response.used and request.has_visitor_cookie:
        assert site.public or site.per_user or site.share_authenticated
    if request.has_authorization and not site.public:
        assert decision.terms.shares_authorization


@given(requests, responses, rules, requests, st.floats(-1e6, 1e9))
def test_nothing_stale_or_personal_is_served(first, response, site, request, later):
    decision = may_store(first, response, site, NOW)
    if not decision.allowed:
        return
    terms, now = decision.terms, NOW + later
    serving = may_serve(request, terms, site, now)
    assert CacheStatus.hit(serving.ttl).render().startswith("cacheplus; hit")
    may_forward(request, site)
    may_replace_error(terms, response.status, now)
    if serving.use is Use.FRESH:
        assert serving.reason is None
        assert terms.fresh_until is None or now < terms.fresh_until
    else:
        assert serving.reason is not None
    if serving.use in {Use.FRESH, Use.STALE}:
        assert not terms.always_revalidate
        assert not (request.has_authorization and not terms.shares_authorization)
        assert not (request.credentials and not terms.shares_credentials)
        if terms.looked_at_visitor:
            assert not request.has_any_credential
            assert not request.has_visitor_cookie or site.per_user or site.share_authenticated


@pytest.mark.parametrize("value", ["max-age=" + "9" * 10_000, "s-maxage=" + "0" * 10_000 + "1", "x" * 100_000, ","])
def test_long_values_are_read(value):
    assert (
        may_store(RequestFacts(), ResponseFacts(200, Fields.of([("Cache-Control", value)])), Rules(), NOW) is not None
    )
