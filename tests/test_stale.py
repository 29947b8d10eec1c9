"""Stale values: served while one caller refreshes them, after the response where there is one."""

import asyncio
import secrets
import threading
import time
from functools import partial

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync
from django.core.signals import request_finished, request_started
from django.http import HttpResponse
from django.template import TemplateSyntaxError, engines
from django.test import AsyncClient, Client, override_settings
from django.urls import path

from cacheplus import expire_tags
from cacheplus.backends.locmem import LocMemCache
from cacheplus.signals import cache_error
from cacheplus.testing.calls import at_once
from tests.sites import TEMPLATES
from tests.stores import CountingStore

CACHE = LocMemCache(secrets.token_hex(8), {})


@pytest.fixture
def cache():
    CACHE.clear()
    return CACHE


def eventually(is_so):
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def make_stale(cache, value="old", **arguments):
    cache.get_or_set("key", lambda: value, 0.05, stale=60, **arguments)
    time.sleep(0.1)


class Gate:
    """A computation that cannot end before it is let through."""

    def __init__(self, value="new"):
        self.value, self.open, self.runs = value, threading.Event(), 0

    def __call__(self):
        self.runs += 1
        assert self.open.wait(30)
        return self.value


class TestOutsideOfARequest:
    def test_all_are_given_the_old_value_at_once_and_it_is_computed_once(self, cache):
        make_stale(cache)
        compute = Gate()
        assert at_once([partial(cache.get_or_set, "key", compute, 60, stale=60)] * 100) == ["old"] * 100
        compute.open.set()
        eventually(lambda: cache.get("key") == "new")
        assert compute.runs == 1

    def test_tasks_are_too(self, cache):
        make_stale(cache)
        runs = []

        async def compute():
            runs.append(await asyncio.sleep(0.1))
            return "new"

        async def ask():
            found = await asyncio.gather(*(cache.aget_or_set("key", compute, 60, stale=60) for _ in range(100)))
            await asyncio.sleep(0.3)
            return found

        assert async_to_sync(ask)() == ["old"] * 100
        assert cache.get("key") == "new"
        assert len(runs) == 1

    def test_a_refresh_outlives_a_loop_that_was_made_for_one_call(self, cache):
        make_stale(cache)

        async def compute():
            await asyncio.sleep(0.05)
            return "new"

        assert asyncio.run(cache.aget_or_set("key", compute, 60, stale=60)) == "old"
        eventually(lambda: cache.get("key") == "new")

    def test_who_asks_for_nothing_stale_computes(self, cache):
        make_stale(cache)
        assert cache.get_or_set("key", lambda: "new", 60) == "new"
        assert cache.get("key") == "new"

    def test_a_plain_get_finds_it_to_the_end_of_the_window(self, cache):
        make_stale(cache)
        assert cache.get("key") == "old"
        assert 50 < cache.ttl("key") < 60.1

    def test_after_the_window_it_is_gone(self, cache):
        cache.get_or_set("key", lambda: "old", 0.05, stale=0.05)
        time.sleep(0.15)
        assert cache.get_or_set("key", lambda: "new", 60, stale=60) == "new"

    def test_a_refresh_that_fails_is_told_and_left_to_the_next_caller(self, cache):
        make_stale(cache)
        told = []
        listener = lambda **kwargs: told.append((kwargs["operation"], type(kwargs["error"])))  # noqa: E731
        cache_error.connect(listener)

        def fail():
            raise LookupError

        try:
            assert cache.get_or_set("key", fail, 60, stale=60) == "old"
            eventually(lambda: told == [("refresh", LookupError)])
        finally:
            cache_error.disconnect(listener)
        time.sleep(0.1)
        assert cache.get_or_set("key", lambda: "new", 60, stale=60) == "old"
        eventually(lambda: cache.get("key") == "new")

    @pytest.mark.parametrize(
        ("happen", "left"),
        [
            (lambda cache: cache.delete("key"), None),
            (lambda cache: cache.expire_tags("tag"), None),
            (lambda cache: cache.set("key", "set", 60), "set"),
        ],
        ids=["delete", "expire_tags", "set"],
    )
    def test_what_happens_during_a_refresh_wins_and_ends_the_old_value(self, cache, happen, left):
        make_stale(cache, tags=["tag"])
        compute, ended = Gate(), threading.Event()

        def follow():
            value = compute()
            threading.Timer(0.3, ended.set).start()
            return value

        assert cache.get_or_set("key", follow, 60, tags=["tag"], stale=60) == "old"
        eventually(lambda: compute.runs == 1)
        happen(cache)
        assert cache.get("key") == left
        compute.open.set()
        assert ended.wait(30)
        assert cache.get("key") == left

    def test_after_an_expiry_the_old_value_is_not_served_even_as_stale(self, cache):
        make_stale(cache, tags=["tag"])
        cache.expire_tags("tag")
        assert cache.get_or_set("key", lambda: "new", 60, tags=["tag"], stale=60) == "new"

    def test_trips(self, cache):
        make_stale(cache)
        store = cache.__dict__["_direct"] = CountingStore(cache)
        compute = Gate()
        try:
            cache.get_or_set("key", compute, 60, stale=60)
            assert store.calls[:3] == ["read", "ttl", "swap"]
            eventually(lambda: compute.runs == 1)
            del store.calls[:]
            assert cache.get_or_set("key", compute, 60, stale=60) == "old"
            assert store.calls == ["read"]
            compute.open.set()
            eventually(lambda: store.calls == ["read", "swap"])
        finally:
            del cache.__dict__["_direct"]

    @pytest.mark.parametrize("stale", [-1, float("inf"), float("nan")])
    def test_a_window_that_cannot_be_meant_is_refused(self, cache, stale):
        with pytest.raises(ValueError, match="stale must be a number of seconds"):
            cache.get_or_set("key", lambda: 1, 60, stale=stale)


