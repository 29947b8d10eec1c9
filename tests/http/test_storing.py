from __future__ import annotations

import pytest

from cacheplus.http.dates import format_date
from cacheplus.http.facts import UNSET, Personal, RequestFacts, ResponseFacts, Rules
from cacheplus.http.freshness import Lifetime, Source
from cacheplus.http.headers import Fields
from cacheplus.http.policy import may_lookup, may_store
from cacheplus.http.reasons import Reason

NOW = 1_795_000_000.0
RULES = {"default_timeout": 600}
NOBODY = RequestFacts()
PLAIN = ResponseFacts()


def fields(cache_control=None, **others):
    pairs = {"Cache-Control": cache_control} | {name.replace("_", "-"): value for name, value in others.items()}
    return Fields.of((name, value) for name, value in pairs.items() if value is not None)


def decide(request=NOBODY, response=PLAIN, delay=0.0, **rules):
    return may_store(request, response, Rules(**(RULES | rules)), NOW, delay)


def answering(cache_control=None, status=200, **others):
    return ResponseFacts(status, fields(cache_control, **others))


def using(*used, **others):
    return ResponseFacts(used=frozenset(used), **others)


SOMEBODY = RequestFacts(has_visitor_cookie=True)
AUTHORIZED = RequestFacts(fields=fields(Authorization="Bearer x"))
WITH_KEY = RequestFacts(credentials=("X-Api-Key",))


def test_plain_page_is_stored():
    decision = decide()
    assert decision.allowed
    assert decision.lifetime == Lifetime(600, Source.DEFAULT)
    assert decision.terms.fresh_until == NOW + 600


@pytest.mark.parametrize(
    ("request_facts", "rules", "reason"),
    [
        pytest.param(RequestFacts("POST"), {}, Reason.METHOD, id="rfc9111-3-post"),
        pytest.param(RequestFacts("get"), {}, Reason.METHOD, id="rfc9110-9.1-methods-are-case-sensitive"),
        pytest.param(RequestFacts("OPTIONS"), {}, Reason.METHOD, id="rfc9111-3-options"),
        pytest.param(RequestFacts(has_body=True), {}, Reason.BODY, id="rfc9110-9.3.1-get-with-a-body"),
        pytest.param(RequestFacts(is_excluded=True), {}, Reason.CONDITION, id="condition"),
        pytest.param(
            RequestFacts(is_authenticated=True), {"anonymous_only": True}, Reason.AUTHENTICATED, id="anonymous-only"
        ),
    ],
)
def test_requests_that_are_not_for_the_cache(request_facts, rules, reason):
    assert may_lookup(request_facts, Rules(**rules)).reason is reason
    assert decide(request_facts, **rules).reason is reason


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_get_and_head_are_looked_up_and_stored(method):
    assert may_lookup(RequestFacts(method), Rules()).allowed
    assert decide(RequestFacts(method)).allowed


