"""One missing page, many requests: one of them renders it."""

import asyncio
import threading
import time

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync
from django.http import HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from django.utils.cache import patch_vary_headers

from cacheplus import cache_page, expire_view_cache
from cacheplus.backends.redis import RedisCache
from cacheplus.testing.calls import at_once
from tests.processes import together
from tests.sites import TEMPLATES, Page, is_hit, layers, outcome, site, visitor

SHAPES = {"pair": lambda view: view, "one line": lambda view: view, "none": cache_page(60)}
# So long that a test which waits for it is killed instead.
FOR_EVER = {"FLIGHT_WAIT": 3600, "FLIGHT_LEASE": 3600}


def slow(seconds=0.3, **fields):
    def answer(request, **kwargs):
        time.sleep(seconds)
        return HttpResponse(headers=fields)

    return Page(answer)


def served(page, shape="none", **settings):
    return site(page.at("", SHAPES[shape]), MIDDLEWARE=layers(shape), **settings)


@pytest.mark.parametrize("shape", SHAPES)
def test_threads_that_ask_at_once_render_a_page_once(shape):
    page = slow()
    with served(page, shape):
        answers = at_once([lambda: Client().get("/").content] * 100)
    assert answers == [b"run 1"] * 100
    assert page.runs == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_tasks_that_ask_at_once_render_a_page_once(shape):
    runs = []

    async def view(request):
        runs.append(1)
        await asyncio.sleep(0.3)
        return HttpResponse(f"run {len(runs)}")

    async def ask():
        return await asyncio.gather(*(AsyncClient().get("/") for _ in range(100)))

    with site(path("", SHAPES[shape](view)), MIDDLEWARE=layers(shape)):
        answers = async_to_sync(ask)()
    assert {answer.content for answer in answers} == {b"run 1"}
    assert len(runs) == 1


def test_requests_of_asgi_to_a_sync_view_render_a_page_once():
    page = slow()

    async def ask():
        # As ASGIHandler does: each request has a thread of its own.
        async with ThreadSensitiveContext():
            return await AsyncClient().get("/")

    async def all_ask():
        return await asyncio.gather(*(ask() for _ in range(20)))

    with served(page):
        answers = async_to_sync(all_ask)()
    assert {answer.content for answer in answers} == {b"run 1"}
    assert page.runs == 1


def test_a_template_response_is_waited_for_until_it_is_rendered():
    rendered = []

    def count():
        rendered.append(1)
        time.sleep(0.3)
        return len(rendered)

    def view(request):
        return TemplateResponse(request, engines["django"].from_string("run {{ count }}"), {"count": count})

    with site(path("", cache_page(60)(view)), TEMPLATES=TEMPLATES):
        assert at_once([lambda: Client().get("/").content] * 8) == [b"run 1"] * 8


def test_what_may_not_be_stored_is_rendered_by_all_at_the_same_time():
    barrier = threading.Barrier(1)

    def answer(request, **kwargs):
        barrier.wait(30)
        return HttpResponse(headers={"Cache-Control": "private"})

    page = Page(answer)
    with served(page, CACHEPLUS=FOR_EVER):
        visitor().get("/")
        barrier = threading.Barrier(8)
        at_once([lambda: Client().get("/")] * 8)
    assert page.runs == 9


@pytest.mark.parametrize("status", [500, "raises"])
def test_an_error_reaches_the_one_who_rendered_and_the_next_one_tries(status):
    failed = []

    def answer(request, **kwargs):
        time.sleep(0.2)
        if not failed:
            failed.append(1)
            if status == "raises":
                raise LookupError
            return HttpResponse("failed", status=500)
        return HttpResponse()

    page = Page(answer)
    with served(page, CACHEPLUS=FOR_EVER):
        answers = at_once([lambda: Client(raise_request_exception=False).get("/").status_code] * 8)
    assert sorted(answers) == [200] * 7 + [500]
    assert page.runs == 2


def test_after_an_expiry_nobody_is_given_what_was_being_rendered_before():
    page = Page()

    def answer(request, **kwargs):
        if page.runs == 1:
            expire_view_cache("/")
            later = threading.Thread(target=lambda: answers.append(Client().get("/").content))
            later.start()
            threads.append(later)
            time.sleep(0.2)
        return HttpResponse()

    page.answer, answers, threads = answer, [], []
    with served(page):
        assert visitor().get("/").content == b"run 1"
        threads[0].join(30)
        assert answers == [b"run 2"]
        assert visitor().get("/").content == b"run 2"


def test_a_page_that_asks_for_itself_does_not_wait():
    page = Page()

    def answer(request, **kwargs):
        if page.runs == 1:
            Client().get("/")
        return HttpResponse()

    page.answer = answer
    with served(page, CACHEPLUS=FOR_EVER):
        visitor().get("/")
    assert page.runs == 2


def test_another_variant_of_a_page_is_nobodys_turn():
    def answer(request, **kwargs):
        response = HttpResponse()
        patch_vary_headers(response, ["X-Kind"])
        return response

    page = Page(answer)
    with served(page, CACHEPLUS=FOR_EVER):
        for kind in "ab":
            assert "stored" in outcome(visitor().get("/", headers={"x-kind": kind}))
        assert is_hit(visitor().get("/", headers={"x-kind": "b"}))


def test_patience_ends():
    page = slow(0.5)
    with served(page, CACHEPLUS={"FLIGHT_WAIT": 0.05}):
        at_once([lambda: Client().get("/")] * 2)
    assert page.runs == 2


SERVE = """
from django.http import HttpResponse
from django.urls import path
import sys, types, threading, django
runs = []
def view(request):
    runs.append(1)
    time.sleep(0.5)
    return HttpResponse(f"{os.getpid()}")
urls = types.ModuleType("urls")
settings.ROOT_URLCONF, settings.ALLOWED_HOSTS, settings.MIDDLEWARE = urls, ["*"], []
settings.CACHES = {"default": {"BACKEND": "cacheplus.backends.redis.RedisCache", "LOCATION": cache._location,
    "KEY_PREFIX": arguments[0]}}
from cacheplus import cache_page
urls.urlpatterns = [path("", cache_page(60)(view))]
from django.test import Client
from cacheplus.testing.calls import at_once
answers = at_once([lambda: Client().get("/").content.decode()] * 25)
tell([len(runs), sorted(set(answers))])
"""


def test_processes_that_ask_at_once_render_a_page_once(redis_server):
    cache = RedisCache(redis_server.url, {})
    told = together(cache, SERVE, [f"pages-{time.time()}"] * 4)
    assert sum(runs for runs, _ in told) == 1
    assert len({body for _, bodies in told for body in bodies}) == 1


def test_a_turn_whose_response_is_thrown_away_holds_up_nobody_here():
    views = []

    def view(request):
        views.append(1)
        return TemplateResponse(request, engines["django"].from_string("page"))

    with site(TEMPLATES=TEMPLATES, CACHEPLUS={"FLIGHT_WAIT": 3600, "FLIGHT_LEASE": 0.2}):
        cached = cache_page(60)(view)
        cached(RequestFactory().get("/"))
        time.sleep(0.3)
        assert cached(RequestFactory().get("/")).render().content == b"page"
        assert len(views) == 2
