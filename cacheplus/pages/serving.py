"""What is answered without the view: from a stored page, or because the view is not to be asked."""

from __future__ import annotations

import time
from http import HTTPStatus

from django.http import HttpResponse

from cacheplus.faults import report
from cacheplus.http.cache_status import CacheStatus, Forward
from cacheplus.http.policy import Use, may_forward, may_serve
from cacheplus.http.reasons import Reason
from cacheplus.pages import tokens
from cacheplus.pages.answers import answered
from cacheplus.pages.facts import look_again
from cacheplus.pages.options import PageOptions
from cacheplus.pages.page import StoredPage
from cacheplus.pages.refresh import is_refresh, may_refresh
from cacheplus.pages.shedding import Refused, places, refusal
from cacheplus.pages.store import Looked
from cacheplus.pages.visit import Visit
from cacheplus.signals import page_served


class Serving:
    """The part of a page cache that answers by itself."""

    options: PageOptions

    def _receive(self, visit: Visit, looked: Looked | None) -> None:
        """What was looked up; None where the store failed."""
        visit.looked = looked
        try:
            if looked is not None:
                self._judge(visit, looked)
                self._forward(visit)
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
        now, page = time.time(), looked.page
        if page is None:
            visit.status = CacheStatus(Forward.VARY_MISS if looked.occupants else Forward.URI_MISS)
            return
        serving = may_serve(visit.facts, page.terms, visit.rules, now)
        visit.is_stale = serving.use is Use.STALE and may_refresh(visit.facts) and not is_refresh(visit.request)
        if serving.use is Use.FRESH or visit.is_stale:
            if self._serve(visit, page, CacheStatus.hit(serving.ttl), now) is None:
                visit.stand_aside(CacheStatus.bypass(Reason.CSRF))
        elif serving.use is Use.REFUSED:
            visit.stand_aside(CacheStatus.bypass(serving.reason or Reason.EXPIRED))
        else:
            visit.stored = page
            visit.status = CacheStatus.stale(serving.reason or Reason.EXPIRED)

    def _serve(self, visit: Visit, page: StoredPage, status: CacheStatus, now: float) -> HttpResponse | None:
        """Answer the visit with a stored page; None where it needs a token that this visitor cannot be given."""
        if page.holes:
            if not tokens.sets_cookie(visit.request):
                return None
            page = page.filled(tokens.token_for(visit.request))
            visit.has_token = True
        visit.hit = answered(visit.facts, page.response(now), page.terms.stored_at, now)
        if page.terms.looked_at_visitor:
            look_again(visit.request)
        visit.status = status
        visit.tell(visit.hit)
        page_served.send_robust(type(self), request=visit.request, alias=self.options.alias, age=page.terms.age(now))
        return visit.hit

    def _forward(self, visit: Visit) -> None:
        """Refuse to ask the view, where the client wants nothing but a stored page."""
        if visit.hit is None and visit.address is not None and not may_forward(visit.facts, visit.rules).allowed:
            visit.hit = HttpResponse(status=HTTPStatus.GATEWAY_TIMEOUT)
            visit.status = CacheStatus.bypass(Reason.ONLY_IF_CACHED)
            visit.tell(visit.hit)
