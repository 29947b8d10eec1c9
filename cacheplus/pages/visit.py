"""A visit: one request on its way through a page cache, and what is known of it so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

from django.http import HttpRequest, HttpResponse

from cacheplus.http.cache_status import CacheStatus, Forward
from cacheplus.http.facts import RequestFacts, Rules
from cacheplus.http.policy import may_lookup
from cacheplus.http.reasons import Reason
from cacheplus.pages.facts import Locale, Watch, address_of, request_facts
from cacheplus.pages.keys import PageAddress
from cacheplus.pages.options import PageOptions, Site
from cacheplus.pages.store import Looked
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
    watch: Watch
    seen: Locale | None = None
    """The locale that the page was made in: if it ever was another than `locale`, that other one."""
    late_tags: tuple[str, ...] = ()
    """Those that came with the response."""
    looked: Looked | None = None
    recorder: Recorder | None = None
    hit: HttpResponse | None = None

    @classmethod
    def begin(cls, request: HttpRequest, options: PageOptions, site: Site, locale: Locale | None = None) -> Self:
        """The visit of `request`; nothing is read from the store."""
        rules = options.rules(site)
        locale = locale or Locale.active(i18n=site.uses_i18n, tz=site.uses_tz)
        facts = request_facts(
            request,
            credentials=site.credentials,
            visitor_cookies=site.visitor_cookies,
            asks_user=rules.anonymous_only,
            is_excluded=options.condition is not None and not options.condition(request),
        )
        reason = may_lookup(facts, rules).reason
        address = address_of(request, locale, options.key_prefix, options.layer) if reason is None else None
        if address is None:
            status = CacheStatus.bypass(reason or Reason.HOST)
            return cls(request, site, rules, facts, locale, None, (), status, Watch(request))
        tags = (*address.tags(site.prefix_depth), *options.early_tags)
        address = replace(address, method=facts.method)
        return cls(request, site, rules, facts, locale, address, tags, CacheStatus(Forward.URI_MISS), Watch(request))

    def stand_aside(self, status: CacheStatus) -> None:
        """Neither serve nor store."""
        self.address = None
        self.status = status

    def enter(self) -> None:
        """The view begins, or goes on in the rendering of its response."""
        self.watch.start()

    def leave(self) -> None:
        """The view has ended, or the rendering of its response."""
        self.watch.stop()
        self.see_locale()

    def see_locale(self) -> None:
        """Note what is active: middleware between here and the view may take it back afterwards."""
        if self.seen is None or self.seen == self.locale:
            self.seen = Locale.active(i18n=self.site.uses_i18n, tz=self.site.uses_tz)

    @contextmanager
    def rendering(self) -> Iterator[None]:
        """Around the view: watches what it uses of the visitor, and collects the tags that it meets."""
        self.enter()
        try:
            with recording() as self.recorder:
                yield
        finally:
            self.leave()
