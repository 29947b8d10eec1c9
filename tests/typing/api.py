"""The documented usage, as sites write it: mypy reads it with the package, and nothing imports it."""

from __future__ import annotations

from typing import assert_type

from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views import View

from cacheplus import (
    CacheMixin,
    add_cache_tags,
    aexpire_tags,
    aexpire_view_cache,
    cache_page,
    cache_url,
    expire_changed,
    expire_fragment,
    expire_on_change,
    expire_tags,
    expire_view_cache,
)
from cacheplus.backends.base import BaseCache
from cacheplus.decorators import cache_control, never_cache, vary_on_cookie, vary_on_headers
from cacheplus.invalidation import Expired

CACHES = {"default": cache_url("redis://localhost:6379/1", TIMEOUT=60)}


@cache_page(60, tags=["news"], key_prefix="mobile", client_timeout=0)
def page(request: HttpRequest, slug: str) -> HttpResponse:
    response = HttpResponse(slug)
    add_cache_tags(response, "news", f"news-{slug}")
    return response


@cache_page(None, tags=lambda request, response: [f"status-{response.status_code}"], condition=lambda request: True)
async def apage(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@cache_control(max_age=60, public=True)
@vary_on_headers("Accept")
@vary_on_cookie
def page_with_headers(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@never_cache
def private(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


class Detail(CacheMixin, View):
    cache_timeout = None
    cache_tags = ("news",)

    def get_cache_timeout(self) -> float | None:
        return 60

    def get_cache_tags(self) -> list[str]:
        return ["news", str(self.kwargs["slug"])]

    def should_cache(self, request: HttpRequest) -> bool:
        return super().should_cache(request) and "raw" not in request.GET

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        return HttpResponse(slug)


urlpatterns = [
    path("a/<slug:slug>/", page),
    path("b/", cache_page(60 * 15, cache="default")(private)),
    path("c/<slug:slug>/", Detail.as_view()),
]

# A decorated view keeps its type.
assert_type(page(HttpRequest(), "slug"), HttpResponse)


def expire(instance: object) -> None:
    expired = expire_view_cache("/blog/1/", "mobile", host="example.com", query="", on_commit=False)
    assert_type(expired, Expired)
    ok, message = expired
    assert_type(ok, bool)
    assert_type(message, str)
    assert_type(bool(expire_view_cache(instance, prefix=True, cache="default")), bool)
    expire_tags("news", "sport", cache="default")
    expire_fragment("sidebar", ["ann"], using="default")
    expire_changed(Group(name="a"), Group.objects.all(), [User(username="ann")])


async def aexpire() -> None:
    assert_type(await aexpire_view_cache("/blog/1/", host="example.com"), Expired)
    assert_type(await aexpire_tags("news"), Expired)


def ready() -> None:
    expire_on_change(Group, User, paths=lambda user: [f"/{user}/", "/"], tags=lambda user: "users")


def values(cache: BaseCache) -> None:
    cache.set("key", 1, 60, tags=["news"])
    cache.set_many({"a": 1}, tags=["news"])
    assert_type(cache.add("key", 1, tags=["news"]), bool)
    assert_type(cache.expire_tags("news"), int)
    assert_type(cache.ttl("key"), float | None)
    cache.get_or_set("key", lambda: 1, None, tags=["news"])
    cache.clear(everything=True)
    with cache.lock("key", timeout=5, wait=1):
        pass


async def avalues(cache: BaseCache) -> None:
    async def compute() -> int:
        return 1

    await cache.aset("key", 1, tags=["news"])
    await cache.aget_or_set("key", compute, 60, tags=["news"])
    assert_type(await cache.attl("key"), float | None)
    async with cache.alock("key"):
        pass
