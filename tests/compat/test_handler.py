"""Django's own handler, decorators and tag with our backends, and ours beside Django's."""

import pytest
from django.core.cache import cache, caches
from django.http import HttpResponse
from django.template import Context, Engine
from django.test import RequestFactory, override_settings
from django.views.decorators.cache import cache_page as django_cache_page

from cacheplus.backends.locmem import LocMemCache
from cacheplus.decorators import cache_page
from cacheplus.invalidation import expire_tags, expire_view_cache

DJANGO = "django.core.cache.backends.locmem.LocMemCache"
OURS = "cacheplus.backends.locmem.LocMemCache"


@pytest.fixture(autouse=True)
def both(request):
    with override_settings(
        CACHES={
            "default": {"BACKEND": OURS, "LOCATION": request.node.nodeid},
            "django": {"BACKEND": DJANGO, "LOCATION": request.node.nodeid},
        }
    ):
        yield


def test_the_proxy_is_our_backend():
    assert isinstance(caches["default"], LocMemCache)
    cache.set("key", 1)
    assert caches["default"].get("key") == 1


def test_settings_that_change_change_the_backend():
    cache.set("key", 1)
    with override_settings(CACHES={"default": {"BACKEND": OURS, "LOCATION": "elsewhere"}}):
        assert cache.get("key") is None
    assert cache.get("key") == 1


def test_all_caches_close_together():
    caches["default"].set("key", 1)
    caches.close_all()
    assert cache.get("key") == 1


def test_a_method_that_a_tool_replaces_on_the_instance_is_used():
    caches["default"].get = lambda *args, **kwargs: "watched"
    assert cache.get("anything") == "watched"


async def test_a_sync_method_that_a_subclass_overrides_is_used_by_its_twin():
    class Shouting(LocMemCache):
        def get(self, key, default=None, version=None):
            return str(super().get(key, default, version)).upper()

    mine = Shouting("shouting", {})
    await mine.aset("key", "quiet")
    assert await mine.aget("key") == "QUIET"


def test_a_sync_method_with_django_s_signature_takes_no_tags():
    class Counting(LocMemCache):
        writes = 0

        def set(self, key, value, timeout=300, version=None):
            self.writes += 1
            super().set(key, value, timeout, version)

    mine = Counting("counting", {})
    mine.set("key", 1)
    assert (mine.writes, mine.get("key")) == (1, 1)


def test_django_s_tag_works_on_our_store():
    engine = Engine(libraries={"cache": "django.templatetags.cache"})
    template = engine.from_string("{% load cache %}{% cache 60 name %}{{ value }}{% endcache %}")
    assert [template.render(Context({"value": value})) for value in (1, 2)] == ["1", "1"]


def test_django_s_decorator_works_on_our_store():
    calls = []
    view = django_cache_page(60)(lambda request: calls.append(1) or HttpResponse("x"))
    for _ in range(2):
        view(RequestFactory().get("/"))
    assert len(calls) == 1


def test_pages_refuse_a_backend_that_is_not_ours_and_say_what_to_do():
    view = cache_page(60, cache="django")(lambda request: HttpResponse("x"))
    with pytest.raises(TypeError, match=r"alias 'django'.*LocMemCache.*Set its BACKEND to one of cacheplus.backends"):
        view(RequestFactory().get("/"))


def test_expiry_passes_over_a_backend_that_is_not_ours():
    cache.set("key", 1, tags=["tag"])
    assert expire_tags("tag")
    assert cache.get("key") is None


def test_expiry_of_a_backend_that_is_not_ours_says_so():
    with pytest.raises(TypeError, match="'django' is not one of cacheplus"):
        expire_view_cache("/", cache="django")
