"""A page past its time is asked about with its own validators, and a 304 of the view renews it (RFC 9111 §4.3)."""

from __future__ import annotations

import pytest
from django.http import HttpResponse, HttpResponseNotModified
from django.template import engines
from django.urls import path
from django.utils.http import http_date
from django.views.decorators.http import condition

from cacheplus import cache_page, expire_tags
from cacheplus.utils import add_cache_tags
from tests.sites import CONDITIONAL, GZIP, Page, ProbedCache, ask, is_hit, layers, outcome, probed, site, visitor

MODIFIED = http_date(1_700_000_000)


@pytest.fixture(params=["pair", "one line", "none"])
def shape(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def kind(request):
    return request.param


class Origin:
    """A view that answers conditions, and keeps what it was asked."""

    def __init__(self, tag='"a"', body="body", **headers):
        self.tag, self.body, self.asked, self.methods = tag, body, [], []
        self.headers = {"Cache-Control": "max-age=60", **headers}
        self.news = {}

    def __call__(self, request):
        condition = request.META.get("HTTP_IF_NONE_MATCH")
        self.asked.append(condition)
        self.methods.append(request.method)
        if condition == self.tag:
            return HttpResponseNotModified(headers={"ETag": self.tag, **self.news})
        return HttpResponse(self.body, headers={"ETag": self.tag, **self.headers})


def serve(view, shape, *between, kind="sync", **settings):
    page = view if isinstance(view, Page) else Page(view)
    page = page if kind == "sync" else page.coroutine
    page = cache_page(60)(page) if shape == "none" else page
    return site(path("", page), MIDDLEWARE=layers(shape, *between), **settings)


@pytest.mark.parametrize("between", [(), (CONDITIONAL,), (GZIP, CONDITIONAL)], ids=["bare", "conditional", "gzip"])
class TestConfirmed:
    def test_by_a_304_the_page_is_sent_whole_and_fresh_again(self, shape, kind, between, later):
        """RFC 9111 §4.3.1, §4.3.3."""
        view = Origin()
        with serve(view, shape, *between, kind=kind):
            ask(kind)
            later(70)
            response = ask(kind)
            assert (response.status_code, response.content) == (200, b"body")
            assert outcome(response).startswith("fwd=stale; fwd-status=304; stored")
            assert view.asked == [None, '"a"']
            assert is_hit(ask(kind))
            later(50)
            assert is_hit(ask(kind))

    def test_what_has_changed_is_sent_and_stored(self, shape, kind, between, later):
        """RFC 9111 §4.3.3."""
        view = Origin()
        with serve(view, shape, *between, kind=kind):
            ask(kind)
            later(70)
            view.tag, view.body = '"b"', "other"
            assert ask(kind).content == b"other"
            response = ask(kind)
            assert (response.content, is_hit(response)) == (b"other", True)

    def test_the_client_that_has_it_gets_a_304_of_its_own(self, shape, kind, between, later):
        """RFC 9111 §4.3.2: the client's condition is answered, not that of the cache."""
        view = Origin()
        with serve(view, shape, *between, kind=kind):
            ask(kind)
            later(70)
            assert ask(kind, if_none_match='"a"').status_code == 304
            later(70)
            assert ask(kind, if_none_match='"old"').status_code == 200
            assert view.asked == [None, '"a"', '"a"']

    def test_a_head_asks_with_get(self, shape, kind, between, later):
        view = Origin()
        with serve(view, shape, *between, kind=kind):
            ask(kind)
            later(70)
            assert ask(kind, "head").status_code == 200
            assert is_hit(ask(kind))
        assert view.methods == ["GET", "GET"]


class TestMerging:
    def after_304(self, shape, later, *between, news=None, **headers):
        view = Origin(**headers)
        with serve(view, shape, *between):
            visitor().get("/")
            later(70)
            view.news = news or {}
            return visitor().get("/"), visitor().get("/")

    def test_fields_of_the_304_replace_stored_ones(self, shape, later):
        """RFC 9111 §3.2."""
        for response in self.after_304(shape, later, news={"X-A": "2"}, **{"X-A": "1", "X-B": "1"}):
            assert (response["X-A"], response["X-B"]) == ("2", "1")

    def test_fields_that_describe_the_body_stay(self, shape, later):
        """RFC 9111 §3.2."""
        news = {"Content-Type": "text/wrong", "Content-Encoding": "wrong"}
        for response in self.after_304(shape, later, news=news, **{"Content-Type": "text/x"}):
            assert response["Content-Type"] == "text/x"
            assert "Content-Encoding" not in response

    def test_what_the_page_varies_on_is_only_added_to(self, shape, later):
        """What middleware further out added, the view's 304 does not know."""
        for response in self.after_304(shape, later, news={"Vary": "X-B"}, Vary="X-A"):
            assert {name.strip().lower() for name in response["Vary"].split(",")} == {"x-a", "x-b"}

    def test_a_304_that_forbids_to_store_is_obeyed(self, shape, later):
        first, second = self.after_304(shape, later, news={"Cache-Control": "private"})
        assert first.content == second.content == b"body"
        assert not is_hit(second)

    def test_a_cookie_of_the_304_is_not_stored(self, shape, later):
        def view(request):
            if request.META.get("HTTP_IF_NONE_MATCH"):
                response = HttpResponseNotModified(headers={"ETag": '"a"'})
                response.set_cookie("secret", "1")
                return response
            return HttpResponse("body", headers={"ETag": '"a"', "Cache-Control": "max-age=60"})

        with serve(view, shape):
            visitor().get("/")
            later(70)
            assert "secret" in visitor().get("/").cookies
            assert not is_hit(visitor().get("/"))

    def test_what_this_cache_told_clients_is_not_taken_for_the_view_s_word(self, later):
        view = Origin()
        view.headers = {}
        with serve(view, "pair", CACHEPLUS={"CLIENT_TIMEOUT": 0}, CACHE_MIDDLEWARE_SECONDS=60):
            assert "max-age=0" in visitor().get("/")["Cache-Control"]
            later(70)
            visitor().get("/")
            response = visitor().get("/")
            assert is_hit(response)
            assert response["Cache-Control"] == "max-age=0"

    def test_the_tags_of_the_page_stay(self, shape, later):
        def view(request):
            if request.META.get("HTTP_IF_NONE_MATCH"):
                return HttpResponseNotModified(headers={"ETag": '"a"'})
            fragment = engines["django"].from_string("{% load cacheplus %}{% cache 9 f tags='inner' %}x{% endcache %}")
            response = HttpResponse(fragment.render(), headers={"ETag": '"a"', "Cache-Control": "max-age=60"})
            add_cache_tags(response, "outer")
            return response

        for tag in ("inner", "outer"):
            with serve(view, shape):
                visitor().get("/")
                later(70)
                visitor().get("/")
                assert is_hit(visitor().get("/"))
                expire_tags(tag)
                assert not is_hit(visitor().get("/"))

    def test_a_page_that_was_expired_while_it_was_confirmed_is_not_stored(self, shape, later):
        def view(request):
            if request.META.get("HTTP_IF_NONE_MATCH"):
                expire_tags("news")
                return HttpResponseNotModified(headers={"ETag": '"a"'})
            response = HttpResponse("body", headers={"ETag": '"a"', "Cache-Control": "max-age=60"})
            add_cache_tags(response, "news")
            return response

        with serve(view, shape, CACHEPLUS={"CACHE_STATUS": "detail"}):
            visitor().get("/")
            later(70)
            assert "detail=superseded" in visitor().get("/")["Cache-Status"]
            assert not is_hit(visitor().get("/"))


class TestAsked:
    def test_with_last_modified_too(self, shape, later):
        """RFC 9111 §4.3.1."""
        asked = []

        def view(request):
            asked.append(request.META.get("HTTP_IF_MODIFIED_SINCE"))
            return HttpResponse("x", headers={"Last-Modified": MODIFIED, "Cache-Control": "max-age=60"})

        with serve(view, shape):
            visitor().get("/")
            later(70)
            visitor().get("/")
        assert asked == [None, MODIFIED]

    def test_again_where_the_304_speaks_of_another_page(self, shape, kind, later):
        """RFC 9111 §4.3.4."""
        asked = []

        def view(request):
            asked.append(request.META.get("HTTP_IF_NONE_MATCH"))
            if asked[-1]:
                return HttpResponseNotModified(headers={"ETag": '"other"'})
            return HttpResponse("whole", headers={"ETag": '"a"', "Cache-Control": "max-age=60"})

        with serve(view, shape, kind=kind):
            ask(kind)
            later(70)
            assert ask(kind).content == b"whole"
        assert asked == [None, '"a"', None]

    def test_each_time_where_the_page_says_no_cache(self, shape):
        """RFC 9111 §5.2.2.4."""
        view = Origin(**{"Cache-Control": "no-cache"})
        with serve(view, shape):
            answers = [visitor().get("/") for _ in range(3)]
        assert [(each.content, each["Cache-Control"]) for each in answers] == [(b"body", "no-cache")] * 3
        assert view.asked == [None, '"a"', '"a"']

    def test_under_must_revalidate_an_error_is_passed_on(self, shape, later):
        """RFC 9111 §5.2.2.2."""
        view = Origin(**{"Cache-Control": "max-age=60, must-revalidate"})
        with serve(view, shape, CACHEPLUS={"STALE": 100, "STALE_IF_ERROR": 100}):
            visitor().get("/")
            later(70)
            view.tag, view.headers = '"b"', {}
            response = visitor().get("/")
            assert view.asked[-1] == '"a"'
            assert not is_hit(response)

    def test_with_the_request_as_it_was_restored_afterwards(self, shape, later):
        requests = []

        def view(request):
            requests.append(request)
            return HttpResponse("x", headers={"ETag": '"a"', "Cache-Control": "max-age=60"})

        with serve(view, shape):
            visitor().get("/")
            later(70)
            visitor().get("/", headers={"if-none-match": '"mine"', "range": "bytes=0-0"})
        meta = requests[1].META
        assert (meta["HTTP_IF_NONE_MATCH"], meta["HTTP_RANGE"]) == ('"mine"', "bytes=0-0")
        assert requests[1].headers["If-None-Match"] == '"mine"'

    def test_by_django_s_own_condition(self, shape, later):
        rendered = []

        @condition(etag_func=lambda request: '"a"')
        def view(request):
            rendered.append(request)
            return HttpResponse("body", headers={"Cache-Control": "max-age=60"})

        with serve(view, shape):
            for _ in range(3):
                assert visitor().get("/").content == b"body"
                later(70)
        assert len(rendered) == 1

    def test_not_with_the_validator_of_middleware_between(self, later):
        """The view knows nothing of it, and would be asked in vain."""
        asked = []

        def view(request):
            asked.append(request.META.get("HTTP_IF_NONE_MATCH"))
            return HttpResponse("body")

        with serve(view, "pair", CONDITIONAL, CACHE_MIDDLEWARE_SECONDS=60):
            visitor().get("/")
            later(70)
            visitor().get("/")
        assert asked == [None, None]

    def test_not_with_the_validator_of_middleware_inside(self, later):
        """Its 304 would lack the fields of the view's new response."""
        page = Page(lambda request: HttpResponse("same", headers={"X-Run": str(page.runs)}))
        with serve(page, "one line", CONDITIONAL, GZIP, CACHE_MIDDLEWARE_SECONDS=60):
            visitor().get("/")
            later(70)
            assert visitor().get("/")["X-Run"] == "2"

    def test_by_its_date_alone_where_the_tag_may_be_of_middleware(self, later):
        asked = []

        def view(request):
            asked.append((request.META.get("HTTP_IF_NONE_MATCH"), request.META.get("HTTP_IF_MODIFIED_SINCE")))
            return HttpResponse("same", headers={"Last-Modified": MODIFIED, "Cache-Control": "max-age=60"})

        with serve(view, "one line", CONDITIONAL):
            visitor().get("/")
            later(70)
            visitor().get("/")
        assert asked == [(None, None), (None, MODIFIED)]

    def test_costs_a_read_and_a_write(self, shape, later):
        with serve(Origin(), shape, CACHES={"default": probed()}):
            visitor().get("/")
            later(70)
            ProbedCache.reset()
            visitor().get("/")
            assert ProbedCache.calls == ["read", "write"]


def test_a_client_s_condition_does_not_keep_the_page_out_of_the_pair():
    """ConditionalGetMiddleware would make a 304 of it, which cannot be stored."""
    with serve(lambda request: HttpResponse("body"), "pair", CONDITIONAL):
        tag = visitor().get("/?1")["ETag"]
        assert visitor().get("/?2", headers={"if-none-match": tag}).status_code == 304
        assert is_hit(visitor().get("/?2"))


@pytest.mark.parametrize("shape", ["pair", "one line"])
def test_a_stored_page_has_a_validator_of_its_body(shape):
    """RFC 9110 §8.8.3."""
    with serve(lambda request: HttpResponse("body"), shape):
        tag = visitor().get("/")["ETag"]
        assert visitor().get("/")["ETag"] == tag
        assert visitor().get("/", headers={"if-none-match": tag}).status_code == 304
