"""The page cache over a store that can be counted and broken: no fault of it ever costs a page."""

from __future__ import annotations

import logging

import pytest
from django.core.cache import caches
from django.http import HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import AsyncClient
from django.urls import path

from cacheplus.decorators import cache_page
from cacheplus.pages.cache import PageCache
from cacheplus.pages.keys import PageAddress
from cacheplus.pages.options import PageOptions
from cacheplus.signals import cache_error, page_served, page_stored
from tests.sites import Page, ProbedCache, is_hit, layers, outcome, probed, site, visitor

SHAPES = ("pair", "one line", "none")


@pytest.fixture(autouse=True)
def sound():
    ProbedCache.reset()
    yield
    ProbedCache.reset()


def varying(request):
    return HttpResponse(headers={"Vary": "X-Kind"})


def templated(request):
    template = "{% load cacheplus %}{% cache 60 part tags='news' %}fragment{% endcache %}"
    return TemplateResponse(request, engines["django"].from_string(template))


def serve(page, shape, **settings):
    view = cache_page(300)(page) if shape == "none" else page
    return site(path("", view), MIDDLEWARE=layers(shape), CACHES={"default": probed()}, **settings)


class TestTrips:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_a_hit_without_vary_costs_one(self, shape):
        with serve(Page(), shape):
            visitor().get("/")
            ProbedCache.reset()
            assert is_hit(visitor().get("/"))
            assert ProbedCache.calls == ["read"]

    @pytest.mark.parametrize("shape", SHAPES)
    def test_a_hit_with_vary_costs_one_or_two(self, shape):
        with serve(Page(varying), shape):
            for kind, trips in (("a", 1), ("b", 2)):
                visitor().get("/", headers={"x-kind": kind})
                ProbedCache.reset()
                assert is_hit(visitor().get("/", headers={"x-kind": kind}))
                assert ProbedCache.calls == ["read"] * trips

    def test_to_render_again_costs_four_two_of_them_for_the_turn(self):
        with serve(Page(), "none"):
            visitor().get("/")
            ProbedCache.reset()
            # The same path under another scheme: its stamps stand, and there is no page yet.
            visitor().get("/", secure=True)
            assert ProbedCache.calls == ["read", "add", "write", "swap"]

    def test_a_page_with_a_query_is_counted_which_costs_two_more(self):
        with serve(Page(), "none"):
            visitor().get("/?a=1")
            ProbedCache.reset()
            visitor().get("/?a=1", secure=True)
            assert ProbedCache.calls == ["read", "add", "read", "add", "write", "swap"]
            ProbedCache.reset()
            visitor().get("/?a=1")
            assert ProbedCache.calls == ["read"]

    def test_a_bypassed_page_costs_none_or_stores_nothing(self):
        with serve(Page(), "pair"):
            visitor().options("/")
            assert ProbedCache.calls == []

    def test_an_unsafe_request_costs_an_expiry_where_the_site_wants_it(self):
        for expires, calls in ((True, ["read", "write", "remove"]), (False, [])):
            ProbedCache.reset()
            with serve(Page(), "pair", CACHEPLUS={"EXPIRE_ON_UNSAFE": expires}):
                visitor().post("/")
                assert ProbedCache.calls == calls

    def test_a_page_that_may_not_be_stored_makes_no_stamps(self):
        page = Page(lambda request: HttpResponse(headers={"Cache-Control": "no-store"}))
        with serve(page, "none"):
            visitor().get("/")
            assert ProbedCache.calls[:1] + ProbedCache.calls[-2:] == ["read", "add", "swap"]
            assert not {"add_many", "write"} & set(ProbedCache.calls)
            ProbedCache.reset()
            visitor().get("/")
            assert ProbedCache.calls == ["read"]

    def test_a_fragment_hit_costs_one(self):
        with serve(Page(), "none"):
            template = engines["django"].from_string(
                "{% load cacheplus %}{% cache 60 part 1 2 tags='a b' %}x{% endcache %}"
            )
            template.render()
            ProbedCache.reset()
            assert template.render() == "x"
            assert ProbedCache.calls == ["read"]


# What a client raises when its server is gone, and what nobody expects.
ERRORS = {"fault": ConnectionError("secret"), "bug": RuntimeError("secret"), "timeout": TimeoutError("secret")}


@pytest.mark.parametrize("error", ERRORS.values(), ids=list(ERRORS))
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("answer", [None, varying, templated], ids=["plain", "varying", "templated"])
class TestFaults:
    def test_a_dead_store_costs_no_page(self, shape, answer, error, caplog):
        page = Page(answer)
        with serve(page, shape), caplog.at_level(logging.WARNING, "cacheplus"):
            ProbedCache.reset(error)
            for number in (1, 2):
                assert visitor().get("/").status_code == 200
                assert page.runs == number
            assert visitor().head("/").status_code == 200
        assert "secret" not in caplog.text

    def test_each_call_may_be_the_one_that_fails(self, shape, answer, error):
        for warm in (False, True):
            with serve(Page(answer), shape):
                number = 0
                while True:
                    number += 1
                    caches["default"].clear()
                    if warm:
                        visitor().get("/", headers={"x-kind": "other"})
                    ProbedCache.reset(error, fails_at=number)
                    bodies = {visitor().get("/").status_code for _ in range(2)}
                    assert bodies == {200}
                    was_reached = len(ProbedCache.calls) >= number
                    ProbedCache.reset()
                    # It recovers by itself.
                    visitor().get("/")
                    assert is_hit(visitor().get("/"))
                    if not was_reached:
                        break
                assert number > 1


