"""Django's page cache and ours, per site and per view, each on a store of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.cache.backends.base import InvalidCacheKey, memcache_key_warnings
from django.core.cache.backends.locmem import LocMemCache as DjangoLocMemCache
from django.urls import path
from django.views import View
from django.views.decorators.cache import cache_page as django_cache_page

from cacheplus.backends.locmem import LocMemCache
from cacheplus.decorators import cache_page
from cacheplus.mixins import CacheMixin
from tests.sites import SESSION, layers, site

DJANGO_UPDATE = "django.middleware.cache.UpdateCacheMiddleware"
DJANGO_FETCH = "django.middleware.cache.FetchFromCacheMiddleware"


def plain(view: Any) -> Any:
    """The view itself."""
    return view


def mixed(view: Any) -> Any:
    """The view as the `get` of a class with CacheMixin."""

    class Mixed(CacheMixin, View):
        def get(self, request: Any) -> Any:
            return view(request)

    return Mixed.as_view()


def awaited(view: Any) -> Any:
    """The view as a coroutine, behind the decorator."""

    async def coroutine(request: Any) -> Any:
        return view(request)

    return cache_page(300)(coroutine)


class StrictDjangoLocMem(DjangoLocMemCache):
    """Django's local memory, as strict about keys as memcached."""

    def validate_key(self, key: str) -> None:
        """Refuse what memcached refuses."""
        for warning in memcache_key_warnings(key):
            raise InvalidCacheKey(warning)


class StrictLocMem(LocMemCache):
    """Ours, as strict."""

    def validate_key(self, key: str) -> None:
        """Refuse what memcached refuses."""
        for warning in memcache_key_warnings(key):
            raise InvalidCacheKey(warning)


@dataclass(frozen=True)
class Shell:
    """One way to cache a view."""

    name: str
    wrap: Callable[[Any], Any]
    shape: str
    is_django: bool

    @property
    def is_per_view(self) -> bool:
        """Whether the decorator or the mixin caches, not the middleware."""
        return self.shape == "none"

    def backend(self, *, strict: bool = False) -> dict[str, Any]:
        """An entry of CACHES that nobody else has."""
        cls = (StrictDjangoLocMem if strict else DjangoLocMemCache) if self.is_django else None
        cls = cls or (StrictLocMem if strict else LocMemCache)
        return {"BACKEND": f"{cls.__module__}.{cls.__qualname__}", "LOCATION": secrets.token_hex(8)}

    def serve(self, view: Any, *, between: tuple[str, ...] = (SESSION,), strict: bool = False, **settings: Any) -> Any:
        """A site with the view at /, cached in this way."""
        middleware = layers(self.shape, *between)
        if self.is_django and self.shape == "pair":
            middleware = [DJANGO_UPDATE, *between, DJANGO_FETCH]
        given = {
            "CACHES": {"default": self.backend(strict=strict)},
            "MIDDLEWARE": middleware,
            "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
            **settings,
        }
        return site(path("", self.wrap(view)), **given)


SITE, VIEW = "Django per site", "Django per view"
DJANGO = (Shell(SITE, plain, "pair", True), Shell(VIEW, django_cache_page(300), "none", True))
OURS = (
    Shell("pair", plain, "pair", False),
    Shell("one line", plain, "one line", False),
    Shell("cache_page", cache_page(300), "none", False),
    Shell("cache_page, async", awaited, "none", False),
    Shell("CacheMixin", mixed, "none", False),
)
