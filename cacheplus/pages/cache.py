"""The page cache: what a shell asks before the view, and tells after it.

Nothing that the store does raises here: a fault is a miss, whatever the alias's ON_FAULT says.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse

from cacheplus.backends.base import BaseCache
from cacheplus.backends.ways import Awaiting, Blocking, Way
from cacheplus.faults import report
from cacheplus.flights import Patience
from cacheplus.http.cache_status import CacheStatus, Forward
from cacheplus.http.facts import Personal
from cacheplus.http.headers import Fields
from cacheplus.http.policy import Use, may_serve, may_store
from cacheplus.http.reasons import Reason
from cacheplus.http.unsafe import is_unsafe, outdated_urls
from cacheplus.pages import client, tokens
from cacheplus.pages.answers import answered
from cacheplus.pages.facts import Locale, carries, look_again, response_facts
from cacheplus.pages.keys import PageAddress
from cacheplus.pages.options import PageOptions, Site
from cacheplus.pages.page import StoredPage
from cacheplus.pages.shedding import Refused, places, refusal
from cacheplus.pages.store import NOTHING_FOUND, Looked, PageStore, variant_of
from cacheplus.pages.turns import Next, Turn, Turns
from cacheplus.pages.visit import Visit
from cacheplus.recorder import meet_tags
from cacheplus.signals import page_served, page_stored
from cacheplus.store import Store, run

T = TypeVar("T")
Operation = Callable[[Store], Coroutine[Any, Any, T]]

_SERVER_ERROR = 500

# Set on an unsafe request once the pages that it put out of date are expired.
_EXPIRED = "_cacheplus_expired"


class PageCache:
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
        return partial(PageStore(cache).look, address=address, request=visit.facts.fields, tags=visit.tags)

    def _receive(self, visit: Visit, looked: Looked | None) -> None:
        """What was looked up; None where the store failed."""
        visit.looked = looked
        try:
            if looked is not None:
                self._judge(visit, looked)
        except Exception as error:  # noqa: BLE001 - a stored page that cannot be sent is as good as none
            report(type(self), self.options.alias, "serve", error)
            looked = None
        if looked is None:
            visit.stand_aside(CacheStatus.bypass(Reason.FAULT))
            self._shed(visit)

    def _shed(self, visit: Visit) -> None:
        """Give the visit a place among those that make pages without the cache, or the answer that there is none."""
        try:
            visit.place = places.take(visit.request, visit.site.most_without_cache)
        except Refused:
            visit.hit = refusal()
            visit.tell(visit.hit)

    def _judge(self, visit: Visit, looked: Looked) -> None:
        """A hit, or the reason why the view is asked."""
        now = time.time()
        if looked.page is None:
            visit.status = CacheStatus(Forward.VARY_MISS if looked.occupants else Forward.URI_MISS)
            return
        serving = may_serve(visit.facts, looked.page.terms, visit.rules, now)
        if serving.use is not Use.FRESH:
            visit.stand_aside(CacheStatus.bypass(serving.reason or Reason.EXPIRED))
            return
        page = looked.page
        if page.holes:
            if not tokens.sets_cookie(visit.request):
                visit.stand_aside(CacheStatus.bypass(Reason.CSRF))
                return
            page = page.filled(tokens.token_for(visit.request))
            visit.has_token = True
        visit.hit = answered(visit.facts, page.response(now), page.terms.stored_at, now)
        if looked.page.terms.looked_at_visitor:
            look_again(visit.request)
        visit.status = CacheStatus.hit(serving.ttl)
        visit.tell(visit.hit)
        page_served.send_robust(type(self), request=visit.request, alias=self.options.alias, age=serving.age)

    # After the view

    def finish(self, visit: Visit, response: HttpResponseBase) -> HttpResponseBase:
        """Store `response` if it may be, and tell the client. A template response is dealt with once it is rendered."""
        if self._waits_for_render(visit, response) or not isinstance(response, HttpResponseBase):
            return response
        if outdated := self._outdated(visit, response):
            self._expire(visit, outdated)
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
        if self._waits_for_render(visit, response) or not isinstance(response, HttpResponseBase):
            return response
        if outdated := self._outdated(visit, response):
            await sync_to_async(self._expire)(visit, outdated)
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

    def _outdated(self, visit: Visit, response: HttpResponseBase) -> tuple[str, ...]:
        """The URLs whose pages an unsafe request put out of date, unless a page cache further in has expired them."""
        if visit.site.expire is None or hasattr(visit.request, _EXPIRED) or not is_unsafe(visit.facts.method):
            return ()
        try:
            url = visit.request.build_absolute_uri()
        except DisallowedHost:
            return ()
        fields = Fields.of(response.headers.items())
        return outdated_urls(visit.facts.method, url, response.status_code, fields)

    def _expire(self, visit: Visit, urls: tuple[str, ...]) -> None:
        """Expire what is at `urls`, whatever the query. Inside an atomic block this happens again on commit."""
        assert visit.site.expire is not None, "nothing is outdated where nothing is to be expired"  # noqa: S101
        setattr(visit.request, _EXPIRED, True)
        for url in urls:
            try:
                visit.site.expire(url.partition("?")[0])
            except Exception as error:  # noqa: BLE001 - the request has done its work already
                report(type(self), self.options.alias, "expire", error)

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
        variant = variant_of(vary, visit.facts.fields)
        page = StoredPage.of(response, client.stored_fields(response), decision.terms, variant)
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