# Each of them wins over an explicit lifetime, a timeout of the view, and every permission to share.
REFUSED = [
    pytest.param(answering("no-store"), Reason.NO_STORE, id="rfc9111-5.2.2.5-no-store"),
    pytest.param(answering("nO-StOrE"), Reason.NO_STORE, id="rfc9111-5.2-case-CVE-2026-8404"),
    pytest.param(answering('no-store="x"'), Reason.NO_STORE, id="qualified-no-store"),
    pytest.param(answering("max-age=60, PRIVATE"), Reason.PRIVATE, id="rfc9111-5.2.2.7-private"),
    pytest.param(answering('private="Set-Cookie"'), Reason.PRIVATE, id="rfc9111-5.2.2.7-qualified-private"),
    pytest.param(answering("no-cache"), Reason.NO_CACHE, id="rfc9111-5.2.2.4-no-cache"),
    pytest.param(answering('max-age=60, no-cache="a"'), Reason.NO_CACHE, id="rfc9111-5.2.2.4-qualified-no-cache"),
    pytest.param(answering("no-cache", ETag='"a"'), Reason.NO_CACHE, id="no-cache-with-a-validator-where-none-is-kept"),
    pytest.param(answering("s-maxage=0"), Reason.EXPIRED, id="rfc9111-5.2.2.10-s-maxage-0"),
    pytest.param(answering("s-maxage=0, max-age=60"), Reason.EXPIRED, id="rfc9111-5.2.2.10-s-maxage-0-before-max-age"),
    pytest.param(answering("no-stor\xe9"), Reason.MALFORMED, id="non-ascii"),
    pytest.param(answering("=?utf-8?b?bm8tc3RvcmU=?="), Reason.MALFORMED, id="mime-encoded"),
    pytest.param(answering(Vary="*"), Reason.VARY_STAR, id="rfc9111-4.1-vary-star-CVE-2026-6907"),
    pytest.param(answering(Vary="Cookie , \t* "), Reason.VARY_STAR, id="padded-star-CVE-2026-48587"),
    pytest.param(answering(Vary="\x0b*"), Reason.MALFORMED, id="rfc9110-12.5.5-star-behind-a-control-character"),
    pytest.param(answering(Vary="Accept Encoding"), Reason.MALFORMED, id="rfc9110-12.5.5-no-field-name"),
    pytest.param(ResponseFacts(is_streaming=True), Reason.STREAMING, id="stream"),
    *(
        pytest.param(answering("max-age=60", status), Reason.STATUS, id=f"rfc9111-3-status-{status}")
        for status in (100, 101, 199, 206, 304, 412, 416, 417, 600, 999, 0)
    ),
    pytest.param(answering("no-store, must-understand", 599), Reason.STATUS, id="rfc9111-5.2.2.3-not-understood"),
    pytest.param(ResponseFacts(sets_cookies=True), Reason.SET_COOKIE, id="rfc9111-7.3-cookie"),
    pytest.param(answering(Set_Cookie="a=b"), Reason.SET_COOKIE, id="rfc9111-7.3-cookie-among-the-fields"),
    pytest.param(using(Personal.CSRF), Reason.CSRF, id="csrf-token"),
    pytest.param(using(Personal.MESSAGES), Reason.MESSAGES, id="messages"),
    pytest.param(using(Personal.CSP_NONCE), Reason.CSP_NONCE, id="csp-nonce"),
    pytest.param(using(Personal.SESSION_WRITE), Reason.SESSION, id="session-changed"),
    pytest.param(ResponseFacts(language_changed=True), Reason.LANGUAGE, id="language"),
    pytest.param(ResponseFacts(time_zone_changed=True), Reason.TIME_ZONE, id="time-zone"),
    pytest.param(ResponseFacts(session_is_known=False), Reason.SESSION, id="unknown-session"),
    pytest.param(ResponseFacts(saw_ignored_input=True), Reason.IGNORED_INPUT, id="ignored-input"),
    pytest.param(answering(CDN_Cache_Control="no-store"), Reason.NO_STORE, id="rfc9213-2.2-no-store"),
    pytest.param(answering(CDN_Cache_Control="private=?1"), Reason.PRIVATE, id="rfc9213-2.2-private"),
    pytest.param(answering(CDN_Cache_Control="max-age=0"), Reason.EXPIRED, id="rfc9213-2.2-max-age-0"),
    pytest.param(answering(CDN_Cache_Control='max-age="9"'), Reason.EXPIRED, id="rfc9213-2.1-wrong-type"),
]
TARGETED = ("CDN-Cache-Control",)


@pytest.mark.parametrize(("response", "reason"), REFUSED)
@pytest.mark.parametrize(
    "rules",
    [
        pytest.param({}, id="plain"),
        pytest.param({"page_timeout": 60}, id="timeout"),
        pytest.param({"page_timeout": None, "public": True, "heuristic": True}, id="for-ever-and-public"),
        pytest.param({"per_user": True}, id="per-user"),
        pytest.param({"share_authenticated": True, "statuses": {206: 9, 304: 9, 599: 9}}, id="shared"),
    ],
)
@pytest.mark.parametrize(
    "request_facts", [pytest.param(RequestFacts(), id="nobody"), pytest.param(SOMEBODY, id="cookie")]
)
def test_refused_whatever_the_rules(response, reason, rules, request_facts):
    assert decide(request_facts, response, targeted_fields=TARGETED, **rules).reason is reason


