"""What the cache key ignores, behind each shell: it makes no page of its own, and shows on none."""

from __future__ import annotations

import itertools

import pytest
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import path
from django.views import View

from cacheplus.decorators import cache_page, vary_on_cookie, vary_on_headers
from cacheplus.invalidation import expire_view_cache
from cacheplus.mixins import CacheMixin
from tests.sites import COMMON, CSRF, LOCALE, SESSION, Page, is_hit, layers, outcome, site, visitor

BETWEEN = (SESSION, LOCALE, COMMON, CSRF)


def mixed(view):
    """The view as the `get` of a class with CacheMixin."""

    class Mixed(CacheMixin, View):
        def get(self, request):
            return view(request)

        post = get

    return Mixed.as_view()


SHELLS = {
    "pair": (lambda view: view, "pair"),
    "one line": (lambda view: view, "one line"),
    "cache_page": (cache_page(300), "none"),
    "CacheMixin": (mixed, "none"),
    "pair and cache_page": (cache_page(300), "pair"),
    "one line and cache_page": (cache_page(300), "one line"),
}


@pytest.fixture(params=SHELLS)
def serve(request):
    """Serve one view at / behind each shell."""
    wrap, shape = SHELLS[request.param]

    def serve(view, *, between=BETWEEN, **settings):
        return site(path("", wrap(view)), path("other/", view), MIDDLEWARE=layers(shape, *between), **settings)

    serve.shape = shape
    return serve


def echo(request):
    """Everything that a view can see of its query and cookies."""
    seen = (
        request.GET.dict(),
        request.META["QUERY_STRING"],
        request.get_full_path(),
        request.build_absolute_uri(),
        request.COOKIES,
        request.META.get("HTTP_COOKIE"),
        request.headers.get("Cookie"),
        request.META.get("REQUEST_URI"),
    )
    return HttpResponse(repr(seen))


class TestQuery:
    def test_four_spellings_are_rendered_once(self, serve):
        page = Page()
        with serve(page):
            for query in ("a=1&b=2", "b=2&a=1", "utm_source=x&b=2&a=1&gclid=y", "%61=1&b=2&fbclid=z"):
                assert visitor().get(f"/?{query}").content == b"run 1"
            assert page.runs == 1

    def test_a_tracking_parameter_is_reflected_to_nobody(self, serve):
        with serve(echo):
            first = visitor().get("/?a=1&utm_source=evil", REQUEST_URI="/?a=1&utm_source=evil")
            second = visitor().get("/?a=1")
            assert is_hit(second)
            assert b"evil" not in first.content + second.content
            assert b"a=1" in first.content

    def test_the_view_can_ask_for_the_original(self, serve):
        def view(request):
            return HttpResponse(request.META.get("CACHEPLUS_QUERY_STRING", "nothing"))

        with serve(view):
            assert visitor().get("/?b=1&utm_source=x").content == b"b=1&utm_source=x"
            assert visitor().get("/?c=1").content == b"nothing"

    def test_a_view_that_is_not_cached_sees_everything(self, serve):
        with serve(echo):
            assert b"utm_source" in visitor().post("/?utm_source=x").content

    def test_what_was_read_before_may_hit_and_is_not_stored(self, serve):
        with serve(echo, between=(f"{__name__}.Reader",)):
            response = visitor().get("/?utm_source=x")
            # Inside the one line, nobody can read what was taken out before.
            assert ("stored" in outcome(response)) is (serve.shape == "one line")
            plain = visitor().get("/")
            assert b"utm" not in plain.content
            assert visitor().get("/?utm_source=y").content == plain.content

    def test_a_condition_that_reads_the_query_hides_nothing_from_the_cache(self):
        page = Page(echo)
        view = cache_page(300, condition=lambda request: "preview" not in request.GET)(page)
        with site(path("", view)):
            first = visitor().get("/?utm_source=evil")
            assert b"evil" not in first.content
            assert visitor().get("/").content == first.content
            visitor().get("/?preview=1&utm_source=evil")
            assert page.runs == 2

    def test_order_counts_where_the_site_says_so(self, serve):
        with serve(echo, CACHEPLUS={"SORT_QUERY": False}):
            visitor().get("/?a=1&b=2")
            assert not is_hit(visitor().get("/?b=2&a=1"))
            assert is_hit(visitor().get("/?b=2&a=1"))

    def test_every_parameter_counts_where_the_site_says_so(self, serve):
        with serve(echo, CACHEPLUS={"IGNORE_QUERY": []}):
            assert b"utm_source" in visitor().get("/?utm_source=x").content
            assert not is_hit(visitor().get("/"))

    def test_one_call_expires_every_spelling(self, serve):
        page = Page()
        with serve(page):
            for run, query in enumerate(("b=2&a=1", "?a=1&b=2", "a=1&utm_source=y&b=2"), start=1):
                assert visitor().get("/?a=1&b=2&utm_source=x").content == f"run {run}".encode()
                assert expire_view_cache("/", query=query)

    def test_a_view_has_a_list_of_its_own(self):
        page = Page(echo)
        with site(path("", cache_page(300, ignore_query=["ref*"])(page))):
            first = visitor().get("/?a=1&ref_id=evil").content
            assert b"evil" not in first
            assert visitor().get("/?a=1&ref_id=2").content == first
            assert b"utm" in visitor().get("/?a=1&utm_source=x").content
            assert expire_view_cache("/", query="utm_source=x&a=1")

    def test_a_list_of_names_is_asked_for(self):
        with pytest.raises(TypeError, match="list of names"):
            cache_page(300, ignore_query="ref")


