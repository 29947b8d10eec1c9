"""The decorators on views: what they take, what they refuse, and what they say in the headers."""

from __future__ import annotations

import asyncio
import time

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from cacheplus import expire_tags, expire_view_cache
from cacheplus.decorators import cache_control, cache_page, never_cache, vary_on_cookie, vary_on_headers
from cacheplus.utils import add_cache_tags
from tests.sites import Page, is_hit, locmem, outcome, site, visitor

requests = RequestFactory()


@pytest.fixture(params=["sync", "async"])
def serve(request):
    """Serve a page behind a decorator, as a sync or an async view; the first argument of the block asks for it."""

    def serve(page, decorator, **settings):
        view = page if request.param == "sync" else page.coroutine
        return site(path("", decorator(view)), **settings)

    return serve


@pytest.fixture(params=["WSGI", "ASGI"])
def get(request):
    if request.param == "WSGI":
        return lambda where="/", **kwargs: Client().get(where, **kwargs)
    return lambda where="/", **kwargs: asyncio.run(AsyncClient().get(where, **kwargs))


class TestCachePage:
    def test_answers_the_second_request(self, serve, get):
        with serve(Page(), cache_page(60)):
            assert [get().content for _ in range(3)] == [b"run 1"] * 3

    def test_in_a_urlconf_and_on_a_function(self):
        runs = []

        @cache_page(60)
        def view(request):
            """A view."""
            runs.append(request)
            return HttpResponse("x")

        assert (view.__name__, view.__doc__) == ("view", "A view.")
        with site(path("a/", view), path("b/", cache_page(60)(Page()))):
            for _ in range(2):
                visitor().get("/a/")
                response = visitor().get("/b/")
        assert len(runs) == 1
        assert is_hit(response)

    def test_on_a_method_with_djangos_help(self):
        class Method(View):
            runs = 0

            @method_decorator(cache_page(60))
            def get(self, request):
                Method.runs += 1
                return HttpResponse("x")

        with site(path("", Method.as_view())):
            visitor().get("/")
            visitor().get("/")
        assert Method.runs == 1

    def test_arguments_of_the_url_reach_the_view(self):
        page = Page(lambda request, number: HttpResponse(str(number)))
        with site(path("<int:number>/", cache_page(60)(page))):
            for _ in range(2):
                assert visitor().get("/1/").content == b"1"
                assert visitor().get("/2/").content == b"2"
        assert page.runs == 2

    def test_an_alias_of_its_own(self, serve):
        with serve(Page(), cache_page(60, cache="pages"), CACHES={"default": locmem(), "pages": locmem()}):
            visitor().get("/")
            assert not expire_view_cache("/", cache="default")
            assert expire_view_cache("/", cache="pages")

    def test_an_alias_that_does_not_exist_is_named(self, serve):
        with serve(Page(), cache_page(60, cache="nowhere")), pytest.raises(Exception, match="nowhere"):
            visitor().get("/")

    def test_key_prefixes_set_pages_apart(self):
        page = Page()
        decorators = [cache_page(60, key_prefix=prefix) for prefix in ("a", "b", None)]
        with site():
            for decorator in decorators * 2:
                decorator(page)(requests.get("/"))
        assert page.runs == 3

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_a_timeout_of_0_stores_nothing_and_says_so(self, serve, timeout):
        page = Page()
        with serve(page, cache_page(timeout)):
            responses = [visitor().get("/") for _ in range(2)]
        assert page.runs == 2
        assert "max-age=0" in responses[0]["Cache-Control"]

    def test_a_timeout_of_none_keeps_the_page_and_lets_the_client_ask(self, serve):
        with serve(Page(), cache_page(None)):
            assert "max-age=0" in visitor().get("/")["Cache-Control"]
            response = visitor().get("/")
            assert is_hit(response)
            assert "max-age=0" in response["Cache-Control"]
            assert "ttl" not in outcome(response)

    @pytest.mark.parametrize(("given", "told"), [({}, 300), ({"client_timeout": 10}, 10), ({"client_timeout": 0}, 0)])
    def test_the_client_is_told_how_long_to_keep_its_copy(self, serve, given, told):
        with serve(Page(), cache_page(300, **given)):
            for _ in range(2):
                response = visitor().get("/")
                assert f"max-age={told}" in response["Cache-Control"]
                assert "Expires" in response
        assert is_hit(response)

    @pytest.mark.parametrize("told", [5, 500])
    def test_what_the_view_tells_the_client_stays(self, serve, told):
        with serve(Page(), lambda view: cache_page(300)(cache_control(max_age=told)(view))):
            for _ in range(2):
                response = visitor().get("/")
                assert response["Cache-Control"] == f"max-age={told}"
                assert "Expires" not in response
        assert is_hit(response)

    def test_an_end_comes(self):
        page = Page()
        with site(path("", cache_page(0.2)(page))):
            visitor().get("/")
            assert is_hit(visitor().get("/"))
            assert not_hit_within(2)
        assert page.runs == 2

    def test_tags(self, serve, get):
        page = Page()
        with serve(page, cache_page(60, tags=["news", "sport"])):
            for tag in ("news", "sport"):
                runs = page.runs
                get()
                get()
                assert expire_tags(tag)
                get()
                assert page.runs == runs + (2 if tag == "news" else 1)

    def test_tags_by_a_function_of_request_and_response(self, serve, get):
        page = Page(lambda request: HttpResponse(headers={"X-Author": "ann"}))

        def tags(request, response):
            return [f"author-{response['X-Author']}", f"query-{request.GET.get('q')}"]

        with serve(page, cache_page(60, tags=tags)):
            for tag in ("author-ann", "query-1"):
                get("/?q=1")
                runs = page.runs
                get("/?q=1")
                assert page.runs == runs
                assert expire_tags(tag)
                get("/?q=1")
                assert page.runs == runs + 1
            assert not expire_tags("query-2")

    def test_tags_that_the_view_adds(self, serve, get):
        def answer(request):
            response = HttpResponse()
            add_cache_tags(response, "a", "b")
            add_cache_tags(response, "c")
            return response

        with serve(Page(answer), cache_page(60)):
            for tag in "abc":
                get()
                assert is_hit(get())
                assert expire_tags(tag)
                assert not is_hit(get())

    def test_a_condition(self, serve):
        page = Page()
        with serve(page, cache_page(60, condition=lambda request: "raw" not in request.GET)):
            for _ in range(2):
                visitor().get("/")
                assert outcome(visitor().get("/?raw")) == "fwd=bypass"
        assert page.runs == 3

    def test_anonymous_only(self):
        page = Page()
        view = cache_page(60, anonymous_only=True)(page)
        with site():
            for user in (User(username="ann"), AnonymousUser()) * 2:
                request = requests.get("/", headers={"cookie": "sessionid=x"})
                request.user = user
                view(request)
        assert page.runs == 3

    def test_public_answers_a_request_with_credentials(self, serve):
        page = Page()
        with serve(page, cache_page(60, public=True)):
            for key in ("a", "b"):
                visitor().get("/", headers={"authorization": key, "x-api-key": key})
        assert page.runs == 1