@pytest.mark.parametrize(
    ("response", "rules", "reason"),
    [
        pytest.param(answering("max-age=0"), {}, Reason.EXPIRED, id="rfc9111-5.2.2.1-max-age-0"),
        pytest.param(answering("max-age=abc"), {}, Reason.EXPIRED, id="rfc9111-4.2.1-unreadable"),
        pytest.param(answering("max-age=3600.0"), {}, Reason.EXPIRED, id="rfc9111-4.2.1-decimal"),
        pytest.param(answering(Expires=format_date(NOW - 5)), {}, Reason.EXPIRED, id="rfc9111-5.3-past"),
        pytest.param(answering(Expires="0"), {}, Reason.EXPIRED, id="rfc9111-5.3-invalid"),
        pytest.param(answering("max-age=60", Age="60"), {}, Reason.EXPIRED, id="rfc9111-4.2-age-reaches-max-age"),
        pytest.param(answering("max-age=60", Date=format_date(NOW - 90)), {}, Reason.EXPIRED, id="rfc9111-4.2.3"),
        pytest.param(answering(Age="700"), {}, Reason.EXPIRED, id="older-than-the-default"),
        pytest.param(answering(), {"default_timeout": None}, Reason.NO_LIFETIME, id="rfc9111-3-no-lifetime"),
        pytest.param(answering(), {"default_timeout": 0}, Reason.NO_LIFETIME, id="default-0"),
        pytest.param(answering("public"), {"default_timeout": None}, Reason.NO_LIFETIME, id="public-is-no-lifetime"),
        pytest.param(answering(), {"page_timeout": 0}, Reason.TIMEOUT, id="timeout-0"),
        pytest.param(answering("max-age=60"), {"page_timeout": -1}, Reason.TIMEOUT, id="timeout-below-0"),
        pytest.param(answering(), {"page_timeout": float("nan")}, Reason.TIMEOUT, id="timeout-that-is-no-number"),
        pytest.param(answering(status=404), {}, Reason.STATUS, id="404"),
        pytest.param(answering(status=500), {"page_timeout": 60}, Reason.STATUS, id="500"),
        pytest.param(answering(status=404), {"statuses": {404: 0}}, Reason.EXPIRED, id="status-for-0-seconds"),
    ],
)
def test_not_stored_for_want_of_a_lifetime(response, rules, reason):
    assert decide(response=response, **rules).reason is reason


@pytest.mark.parametrize(
    ("response", "rules", "expected"),
    [
        pytest.param(answering("max-age=60"), {}, Lifetime(60, Source.MAX_AGE), id="rfc9111-4.2.1"),
        pytest.param(
            answering("max-age=0"), {"page_timeout": 60}, Lifetime(60, Source.TIMEOUT), id="timeout-before-max-age-0"
        ),
        pytest.param(answering(), {"page_timeout": None}, Lifetime(None, Source.TIMEOUT), id="until-expired"),
        pytest.param(answering(status=404), {"statuses": {404: 30}}, Lifetime(30, Source.STATUS), id="statuses"),
        pytest.param(
            answering("no-store, must-understand, max-age=9"), {}, Lifetime(9, Source.MAX_AGE), id="rfc9111-5.2.2.3"
        ),
        pytest.param(
            answering("no-store", CDN_Cache_Control="max-age=9"), {}, Lifetime(9, Source.TARGETED), id="rfc9213-2.2"
        ),
        *(
            pytest.param(answering("max-age=9", status), {}, Lifetime(9, Source.MAX_AGE), id=f"rfc9111-3-{status}")
            for status in (203, 204, 299, 301, 302, 307, 400, 404, 410, 499, 500, 503, 599)
        ),
    ],
)
def test_stored_with_its_lifetime(response, rules, expected):
    assert decide(response=response, targeted_fields=TARGETED, **rules).lifetime == expected


