"""Page caching for class-based views, sync and async."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from django.core.cache import DEFAULT_CACHE_ALIAS
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from cacheplus import conf
from cacheplus.pages.cache import PageCache
from cacheplus.pages.facts import carries, is_authenticated
from cacheplus.pages.options import PageOptions, rules_given
from cacheplus.pages.views import cached_view
from cacheplus.site import site


class CacheMixin:
    """Put it first among the bases of a view. Timeouts are seconds; None = until the page is expired.

    The attributes have the meaning of the arguments of `cache_page`.
    """

    cache_timeout: float | None = 300
    cache_alias: str | None = None
    cache_key_prefix: str | None = None
    cache_client_timeout: float | None = None
    cache_stale: float | None = None
    cache_stale_if_error: float | None = None
    cache_tags: Collection[str] = ()
    cache_public: bool = False
    cache_per_user: bool = False
    cache_fill_csrf: bool = False
    cache_statuses: Mapping[int, float | None] | None = None
    cache_ignore_query: Collection[str] | None = None

    def get_cache_timeout(self) -> float | None:
        """How long the page is fresh; called with `self.request`, `self.args` and `self.kwargs` set."""
        return self.cache_timeout

    def get_cache_tags(self) -> Collection[str]:
        """The tags of the page; called before the view runs."""
        return self.cache_tags

    def should_cache(self, request: HttpRequest) -> bool:
        """Whether the cache takes part in this request: not for a visitor who is logged in, unless `cache_per_user`.

        A request without a session cookie is not asked for its user, which could cost a query.
        """
        if self.cache_per_user:
            return True
        has_session = carries(request, frozenset({conf.setting("SESSION_COOKIE_NAME")}))
        return not (has_session and is_authenticated(request))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The view behind the page cache; a coroutine for an async view."""
        view: Callable[..., Any] = super().dispatch  # type: ignore[misc]
        if getattr(self, "view_is_async", False):
            view = _awaiting(view)
        return cached_view(view, self._pages(), site, name="CacheMixin")(request, *args, **kwargs)

    def _pages(self) -> PageCache:
        return PageCache(
            PageOptions(
                alias=self.cache_alias or DEFAULT_CACHE_ALIAS,
                key_prefix=self.cache_key_prefix or "",
                layer="view",
                given={
                    "page_timeout": self.get_cache_timeout(),
                    "public": self.cache_public,
                    "per_user": self.cache_per_user,
                    **rules_given(
                        stale=self.cache_stale,
                        stale_if_error=self.cache_stale_if_error,
                        statuses=self.cache_statuses,
                    ),
                },
                client_timeout=self.cache_client_timeout,
                tags=self.get_cache_tags(),
                condition=self.should_cache,
                fill_csrf=self.cache_fill_csrf,
                ignore_query=self.cache_ignore_query,
            )
        )


def _awaiting(dispatch: Callable[..., Awaitable[HttpResponseBase]]) -> Callable[..., Awaitable[HttpResponseBase]]:
    """The `dispatch` of an async view returns a coroutine without being a coroutine function."""

    async def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return await dispatch(request, *args, **kwargs)

    return view