@pytest.mark.parametrize("error", ERRORS.values(), ids=list(ERRORS))
@pytest.mark.parametrize("shape", SHAPES)
async def test_faults_cost_no_page_from_a_coroutine(shape, error):
    page = Page()
    view = cache_page(300)(page.coroutine) if shape == "none" else page.coroutine
    with site(path("", view), MIDDLEWARE=layers(shape), CACHES={"default": probed()}):
        for fails_at in (None, 1, 2, 3, 4, 5):
            ProbedCache.reset(error, fails_at)
            assert (await AsyncClient().get("/")).status_code == 200
        ProbedCache.reset()
        await AsyncClient().get("/")
        assert is_hit(await AsyncClient().get("/"))


@pytest.mark.parametrize("garbage", [5, "text", {"a": 1}, None, b"page\x02\x00\x00\x00\x02[]"])
def test_garbage_under_the_key_of_a_page_is_replaced(garbage):
    page = Page()
    with serve(page, "none"):
        visitor().get("/")
        address = PageAddress("http", "testserver", "/", "", layer="view", language="en", time_zone="UTC")
        assert caches["default"].get(address.key()) is not None
        caches["default"].set(address.key(), garbage)
        assert visitor().get("/").content == b"run 2"
        assert is_hit(visitor().get("/"))


class TestSignals:
    def test_tell_what_was_stored_and_served(self):
        told = []

        def stored(sender, **kwargs):
            told.append(("stored", kwargs["alias"], kwargs["ttl"], kwargs["request"].path, "page: /" in kwargs["tags"]))

        def served(sender, **kwargs):
            told.append(("served", kwargs["alias"], kwargs["request"].path, kwargs["age"] >= 0))

        page_stored.connect(stored)
        page_served.connect(served)
        try:
            with serve(Page(), "none"):
                visitor().get("/")
                visitor().get("/")
        finally:
            page_stored.disconnect(stored)
            page_served.disconnect(served)
        assert [each[0] for each in told] == ["stored", "served"]
        assert told[0][1:2] + told[0][3:] == ("default", "/", True)
        assert told[0][2] == pytest.approx(300)
        assert told[1][1:] == ("default", "/", True)

    def test_a_receiver_that_fails_costs_no_page(self):
        def boom(sender, **kwargs):
            raise ZeroDivisionError

        for signal in (page_stored, page_served, cache_error):
            signal.connect(boom)
        try:
            with serve(Page(), "none"):
                for _ in range(3):
                    assert visitor().get("/").status_code == 200
                ProbedCache.reset(ConnectionError())
                assert visitor().get("/").status_code == 200
        finally:
            for signal in (page_stored, page_served, cache_error):
                signal.disconnect(boom)


class TestAlias:
    def test_that_is_not_ours_is_an_error_that_says_what_to_set(self):
        entry = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        with site(CACHES={"default": entry}), pytest.raises(TypeError, match=r"'default'.*BACKEND"):
            PageCache(PageOptions(alias="default")).cache.get("key")

    def test_that_keeps_nothing_serves_every_page(self):
        page = Page()
        with site(
            path("", page),
            MIDDLEWARE=layers("pair"),
            CACHES={"default": {"BACKEND": "cacheplus.backends.dummy.DummyCache"}},
        ):
            for number in (1, 2):
                assert visitor().get("/").content == f"run {number}".encode()


class TestOptions:
    @pytest.mark.parametrize("wrong", ["news", [5], [""], [None], b"news"])
    def test_tags_that_are_none_are_refused_at_once(self, wrong):
        with pytest.raises(TypeError, match="tag"):
            PageOptions(alias="default", tags=wrong)

    @pytest.mark.parametrize("wrong", ["60", [60], float("nan"), object()])
    @pytest.mark.parametrize("name", ["page_timeout", "client_timeout"])
    def test_a_timeout_that_is_no_number_is_refused_at_once(self, name, wrong):
        given = {"client_timeout": wrong} if name == "client_timeout" else {"given": {"page_timeout": wrong}}
        with pytest.raises(TypeError, match="number of seconds or None"):
            PageOptions(alias="default", **given)

    @pytest.mark.parametrize("tags", ["news", [5], 5])
    def test_tags_of_a_function_that_are_none_leave_the_page_out_of_the_cache(self, tags):
        page = Page()
        with site(path("", cache_page(60, tags=lambda request, response: tags)(page))):
            for number in (1, 2):
                response = visitor().get("/")
                assert response.content == f"run {number}".encode()
                assert "stored" not in outcome(response)
