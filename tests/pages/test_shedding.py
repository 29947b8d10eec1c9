"""How many pages are made at the same time while the cache fails."""

import pytest
from django.http import HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import AsyncClient
from django.urls import path

from cacheplus.decorators import cache_page
from cacheplus.pages import shedding
from tests.pages.test_cache import ProbedCache, probed
from tests.sites import layers, site, visitor

SHAPES = ["pair", "one line", "none", "pair and view"]


def serve(view, shape, most=1):
    wrapped = cache_page(300)(view) if shape in ("none", "pair and view") else view
    middleware = layers("pair" if shape == "pair and view" else shape)
    return site(
        path("", wrapped),
        path("other/", wrapped, name="other"),
        MIDDLEWARE=middleware,
        CACHES={"default": probed()},
        CACHEPLUS={"MAX_WITHOUT_CACHE": most, "CACHE_STATUS": "detail"},
    )


@pytest.fixture(autouse=True)
def _away():
    ProbedCache.reset()
    yield
    ProbedCache.reset()
    assert not shedding.places._begun


def nested(request):
    """A page in the middle of which somebody else comes."""
    response = HttpResponse("made")
    if request.path == "/":
        response.inner = visitor().get("/other/")
    return response


@pytest.mark.parametrize("shape", SHAPES)
class TestWhileTheCacheFails:
    def test_so_many_pages_are_made_and_others_are_told_to_come_again(self, shape):
        with serve(nested, shape):
            ProbedCache.reset(ConnectionError("away"))
            response = visitor().get("/")
            assert response.status_code == 200
            inner = response.inner
            assert (inner.status_code, inner["Retry-After"], inner["Cache-Control"]) == (503, "1", "no-store")
            assert "fault" in inner["Cache-Status"]
            assert visitor().get("/other/").status_code == 200

    def test_as_many_as_the_site_says(self, shape):
        with serve(nested, shape, most=2):
            ProbedCache.reset(ConnectionError("away"))
            assert visitor().get("/").inner.status_code == 200

    def test_a_view_that_raises_gives_its_place_back(self, shape):
        def fails(request):
            raise ZeroDivisionError

        with serve(fails, shape):
            ProbedCache.reset(ConnectionError("away"))
            for _ in range(3):
                with pytest.raises(ZeroDivisionError):
                    visitor().get("/")

    def test_what_no_page_cache_looks_up_is_answered(self, shape):
        with serve(nested, shape, most=0):
            ProbedCache.reset(ConnectionError("away"))
            assert visitor().post("/other/").status_code == 200
            assert visitor().get("/other/").status_code == 503

    def test_a_template_response_is_a_page_as_any(self, shape):
        def templated(request):
            return TemplateResponse(request, engines["django"].from_string("made"), {})

        with serve(templated, shape):
            ProbedCache.reset(ConnectionError("away"))
            for _ in range(3):
                assert visitor().get("/").content == b"made"

    async def test_coroutines_are_counted_alike(self, shape):
        async def view(request):
            response = HttpResponse("made")
            if request.path == "/":
                response.inner = await AsyncClient().get("/other/")
            return response

        with serve(view, shape):
            ProbedCache.reset(ConnectionError("away"))
            response = await AsyncClient().get("/")
            assert (response.status_code, response.inner.status_code) == (200, 503)
            assert (await AsyncClient().get("/other/")).status_code == 200


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_shed_while_the_cache_works_or_where_the_site_does_not_ask(shape):
    with serve(nested, shape):
        assert visitor().get("/").inner.status_code == 200
    with serve(nested, shape, most=None):
        ProbedCache.reset(ConnectionError("away"))
        assert visitor().get("/").inner.status_code == 200


def test_a_place_that_nobody_gave_back_is_not_lost_for_ever(rf, monkeypatch):
    places, now = shedding.Places(), [100.0]
    monkeypatch.setattr("cacheplus.pages.shedding.time.monotonic", lambda: now[0])
    assert places.take(rf.get("/"), 1) is not None
    with pytest.raises(shedding.Refused):
        places.take(rf.get("/"), 1)
    now[0] += 61
    assert places.take(rf.get("/"), 1) is not None