def not_hit_within(seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not is_hit(visitor().get("/")):
            return True
        time.sleep(0.02)
    return False


class TestMisuse:
    def test_the_form_of_django_1_2_shows_todays(self):
        with pytest.raises(TypeError, match=r"cache_page\(60\)"):
            cache_page(Page(), 60)
        with pytest.raises(TypeError, match=r"@cache_page\(60\)"):
            cache_page(lambda request: None)

    @pytest.mark.parametrize("wrong", ["60", [60], object(), float("nan")], ids=lambda value: type(value).__name__)
    def test_a_timeout_that_is_no_number(self, wrong):
        with pytest.raises(TypeError, match=r"seconds"):
            cache_page(wrong)

    @pytest.mark.parametrize("wrong", [None, "view", 5, HttpResponse()])
    def test_what_is_no_view(self, wrong):
        with pytest.raises(TypeError, match="view"):
            cache_page(60)(wrong)

    def test_tags_in_one_string(self):
        with pytest.raises(TypeError, match="list of names"):
            cache_page(60, tags="news")

    @pytest.mark.parametrize("decorator", [cache_page(60), cache_control(private=True), never_cache])
    def test_a_method_without_djangos_help(self, decorator):
        class Method:
            @decorator
            def get(self, request):
                raise AssertionError("never called")

            @decorator
            async def aget(self, request):
                raise AssertionError("never called")

        with pytest.raises(TypeError, match="@method_decorator"):
            Method().get(requests.get("/"))
        with pytest.raises(TypeError, match="@method_decorator"):
            asyncio.run(Method().aget(requests.get("/")))

    def test_arguments_that_do_not_exist(self):
        with pytest.raises(TypeError, match="minutes"):
            cache_page(60, minutes=5)

    def test_a_view_that_returns_nothing_is_djangos_error(self):
        with site(path("", cache_page(60)(lambda request: None))), pytest.raises(ValueError, match="None"):
            visitor().get("/")

    def test_a_bare_request_passes(self):
        with site():
            assert cache_page(60)(Page())(HttpRequest()).content == b"run 1"


@pytest.mark.parametrize(
    ("decorator", "header", "value"),
    [
        (cache_control(max_age=5, private=True), "Cache-Control", {"max-age=5", "private"}),
        (cache_control(no_cache="Set-Cookie", public=True), "Cache-Control", {"no-cache=Set-Cookie", "public"}),
        (
            never_cache,
            "Cache-Control",
            {"max-age=0", "no-cache", "no-store", "must-revalidate", "private"},
        ),
        (vary_on_headers("Accept", "X-Kind"), "Vary", {"Accept", "X-Kind"}),
        (vary_on_cookie, "Vary", {"Cookie"}),
    ],
    ids=["cache_control", "qualified", "never_cache", "vary_on_headers", "vary_on_cookie"],
)
def test_headers(serve, get, decorator, header, value):
    with serve(Page(), decorator):
        assert set(get()[header].split(", ")) == value


def test_vary_on_cookie_inside_tells_visitors_apart(serve):
    page = Page()
    with serve(page, lambda view: cache_page(60)(vary_on_cookie(view))):
        for kind in ("a", "b", "a", "b"):
            visitor(choice=kind).get("/")
    assert page.runs == 2


def test_odd_headers_of_a_view_never_raise(serve):
    odd = [
        "max-age=abc",
        '"60"',
        "",
        "1.5",
        "max-age=" + "9" * 40,
        "=",
        ",,,",
        "max-age",
        "no-stor\xe9",
        "private=",
        "\t",
    ]
    for name in ("Cache-Control", "Vary", "Expires", "Age", "Date"):
        for value in odd:
            page = Page(lambda request, name=name, value=value: HttpResponse(headers={name: value}))
            with serve(page, cache_page(60)):
                for _ in range(2):
                    assert visitor().get("/").status_code == 200
