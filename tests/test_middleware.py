"""The page cache as middleware: the pair and the one line, sync and async, with what a site has between."""

from __future__ import annotations

import asyncio

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseNotFound, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from django.utils import translation
from django.views.decorators.gzip import gzip_page

from cacheplus import cache_page, expire_tags, expire_view_cache
from cacheplus.decorators import cache_control, never_cache, vary_on_headers
from cacheplus.middleware import CacheMiddleware, FetchFromCacheMiddleware, UpdateCacheMiddleware
from cacheplus.pages.keys import PageAddress
from cacheplus.utils import add_cache_tags
from tests.sites import (
    AUTH,
    COMMON,
    CONDITIONAL,
    GZIP,
    LOCALE,
    SESSION,
    USUAL,
    Page,
    is_hit,
    layers,
    locmem,
    outcome,
    site,
    visitor,
)

SHAPES = ["pair", "one line"]
SIGNED = {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}


@pytest.fixture(params=SHAPES)
def shape(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def ask(request):
    """A GET through WSGI's handler or ASGI's."""
    if request.param == "sync":
        return lambda where="/", **kwargs: Client().get(where, **kwargs)

    def ask(where="/", **kwargs):
        async def get():
            response = await AsyncClient().get(where, **kwargs)
            if response.streaming:
                response.collected = b"".join([part async for part in response])
            return response

        return asyncio.run(get())

    return ask


@pytest.fixture(params=["sync view", "async view"])
def view_of(request):
    return (lambda page: page) if request.param == "sync view" else (lambda page: page.coroutine)


def serve(page, shape, *between, wrap=lambda view: view, **settings):
    return site(path("", wrap(page)), MIDDLEWARE=layers(shape, *between), **{**SIGNED, **settings})


class TestFlow:
    def test_the_second_request_is_answered_from_the_cache(self, shape, ask, view_of):
        page = Page()
        with site(path("", view_of(page)), MIDDLEWARE=layers(shape, *USUAL), **SIGNED):
            first, second = ask(), ask()
        assert (first.content, second.content) == (b"run 1", b"run 1")
        assert outcome(first) == "fwd=uri-miss; stored"
        assert is_hit(second)
        assert "Age" not in first
        assert second["Age"] == "0"

    def test_an_expiry_asks_the_view_again(self, shape, ask, view_of):
        page = Page()
        with site(path("", view_of(page)), MIDDLEWARE=layers(shape, *USUAL), **SIGNED):
            ask()
            assert expire_view_cache("/")
            assert ask().content == b"run 2"

    def test_a_template_response_is_stored_when_it_is_rendered(self, shape, ask, view_of):
        page = Page(
            lambda request: TemplateResponse(request, engines["django"].from_string("{{ value }}"), {"value": 5})
        )
        with site(path("", view_of(page)), MIDDLEWARE=layers(shape, *USUAL), **SIGNED):
            assert ask().content == ask().content == b"5"
        assert page.runs == 1

    @pytest.mark.parametrize(
        "answer", [lambda: StreamingHttpResponse(iter([b"a", b"b"])), lambda: FileResponse(iter([b"ab"]))]
    )
    def test_a_stream_passes_through(self, shape, answer):
        page = Page(lambda request: answer())
        with serve(page, shape, *USUAL):
            for number in (1, 2):
                response = visitor().get("/")
                assert response.streaming
                assert b"".join(response.streaming_content) == b"ab"
                assert page.runs == number

    def test_an_async_stream_passes_through(self, shape):
        async def parts():
            yield b"ab"

        page = Page(lambda request: StreamingHttpResponse(parts()))

        async def get():
            response = await AsyncClient().get("/")
            return b"".join([part async for part in response])

        with site(path("", page.coroutine), MIDDLEWARE=layers(shape)):
            assert [asyncio.run(get()) for _ in range(2)] == [b"ab", b"ab"]
        assert page.runs == 2

    def test_an_error_of_the_view_is_no_page(self, shape, ask, view_of):
        def boom(request):
            raise ZeroDivisionError

        page = Page(boom)
        with site(path("", view_of(page)), MIDDLEWARE=layers(shape, *USUAL), **SIGNED):
            for number in (1, 2):
                with pytest.raises(ZeroDivisionError):
                    ask()
                assert page.runs == number

    @pytest.mark.parametrize("status", [201, 302, 400, 404, 500])
    def test_other_statuses_are_not_stored_unless_they_say_how_long(self, shape, status):
        page = Page(lambda request: HttpResponse(status=status))
        with serve(page, shape):
            for number in (1, 2):
                assert visitor().get("/").status_code == status
                assert page.runs == number

    def test_a_lifetime_makes_another_status_storable(self, shape):
        page = Page(lambda request: HttpResponseNotFound("gone", headers={"Cache-Control": "max-age=60"}))
        with serve(page, shape):
            assert visitor().get("/").status_code == visitor().get("/").status_code == 404
        assert page.runs == 1

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
    def test_other_methods_pass(self, shape, method):
        page = Page()
        with serve(page, shape):
            visitor().get("/")
            runs = page.runs
            assert not is_hit(getattr(visitor(), method)("/"))
            assert page.runs == runs + 1
            assert is_hit(visitor().get("/")) is (method == "options")

    def test_a_host_that_is_not_ours_is_answered_as_ever(self, shape):
        page = Page()
        with serve(page, shape, COMMON, ALLOWED_HOSTS=["good.test"]):
            for _ in range(2):
                assert visitor().get("/", headers={"host": "evil.test"}).status_code == 400
            assert visitor().get("/", headers={"host": "good.test"}).status_code == 200
            assert is_hit(visitor().get("/", headers={"host": "good.test"}))

    def test_a_head_is_answered_by_the_page_of_a_get(self, shape):
        page = Page()
        with serve(page, shape, *USUAL):
            visitor().get("/")
            response = visitor().head("/")
            assert is_hit(response)
            assert response.content == b""
        assert page.runs == 1

    def test_two_heads_ask_the_view_once(self, shape):
        page = Page()
        with serve(page, shape, *USUAL):
            for _ in range(2):
                assert visitor().head("/").status_code == 200
        assert page.runs == 1

    def test_a_page_without_an_end_is_kept_and_the_client_is_told_nothing(self, shape):
        with serve(Page(), shape, wrap=cache_control(max_age=0, s_maxage=60)):
            visitor().get("/")
            response = visitor().get("/")
            assert is_hit(response)
            assert "max-age=0" in response["Cache-Control"]

    def test_never_cache_is_obeyed(self, shape):
        page = Page()
        with serve(page, shape, wrap=never_cache):
            for number in (1, 2):
                assert visitor().get("/").content == f"run {number}".encode()

    def test_seconds_of_none_mean_explicit_lifetimes_only(self, shape):
        page, timed = Page(), Page(lambda request: HttpResponse(headers={"Cache-Control": "max-age=60"}))
        with site(path("", page), path("timed/", timed), MIDDLEWARE=layers(shape), CACHE_MIDDLEWARE_SECONDS=None):
            for _ in range(2):
                visitor().get("/")
                visitor().get("/timed/")
        assert (page.runs, timed.runs) == (2, 1)

    def test_alias_and_key_prefix_are_those_of_the_settings(self, shape):
        entries = {"default": locmem(), "pages": locmem()}
        prefixed = {"CACHE_MIDDLEWARE_ALIAS": "pages", "CACHE_MIDDLEWARE_KEY_PREFIX": "mobile"}
        with serve(Page(), shape, CACHES=entries, **prefixed):
            visitor().get("/")
            assert not expire_view_cache("/", cache="default")
            assert not expire_view_cache("/", "desktop")
            assert expire_view_cache("/", "mobile", cache="pages")

    @pytest.mark.parametrize("value", [None, "plain", "detail"])
    def test_the_status_header_says_as_much_as_the_site_wants(self, shape, value):
        page = Page(lambda request: HttpResponse(headers={"Cache-Control": "private"}))
        with serve(page, shape, CACHEPLUS={"CACHE_STATUS": value}):
            response = visitor().get("/")
        expected = {None: None, "plain": "cacheplus; fwd=uri-miss", "detail": "cacheplus; fwd=uri-miss; detail=private"}
        assert response.get("Cache-Status") == expected[value]


class TestNeighbours:
    def test_gzip_is_never_sent_to_who_did_not_ask(self, shape):
        page = Page(lambda request: HttpResponse("long " * 500))
        with serve(page, shape, GZIP):
            for _ in range(2):
                assert "Content-Encoding" not in visitor().get("/")
                packed = visitor().get("/", headers={"accept-encoding": "gzip"})
                assert packed["Content-Encoding"] == "gzip"
                assert "Content-Encoding" not in visitor().get("/", headers={"accept-encoding": "identity"})

    def test_gzip_by_decorator_likewise(self):
        page = Page(lambda request: HttpResponse("long " * 500))
        with site(path("", cache_page(60)(gzip_page(page)))):
            for _ in range(2):
                assert visitor().get("/", headers={"accept-encoding": "gzip"})["Content-Encoding"] == "gzip"
                assert "Content-Encoding" not in visitor().get("/")

    def test_a_client_that_has_the_page_gets_a_304_on_hits_too(self, shape):
        page = Page()
        with serve(page, shape, CONDITIONAL):
            tag = visitor().get("/")["ETag"]
            if shape == "one line":
                # Nothing stands before the one line to compare: the whole page comes, which is always right.
                assert visitor().get("/", headers={"if-none-match": tag})["ETag"] == tag
            else:
                assert visitor().get("/", headers={"if-none-match": tag}).status_code == 304
            expire_view_cache("/")
            assert visitor().get("/", headers={"if-none-match": tag}).status_code == 200

    def test_a_304_of_the_view_is_not_stored(self, shape):
        page = Page()
        with serve(page, shape, CONDITIONAL):
            tag = visitor().get("/")["ETag"]
            page.answer = lambda request: HttpResponse("run 1")
            expire_view_cache("/")
            assert visitor().get("/", headers={"if-none-match": tag}).status_code == 304
            assert visitor().get("/").status_code == 200

    def test_a_missing_slash_is_still_redirected(self, shape):
        with site(path("p/", Page()), MIDDLEWARE=layers(shape, *USUAL), **SIGNED):
            for _ in range(2):
                assert visitor().get("/p")["Location"] == "/p/"

    def test_no_language_is_served_for_another(self, shape, ask):
        page = Page(lambda request: HttpResponse(translation.get_language()))
        with translation.override("en"), serve(page, shape, SESSION, LOCALE):
            for _ in range(2):
                for language in ("de", "en", "fr"):
                    assert ask(headers={"accept-language": language}).content.decode() == language
        assert page.runs == 3

    def test_languages_are_told_apart_by_what_was_negotiated(self, shape):
        page = Page(lambda request: HttpResponse(translation.get_language()))
        with translation.override("en"), serve(page, shape, LOCALE):
            for header in ("de", "de-AT,de;q=0.9", "de, en;q=0.5", "DE"):
                assert visitor().get("/", headers={"accept-language": header}).content == b"de"
        assert page.runs == 1


@pytest.mark.django_db
def test_anonymous_only_asks_for_the_user_and_keeps_away_from_members():
    page = Page()
    with serve(page, "pair", SESSION, AUTH, CACHE_MIDDLEWARE_ANONYMOUS_ONLY=True):
        visitor().get("/")
        assert is_hit(visitor().get("/"))
        member = Client()
        member.force_login(User.objects.create(username="ann"))
        for number in (2, 3):
            assert member.get("/").content == f"run {number}".encode()
        assert is_hit(visitor().get("/"))


@pytest.mark.django_db
def test_anonymous_only_takes_whoever_has_a_session_for_a_member_where_nobody_knows_yet():
    page = Page()
    with serve(page, "one line", SESSION, AUTH, CACHE_MIDDLEWARE_ANONYMOUS_ONLY=True):
        visitor().get("/")
        assert is_hit(visitor(csrftoken="x" * 32).get("/"))
        member = Client()
        member.force_login(User.objects.create(username="ann"))
        for number in (2, 3):
            assert member.get("/").content == f"run {number}".encode()
        assert is_hit(visitor().get("/"))


class TestLayers:
    def test_both_render_once_and_expire_together(self, shape, ask):
        page = Page()
        with serve(page, shape, *USUAL, wrap=cache_page(300)):
            assert [ask().content for _ in range(3)] == [b"run 1"] * 3
            assert expire_view_cache("/")
            assert [ask().content for _ in range(3)] == [b"run 2"] * 3

    def test_each_has_its_say_in_the_status(self, shape):
        with serve(Page(), shape, wrap=cache_page(300)):
            missed = "cacheplus; fwd=uri-miss; stored"
            assert visitor().get("/")["Cache-Status"] == f"{missed}, {missed}"
            assert visitor().get("/")["Cache-Status"].count("cacheplus") == 1

    def test_tags_of_the_view_end_the_page_of_the_site(self, shape):
        page = Page()
        with serve(page, shape, wrap=cache_page(300, tags=["news"])):
            visitor().get("/")
            assert is_hit(visitor().get("/"))
            assert expire_tags("news")
            assert visitor().get("/").content == b"run 2"
            # The page of the site that was made from a stored page of the view has its tags too.
            visitor().get("/", headers={"x-other": "1"})
            assert expire_tags("news")
            assert visitor().get("/").content == b"run 3"

    def test_tags_added_to_a_response_end_both(self, shape):
        def answer(request):
            response = HttpResponse()
            add_cache_tags(response, "news")
            return response

        page = Page(answer)
        with serve(page, shape, wrap=cache_page(300)):
            visitor().get("/")
            assert expire_tags("news")
            assert visitor().get("/").content == b"run 2"

    def test_a_page_of_the_site_made_from_a_stored_page_of_the_view_ends_with_its_tags(self, shape):
        page = Page()
        with serve(page, shape, wrap=cache_page(300, tags=["news"])):
            visitor().get("/")
            # The site's copy alone is lost.
            lose_layer("site")
            response = visitor().get("/")
            assert not is_hit(response)
            assert response.content == b"run 1"
            assert is_hit(visitor().get("/"))
            expire_tags("news")
            assert visitor().get("/").content == b"run 2"

    @pytest.mark.parametrize("cached", [True, False], ids=["cache_page", "plain view"])
    def test_a_page_ends_with_the_fragment_in_it(self, shape, ask, cached):
        values = {"value": 1}
        inner = "{% cache 300 part tags='news' %}{{ value }}{% endcache %}"
        template = "{% load cacheplus %}<{% cache 300 outer %}" + inner + "{% endcache %}>"
        page = Page(lambda request: TemplateResponse(request, engines["django"].from_string(template), values))
        with serve(page, shape, *USUAL, wrap=cache_page(300) if cached else lambda view: view):
            assert ask().content == ask().content == b"<1>"
            # Also a page that found the fragment stored.
            assert ask("/?again").content == b"<1>"
            values["value"] = 2
            assert expire_tags("news")
            assert ask().content == ask("/?again").content == b"<2>"


def lose_layer(layer):
    address = PageAddress("http", "testserver", "/", "", layer=layer, language="en", time_zone="UTC")
    assert caches["default"].delete(address.key())


class TestByHand:
    """The halves and their flag, as Django's own tests and some sites use them."""

    requests = RequestFactory()

    def test_attributes_are_djangos(self):
        with site():
            middleware = CacheMiddleware(lambda request: HttpResponse())
            assert (middleware.cache_timeout, middleware.key_prefix, middleware.cache_alias) == (600, "", "default")
            assert middleware.cache is caches["default"]
            other = CacheMiddleware(
                lambda request: HttpResponse(), cache_timeout=5, page_timeout=7, cache_alias=None, key_prefix=None
            )
            assert (other.cache_timeout, other.page_timeout) == (5, 7)
            assert (other.cache_alias, other.key_prefix) == ("default", "")

    def test_a_bare_request_passes(self):
        with site():
            for kind in (UpdateCacheMiddleware, FetchFromCacheMiddleware, CacheMiddleware):
                assert kind(lambda request: HttpResponse("x"))(HttpRequest()).content == b"x"

    def test_a_flag_that_is_taken_down_stores_nothing(self):
        with site():
            request = self.requests.get("/")
            assert FetchFromCacheMiddleware(lambda request: None).process_request(request) is None
            assert request._cache_update_cache
            request._cache_update_cache = False
            UpdateCacheMiddleware(lambda request: HttpResponse("x"))(request)
            assert not expire_view_cache("/")

    def test_a_response_that_no_fetch_half_has_seen_passes(self):
        with site():
            request = self.requests.get("/")
            response = UpdateCacheMiddleware(lambda request: HttpResponse("x"))(request)
            assert "Cache-Status" not in response
            assert not expire_view_cache("/")

    def test_a_flag_that_is_put_up_by_hand_stores(self):
        with site():
            request = self.requests.get("/")
            request._cache_update_cache = True
            UpdateCacheMiddleware(lambda request: HttpResponse("x"))(request)
            hit = FetchFromCacheMiddleware(lambda request: None).process_request(self.requests.get("/"))
            assert hit.content == b"x"

    def test_headers_that_vary_make_pages_of_their_own(self):
        page = Page()
        with serve(page, "pair", wrap=vary_on_headers("X-Kind")):
            for kind in ("a", "b", "a", "b", ""):
                visitor().get("/", headers={"x-kind": kind} if kind else {})
        assert page.runs == 3
