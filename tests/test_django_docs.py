"""What Django's documentation of the cache shows, from 1.2 to 6.1, done on cacheplus."""

import pytest
from django.core.cache import cache, caches
from django.core.cache.utils import make_template_fragment_key
from django.http import HttpResponse
from django.template import Context, Engine
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View

from cacheplus.backends.base import BaseCache
from cacheplus.backends.locmem import LocMemCache
from cacheplus.decorators import cache_control, cache_page, never_cache, vary_on_cookie, vary_on_headers
from cacheplus.utils import patch_vary_headers

LOCMEM = "cacheplus.backends.locmem.LocMemCache"


@pytest.fixture(autouse=True)
def one_store(request):
    with override_settings(
        CACHES={
            "default": {"BACKEND": LOCMEM, "LOCATION": request.node.nodeid},
            "special_cache": {"BACKEND": LOCMEM, "LOCATION": f"{request.node.nodeid} special"},
        }
    ):
        yield


class Calls:
    """A view that counts how often it ran."""

    def __init__(self):
        self.number = 0

    def __call__(self, request, *args, **kwargs):
        self.number += 1
        return HttpResponse(f"{self.number} {args} {kwargs}")


class TestPerSite:
    PAIR = (
        "cacheplus.middleware.UpdateCacheMiddleware",
        "django.middleware.common.CommonMiddleware",
        "cacheplus.middleware.FetchFromCacheMiddleware",
    )

    def test_get_and_head_with_status_200_are_cached_with_the_headers_the_docs_promise(self):
        view = Calls()
        urls = type("urls", (), {"urlpatterns": [path("foo/", view)]})
        with override_settings(
            MIDDLEWARE=self.PAIR,
            ROOT_URLCONF=urls,
            CACHE_MIDDLEWARE_ALIAS="default",
            CACHE_MIDDLEWARE_SECONDS=60,
            CACHE_MIDDLEWARE_KEY_PREFIX="site",
        ):
            first, second = Client().get("/foo/"), Client().get("/foo/")
        assert view.number == 1
        assert first.content == second.content
        assert first["Cache-Control"] == "max-age=60"
        assert "Expires" in first


class TestPerView:
    def test_a_decorated_view(self):
        view = Calls()
        my_view = cache_page(60 * 15)(view)
        for _ in range(2):
            my_view(RequestFactory().get("/foo/"))
        assert view.number == 1

    def test_urls_that_point_at_one_view_are_cached_apart(self):
        view = Calls()
        urls = type("urls", (), {"urlpatterns": [path("foo/<int:code>/", cache_page(60 * 15)(view))]})
        with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[]):
            pages = [Client().get(url).content for url in ("/foo/1/", "/foo/23/", "/foo/1/")]
        assert pages[0] == pages[2] != pages[1]

    def test_a_cache_of_its_own(self):
        my_view = cache_page(60 * 15, cache="special_cache")(Calls())
        request = RequestFactory().get("/foo/")
        first = my_view(request).content
        cache.clear()
        assert my_view(request).content == first
        caches["special_cache"].clear()
        assert my_view(request).content != first

    def test_a_prefix_of_its_own(self):
        view = Calls()
        request = RequestFactory().get("/foo/")
        cache_page(60 * 15, key_prefix="site1")(view)(request)
        cache_page(60 * 15, key_prefix="site2")(view)(request)
        assert view.number == 2

    def test_with_other_decorators_and_on_the_dispatch_of_a_class(self):
        view = Calls()

        @method_decorator([csrf_exempt, cache_page(60)], name="dispatch")
        class Page(View):
            def get(self, request):
                return view(request)

        for _ in range(2):
            Page.as_view()(RequestFactory().get("/"))
        assert view.number == 1


class TestFragments:
    engine = Engine(libraries={"cacheplus": "cacheplus.templatetags.cacheplus"})

    def render(self, text, **context):
        return self.engine.from_string("{% load cacheplus %}" + text).render(Context(context))

    def test_a_block_is_kept_under_its_name(self):
        text = "{% cache 500 sidebar %}{{ value }}{% endcache %}"
        assert [self.render(text, value=value) for value in (1, 2)] == ["1", "1"]

    def test_a_block_by_user(self):
        text = "{% cache 500 sidebar name %}{{ value }}{% endcache %}"
        assert self.render(text, name="ann", value=1) == "1"
        assert self.render(text, name="bob", value=2) == "2"
        assert self.render(text, name="ann", value=3) == "1"

    def test_a_timeout_from_a_variable(self):
        text = "{% cache my_timeout sidebar %}{{ value }}{% endcache %}"
        assert [self.render(text, my_timeout=600, value=value) for value in (1, 2)] == ["1", "1"]

    def test_an_alias_by_name(self):
        self.render('{% cache 300 local-thing using="special_cache" %}x{% endcache %}')
        assert caches["special_cache"].get(make_template_fragment_key("local-thing")) == "x"
        assert cache.get(make_template_fragment_key("local-thing")) is None

    def test_a_fragment_is_deleted_by_its_key(self):
        text = "{% cache 500 sidebar name %}{{ value }}{% endcache %}"
        self.render(text, name="ann", value=1)
        key = make_template_fragment_key("sidebar", ["ann"])
        assert cache.delete(key) is True
        assert self.render(text, name="ann", value=2) == "2"


