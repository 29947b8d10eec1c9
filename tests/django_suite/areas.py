"""Which of Django's tests concern a cache, by area. One area is one process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Area:
    """Labels for Django's runtests.py, and whether the choice of database matters."""

    labels: tuple[str, ...]
    database: bool = False


def _cache(*classes: str) -> tuple[str, ...]:
    return tuple(f"cache.tests.{name}" for name in classes)


AREAS = {
    "locmem": Area(_cache("LocMemCacheTests", "DefaultNonExpiringCacheKeyTests")),
    "filebased": Area(_cache("FileBasedCacheTests", "FileBasedCachePathLibTests")),
    "db": Area(_cache("DBCacheTests", "CreateCacheTableForDBCacheTests"), database=True),
    "db-timezone": Area(_cache("DBCacheWithTimeZoneTests"), database=True),
    "redis": Area(_cache("RedisCacheTests")),
    "pymemcache": Area(_cache("PyMemcacheCacheTests")),
    "pylibmc": Area(_cache("PyLibMCCacheTests")),
    "dummy": Area((*_cache("DummyCacheTests"), "cache.tests_async")),
    "handler": Area(_cache("CacheHandlerTest", "CacheClosingTests", "CustomCacheKeyValidationTests")),
    "headers": Area(_cache("CacheUtils", "PrefixedCacheUtils", "TestWithTemplateResponse")),
    "middleware": Area(
        (
            *_cache("CacheMiddlewareTest", "CacheHEADTest", "CacheI18nTest", "PrefixedCacheI18nTest"),
            "template_tests.test_response.CacheMiddlewareTest",
            "deprecation.test_middleware_mixin.MiddlewareMixinTests",
        )
    ),
    "fragments": Area((*_cache("TestMakeTemplateFragmentKey"), "template_tests.syntax_tests.test_cache")),
    "decorators": Area(("decorators.test_cache", "decorators.test_vary", "decorators.tests")),
    "checks": Area(("check_framework.test_caches",)),
    "sessions": Area(
        (
            "sessions_tests.tests.CacheDBSessionTests",
            "sessions_tests.tests.CacheDBSessionWithTimeZoneTests",
            "sessions_tests.tests.CacheSessionTests",
        )
    ),
    "around": Area(
        (
            "async.tests.CacheTest",
            "generic_views.test_base.TemplateViewTest.test_cached_views",
            "responses.tests.HttpResponseTests.test_generator_cache",
            "sitemaps_tests.test_http.HTTPSitemapTests.test_cached_sitemap_index",
        )
    ),
}