class TestRedirects:
    """Scripts in the page that is shown in the end want the tracking parameters."""

    @pytest.mark.parametrize(
        ("target", "expected"),
        [
            ("/other/", "/other/?utm_source=x"),
            ("/other/?a=1#top", "/other/?a=1&utm_source=x#top"),
            ("http://testserver/other/", "http://testserver/other/?utm_source=x"),
            ("https://elsewhere.test/", "https://elsewhere.test/"),
        ],
    )
    def test_within_the_site_pass_them_on(self, serve, target, expected):
        with serve(lambda request: redirect(target)):
            assert visitor().get("/?utm_source=x")["Location"] == expected
            assert visitor().get("/")["Location"] == target

    def test_are_stored_without_them(self, serve):
        def view(request):
            response = HttpResponseRedirect(f"/other/?{request.META['QUERY_STRING']}".rstrip("?"))
            response["Cache-Control"] = "max-age=60"
            return response

        with serve(view):
            assert visitor().get("/?utm_source=x&a=1")["Location"] == "/other/?a=1&utm_source=x"
            hit = visitor().get("/?a=1&utm_source=y")
            assert is_hit(hit)
            assert hit["Location"] == "/other/?a=1&utm_source=y"
            assert visitor().get("/?a=1")["Location"] == "/other/?a=1"

    def test_to_a_path_with_a_slash(self, serve):
        with serve(echo):
            assert visitor().get("/other?a=1&utm_source=x")["Location"] == "/other/?a=1&utm_source=x"


class Reader:
    """Middleware that reads the query."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.GET.get("anything")
        return self.get_response(request)


class TestCookies:
    def test_twenty_visitors_with_analytics_cookies_are_one_rendering(self, serve):
        page = Page()
        with serve(vary_on_cookie(page)):
            for number in range(20):
                cookies = {"_ga": f"GA1.{number}", f"_ga_{number}": "1", "_gid": str(number), "_fbp": f"fb.{number}"}
                response = visitor(**cookies).get("/")
                assert response.content == b"run 1"
                assert is_hit(response) is (number > 0)

    def test_an_analytics_cookie_is_reflected_to_nobody(self, serve):
        with serve(vary_on_cookie(echo)):
            first = visitor(_ga="evil", theme="dark").get("/")
            second = visitor(theme="dark", _gid="x").get("/")
            assert is_hit(second)
            assert b"evil" not in first.content + second.content
            assert first.content.count(b"dark") == 3

    def test_others_select_a_variant_in_any_order(self, serve):
        page = Page(lambda request: HttpResponse(request.COOKIES.get("theme", "none")))
        with serve(vary_on_cookie(page)):
            for field in ("theme=dark; size=1", "size=1; theme=dark", "size=1; _ga=2; theme=dark"):
                assert visitor().get("/", headers={"cookie": field}).content == b"dark"
            assert page.runs == 1
            assert visitor(theme="light").get("/").content == b"light"
            assert visitor().get("/").content == b"none"

    def test_a_list_of_the_only_ones_that_count(self, serve):
        with serve(vary_on_cookie(echo), CACHEPLUS={"VARY_COOKIES": ["theme"]}):
            first = visitor(theme="dark", whatever="evil").get("/")
            assert b"evil" not in first.content
            assert visitor(theme="dark", other="x").get("/").content == first.content
            assert not is_hit(visitor(theme="light").get("/"))

    def test_those_of_a_visitor_whom_nobody_looked_at_do_not_split_the_key(self, serve):
        page = Page()
        with serve(vary_on_cookie(page)):
            for cookies in ({}, {"sessionid": "x"}, {"csrftoken": "y" * 32}, {"sessionid": "z", "_ga": "1"}):
                response = visitor(**cookies).get("/")
                assert response.content == b"run 1"
                assert is_hit(response) is bool(cookies)


serial = itertools.count()


def test_headers_in_any_case_and_spacing_are_one(serve):
    with serve(vary_on_headers("Accept-Language", "X-Device")(lambda request: HttpResponse(str(next(serial))))):
        first = visitor().get("/", headers={"x-device": "a, b"})
        assert visitor().get("/", headers={"x-device": "a,b"}).content == first.content
