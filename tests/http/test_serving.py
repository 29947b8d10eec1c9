from __future__ import annotations

import pytest

from cacheplus.http.facts import RequestFacts, Rules
from cacheplus.http.headers import Fields
from cacheplus.http.policy import Use, may_forward, may_replace_error, may_serve
from cacheplus.http.reasons import Reason
from cacheplus.http.terms import Terms

NOW = 1_795_000_000.0
RULES = Rules()


def page(ttl=60.0, age=10.0, **terms):
    """A page stored ten seconds ago, with `ttl` seconds left."""
    until = None if ttl is None else NOW + ttl
    return Terms(stored_at=NOW - 10, initial_age=age - 10, fresh_until=until, **terms)


def asking(control=None, **others):
    pairs = {"Cache-Control": control} | others
    return RequestFacts(fields=Fields.of((name, value) for name, value in pairs.items() if value is not None))


NOBODY = RequestFacts()


def serve(terms, request=NOBODY, **rules):
    serving = may_serve(request, terms, Rules(**rules), NOW)
    return serving.use, serving.reason


class TestFreshness:
    def test_fresh_page_is_served(self):
        serving = may_serve(RequestFacts(), page(ttl=37, age=12), RULES, NOW)
        assert (serving.use, serving.reason, serving.age, serving.ttl) == (Use.FRESH, None, 12, 37)

    def test_page_without_end_is_served(self):
        assert may_serve(RequestFacts(), page(ttl=None), RULES, NOW + 10**9).use is Use.FRESH

    @pytest.mark.parametrize("ttl", [0, -0.001, -1000])
    def test_stale_page_is_not(self, ttl):
        """RFC 9111 §4.2: fresh as long as its lifetime exceeds its age."""
        assert serve(page(ttl=ttl)) == (Use.REVALIDATE, Reason.EXPIRED)

    def test_clock_that_was_set_back_makes_nothing_fresher(self):
        terms = Terms(stored_at=NOW, initial_age=5, fresh_until=NOW + 60)
        assert terms.ttl(NOW - 1000) == 60
        assert terms.age(NOW - 1000) == 5

    def test_page_to_be_revalidated_always_is_never_served(self):
        """RFC 9111 §5.2.2.4."""
        terms = page(ttl=60, always_revalidate=True, stale_while_revalidate=99)
        assert serve(terms) == (Use.REVALIDATE, Reason.NO_CACHE)


class TestStale:
    """RFC 5861."""

    @pytest.mark.parametrize(
        ("ttl", "use"), [(1, Use.FRESH), (0, Use.STALE), (-4.9, Use.STALE), (-5, Use.REVALIDATE), (-6, Use.REVALIDATE)]
    )
    def test_while_it_is_refreshed(self, ttl, use):
        assert serve(page(ttl=ttl, stale_while_revalidate=5))[0] is use

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_in_place_of_an_error(self, status):
        assert may_replace_error(page(ttl=-4, stale_if_error=5), status, NOW)
        assert not may_replace_error(page(ttl=-5, stale_if_error=5), status, NOW)
        assert not may_replace_error(page(ttl=-1), status, NOW)

    @pytest.mark.parametrize("status", [200, 304, 404, 501, 599])
    def test_other_answers_are_not_replaced(self, status):
        assert not may_replace_error(page(ttl=-1, stale_if_error=5), status, NOW)

    def test_page_without_end_stands_in_for_an_error(self):
        assert may_replace_error(page(ttl=None), 500, NOW)


