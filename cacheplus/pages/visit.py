"""A visit: one request on its way through a page cache, and what is known of it so far."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Self

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control

from cacheplus.flights import leading
from cacheplus.http.cache_status import CacheStatus, Forward
from cacheplus.http.conditional import has_validator
from cacheplus.http.facts import Personal, RequestFacts, Rules
from cacheplus.http.headers import Fields
from cacheplus.http.policy import may_lookup
from cacheplus.http.query import QueryRules
from cacheplus.http.reasons import Reason
from cacheplus.pages.answers import answered
from cacheplus.pages.client import tell_status
from cacheplus.pages.disguise import Disguise
from cacheplus.pages.facts import Locale, Watch, address_of, request_facts
from cacheplus.pages.hiding import hide_ignored, pass_on
from cacheplus.pages.keys import PageAddress
from cacheplus.pages.options import PageOptions, Site
from cacheplus.pages.page import StoredPage
from cacheplus.pages.refresh import is_refresh
from cacheplus.pages.revalidation import confirmed_response, has_own_validator, is_confirmation, questions
from cacheplus.pages.shedding import places
from cacheplus.pages.store import Looked
from cacheplus.pages.turns import Turn
from cacheplus.recorder import Recorder, recording


@dataclass(slots=True)
class Visit:
    """Without an `address` the page cache stands aside, for the reason that `status` gives."""

    request: HttpRequest
    site: Site
    rules: Rules
    facts: RequestFacts
    locale: Locale
    address: PageAddress | None
    tags: tuple[str, ...]
    """Those known before the view runs."""
    status: CacheStatus
    query: QueryRules
    watch: Watch
    hidden: str = ""
    """The parameters that the cache key leaves out."""
    saw_ignored_input: bool = False
    """Whether the view could read parameters that the cache key leaves out."""
    seen: Locale | None = None
    """The locale that the page was made in: if it ever was another than `locale`, that other one."""
    late_tags: tuple[str, ...] = ()
    """Those that came with the response."""
    looked: Looked | None = None
    turn: Turn | None = None
    """The turn to render the page for all who wait for it."""
    space: Hashable = None
    """Where the stamps of what was looked up have a meaning."""
    recorder: Recorder | None = None
    has_token: bool = False
    """Whether the page holds a CSRF token of this visitor, in a place that is filled for each one."""
    place: int | None = None
    """Among those that make a page because their cache fails."""
    disguise: Disguise = field(init=False)
    held: Disguise | None = None
    """Hides the client's conditions from middleware further out, once the view has answered."""
    stored: StoredPage | None = None
    """A page that is not to be served as it is: the view may confirm it, or it may stand in for an error."""
    has_own_validator: bool = True
    """Whether the view gave its response a validator, and not middleware further out."""
    hit: HttpResponse | None = None
    """The answer that the cache gave itself: nothing of it is to be stored."""
    is_stale: bool = False
    """Whether the hit is stale, and to be refreshed."""

    def __post_init__(self) -> None:
        self.disguise = Disguise(self.request)

    @classmethod
    def begin(cls, request: HttpRequest, options: PageOptions, site: Site, locale: Locale | None = None) -> Self:
        """The visit of `request`; nothing is read from the store."""
        rules = options.rules(site)
        if is_refresh(request):
            # Nobody is there to whom a cookie could be given.
            rules = replace(rules, store_set_cookie=False)
        watch = Watch(request, site.cookies.visitor, is_innermost=locale is None, started_at=time.time())
        locale = locale or Locale.active(i18n=site.uses_i18n, tz=site.uses_tz)
        facts = request_facts(
            request,
            credentials=site.credentials,
            cookies=site.cookies,
            codings=site.codings,
            session_cookies=site.session_cookies,
            # Where tokens are filled in, whoever has been given the cookie for them is nobody in particular yet.
            visitor_cookies=site.session_cookies if options.fill_csrf else site.cookies.visitor,
            asks_user=rules.anonymous_only,
            is_excluded=_is_excluded(request, options),
        )
        reason = may_lookup(facts, rules).reason
        query = options.query(site)
        address = None
        if reason is None:
            address = address_of(
                request,
                locale,
                query,
                key_headers=site.key_headers,
                session_cookies=site.session_cookies if rules.per_user else frozenset(),
                key_prefix=options.key_prefix,
                layer=options.layer,
            )
        if address is None:
            status = CacheStatus.bypass(reason or Reason.HOST)
            return cls(request, site, rules, facts, locale, None, (), status, query, watch)
        tags = (*address.tags(site.prefix_depth), *options.early_tags)
        address = replace(address, method=facts.method)
        status = CacheStatus(Forward.URI_MISS)
        visit = cls(request, site, rules, facts, locale, address, tags, status, query, watch)
        visit.hidden = query.hidden(request.META.get("QUERY_STRING", ""))
        return visit

    def stand_aside(self, status: CacheStatus) -> None:
        """Neither serve nor store."""
        self.address = None
        self.status = status

    def enter(self) -> None:
        """The view begins, or goes on in the rendering of its response.

        Where its page may be stored, a HEAD is shown to it as a GET, so that the next GET need not ask it again. A
        stored page that can be confirmed is asked about, in place of what the client asked.
        """
        if self.address is not None:
            self.disguise.put_on(questions(self.stored))
            self.address = self.address.with_method("GET")
        self.watch.start()

    def leave(self) -> None:
        """The view has ended, or the rendering of its response."""
        self.watch.stop()
        self.disguise.take_off()
        self.see_locale()

    def enter_view(self) -> None:
        """All middleware has run, and the view is next. Only an outer cache has to be told."""
        self.see_locale()
        self.watch.watch_cookies()

    def see_locale(self) -> None:
        """Note what is active: middleware between here and the view may take it back afterwards."""
        if self.seen is None or self.seen == self.locale:
            self.seen = Locale.active(i18n=self.site.uses_i18n, tz=self.site.uses_tz)

    @property
    def session_is_known(self) -> bool:
        """Whether the session in the key is one that the view has looked at, and that exists.

        Else whoever makes up session cookies would fill the store.
        """
        if self.address is None or self.address.session is None:
            return True
        session = getattr(self.request, "session", None)
        return Personal.SESSION in self.watch.used and session is not None and not session.is_empty()

    def is_misunderstood(self, response: HttpResponseBase) -> bool:
        """Whether the view confirmed another page than was asked about. It has to be asked for a whole one then."""
        if self.stored is None or not self._is_asked(response) or is_confirmation(self.stored, response):
            return False
        self.stored = None
        return True

    def _is_asked(self, response: object) -> bool:
        """Whether `response` is a 304 to what was asked about the stored page."""
        return status_of(response) == HTTPStatus.NOT_MODIFIED and questions(self.stored) is not None

    def confirmed(self, response: HttpResponseBase) -> HttpResponse | None:
        """The stored page, if `response` is a 304 that confirms it."""
        if self.address is not None and isinstance(response, HttpResponseBase):
            self.has_own_validator = has_own_validator(response, is_innermost=self.watch.is_innermost)
        if self.stored is None or not self._is_asked(response):
            return None
        self.has_own_validator = True
        self.status = replace(self.status, status=response.status_code)
        if self.stored.terms.looked_at_visitor:
            self.watch.used.add(Personal.SESSION)
        if self.recorder is not None and self.looked is not None:
            self.recorder.meet(self.space, self.looked.stamps)
        return confirmed_response(self.stored, response)

    def answer(self, whole: HttpResponseBase) -> HttpResponseBase:
        """What the client is sent of a confirmed page. It is stored already."""
        now = time.time()
        if isinstance(whole, HttpResponse):
            whole = self.hit = answered(self.facts, whole, now, now)
        return whole

    def hold_conditions(self, response: HttpResponseBase) -> None:
        """Keep middleware further out from making a 304 of a page that is to be stored, until `release`."""
        if self.hit is None and self.address is not None and response.status_code == HTTPStatus.OK:
            self.held = Disguise(self.request)
            self.held.hide_conditions()

    def release(self, response: HttpResponseBase) -> HttpResponseBase:
        """The answer to the conditions that were held back."""
        if self.held is None:
            return response
        self.held.take_off()
        if not isinstance(response, HttpResponse) or not has_validator(Fields.of(response.headers.items())):
            return response
        now = time.time()
        return answered(self.facts, response, now, now)

    def tell(self, response: HttpResponseBase) -> None:
        """Add to `response` what concerns this visit alone. Call it once the response is stored, or is a hit."""
        if self.address is not None and not self.saw_ignored_input:
            pass_on(self.hidden, self.request, response)
        if self.has_token:
            del response.headers["Expires"]
            response.headers["Cache-Control"] = "private, no-cache"
        elif self.address is not None and self.address.session is not None:
            patch_cache_control(response, private=True)
        tell_status(response, self.status, self.site)

    @contextmanager
    def rendering(self) -> Iterator[None]:
        """Around the view: watches what it uses of the visitor, and collects the tags that it meets.

        Where its page may be stored, it is not shown what the cache key leaves out.
        """
        if self.address is not None:
            self.saw_ignored_input = not hide_ignored(self.request, self.query, self.site.cookies)
        self.enter()
        try:
            with recording() as self.recorder, leading(self.turn.flight) if self.turn else nullcontext():
                yield
        except BaseException:
            if self.turn is not None:
                self.turn.fail()
            raise
        finally:
            places.give_back(self.place)
            self.leave()


# What Django answers with another status than 500.
_ANSWERED = (Http404, PermissionDenied, SuspiciousOperation, BadRequest)


def status_of(outcome: object) -> int:
    """The status of what a view did: returned a response, or raised. 0 = no error, and none known."""
    if isinstance(outcome, Exception):
        return 0 if isinstance(outcome, _ANSWERED) else int(HTTPStatus.INTERNAL_SERVER_ERROR)
    status: int = getattr(outcome, "status_code", 0)
    return status


def _is_excluded(request: HttpRequest, options: PageOptions) -> bool:
    """Whether the site's own condition is against this request. What it read does not count as read before the view."""
    if options.condition is None:
        return False
    was_parsed = "GET" in vars(request)
    is_excluded = not options.condition(request)
    if not was_parsed:
        vars(request).pop("GET", None)
    return is_excluded
