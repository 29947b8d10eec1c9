"""Stale pages: served while they are refreshed, and in place of errors (RFC 5861)."""

from __future__ import annotations

import pytest
from django.core.cache import caches
from django.core.handlers.wsgi import WSGIRequest
from django.http import Http404, HttpResponse
from django.urls import path
from django.utils import translation
from django.utils.translation import get_language
from django.views import View

from cacheplus import CacheMixin, cache_page, expire_view_cache
from cacheplus.signals import cache_error
from tests.sites import LOCALE, SESSION, Page, ask, is_hit, layers, outcome, site, visitor

SIGNED = {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies", "DEBUG_PROPAGATE_EXCEPTIONS": False}


@pytest.fixture(params=["pair", "one line", "none"])
def shape(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def kind(request):
    return request.param


def serve(page, shape, *between, kind="sync", arguments=None, **settings):
    view = page if kind == "sync" else page.coroutine
    view = cache_page(60, **(arguments or {}))(view) if shape == "none" else view
    return site(
        path("", view), MIDDLEWARE=layers(shape, *between), **{"CACHE_MIDDLEWARE_SECONDS": 60, **SIGNED, **settings}
    )


def saying(control):
    return Page(lambda request: HttpResponse(headers={"Cache-Control": control}))


STALE = {"CACHEPLUS": {"STALE": 100}}


class TestWhileRevalidate:
    def test_a_stale_page_is_served_and_refreshed_once_it_is_sent(self, shape, kind, later):
        """RFC 5861 §3."""
        page = Page()
        with serve(page, shape, kind=kind, **STALE):
            ask(kind)
            later(70)
            response = ask(kind)
            assert response.content == b"run 1"
            assert outcome(response) == "hit; ttl=-10"
            assert page.runs == 2
            response = ask(kind)
            assert (response.content, is_hit(response)) == (b"run 2", True)
        assert page.runs == 2

    @pytest.mark.django_db
    def test_the_response_is_closed_before_the_view_runs_again(self, shape, later):
        page = Page()
        with serve(page, shape, **STALE):
            visitor().get("/")
            later(70)
            client = visitor()
            handler = client.handler
            handler.load_middleware()
            environ = client._base_environ(PATH_INFO="/")
            response = handler.get_response(WSGIRequest(environ))
            assert (response.content, page.runs) == (b"run 1", 1)
            assert response["Content-Length"] == "5"
            response.close()
            assert page.runs == 2

    def test_only_within_the_window(self, shape, later):
        """RFC 5861 §3."""
        page = Page()
        with serve(page, shape, **STALE):
            visitor().get("/")
            later(170)
            assert visitor().get("/").content == b"run 2"

    @pytest.mark.parametrize(
        ("control", "is_served"),
        [
            pytest.param("max-age=60, stale-while-revalidate=20", True, id="rfc5861-3"),
            pytest.param("max-age=60, stale-while-revalidate=5", False, id="rfc5861-3-over"),
            pytest.param("max-age=60, stale-while-revalidate=20, must-revalidate", False, id="rfc9111-5.2.2.2"),
            pytest.param("max-age=60, stale-while-revalidate=20, proxy-revalidate", False, id="rfc9111-5.2.2.8"),
            pytest.param("s-maxage=60, stale-while-revalidate=20", False, id="rfc9111-5.2.2.10"),
        ],
    )
    def test_as_the_response_says(self, shape, control, is_served, later):
        page = saying(control)
        with serve(page, shape, **STALE):
            visitor().get("/")
            later(70)
            assert (visitor().get("/").content == b"run 1") is is_served

    def test_as_the_argument_or_the_attribute_says(self, later):
        page = Page()

        class Mixed(CacheMixin, View):
            cache_timeout = 60
            cache_stale = 20

            def get(self, request):
                return page(request)

        for view in (cache_page(60, stale=20)(page), Mixed.as_view()):
            with site(path("", view)):
                first = visitor().get("/").content
                later(70)
                assert visitor().get("/").content == first
                assert visitor().get("/").content != first

    @pytest.mark.parametrize(
        "visit",
        [{"cookies": {"sessionid": "x"}}, {"headers": {"x-api-key": "k"}}, {"headers": {"authorization": "Basic x"}}],
    )
    def test_whoever_is_somebody_waits_for_the_view(self, shape, visit, later):
        page = Page(lambda request: HttpResponse(headers={"Cache-Control": "public"}))
        with serve(page, shape, **STALE):
            visitor().get("/")
            later(70)
            client = visitor(**visit.get("cookies", {}))
            assert client.get("/", headers=visit.get("headers", {})).content == b"run 2"

    def test_after_an_expiry_nothing_stale_is_served(self, shape, later):
        page = Page()
        with serve(page, shape, **STALE):
            visitor().get("/")
            later(70)
            expire_view_cache("/")
            assert visitor().get("/").content == b"run 2"

    @pytest.mark.django_db
    def test_of_several_that_find_it_stale_one_refreshes(self, shape, later):
        inner = []

        def answer(request):
            if page.runs == 2:
                # Somebody else comes while the page is being refreshed.
                inner.append(visitor().get("/").content)
            return HttpResponse()

        page = Page(answer)
        with serve(page, shape, **STALE):
            visitor().get("/")
            later(70)
            visitor().get("/")
            assert inner == [b"run 1"]
            assert page.runs == 2

    def test_a_refresh_that_sets_a_cookie_or_a_session_is_thrown_away(self, shape, later):
        def cookie(request):
            response = HttpResponse()
            if page.runs > 1:
                response.set_cookie("a", "1")
            return response

        def session(request):
            if page.runs > 1:
                request.session["a"] = 1
            return HttpResponse()

        for answer in (cookie, session):
            page = Page(answer)
            with serve(page, shape, SESSION, CACHEPLUS={"STALE": 100, "STORE_SET_COOKIE": True}):
                visitor().get("/")
                later(70)
                for _ in range(2):
                    assert visitor().get("/").content == b"run 1"

    def test_a_refresh_that_fails_leaves_the_stale_page(self, shape, later):
        def answer(request):
            if page.runs > 1:
                raise ZeroDivisionError
            return HttpResponse()

        page = Page(answer)
        errors = []

        def heard(sender, error, **kwargs):
            errors.append(error)

        cache_error.connect(heard)
        try:
            with serve(page, shape, **STALE):
                visitor().get("/")
                later(70)
                client = visitor()
                client.raise_request_exception = False
                for _ in range(2):
                    assert client.get("/").content == b"run 1"
        finally:
            cache_error.disconnect(heard)
        assert page.runs == 3
        assert len(errors) == (2 if shape == "none" else 0)

    def test_the_refresh_is_in_the_language_of_the_page(self, shape, later):
        page = Page(lambda request: HttpResponse(get_language()))
        with serve(page, shape, LOCALE, **STALE), translation.override("en"):
            for _ in range(3):
                assert visitor().get("/", headers={"accept-language": "de"}).content == b"de"
                later(70)
            assert page.runs == 3

    def test_no_trace_of_the_visitor_reaches_the_refresh(self, shape, later):
        seen = []

        def answer(request):
            seen.append(request)
            request.trace = True
            request.META["CSRF_COOKIE"] = "secret"
            return HttpResponse()

        page = Page(answer)
        with serve(page, shape, **STALE):
            visitor().get("/")
            later(70)
            visitor().get("/")
        assert len(seen) == 2
        assert seen[0] is not seen[1]

    def test_a_dead_store_costs_nothing(self, shape, later):
        page = Page()
        with serve(page, shape, **STALE):
            visitor().get("/")
            later(70)
            assert visitor().get("/").status_code == 200
            caches["default"].clear()
            assert visitor().get("/").status_code == 200


class TestIfError:
    def broken(self, failure, control="max-age=60"):
        def answer(request):
            if page.runs > 1:
                if isinstance(failure, type):
                    raise failure
                return HttpResponse("broken", status=failure)
            return HttpResponse(headers={"Cache-Control": control})

        page = Page(answer)
        return page

    @pytest.mark.parametrize("failure", [500, 502, 503, 504, ZeroDivisionError])
    def test_a_stale_page_is_sent_in_place_of_it(self, shape, kind, failure, later):
        """RFC 5861 §4."""
        page = self.broken(failure)
        with serve(page, shape, kind=kind, CACHEPLUS={"STALE_IF_ERROR": 100}):
            ask(kind)
            later(70)
            if shape == "none" or failure is not ZeroDivisionError:
                response = ask(kind)
                assert (response.status_code, response.content) == (200, b"run 1")
                assert outcome(response) == f"fwd=stale; fwd-status={failure if isinstance(failure, int) else 500}"
                assert response["Age"] == "70"

    def test_django_s_own_answer_to_an_exception_counts(self, later):
        for shape in ("pair", "one line"):
            page = self.broken(ZeroDivisionError)
            with serve(page, shape, CACHEPLUS={"STALE_IF_ERROR": 100}):
                visitor().get("/")
                later(70)
                client = visitor()
                client.raise_request_exception = False
                response = client.get("/")
                assert (response.status_code, response.content) == (200, b"run 1")

    def test_not_beyond_the_window(self, shape, later):
        """RFC 5861 §4."""
        page = self.broken(503)
        with serve(page, shape, CACHEPLUS={"STALE_IF_ERROR": 100}):
            visitor().get("/")
            later(170)
            assert visitor().get("/").status_code == 503

    @pytest.mark.parametrize("failure", [404, Http404, 501])
    def test_another_status_is_no_error(self, shape, failure, later):
        """RFC 5861 §4."""
        page = self.broken(failure)
        with serve(page, shape, CACHEPLUS={"STALE_IF_ERROR": 100}):
            visitor().get("/")
            later(70)
            assert visitor().get("/").status_code in (404, 501)

    def test_as_the_response_and_the_argument_say(self, later):
        for arguments, control in (({}, "stale-if-error=20"), ({"stale_if_error": 20}, "max-age=60")):
            page = self.broken(ZeroDivisionError, control)
            with serve(page, "none", arguments=arguments):
                visitor().get("/")
                later(70)
                assert visitor().get("/").content == b"run 1"
                later(20)
                with pytest.raises(ZeroDivisionError):
                    visitor().get("/")

    def test_the_exception_is_logged(self, later, caplog):
        page = self.broken(ZeroDivisionError)
        with serve(page, "none", arguments={"stale_if_error": 100}):
            visitor().get("/")
            later(70)
            visitor().get("/")
        [record] = [each for each in caplog.records if each.name == "django.request"]
        assert record.exc_info[0] is ZeroDivisionError
        assert record.status_code == 500


@pytest.mark.parametrize(
    ("argument", "wrong"), [("stale", -1), ("stale", "5"), ("stale_if_error", float("nan")), ("statuses", {99: 5})]
)
def test_a_wrong_argument_is_refused_at_once(argument, wrong):
    with pytest.raises(TypeError, match=rf"^{argument} must be a "):
        cache_page(60, **{argument: wrong})