class TestLowLevel:
    def test_basic_usage(self):
        assert caches["default"] is caches["default"]
        assert isinstance(caches["default"], BaseCache)
        assert cache.set("my_key", "hello, world!", 30) is None
        assert cache.get("my_key") == "hello, world!"
        assert cache.get("gone") is None
        assert cache.get("gone", "has expired") == "has expired"

    def test_a_stored_none_is_told_from_nothing(self):
        sentinel = object()
        cache.set("my_key", None)
        assert cache.get("my_key", sentinel) is None
        assert cache.get("gone", sentinel) is sentinel

    def test_add(self):
        cache.set("add_key", "Initial value")
        assert cache.add("add_key", "New value") is False
        assert cache.get("add_key") == "Initial value"

    def test_get_or_set(self):
        assert cache.get_or_set("my_new_key", "my new value", 100) == "my new value"
        assert cache.get("my_new_key") == "my new value"
        assert cache.get_or_set("some-timestamp-key", lambda: 42) == 42
        assert cache.get_or_set("some-timestamp-key", lambda: 43) == 42

    def test_many(self):
        assert cache.set_many({"a": 1, "b": 2, "c": 3}) == []
        assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": 2, "c": 3}
        cache.delete_many(["a", "b"])
        assert cache.get_many(["a", "b", "c"]) == {"c": 3}

    def test_delete_clear_touch(self):
        cache.set_many({"a": 1, "b": 2})
        assert cache.delete("a") is True
        assert cache.delete("a") is False
        assert cache.touch("b", 10) is True
        assert cache.touch("a", 10) is False
        cache.clear()
        assert cache.get("b") is None

    def test_counters(self):
        cache.set("num", 1)
        assert [cache.incr("num"), cache.incr("num", 10), cache.decr("num"), cache.decr("num", 5)] == [2, 12, 11, 6]
        with pytest.raises(ValueError, match="not found"):
            cache.incr("missing")

    def test_close(self):
        cache.set("a", 1)
        cache.close()
        assert cache.get("a") == 1

    def test_versions(self):
        cache.set("my_key", "hello world!", version=2)
        assert cache.get("my_key") is None
        assert cache.get("my_key", version=2) == "hello world!"
        assert cache.incr_version("my_key", version=2) == 3
        assert cache.get("my_key", version=2) is None
        assert cache.get("my_key", version=3) == "hello world!"
        assert cache.decr_version("my_key", version=3) == 2

    @pytest.mark.filterwarnings("error")
    def test_a_subclass_with_rules_of_its_own_for_keys(self):
        class CustomLocMemCache(LocMemCache):
            def validate_key(self, key):
                """Anything goes."""

        odd = "a key with spaces, and " + "long " * 60
        custom = CustomLocMemCache("custom", {})
        custom.set(odd, 1)
        assert custom.get(odd) == 1

    def test_a_key_function(self):
        def make_key(key, key_prefix, version):
            return ":".join([key_prefix, str(version), key])

        mine = LocMemCache("key function", {"KEY_FUNCTION": make_key, "KEY_PREFIX": "p"})
        mine.set("k", 1)
        assert mine.make_key("k") == "p:1:k"
        assert mine.get("k") == 1

    async def test_async_calls_have_an_a(self):
        await cache.aset("num", 1)
        assert await cache.ahas_key("num") is True
        assert await cache.aincr("num") == 2
        assert await cache.aget_many(["num"]) == {"num": 2}
        assert await cache.aget_or_set("other", lambda: 3) == 3
        assert await cache.adelete("num") is True
        await cache.aclear()
        await cache.aclose()


class TestHeaders:
    def test_vary(self):
        @vary_on_headers("User-Agent", "Cookie")
        def my_view(request):
            return HttpResponse()

        @vary_on_cookie
        def other_view(request):
            return HttpResponse()

        def patching_view(request):
            response = HttpResponse()
            patch_vary_headers(response, ["Cookie"])
            return response

        request = RequestFactory().get("/")
        assert my_view(request)["Vary"] == "User-Agent, Cookie"
        assert other_view(request)["Vary"] == patching_view(request)["Vary"] == "Cookie"

    def test_cache_control(self):
        @cache_control(private=True, max_age=3600)
        def my_view(request):
            return HttpResponse()

        assert set(my_view(RequestFactory().get("/"))["Cache-Control"].split(", ")) == {"private", "max-age=3600"}

    def test_never_cache(self):
        view = Calls()
        my_view = cache_page(60)(never_cache(view))
        for _ in range(2):
            response = my_view(RequestFactory().get("/"))
        assert view.number == 2
        assert "no-store" in response["Cache-Control"]

    def test_a_private_page_is_not_kept(self):
        view = Calls()
        my_view = cache_page(60)(cache_control(private=True)(view))
        for _ in range(2):
            my_view(RequestFactory().get("/"))
        assert view.number == 2
