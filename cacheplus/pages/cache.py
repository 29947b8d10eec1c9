"""The page cache: what a shell asks before the view, and tells after it.

Nothing that the store does raises here: a fault is a miss, whatever the alias's ON_FAULT says.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse

from cacheplus.backends.base import BaseCache
from cacheplus.backends.ways import Awaiting, Blocking, Way
from cacheplus.faults import report
from cacheplus.flights import Patience
from cacheplus.http.cache_status import CacheStatus, Forward
from cacheplus.http.facts import Personal
from cacheplus.http.policy import may_replace_error, may_store
from cacheplus.http.reasons import Reason
from cacheplus.pages import client, tokens
from cacheplus.pages.facts import Locale, carries, response_facts
from cacheplus.pages.keys import PageAddress
from cacheplus.pages.options import OUTERMOST, PageOptions, Site
from cacheplus.pages.outdated import expire, outdated_by
from cacheplus.pages.page import StoredPage
from cacheplus.pages.refresh import Beginning, Render, refresh_after
from cacheplus.pages.serving import Serving
from cacheplus.pages.store import NOTHING_FOUND, Looked, PageStore, variant_of
from cacheplus.pages.turns import Next, Turn, Turns
from cacheplus.pages.visit import Visit, status_of
from cacheplus.recorder import meet_tags
from cacheplus.signals import page_stored
from cacheplus.store import Store, run

T = TypeVar("T")
Operation = Callable[[Store], Coroutine[Any, Any, T]]


_SERVER_ERROR = 500


class PageCache(Serving):
    """Pages under one set of options. Make one per shell, and use it from any thread."""

    def __init__(self, options: PageOptions) -> None:
        self.options = options

    @property
    def cache(self) -> BaseCache:
        """The backend of the alias; a different object in each thread."""
        cache = caches[self.options.alias]
        if not isinstance(cache, BaseCache):
            kind = f"{type(cache).__module__}.{type(cache).__qualname__}"
            raise TypeError(
                f"Pages cannot be cached on alias {self.options.alias!r}: its backend is {kind}, not one of cacheplus. "
                "Set its BACKEND to one of cacheplus.backends."
            )
        return cache

    # Before the view

    def look(self, request: HttpRequest, site: Site, locale: Locale | None = None) -> Visit:
        """A visit with its `hit`, or with what stands at the beginning of the rendering.

        `locale` is the one to expect in the view, where it is not active yet.
        """
        visit = Visit.begin(request, self.options, site, locale)
        if visit.address is not None:
            run(self._find(visit, Blocking(self.cache, tolerant=True)))
        return visit

    async def alook(self, request: HttpRequest, site: Site, locale: Locale | None = None) -> Visit:
        """`look`, without blocking the event loop."""
        if self.options.asks_about_visitor and carries(request, site.cookies.visitor):
            # Whether the visitor is logged in may cost a query.
            visit = await sync_to_async(Visit.begin)(request, self.options, site, locale)
        else:
            visit = Visit.begin(request, self.options, site, locale)
        if visit.address is not None:
            await self._find(visit, Awaiting(self.cache, tolerant=True))
        return visit

    async def _find(self, visit: Visit, way: Way) -> None:
        """A hit, a turn to render the page, or neither: then one renders it though others do."""
        patience = Patience(visit.site.flight_wait)
        turns = Turns(self.cache, visit.site.flight_lease)
        step: Turn | Next = Next.LOOK
        address = visit.address
        while step is Next.LOOK and address is not None:
            self._receive(visit, await way.attempt(self._looking(self.cache, visit, address)))
            looked, address = visit.looked, visit.address
            # A variant that is not the first is nobody's turn.
            if visit.hit is not None or address is None or looked is None or looked.occupants:
                return
            name = PageStore(self.cache).turn_name(address)
            step = await turns.take(way, name, looked.turn, patience)
        if isinstance(step, Turn):
            visit.turn = step
            # A response may be thrown away before it is rendered.
            weakref.finalize(visit.request, step.end_here)

    def _looking(self, cache: BaseCache, visit: Visit, address: PageAddress) -> Operation[Looked]:
        visit.space = cache.operations.space
        return partial(PageStore(cache).look, address=address, request=visit.facts.fields, tags=visit.tags)

    # The view

    def ask(self, visit: Visit, view: Callable[[], Any]) -> Any:
        """What `view` answers; or the stored page, where its 304 confirms it or it stands in for an error.

        Call it as near to the view as can be: middleware further out adds validators, and makes a 304 of its own.
        """
        try:
            with visit.rendering():
                response = view()
            if visit.is_misunderstood(response):
                with visit.rendering():
                    response = view()
        except Exception as error:
            if (instead := self._instead_of(visit, error)) is None:
                raise
            return instead
        if (whole := visit.confirmed(response)) is not None:
            return visit.answer(self.finish(visit, whole))
        return self._instead_of(visit, response) or response

    async def aask(self, visit: Visit, view: Callable[[], Awaitable[Any]]) -> Any:
        """`ask`, for a view that is awaited."""
        try:
            with visit.rendering():
                response = await view()
            if visit.is_misunderstood(response):
                with visit.rendering():
                    response = await view()
        except Exception as error:
            if (instead := self._instead_of(visit, error)) is None:
                raise
            return instead
        if (whole := visit.confirmed(response)) is not None:
            return visit.answer(await self.afinish(visit, whole))
        return self._instead_of(visit, response) or response

    def _instead_of(self, visit: Visit, outcome: object) -> HttpResponse | None:
        """The stored page in place of an error of the view, if its terms allow that (RFC 5861 §4)."""
        page, now, status = visit.stored, time.time(), status_of(outcome)
        if page is None or not may_replace_error(page.terms, status, now):
            return None
        if isinstance(outcome, Exception):
            visit.site.failed(visit.request, outcome)
        return self._serve(visit, page, CacheStatus(Forward.STALE, status=status), now)

    def refresh_after(self, visit: Visit, response: HttpResponseBase, beginning: Beginning, render: Render) -> None:
        """Have a stale hit refreshed once `response` has been sent."""
        if visit.is_stale and visit.address is not None and visit.looked is not None and visit.looked.page is not None:
            key = visit.address.key(visit.looked.page.variant.values)
            refresh_after(response, visit.request, beginning, key, lambda: self.cache, render)

    # After the view

    def finish(self, visit: Visit, response: HttpResponseBase) -> HttpResponseBase:
        """Store `response` if it may be, and tell the client. A template response is dealt with once it is rendered."""
        if visit.hit is not None or not isinstance(response, HttpResponseBase):
            return response
        if self._waits_for_render(visit, response):
            return response
        if urls := outdated_by(visit, response):
            expire(visit, urls, type(self), self.options.alias)
        page = self._page(visit, response)
        if page is not None:
            cache = self.cache
            self._kept(visit, page, cache.drive(self._keeping(cache, visit, page), Reason.FAULT))
        if (ending := self._ending(visit, page, response)) is not None:
            self.cache.drive(ending, None)
        visit.tell(response)
        return response

    async def afinish(self, visit: Visit, response: HttpResponseBase) -> HttpResponseBase:
        """`finish`, without blocking the event loop."""
        if visit.hit is not None or not isinstance(response, HttpResponseBase):
            return response
        if self._waits_for_render(visit, response):
            return response
        if urls := outdated_by(visit, response):
            await sync_to_async(expire)(visit, urls, type(self), self.options.alias)
        page = self._page(visit, response)
        if page is not None:
            cache = self.cache
            self._kept(visit, page, await cache.adrive(self._keeping(cache, visit, page), Reason.FAULT))
        if (ending := self._ending(visit, page, response)) is not None:
            await self.cache.adrive(ending, None)
        visit.tell(response)
        return response

    def _ending(self, visit: Visit, page: StoredPage | None, response: HttpResponseBase) -> Operation[bool] | None:
        """What ends the visit's turn, if it has one."""
        turn, visit.turn = visit.turn, None
        if turn is None:
            return None
        turn.end_here()
        # An error may be over in a moment; what may not be shared will not be in the next.
        return turn.ending(may_be_shared=page is not None or response.status_code >= _SERVER_ERROR)

    def _waits_for_render(self, visit: Visit, response: HttpResponseBase) -> bool:
        if not isinstance(response, SimpleTemplateResponse) or response.is_rendered:
            return False
        visit.enter()
        if visit.recorder is not None:
            visit.recorder.hold(response)
        response.add_post_render_callback(partial(self._rendered, visit))
        return True

    def _rendered(self, visit: Visit, response: HttpResponseBase) -> None:
        """Django calls this in the thread that rendered, also for an async view."""
        visit.leave()
        if visit.recorder is not None:
            visit.recorder.release()
        self.finish(visit, response)

    def _page(self, visit: Visit, response: HttpResponseBase) -> StoredPage | None:
        """The page to store, or None with the reason in the visit's status. Sets the headers for the client."""
        self._tag(visit, response)
        if visit.address is None:
            return None
        rules, now = visit.rules, time.time()
        if not visit.has_own_validator:
            rules = replace(rules, revalidate_for=0)
        if visit.seen is None:
            visit.see_locale()
        if visit.watch.saw_authenticated:
            visit.facts = replace(visit.facts, is_authenticated=True)
        places = self._tokens(visit, response)
        facts = response_facts(
            response,
            frozenset(visit.watch.used - ({Personal.CSRF} if places else set())),
            visit.locale,
            visit.seen or visit.locale,
            session_is_known=visit.session_is_known,
            saw_ignored_input=visit.saw_ignored_input,
        )
        decision = may_store(visit.facts, facts, rules, now, max(0.0, now - visit.watch.started_at))
        told = client.told_lifetime(visit.facts, facts, rules, now)
        if told is not None:
            client.tell_lifetime(response, told, self.options.client_timeout)
        if decision.reason is Reason.AUTHORIZATION:
            client.tell_authorization(response, rules)
        if decision.terms is None or not isinstance(response, HttpResponse):
            visit.status = visit.status.not_stored(decision.reason or Reason.STREAMING)
            return None
        is_negotiated = visit.locale.language is not None and hasattr(visit.request, "LANGUAGE_CODE")
        vary = client.vary_of(response, language_in_key=is_negotiated)
        if self.options.layer == OUTERMOST and not places:
            client.tell_validator(response)
        variant, fields = variant_of(vary, visit.facts.fields), client.stored_fields(response)
        page = StoredPage.of(response, fields, decision.terms, variant, is_told=told is not None)
        visit.has_token = bool(places)
        return page.without_tokens(places) if places else page

    def _tokens(self, visit: Visit, response: HttpResponseBase) -> tuple[int, ...]:
        """Where the CSRF tokens are that can be filled in for another visitor."""
        may_be_filled = self.options.fill_csrf and Personal.CSRF in visit.watch.used
        return tokens.places_in(visit.request, response) if may_be_filled and isinstance(response, HttpResponse) else ()

    def _tag(self, visit: Visit, response: HttpResponseBase) -> None:
        """Take the tags that came with the response. What encloses the page has all of its tags, stored here or not."""
        try:
            visit.late_tags = self.options.late_tags(visit.request, response)
        except Exception as error:  # noqa: BLE001 - no fault of the site's function may cost the page
            report(type(self), self.options.alias, "tag", error)
            visit.stand_aside(CacheStatus.bypass(Reason.FAULT))
        meet_tags((*self.options.early_tags, *visit.late_tags))

    def _keeping(self, cache: BaseCache, visit: Visit, page: StoredPage) -> Operation[Reason | None]:
        address = visit.address
        assert address is not None, "a visit without an address prepares no page"  # noqa: S101 - for the type checker
        return partial(
            PageStore(cache).keep,
            address=address,
            page=page,
            looked=visit.looked or NOTHING_FOUND,
            tags=(*visit.tags, *visit.late_tags),
            recorder=visit.recorder,
            limits=visit.site.limits,
        )

    def _kept(self, visit: Visit, page: StoredPage, refusal: Reason | None) -> None:
        if refusal is not None:
            visit.status = visit.status.not_stored(refusal)
            return
        visit.status = replace(visit.status, stored=True)
        page_stored.send_robust(
            type(self),
            request=visit.request,
            alias=self.options.alias,
            tags=visit.tags,
            ttl=page.terms.fresh_for,
        )