SEEN = []


class Sent(HttpResponse):
    """Tells when a server is done with it."""

    def close(self):
        SEEN.append("sent")
        super().close()


def compute():
    SEEN.append("computed")
    return "new"


async def acompute():
    return compute()


def view(request):
    found = CACHE.get_or_set("key", compute, 60, stale=60)
    SEEN.append(found)
    return Sent(found)


async def aview(request):
    found = await CACHE.aget_or_set("key", acompute, 60, stale=60)
    SEEN.append(found)
    return Sent(found)


urlpatterns = [path("", view), path("async/", aview)]


class TestInARequest:
    @pytest.fixture(autouse=True)
    def told(self, cache):
        SEEN.clear()
        make_stale(cache)
        with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
            yield

    def test_the_refresh_runs_after_the_response_was_sent(self):
        assert Client().get("/").content == b"old"
        assert SEEN == ["old", "sent", "computed"]
        assert CACHE.get("key") == "new"

    @pytest.mark.parametrize("url", ["/", "/async/"])
    def test_under_asgi_too(self, url):
        async def ask():
            # As ASGIHandler does, and the client does not.
            async with ThreadSensitiveContext():
                return await AsyncClient().get(url)

        assert async_to_sync(ask)().content == b"old"
        eventually(lambda: CACHE.get("key") == "new")
        assert SEEN == ["old", "sent", "computed"]

    def test_an_async_view_under_wsgi_is_refreshed_after_its_loop_has_ended(self):
        assert Client().get("/async/").content == b"old"
        eventually(lambda: CACHE.get("key") == "new")
        assert SEEN == ["old", "sent", "computed"]

    @pytest.mark.django_db
    def test_what_a_request_left_behind_does_not_concern_the_next(self):
        request_started.send(sender=None)
        CACHE.get_or_set("key", compute, 60, stale=60)
        request_started.send(sender=None)
        request_finished.send(sender=None)
        assert "computed" not in SEEN


TEMPLATE = (
    "{% load cacheplus %}{% for name in names %}{% cache timeout part name tags='tag' stale=60 %}"
    "{{ name }}{{ forloop.counter }}:{{ word }} {% endcache %}{% endfor %}"
)


def page(request):
    template = engines["django"].from_string(TEMPLATE)
    return Sent(template.render({"names": ["a", "b"], "word": WORDS[-1], "timeout": TIMEOUTS[-1]}, request))


WORDS, TIMEOUTS = ["old"], [1]
urlpatterns.append(path("fragments/", page))


class TestFragments:
    @pytest.fixture(autouse=True)
    def served(self):
        SEEN.clear()
        entry = {"BACKEND": "cacheplus.backends.locmem.LocMemCache", "LOCATION": secrets.token_hex(8)}
        settings = {"ROOT_URLCONF": __name__, "MIDDLEWARE": [], "TEMPLATES": TEMPLATES, "CACHES": {"default": entry}}
        with override_settings(**settings):
            yield

    def test_the_old_text_is_given_and_the_new_one_made_after_the_response(self):
        WORDS[:], TIMEOUTS[:] = ["old"], [1]
        first = Client().get("/fragments/").content
        time.sleep(1.1)
        WORDS.append("new")
        assert Client().get("/fragments/").content == first == b"a1:old b2:old "
        # Each with the variables of its own round of the loop.
        assert Client().get("/fragments/").content == b"a1:new b2:new "

    def test_an_expiry_ends_the_old_text_too(self):
        WORDS[:], TIMEOUTS[:] = ["old"], [1]
        Client().get("/fragments/")
        time.sleep(1.1)
        WORDS.append("new")
        expire_tags("tag")
        assert Client().get("/fragments/").content == b"a1:new b2:new "

    @pytest.mark.parametrize("stale", ["-1", "'soon'", "None", "nothing"])
    def test_a_window_that_is_no_number_is_refused(self, stale):
        template = f"{{% load cacheplus %}}{{% cache 60 part stale={stale} %}}x{{% endcache %}}"
        with pytest.raises(TemplateSyntaxError, match="which is no number of seconds"):
            engines["django"].from_string(template).render({})
