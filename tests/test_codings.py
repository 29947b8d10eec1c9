"""Compressed pages: one for those who can read it, whatever else they accept."""

from __future__ import annotations

import gzip

import pytest
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.gzip import gzip_page

from cacheplus.decorators import cache_page, vary_on_headers
from tests.sites import GZIP, Page, is_hit, layers, outcome, site, visitor

TEXT = "page " * 100
BROWSERS = ("gzip, deflate, br, zstd", "gzip, deflate", "gzip,deflate,br", "br;q=1.0, gzip;q=0.8", "GZIP")


def asks(accepted):
    return visitor().get("/", headers={"accept-encoding": accepted})


@pytest.mark.parametrize("shape", ["pair", "one line"])
def test_every_browser_is_given_the_same_compressed_page(shape):
    page = Page(lambda request: HttpResponse(TEXT))
    with site(page.at(""), MIDDLEWARE=layers(shape, GZIP)):
        for accepted in BROWSERS:
            response = asks(accepted)
            assert gzip.decompress(response.content).decode() == TEXT
        assert page.runs == 1
        for _ in range(2):
            assert asks("br").content.decode() == TEXT
            assert "Content-Encoding" not in asks("identity")


def test_who_refuses_a_coding_is_not_given_it():
    page = Page(lambda request: HttpResponse(TEXT))
    with site(page.at(""), MIDDLEWARE=layers("pair", GZIP)):
        asks("gzip")
        assert not is_hit(asks("gzip;q=0"))


def test_per_view_by_a_decorator():
    page = Page(lambda request: HttpResponse(TEXT))
    with site(path("", cache_page(300)(gzip_page(page)))):
        for accepted in ("gzip, deflate", "deflate, gzip", "gzip;q=0.5,deflate"):
            assert gzip.decompress(asks(accepted).content).decode() == TEXT
        assert page.runs == 1


def brotli(request):
    response = HttpResponse("br" if "br" in request.headers["Accept-Encoding"] else "plain")
    if response.content == b"br":
        response["Content-Encoding"] = "br"
    return response


def test_a_coding_that_the_site_does_not_name_is_not_stored():
    view = vary_on_headers("Accept-Encoding")(brotli)
    with site(path("", view), MIDDLEWARE=layers("pair", GZIP), CACHEPLUS={"CACHE_STATUS": "detail"}):
        assert "detail=coding" in outcome(asks("br, gzip"))
        assert asks("gzip").content == b"plain"


def test_a_site_says_what_it_produces():
    view = vary_on_headers("Accept-Encoding")(brotli)
    with site(path("", view), MIDDLEWARE=layers("pair", GZIP), CACHEPLUS={"CODINGS": ["gzip", "br"]}):
        for _ in range(2):
            assert asks("gzip, br").content == b"br"
            assert asks("gzip").content == b"plain"
        assert is_hit(asks("br,gzip,zstd"))