class TestPersonalPages:
    @pytest.mark.parametrize("used", [Personal.SESSION, Personal.USER])
    def test_page_that_looked_is_not_stored_for_somebody(self, used):
        assert decide(SOMEBODY, using(used)).reason == used.value

    @pytest.mark.parametrize("used", [Personal.SESSION, Personal.USER])
    def test_page_that_looked_is_stored_for_nobody_in_particular(self, used):
        assert decide(response=using(used)).terms.looked_at_visitor

    def test_page_that_did_not_look_is_stored_for_somebody(self):
        assert not decide(SOMEBODY).terms.looked_at_visitor

    @pytest.mark.parametrize("rules", [{"public": True}, {"per_user": True}])
    def test_site_may_share_or_keep_apart(self, rules):
        assert decide(SOMEBODY, using(Personal.SESSION, Personal.USER), **rules).allowed

    def test_sharing_with_authenticated_visitors_needs_cookies_that_tell_them_apart(self):
        varying = using(Personal.USER, fields=fields(Vary="Accept, Cookie"))
        assert decide(SOMEBODY, varying, share_authenticated=True).allowed
        assert decide(SOMEBODY, using(Personal.USER), share_authenticated=True).reason is Reason.USER

    @pytest.mark.parametrize("rules", [{"per_user": True}, {"share_authenticated": True}])
    @pytest.mark.parametrize(
        "request_facts",
        [
            pytest.param(AUTHORIZED, id="authorization"),
            pytest.param(WITH_KEY, id="api-key"),
            pytest.param(RequestFacts(is_authenticated=True), id="in-an-unknown-way"),
        ],
    )
    def test_cookies_do_not_tell_apart_who_is_known_otherwise(self, rules, request_facts):
        response = using(Personal.USER, fields=fields("public, must-revalidate", Vary="Cookie"))
        assert decide(request_facts, response, **rules).reason is Reason.USER


class TestCookies:
    def test_stored_where_the_site_says_so(self):
        assert decide(response=ResponseFacts(sets_cookies=True), store_set_cookie=True).allowed

    @pytest.mark.parametrize("vary", ["Cookie", "accept, COOKIE"])
    @pytest.mark.parametrize("request_facts", [RequestFacts(), SOMEBODY])
    def test_never_where_the_response_varies_on_cookies(self, vary, request_facts):
        """CVE-2026-48588: whatever cookies the request had."""
        response = ResponseFacts(fields=fields(Vary=vary), sets_cookies=True)
        assert decide(request_facts, response, store_set_cookie=True).reason is Reason.SET_COOKIE


class TestCredentials:
    @pytest.mark.parametrize("control", [None, "max-age=60", 'public="x"', "nopublic", "proxy-revalidate"])
    def test_authorization_is_not_stored(self, control):
        """RFC 9111 §3.5, CVE-2026-35193."""
        assert decide(AUTHORIZED, answering(control)).reason is Reason.AUTHORIZATION

    @pytest.mark.parametrize("control", ["public", "s-maxage=60", "must-revalidate, max-age=9"])
    def test_authorization_is_stored_where_the_response_permits(self, control):
        """RFC 9111 §3.5."""
        assert decide(AUTHORIZED, answering(control)).terms.shares_authorization

    def test_empty_authorization_is_none(self):
        assert decide(RequestFacts(fields=fields(Authorization=""))).allowed

    @pytest.mark.parametrize("control", [None, "s-maxage=60", "must-revalidate, max-age=9"])
    def test_other_credentials_are_stored_only_if_public(self, control):
        assert decide(WITH_KEY, answering(control)).reason is Reason.CREDENTIALS
        assert decide(WITH_KEY, answering("public")).terms.shares_credentials

    @pytest.mark.parametrize("request_facts", [AUTHORIZED, WITH_KEY])
    def test_page_that_is_public_by_rule_is_stored(self, request_facts):
        assert decide(request_facts, public=True).allowed


