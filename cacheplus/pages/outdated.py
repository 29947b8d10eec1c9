"""What an unsafe request leaves out of date is expired before its response is sent (RFC 9111 §4.4)."""

from __future__ import annotations

from django.core.exceptions import DisallowedHost
from django.http.response import HttpResponseBase

from cacheplus.faults import report
from cacheplus.http.headers import Fields
from cacheplus.http.unsafe import is_unsafe, outdated_urls
from cacheplus.pages.visit import Visit

# Set on a request once this is done.
_EXPIRED = "_cacheplus_expired"


def outdated_by(visit: Visit, response: HttpResponseBase) -> tuple[str, ...]:
    """The URLs whose pages the request put out of date, unless a page cache further in has expired them."""
    if visit.site.expire is None or hasattr(visit.request, _EXPIRED) or not is_unsafe(visit.facts.method):
        return ()
    try:
        url = visit.request.build_absolute_uri()
    except DisallowedHost:
        return ()
    return outdated_urls(visit.facts.method, url, response.status_code, Fields.of(response.headers.items()))


def expire(visit: Visit, urls: tuple[str, ...], sender: type, alias: str) -> None:
    """Expire what is at `urls`, whatever the query. Inside an atomic block this happens again on commit."""
    setattr(visit.request, _EXPIRED, True)
    for url in urls:
        try:
            if visit.site.expire is not None:
                visit.site.expire(url.partition("?")[0])
        except Exception as error:  # noqa: BLE001 - the request has done its work already
            report(sender, alias, "expire", error)
