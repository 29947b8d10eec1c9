"""An expiry in the middle of a computation: what was computed from old data is never served afterwards."""

from __future__ import annotations

import secrets
import threading

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import path

from cacheplus import add_cache_tags, cached, expire_fragment, expire_tags, expire_view_cache
from cacheplus.decorators import cache_page
from tests.sites import TEMPLATES, layers, site, visitor

ROUNDS = 20


class Slow:
    """Reads data, and waits in the middle until the data were changed and expired by another thread."""

    def __init__(self, expire):
        self.expire = expire
        self.data = 0
        self.is_slow = False
        self.has_read = threading.Event()
        self.is_expired = threading.Event()

    def read(self):
        data = self.data
        if self.is_slow:
            self.has_read.set()
            assert self.is_expired.wait(10)
        return data

    def round(self, compute):
        """Compute from old data while they change, as a writer in another thread would do; the answer is old."""
        self.is_slow = True
        self.has_read.clear()
        self.is_expired.clear()
        answers = []
        worker = threading.Thread(target=lambda: answers.append(compute()))
        worker.start()
        assert self.has_read.wait(10)
        self.is_slow = False
        self.data += 1
        self.expire()
        self.is_expired.set()
        worker.join(10)
        return answers[0]


def stale_rounds(slow, compute, forget, *, is_used):
    """In how many of the rounds old data were served after their expiry."""
    stale = 0
    for _ in range(ROUNDS):
        if is_used:
            compute()
        forget()
        assert slow.round(compute) == str(slow.data - 1)
        stale += compute() != str(slow.data)
        # What was computed after the expiry is cached.
        slow.data += 1
        assert compute() == str(slow.data - 1)
        slow.expire()
    return stale


def body():
    return visitor().get("/").content.decode()


TEMPLATE = "{% load cacheplus %}{% cache 300 part tags=names %}{{ slow.read }}{% endcache %}"


def fragment(slow, names=()):
    return engines["django"].from_string(TEMPLATE).render({"slow": slow, "names": names})


def tagged(*names):
    """A view whose response gets its tags when the data were read."""

    def view(slow):
        def answer(request):
            response = HttpResponse(slow.read())
            add_cache_tags(response, *names)
            return response

        return answer

    return view


def plain(slow):
    return lambda request: HttpResponse(slow.read())


def templated(slow):
    return lambda request: TemplateResponse(request, engines["django"].from_string("{{ slow.read }}"), {"slow": slow})


def with_fragment(slow):
    return lambda request: TemplateResponse(
        request, engines["django"].from_string(TEMPLATE), {"slow": slow, "names": ["news"]}
    )


PAGES = {
    "path": (plain, {}, lambda: expire_view_cache("/")),
    "template response": (templated, {}, lambda: expire_view_cache("/")),
    "tree": (plain, {}, lambda: expire_view_cache("/", prefix=True)),
    "tag": (plain, {"tags": ["news"]}, lambda: expire_tags("news")),
    "tag by a function": (plain, {"tags": lambda request, response: ["news"]}, lambda: expire_tags("news")),
    "tag of the response": (tagged("news"), {}, lambda: expire_tags("news")),
    "second tag of the response": (tagged("other", "news"), {}, lambda: expire_tags("unrelated", "news")),
    "tag of a fragment": (with_fragment, {}, lambda: expire_tags("news")),
    "fragment": (with_fragment, {}, lambda: expire_fragment("part")),
}


@pytest.mark.parametrize("is_used", [True, False], ids=["used before", "never used"])
@pytest.mark.parametrize("shape", ["pair", "one line", "none"])
@pytest.mark.parametrize("kind", PAGES)
def test_pages(kind, shape, is_used):
    answer, options, expire = PAGES[kind]
    slow = Slow(expire)
    # The tags that are arguments need the decorator.
    wrap = cache_page(300, **options) if options or shape == "none" else lambda view: view
    with site(path("", wrap(answer(slow))), MIDDLEWARE=layers(shape)):
        assert stale_rounds(slow, body, expire, is_used=is_used) == 0


@pytest.mark.parametrize("is_used", [True, False], ids=["used before", "never used"])
@pytest.mark.parametrize("expire", [lambda: expire_tags("news"), lambda: expire_fragment("part")], ids=["tag", "name"])
def test_fragments(expire, is_used):
    slow = Slow(expire)
    with site(TEMPLATES=TEMPLATES):
        assert stale_rounds(slow, lambda: fragment(slow, ["news"]), expire, is_used=is_used) == 0


