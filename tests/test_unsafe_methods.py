"""RFC 9111 §4.4: a request that may have changed something expires what it concerns."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.urls import path, re_path

from cacheplus import cache_page
from cacheplus.signals import tags_expired
from tests.sites import Page, ask, is_hit, layers, locmem, site, visitor

UNSAFE = ["POST", "PUT", "PATCH", "DELETE", "M-SEARCH"]


@pytest.fixture(params=["pair", "one line", "none"])
def shape(request):
    return request.param


def serve(page, shape, **settings):
    view = cache_page(300)(page) if shape == "none" else page
    return site(re_path("", view), MIDDLEWARE=layers(shape), **settings)


def answering(status=200, **headers):
    """A page, and an answer to whatever else than GET."""

    def answer(request):
        if request.method == "GET":
            return HttpResponse()
        return HttpResponse("done", status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return Page(answer)


def survives(page, shape, where, *, method="POST", at="/a/?x=1", **settings):
    """Whether the page at `where` outlives a request to `at`."""
    with serve(page, shape, **settings):
        visitor().get(where)
        assert is_hit(visitor().get(where))
        visitor().generic(method, at)
        return is_hit(visitor().get(where))


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize("where", ["/a/", "/a/?x=1", "/a/?page=2"])
def test_an_unsafe_request_expires_its_path_whatever_the_query(shape, method, where):
    assert not survives(answering(), shape, where, method=method)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
def test_a_safe_request_expires_nothing(shape, method):
    assert survives(answering(), shape, "/a/", method=method)


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_failed_request_expires_nothing(shape, status):
    assert survives(answering(status, Location="/b/"), shape, "/a/")
    assert survives(answering(status, Location="/b/"), shape, "/b/")


@pytest.mark.parametrize("name", ["Location", "Content_Location"])
@pytest.mark.parametrize("reference", ["/b/", "../b/", "http://testserver/b/", "/b/?made=1#top"])
def test_what_it_names_on_the_same_origin_expires_too(shape, name, reference):
    assert not survives(answering(302, **{name: reference}), shape, "/b/")


@pytest.mark.parametrize("reference", ["http://elsewhere.test/b/", "https://testserver/b/", "http://[", "x:y"])
def test_another_origin_is_left_alone(shape, reference):
    assert survives(answering(302, Location=reference), shape, "/b/")


def test_another_path_and_another_host_are_left_alone(shape):
    assert survives(answering(), shape, "/b/")
    with serve(answering(), shape):
        visitor().get("/a/", headers={"host": "other.test"})
        visitor().post("/a/")
        assert is_hit(visitor().get("/a/", headers={"host": "other.test"}))


def test_the_site_can_do_without(shape):
    assert survives(answering(), shape, "/a/", CACHEPLUS={"EXPIRE_ON_UNSAFE": False})


@pytest.mark.parametrize("shape", ["pair", "one line", "none"])
def test_from_a_coroutine_likewise(shape):
    page = answering()
    view = cache_page(300)(page.coroutine) if shape == "none" else page.coroutine
    with site(path("", view), MIDDLEWARE=layers(shape)):
        ask("async")
        assert is_hit(ask("async"))
        ask("async", "post")
        assert not is_hit(ask("async"))


def test_a_page_that_another_alias_holds_expires_too():
    """Per view on one alias, and the request that changes it passes the middleware on another."""
    stored = answering()
    changes = Page(lambda request: HttpResponse("done", status=302, headers={"Location": "/b/"}))
    caches = {"default": locmem(), "pages": locmem()}
    with site(
        path("a/", changes),
        path("b/", cache_page(300, cache="pages")(stored)),
        CACHES=caches,
        MIDDLEWARE=layers("pair"),
    ):
        visitor().get("/b/")
        visitor().post("/a/")
        visitor().get("/b/")
        assert stored.runs == 2


@pytest.mark.django_db(transaction=True)
def test_inside_a_transaction_it_happens_again_on_commit():
    with serve(answering(), "none"):
        visitor().get("/a/")
        with transaction.atomic():
            visitor().post("/a/")
            visitor().get("/a/")
            assert is_hit(visitor().get("/a/"))
        assert not is_hit(visitor().get("/a/"))


def test_only_one_of_two_layers_expires():
    expired = []

    def heard(sender, tags, **kwargs):
        expired.append(tags)

    tags_expired.connect(heard)
    try:
        with site(path("a/", cache_page(300)(answering())), MIDDLEWARE=layers("pair")):
            visitor().post("/a/")
    finally:
        tags_expired.disconnect(heard)
    assert len(expired) == 1
