"""Conditions, ranges and HEAD, answered from a stored GET: the view is not asked."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.urls import path
from django.utils.http import http_date

from cacheplus import cache_page
from tests.sites import CONDITIONAL, GZIP, USUAL, Page, ask, is_hit, layers, outcome, site, visitor

MODIFIED = http_date(1_700_000_000)


def tagged(request):
    return HttpResponse("0123456789", headers={"ETag": '"a"', "Last-Modified": MODIFIED, "X-Mine": "1"})


@pytest.fixture(params=["pair", "one line", "none"])
def shape(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def kind(request):
    return request.param


@pytest.fixture(params=["bare", "conditional", "usual"])
def between(request):
    return {"bare": (), "conditional": (CONDITIONAL,), "usual": USUAL}[request.param]


def serve(page, shape, *between, kind="sync", **settings):
    view = page if kind == "sync" else page.coroutine
    view = cache_page(300)(view) if shape == "none" else view
    return site(path("", view), MIDDLEWARE=layers(shape, *between), **settings)


class TestConditions:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            pytest.param({"if_none_match": '"a"'}, 304, id="rfc9110-13.1.2-match"),
            pytest.param({"if_none_match": 'W/"a"'}, 304, id="rfc9110-13.1.2-weak"),
            pytest.param({"if_none_match": '"x", "a"'}, 304, id="rfc9110-13.1.2-list"),
            pytest.param({"if_none_match": '"x"'}, 200, id="rfc9110-13.1.2-no-match"),
            pytest.param({"if_modified_since": MODIFIED}, 304, id="rfc9110-13.1.3-match"),
            pytest.param({"if_modified_since": http_date(1_600_000_000)}, 200, id="rfc9110-13.1.3-no-match"),
            pytest.param(
                {"if_none_match": '"x"', "if_modified_since": MODIFIED}, 200, id="rfc9110-13.2.2-tag-before-date"
            ),
            pytest.param(
                {"if_none_match": '"a"', "range": "bytes=0-1"}, 304, id="rfc9110-13.2.2-condition-before-range"
            ),
        ],
    )
    def test_of_a_client_are_answered_by_the_stored_page(self, shape, kind, between, headers, status):
        page = Page(tagged)
        with serve(page, shape, *between, kind=kind):
            ask(kind)
            for method in ("get", "head"):
                response = ask(kind, method, **headers)
                assert response.status_code == status
                assert is_hit(response)
                assert response["ETag"] == '"a"'
                assert response["Age"] == "0"
                assert (b"" if status == 304 or method == "head" else b"0123456789") == response.content
                assert ("X-Mine" in response) is (status == 200)
        assert page.runs == 1

    def test_of_a_client_do_not_keep_a_page_out_of_the_cache(self, shape, kind):
        page = Page(tagged)
        with serve(page, shape, kind=kind):
            ask(kind, if_none_match='"x"')
            assert is_hit(ask(kind))


class TestRanges:
    @pytest.mark.parametrize(
        ("headers", "status", "body", "content_range"),
        [
            pytest.param({"range": "bytes=2-4"}, 206, b"234", "bytes 2-4/10", id="rfc9110-14.1.2-both-ends"),
            pytest.param({"range": "bytes=7-"}, 206, b"789", "bytes 7-9/10", id="rfc9110-14.1.2-no-last"),
            pytest.param({"range": "bytes=-2"}, 206, b"89", "bytes 8-9/10", id="rfc9110-14.1.2-suffix"),
            pytest.param({"range": "bytes=10-"}, 416, b"", "bytes */10", id="rfc9110-15.5.17-outside"),
            pytest.param({"range": "bytes=0-1,4-5"}, 200, b"0123456789", None, id="rfc9110-14.2-several"),
            pytest.param({"range": "lines=0-1"}, 200, b"0123456789", None, id="rfc9110-14.2-other-unit"),
            pytest.param(
                {"range": "bytes=2-4", "if_range": '"a"'}, 206, b"234", "bytes 2-4/10", id="rfc9110-13.1.5-match"
            ),
            pytest.param({"range": "bytes=2-4", "if_range": '"x"'}, 200, b"0123456789", None, id="rfc9110-13.1.5-no"),
        ],
    )
    def test_are_cut_from_the_stored_page(self, shape, kind, headers, status, body, content_range):
        page = Page(tagged)
        with serve(page, shape, kind=kind):
            ask(kind)
            response = ask(kind, **headers)
        assert (response.status_code, response.content) == (status, body)
        assert response.headers.get("Content-Range") == content_range
        assert response.headers.get("Content-Length") in (None, str(len(body)))
        assert is_hit(response)
        assert page.runs == 1

    def test_count_for_get_only(self, shape):
        """RFC 9110 §14.2."""
        with serve(Page(tagged), shape):
            visitor().get("/")
            assert visitor().head("/", headers={"range": "bytes=2-4"}).status_code == 200

    def test_of_another_status_are_not_cut(self, shape):
        page = Page(lambda request: HttpResponse("gone", status=410, headers={"Cache-Control": "max-age=60"}))
        with serve(page, shape):
            visitor().get("/")
            response = visitor().get("/", headers={"range": "bytes=0-1", "if-none-match": "*"})
            assert (response.status_code, response.content, page.runs) == (410, b"gone", 1)

    def test_that_a_view_sends_are_not_stored(self, shape):
        """RFC 9111 §3.3: a part is not taken for the whole."""
        headers = {"Content-Range": "bytes 0-1/10", "Cache-Control": "max-age=60"}
        page = Page(lambda request: HttpResponse("01", status=206, headers=headers))
        with serve(page, shape):
            visitor().get("/", headers={"range": "bytes=0-1"})
            assert outcome(visitor().get("/")) == "fwd=uri-miss"


class TestHead:
    def test_that_misses_lets_the_next_get_hit(self, shape, kind, between):
        page = Page(tagged)
        with serve(page, shape, *between, kind=kind):
            first, second = ask(kind, "head"), ask(kind)
            assert (first.content, second.content) == (b"", b"0123456789")
            assert is_hit(second)
        assert page.runs == 1

    def test_is_shown_to_the_view_as_a_get_and_is_a_head_again_afterwards(self, shape):
        seen = []

        def answer(request):
            seen.append((request, request.method, request.META["REQUEST_METHOD"]))
            return HttpResponse("x")

        with serve(Page(answer), shape):
            visitor().head("/")
        request, *shown = seen[0]
        assert shown == ["GET", "GET"]
        assert (request.method, request.META["REQUEST_METHOD"]) == ("HEAD", "HEAD")

    def test_stays_one_where_the_page_cannot_be_stored(self, shape):
        seen = []
        page = Page(lambda request: (seen.append(request.method), HttpResponse("x"))[1])
        with serve(page, shape):
            visitor().generic("HEAD", "/", b"body")
        assert seen == ["HEAD"]

    def test_of_another_variant_leaves_the_stored_one_alone(self, shape):
        page = Page(lambda request: HttpResponse(request.headers.get("X-Kind", ""), headers={"Vary": "X-Kind"}))
        with serve(page, shape):
            for _ in range(2):
                for letter in "ab":
                    visitor().head("/", headers={"x-kind": letter})
                    assert visitor().get("/", headers={"x-kind": letter}).content == letter.encode()
        assert page.runs == 2


def test_a_hit_that_middleware_between_answers_itself_is_still_told():
    """RFC 9211 §2, RFC 9111 §5.1: the 304 of another middleware comes from the cache all the same."""
    with serve(Page(), "pair", CONDITIONAL, GZIP):
        tag = visitor().get("/")["ETag"]
        response = visitor().get("/", headers={"if-none-match": tag})
        assert response.status_code == 304
        assert is_hit(response)
        assert response["Age"] == "0"
