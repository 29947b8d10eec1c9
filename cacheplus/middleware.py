"""The page cache as middleware: Django's pair, and one class for the whole.

`UpdateCacheMiddleware` stands first in MIDDLEWARE and stores, `FetchFromCacheMiddleware` stands last and looks up, so
that everything between them takes part in the key. `CacheMiddleware` alone stands first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from cacheplus import conf
from cacheplus.backends.base import BaseCache
from cacheplus.http.facts import UNSET
from cacheplus.pages.cache import PageCache
from cacheplus.pages.client import restore
from cacheplus.pages.options import PageOptions
from cacheplus.pages.refresh import Beginning, Render, beginning_of
from cacheplus.pages.visit import Visit
from cacheplus.site import expected_locale, site

# Where a visit waits on the request between the two halves.
_VISIT = "_cacheplus_visit"
# Django's flag between its own two halves. Its tests and some sites set it by hand.
_FLAG = "_cache_update_cache"

GetResponse = Callable[[HttpRequest], HttpResponseBase]
AsyncGetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class _PageMiddleware(MiddlewareMixin):
    """What both halves know. The attributes are Django's, read on each request; seconds, None for ever."""

    page_timeout: float | None = None
    client_timeout: float | None = None

    def __init__(self, get_response: GetResponse | AsyncGetResponse) -> None:
        super().__init__(get_response)
        self.cache_timeout = conf.page_seconds()
        self.key_prefix = conf.page_key_prefix()
        self.cache_alias = conf.page_alias()
        self.client_timeout = conf.conf().client_timeout

    @property
    def cache(self) -> BaseCache:
        """The backend that the pages are kept on; a different object in each thread."""
        return self._pages.cache

    @property
    def _pages(self) -> PageCache:
        given = {
            "default_timeout": self.cache_timeout,
            "page_timeout": UNSET if self.page_timeout is None else self.page_timeout,
            "anonymous_only": conf.pages_anonymous_only(),
        }
        return PageCache(
            PageOptions(
                alias=self.cache_alias, key_prefix=self.key_prefix, given=given, client_timeout=self.client_timeout
            )
        )

    def _remember(self, request: HttpRequest, visit: Visit) -> HttpResponseBase | None:
        """Leave the visit to the other half; the hit, if there is one."""
        setattr(request, _VISIT, visit)
        setattr(request, _FLAG, visit.hit is None and visit.facts.method in ("GET", "HEAD"))
        return visit.hit


class UpdateCacheMiddleware(_PageMiddleware):
    """The storing half. Must stand first in MIDDLEWARE, so that it sees what all others did to the response."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Store the response of a visit that was no hit."""
        visit = _open_visit(request)
        if visit is None:
            return _told_again(request, response)
        return visit.release(self._pages.finish(visit, response))

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return self.__acall__(request)
        beginning = beginning_of(request)
        if not getattr(request, _FLAG, False):
            told = self.process_response(request, self.get_response(request))  # type: ignore[arg-type]
            return self._refreshed_after(request, told, beginning, self)
        visit = _asked_by_hand(request, self._pages.look(request, site()))
        with visit.rendering():
            response = self.get_response(request)
        return self.process_response(request, response)  # type: ignore[arg-type]

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """The same, awaiting."""
        beginning = beginning_of(request)
        if getattr(request, _FLAG, False):
            visit = _asked_by_hand(request, await self._pages.alook(request, site()))
            with visit.rendering():
                response = await self.get_response(request)  # type: ignore[misc]
        else:
            response = await self.get_response(request)  # type: ignore[misc]
        visit_now = _open_visit(request)
        if visit_now is None:
            response = _told_again(request, response)
            return self._refreshed_after(request, response, beginning, async_to_sync(self.__acall__))
        return visit_now.release(await self._pages.afinish(visit_now, response))

    def _refreshed_after(
        self, request: HttpRequest, response: HttpResponseBase, beginning: Beginning, render: Render
    ) -> HttpResponseBase:
        visit: Visit | None = getattr(request, _VISIT, None)
        if visit is not None:
            self._pages.refresh_after(visit, response, beginning, render)
        return response