class TestVisitors:
    SOMEBODY = RequestFacts(has_visitor_cookie=True)
    AUTHORIZED = asking(Authorization="Bearer x")
    WITH_KEY = RequestFacts(credentials=("X-Api-Key",))

    def test_page_that_looked_is_for_visitors_without_cookies(self):
        terms = page(looked_at_visitor=True)
        assert serve(terms, self.SOMEBODY) == (Use.REFUSED, Reason.SESSION)
        assert serve(terms)[0] is Use.FRESH

    def test_page_that_did_not_look_is_for_everybody(self):
        assert serve(page(), self.SOMEBODY)[0] is Use.FRESH

    def test_key_that_tells_cookies_apart_suffices_for_cookies(self):
        terms = page(
            looked_at_visitor=True, cookies_tell_apart=True, shares_authorization=True, shares_credentials=True
        )
        for rules in ({"per_user": True}, {"share_authenticated": True}):
            assert serve(terms, self.SOMEBODY, **rules)[0] is Use.FRESH
            for request in (self.AUTHORIZED, self.WITH_KEY, RequestFacts(is_authenticated=True)):
                assert serve(terms, request, **rules) == (Use.REFUSED, Reason.SESSION)

    def test_key_that_told_cookies_apart_once_does_so_no_longer(self):
        terms = page(looked_at_visitor=True, cookies_tell_apart=True)
        assert serve(terms, self.SOMEBODY) == (Use.REFUSED, Reason.SESSION)

    def test_authorization_needs_a_page_that_shares(self):
        """RFC 9111 §3.5."""
        assert serve(page(), self.AUTHORIZED) == (Use.REFUSED, Reason.AUTHORIZATION)
        assert serve(page(shares_authorization=True), self.AUTHORIZED)[0] is Use.FRESH

    def test_other_credentials_need_a_public_page(self):
        assert serve(page(shares_authorization=True), self.WITH_KEY) == (Use.REFUSED, Reason.CREDENTIALS)
        assert serve(page(shares_credentials=True), self.WITH_KEY)[0] is Use.FRESH

    def test_stale_page_is_refused_before_it_is_revalidated(self):
        assert serve(page(ttl=-1, looked_at_visitor=True), self.SOMEBODY)[0] is Use.REFUSED


class TestRequestDirectives:
    """RFC 9111 §5.2.1; obeyed only where the site says so."""

    CASES = (
        pytest.param(asking("no-cache"), page(), Reason.REQUEST_NO_CACHE, id="rfc9111-5.2.1.4-no-cache"),
        pytest.param(asking(Pragma="no-cache"), page(), Reason.REQUEST_NO_CACHE, id="rfc9111-5.4-pragma"),
        pytest.param(asking("max-age=0"), page(age=1), Reason.REQUEST_MAX_AGE, id="rfc9111-5.2.1.1-max-age-0"),
        pytest.param(asking("max-age=9"), page(age=10), Reason.REQUEST_MAX_AGE, id="rfc9111-5.2.1.1-max-age"),
        pytest.param(asking("max-age=x"), page(age=10), Reason.REQUEST_MAX_AGE, id="unreadable-max-age"),
        pytest.param(asking("min-fresh=61"), page(ttl=60), Reason.REQUEST_MAX_AGE, id="rfc9111-5.2.1.3-min-fresh"),
    )

    @pytest.mark.parametrize(("request_facts", "terms", "reason"), CASES)
    def test_page_is_revalidated(self, request_facts, terms, reason):
        assert serve(terms, request_facts, honor_request=True) == (Use.REVALIDATE, reason)
        assert serve(terms, request_facts) == (Use.FRESH, None)

    @pytest.mark.parametrize(
        ("request_facts", "terms"),
        [
            pytest.param(asking("max-age=10"), page(age=10), id="rfc9111-5.2.1.1"),
            pytest.param(asking("min-fresh=60"), page(ttl=60), id="rfc9111-5.2.1.3"),
            pytest.param(asking("min-fresh=60"), page(ttl=None), id="page-without-end"),
            pytest.param(asking("foo", Pragma="no-cache"), page(), id="rfc9111-5.4-pragma-beside-cache-control"),
            pytest.param(asking(Pragma="foo"), page(), id="other-pragma"),
        ],
    )
    def test_page_satisfies_the_client(self, request_facts, terms):
        assert serve(terms, request_facts, honor_request=True) == (Use.FRESH, None)

    @pytest.mark.parametrize(
        ("control", "terms", "use"),
        [
            ("max-stale=9", page(ttl=-8), Use.STALE),
            ("max-stale=9", page(ttl=-9), Use.REVALIDATE),
            ("max-stale", page(ttl=-(10**8)), Use.STALE),
            ("max-stale=9", page(ttl=-8, must_revalidate=True), Use.REVALIDATE),
        ],
    )
    def test_max_stale(self, control, terms, use):
        """RFC 9111 §5.2.1.2."""
        assert serve(terms, asking(control), honor_request=True) == (use, Reason.EXPIRED)
        assert serve(terms, asking(control))[0] is Use.REVALIDATE

    def test_only_if_cached(self):
        """RFC 9111 §5.2.1.7."""
        request = asking("only-if-cached")
        assert may_forward(request, Rules(honor_request=True)).reason is Reason.ONLY_IF_CACHED
        assert may_forward(request, RULES).allowed
        assert may_forward(RequestFacts(), Rules(honor_request=True)).allowed