@pytest.mark.parametrize("is_used", [True, False], ids=["used before", "never used"])
def test_values(is_used):
    def expire():
        cache.expire_tags("news")

    slow = Slow(expire)
    with site():
        compute = lambda: cache.get_or_set("key", lambda: str(slow.read()), tags=["news"])  # noqa: E731
        assert stale_rounds(slow, compute, expire, is_used=is_used) == 0


@pytest.mark.parametrize("is_used", [True, False], ids=["used before", "never used"])
def test_values_within_values(is_used):
    def expire():
        cache.expire_tags("news")

    slow = Slow(expire)

    def inner():
        return cache.get_or_set("inner", lambda: str(slow.read()), tags=["news"])

    with site():
        assert stale_rounds(slow, lambda: cache.get_or_set("outer", inner), expire, is_used=is_used) == 0


@pytest.mark.parametrize("shape", ["pair", "one line", "none"])
def test_a_tag_that_is_added_after_the_expiry_that_concerns_it(shape):
    """The view reads, the data change and expire, and only then the view says on what its page depends."""
    data, changed = [0], []

    def view(request):
        response = HttpResponse(str(data[0]))
        if changed:
            data[0] += 1
            changed.pop()()
        add_cache_tags(response, "news")
        return response

    wrap = cache_page(300) if shape == "none" else lambda view: view
    with site(path("", wrap(view)), MIDDLEWARE=layers(shape)):
        for number in range(ROUNDS):
            if number % 2:
                assert body() == str(data[0])
            expire_tags("news")
            changed.append(lambda: expire_tags("news"))
            assert body() == str(data[0] - 1)
            assert body() == str(data[0])
            assert body() == str(data[0])


STORES = {
    "filebased": ("filebased.FileBasedCache", lambda request: str(request.getfixturevalue("tmp_path"))),
    "lmdb": ("lmdb.LMDBCache", lambda request: str(request.getfixturevalue("tmp_path"))),
    "redis": ("redis.RedisCache", lambda request: request.getfixturevalue("redis_server").url),
    "memcached": ("memcached.PyMemcacheCache", lambda request: request.getfixturevalue("memcached_server").address),
    "locmem": ("locmem.LocMemCache", lambda request: secrets.token_hex(8)),
}


@pytest.fixture(params=STORES)
def store(request):
    backend, location = STORES[request.param]
    prefix = secrets.token_hex(6)
    return {"BACKEND": f"cacheplus.backends.{backend}", "LOCATION": location(request), "KEY_PREFIX": prefix}


@pytest.mark.parametrize("is_used", [True, False], ids=["used before", "never used"])
class TestEveryStore:
    def rounds(self, store, slow, compute, *, is_used, routes=()):
        with site(*routes, CACHES={"default": store}, TEMPLATES=TEMPLATES):
            return stale_rounds(slow, compute, slow.expire, is_used=is_used)

    def test_pages(self, store, is_used):
        slow = Slow(lambda: expire_view_cache("/"))
        routes = [path("", cache_page(300)(plain(slow)))]
        assert self.rounds(store, slow, body, is_used=is_used, routes=routes) == 0

    def test_fragments(self, store, is_used):
        slow = Slow(lambda: expire_tags("news"))
        assert self.rounds(store, slow, lambda: fragment(slow, ["news"]), is_used=is_used) == 0

    @pytest.mark.parametrize("call", ["expire", "expire_all"])
    def test_functions(self, store, is_used, call):
        function = cached(300)(lambda: str(slow.read()))
        slow = Slow(getattr(function, call))
        assert self.rounds(store, slow, function, is_used=is_used) == 0

    def test_values_with_tags(self, store, is_used):
        slow = Slow(lambda: cache.expire_tags("news"))
        compute = lambda: cache.get_or_set("key", lambda: str(slow.read()), tags=["news"])  # noqa: E731
        assert self.rounds(store, slow, compute, is_used=is_used) == 0

    def test_plain_keys(self, store, is_used):
        slow = Slow(lambda: cache.delete("key"))
        compute = lambda: cache.get_or_set("key", lambda: str(slow.read()))  # noqa: E731
        assert self.rounds(store, slow, compute, is_used=is_used) == 0