class FetchFromCacheMiddleware(_PageMiddleware):
    """The looking half. Must stand last in MIDDLEWARE, so that all that decides on the page has happened."""

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        """The stored page for the request, if there is one."""
        return self._remember(request, self._pages.look(request, site()))

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return self.__acall__(request)
        hit = self.process_request(request)
        if hit is not None:
            return hit
        visit: Visit = getattr(request, _VISIT)
        response = self._pages.ask(visit, partial(self.get_response, request))
        visit.hold_conditions(response)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """The same, awaiting."""
        visit = await self._pages.alook(request, site())
        if self._remember(request, visit) is not None:
            return visit.hit  # type: ignore[return-value]
        response: HttpResponseBase = await self._pages.aask(visit, partial(self.get_response, request))  # type: ignore[arg-type]
        visit.hold_conditions(response)
        return response


class CacheMiddleware(UpdateCacheMiddleware, FetchFromCacheMiddleware):
    """Both halves in one. Must stand first in MIDDLEWARE.

    A stored page is served before any other middleware runs, so the language is negotiated here as LocaleMiddleware
    would, and a page is stored only if the language and time zone that were active in the end are the expected ones.
    Keyword arguments that are None mean the default alias and no prefix, as in Django.
    """

    def __init__(
        self,
        get_response: GetResponse | AsyncGetResponse,
        cache_timeout: float | None = None,
        page_timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(get_response)
        if "key_prefix" in kwargs:
            self.key_prefix = kwargs["key_prefix"] or ""
        if "cache_alias" in kwargs:
            self.cache_alias = kwargs["cache_alias"] or DEFAULT_CACHE_ALIAS
        if cache_timeout is not None:
            self.cache_timeout = cache_timeout
        self.page_timeout = page_timeout

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        """The stored page for the request, if there is one."""
        return self._remember(request, self._pages.look(request, site(), expected_locale(request)))

    def process_view(self, request: HttpRequest, *_: Any) -> None:
        """Look what is active here, and who reads cookies: on the way back middleware restores, and reads its own."""
        visit: Visit | None = getattr(request, _VISIT, None)
        if visit is not None:
            visit.enter_view()

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return self.__acall__(request)
        beginning = beginning_of(request)
        hit = self.process_request(request)
        if hit is not None:
            return self._refreshed_after(request, hit, beginning, self)
        response = self._pages.ask(getattr(request, _VISIT), partial(self.get_response, request))
        return self.process_response(request, response)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """The same, awaiting."""
        beginning = beginning_of(request)
        visit = await self._pages.alook(request, site(), expected_locale(request))
        hit = self._remember(request, visit)
        if hit is not None:
            return self._refreshed_after(request, hit, beginning, async_to_sync(self.__acall__))
        response = await self._pages.aask(visit, partial(self.get_response, request))  # type: ignore[arg-type]
        return await self._pages.afinish(visit, response)


def _open_visit(request: HttpRequest) -> Visit | None:
    """The visit to finish: not one that was a hit, nor one whose flag was taken down by hand."""
    visit: Visit | None = getattr(request, _VISIT, None)
    if visit is None or visit.hit is not None:
        return None
    return visit if getattr(request, _FLAG, False) or visit.address is None else None


def _told_again(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """A hit, with what middleware between the two halves lost of it when it made a 304 of its own."""
    visit: Visit | None = getattr(request, _VISIT, None)
    if visit is not None and visit.hit is not None and response is not visit.hit:
        restore(response, visit.hit)
    return response


def _asked_by_hand(request: HttpRequest, visit: Visit) -> Visit:
    """Somebody set the flag, so that this request be stored whatever is stored yet: its rendering begins here."""
    visit.hit = None
    setattr(request, _VISIT, visit)
    return visit
