"""The settings and arguments by which a site changes the policy, through each shell."""

from __future__ import annotations

from itertools import count
from types import MappingProxyType

import pytest
from django.http import HttpResponse
from django.urls import path, re_path
from django.utils.http import http_date
from django.views import View
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cacheplus import CacheMixin, cache_page
from cacheplus.http.cache_control import CacheControl
from tests.http.test_fuzz import NAMES, values
from tests.sites import CONDITIONAL, Page, is_hit, layers, outcome, site, visitor

EXPLICIT = {"CACHE_MIDDLEWARE_SECONDS": None}


@pytest.fixture(params=["pair", "one line", "none"])
def shape(request):
    return request.param


def serve(answer, shape, *between, rules=None, **settings):
    page = answer if isinstance(answer, Page) else Page(answer)
    view = cache_page(60)(page) if shape == "none" else page
    return site(path("", view), MIDDLEWARE=layers(shape, *between), CACHEPLUS=rules or {}, **settings)


def saying(status=200, **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: HttpResponse("body", status=status, headers=fields)


def is_kept(answer, shape, *, headers=None, **settings):
    with serve(answer, shape, **settings):
        visitor().get("/")
        return is_hit(visitor().get("/", headers=headers or {}))


class TestStatuses:
    def test_have_lifetimes_where_the_site_gives_them(self, shape):
        assert not is_kept(saying(404), shape)
        assert is_kept(saying(404), shape, rules={"STATUSES": {404: 30}})
        assert not is_kept(saying(410), shape, rules={"STATUSES": {404: 30}})

    def test_or_the_argument_or_the_attribute(self):
        class Gone(CacheMixin, View):
            cache_statuses = MappingProxyType({404: 30})

            def get(self, request):
                return HttpResponse(status=404)

        for view in (cache_page(60, statuses={404: 30})(Page(saying(404))), Gone.as_view()):
            with site(path("", view)):
                visitor().get("/")
                assert is_hit(visitor().get("/"))

    def test_that_forbid_to_store_are_not_stored(self, shape):
        """RFC 9110 §15.3.7, §15.4.5."""
        for status in (206, 304):
            assert not is_kept(
                lambda request, status=status: HttpResponse(status=status), shape, rules={"STATUSES": {status: 30}}
            )


class TestTargetedFields:
    def test_speak_to_this_cache_and_pass_through(self, shape):
        """RFC 9213 §2.2."""
        answer = saying(CDN_Cache_Control="max-age=60", Cache_Control="no-store")
        assert is_kept(answer, shape, **EXPLICIT)
        with serve(answer, shape, **EXPLICIT):
            response = visitor().get("/")
            assert (response["CDN-Cache-Control"], response["Cache-Control"]) == ("max-age=60", "no-store")

    @pytest.mark.parametrize("control", ["no-store", "private", "max-age=0"])
    def test_can_forbid_what_cache_control_permits(self, shape, control):
        """RFC 9213 §2.2."""
        assert not is_kept(saying(CDN_Cache_Control=control, Cache_Control="max-age=60"), shape)

    def test_are_those_of_the_site_first_come_first(self, shape):
        answer = saying(Mine_Cache_Control="no-store", CDN_Cache_Control="max-age=60")
        assert not is_kept(answer, shape, rules={"TARGETED_FIELDS": ["Mine-Cache-Control", "CDN-Cache-Control"]})
        assert is_kept(answer, shape, rules={"TARGETED_FIELDS": []})


class TestHeuristicFreshness:
    def test_is_a_guess_that_the_site_has_to_ask_for(self):
        """RFC 9111 §4.2.2."""
        answer = saying(Last_Modified=http_date(1_600_000_000))
        for shape in ("pair", "one line"):
            assert not is_kept(answer, shape, **EXPLICIT)
            assert is_kept(answer, shape, rules={"HEURISTIC_FRESHNESS": True}, **EXPLICIT)


HONOR = {"HONOR_REQUEST_DIRECTIVES": True, "CACHE_STATUS": "detail"}


class TestRequestDirectives:
    @pytest.mark.parametrize(
        "headers", [{"cache-control": "no-cache"}, {"pragma": "no-cache"}, {"cache-control": "min-fresh=9999"}]
    )
    def test_are_obeyed_only_where_the_site_says_so(self, shape, headers):
        """RFC 9111 §5.2.1, §5.4."""
        assert is_kept(saying(), shape, headers=headers)
        assert not is_kept(saying(), shape, headers=headers, rules=HONOR)

    def test_only_if_cached_is_a_504_where_nothing_is_stored(self, shape):
        """RFC 9111 §5.2.1.7."""
        page = Page()
        with serve(page, shape, rules=HONOR):
            response = visitor().get("/", headers={"cache-control": "only-if-cached"})
            assert (response.status_code, page.runs) == (504, 0)
            assert outcome(response) == "fwd=request; detail=only-if-cached"
            visitor().get("/")
            assert is_hit(visitor().get("/", headers={"cache-control": "only-if-cached"}))


class TestClientTimeout:
    def test_of_the_middleware_is_told_apart_from_the_time_here(self):
        for shape in ("pair", "one line"):
            with serve(saying(), shape, rules={"CLIENT_TIMEOUT": 5}):
                for _ in range(2):
                    assert visitor().get("/")["Cache-Control"] == "max-age=5"


EXCHANGES = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=5)


@pytest.mark.parametrize("shape", ["pair", "one line", "none"])
def test_whatever_is_sent_nothing_raises_and_nothing_forbidden_is_kept(shape):
    """RFC 9111 §3, §4, through the whole stack: three requests to a page that says anything."""
    said: dict[str, object] = {}
    number = count()

    def answer(request):
        response = HttpResponse("body", status=said["status"])
        for name, value in said["fields"]:
            try:
                response.headers[name] = value
            except ValueError:  # Django refuses what HTTP cannot carry
                continue
        said["control"] = response.headers.get("Cache-Control", "")
        return response

    @hypothesis_settings(deadline=None, derandomize=True, max_examples=120, suppress_health_check=list(HealthCheck))
    @given(EXCHANGES, EXCHANGES, EXCHANGES, st.sampled_from([200, 200, 200, 206, 304, 404, 503]))
    def check(fields, first, second, status):
        said.update(fields=fields, status=status)
        where = f"/{next(number)}"
        for headers in (first, second, []):
            usable = {name: text for name, text in headers if text.isascii() and text.isprintable()}
            response = visitor().get(where, headers=usable)
            assert response.status_code in {200, 206, 304, 404, 412, 416, 503, 504}
            control = CacheControl.parse(str(said["control"]))
            forbidden = control.broken or control.private or (control.no_store and not control.must_understand)
            if is_hit(response):
                assert not forbidden or "CDN-Cache-Control" in dict(fields)
                assert status not in {206, 304}

    page = Page(answer)
    view = cache_page(60)(page) if shape == "none" else page
    rules = {"STALE": 5, "STALE_IF_ERROR": 5, "HEURISTIC_FRESHNESS": True, "HONOR_REQUEST_DIRECTIVES": True}
    with site(re_path("", view), MIDDLEWARE=layers(shape, CONDITIONAL), CACHEPLUS=rules):
        check()