class TestTerms:
    def test_age_that_it_came_with_counts_against_a_lifetime_of_headers(self):
        """RFC 9111 §4.2.3."""
        terms = decide(response=answering("max-age=60", Age="20"), delay=5).terms
        assert terms.initial_age == 25
        assert terms.fresh_until == NOW + 35

    def test_age_does_not_count_against_a_timeout_of_the_view(self):
        terms = decide(response=answering(Age="90"), page_timeout=60).terms
        assert terms.initial_age == 90
        assert terms.fresh_until == NOW + 60

    def test_windows_come_from_the_response_or_else_from_the_rules(self):
        """RFC 5861."""
        rules = {"stale": 3, "stale_if_error": 4}
        by_rule = decide(response=answering("max-age=60"), **rules).terms
        assert (by_rule.stale_while_revalidate, by_rule.stale_if_error) == (3, 4)
        by_view = decide(response=answering("stale-while-revalidate=9, stale-if-error=0"), **rules).terms
        assert (by_view.stale_while_revalidate, by_view.stale_if_error) == (9, 0)

    @pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "s-maxage=60"])
    def test_no_window_where_stale_is_forbidden(self, directive):
        """RFC 9111 §4.2.4."""
        control = f"max-age=60, stale-while-revalidate=9, stale-if-error=9, {directive}"
        terms = decide(response=answering(control), stale=3, stale_if_error=4).terms
        assert (terms.stale_while_revalidate, terms.stale_if_error) == (0, 0)
        assert terms.must_revalidate

    @pytest.mark.parametrize(
        ("rules", "response", "kept"),
        [
            ({}, answering("max-age=60"), 60),
            ({"page_timeout": None}, answering(), None),
            ({}, answering("max-age=60, stale-while-revalidate=5, stale-if-error=9"), 69),
            ({"revalidate_for": 100}, answering("max-age=60", ETag='"a"'), 160),
            ({"revalidate_for": 100}, answering("max-age=60", Last_Modified=format_date(NOW)), 160),
            ({"revalidate_for": 100}, answering("max-age=60"), 60),
            ({"revalidate_for": 100}, answering("max-age=60", ETag="not quoted"), 60),
            ({"revalidate_for": 100}, answering("max-age=60", 404, ETag='"a"'), 60),
        ],
    )
    def test_how_long_the_store_keeps_it(self, rules, response, kept):
        assert decide(response=response, **rules).terms.kept_for == kept


class TestStoredToBeRevalidated:
    """RFC 9111 §4.3: where validators are kept, a page may be worth storing that is never fresh."""

    @pytest.mark.parametrize("rules", [{}, {"page_timeout": 60}, {"page_timeout": None}])
    def test_no_cache(self, rules):
        terms = decide(response=answering("no-cache, max-age=60", ETag='"a"'), revalidate_for=100, **rules).terms
        assert terms.always_revalidate
        assert terms.fresh_until == NOW
        assert terms.kept_for == 100

    @pytest.mark.parametrize("control", ["max-age=0", "s-maxage=0"])
    def test_explicitly_expired(self, control):
        assert decide(response=answering(control, ETag='"a"'), revalidate_for=100).terms.fresh_until == NOW

    def test_without_validator_there_is_nothing_to_revalidate(self):
        assert decide(response=answering("no-cache"), revalidate_for=100).reason is Reason.NO_CACHE
        assert decide(response=answering("max-age=0"), revalidate_for=100).reason is Reason.EXPIRED

    def test_timeout_0_means_not_stored(self):
        assert decide(response=answering(ETag='"a"'), revalidate_for=100, page_timeout=0).reason is Reason.TIMEOUT


def test_request_directive_no_store_is_obeyed_only_where_honoured():
    """RFC 9111 §5.2.1.5."""
    request = RequestFacts(fields=fields("no-store"))
    assert decide(request).allowed
    assert decide(request, honor_request=True).reason is Reason.REQUEST_NO_STORE


def test_default_rules_store_nothing_without_explicit_freshness():
    assert Rules().page_timeout is UNSET
    assert may_store(RequestFacts(), ResponseFacts(), Rules(), NOW).reason is Reason.NO_LIFETIME


class TestCodings:
    CODED = answering(Vary="Accept-Encoding", Content_Encoding="BR")

    def test_a_body_whose_readers_the_key_does_not_know_is_refused(self):
        assert decide(response=self.CODED, codings=("gzip",)).reason is Reason.CODING

    @pytest.mark.parametrize("codings", [("br", "gzip"), None])
    def test_a_body_in_a_known_coding_is_stored(self, codings):
        assert decide(response=self.CODED, codings=codings).allowed

    def test_a_body_that_does_not_vary_is_its_own_affair(self):
        assert decide(response=answering(Content_Encoding="br"), codings=("gzip",)).allowed
