"""What the settings of the site say, in the terms of the page cache. The shells ask here."""

from __future__ import annotations

import logging
import sys
from functools import lru_cache
from http import HTTPStatus

from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.db import connections
from django.http import HttpRequest
from django.middleware.gzip import GZipMiddleware
from django.middleware.locale import LocaleMiddleware
from django.utils import timezone, translation

from cacheplus import conf
from cacheplus.http.cookies import CookieRules
from cacheplus.http.facts import Rules
from cacheplus.http.query import QueryRules
from cacheplus.invalidation import expire_view_cache
from cacheplus.pages.census import Limits
from cacheplus.pages.facts import Locale
from cacheplus.pages.options import Site

_ANY_CODING = ("br", "deflate", "gzip", "zstd")
logger = logging.getLogger("django.request")

_MESSAGES_COOKIE = "messages"

# A page that was not asked for in an hour is cheaper to render again than to keep.
_KEPT_FOR_REVALIDATION = 3600.0


def site() -> Site:
    """The settings as they are now."""
    ours = conf.conf()
    status = ours.cache_status
    codings = _codings() if ours.codings is None else ours.codings
    return Site(
        rules=Rules(
            default_timeout=conf.page_seconds(),
            share_authenticated=ours.share_authenticated,
            store_set_cookie=ours.store_set_cookie,
            codings=codings,
            statuses=ours.statuses,
            heuristic=ours.heuristic_freshness,
            honor_request=ours.honor_request_directives,
            targeted_fields=ours.targeted_fields,
            stale=ours.stale,
            stale_if_error=ours.stale_if_error,
            revalidate_for=_KEPT_FOR_REVALIDATION,
        ),
        uses_i18n=conf.uses_i18n(),
        uses_tz=conf.uses_tz(),
        credentials=ours.credentials,
        key_headers=ours.key_headers,
        query=QueryRules(ours.ignore_query, ours.sort_query),
        cookies=CookieRules(
            ignored=ours.ignore_cookies,
            allowed=ours.vary_cookies,
            visitor=frozenset(
                {conf.setting("SESSION_COOKIE_NAME"), conf.setting("CSRF_COOKIE_NAME"), _MESSAGES_COOKIE}
            ),
            seen=frozenset({conf.setting("LANGUAGE_COOKIE_NAME")}),
            visitor_in_key=ours.share_authenticated,
        ),
        limits=Limits(ours.max_variants, ours.max_queries),
        codings=codings,
        csrf_cookie=str(conf.setting("CSRF_COOKIE_NAME")),
        prefix_depth=ours.prefix_depth,
        most_without_cache=ours.max_without_cache,
        sends_status=status is not None,
        sends_detail=status == "detail" or (status == "auto" and conf.is_debug()),
        expire=expire_view_cache if ours.expire_on_unsafe else None,
        flight_lease=ours.flight_lease,
        flight_wait=ours.flight_wait,
        failed=_failed,
    )


def _failed(request: HttpRequest, error: Exception) -> None:
    """Log `error` as Django would, and roll back what its view did in the transaction of the request."""
    extra = {"status_code": HTTPStatus.INTERNAL_SERVER_ERROR, "request": request}
    logger.error("Internal Server Error: %s", request.path, exc_info=error, extra=extra)
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)


def expected_locale(request: HttpRequest) -> Locale:
    """The language and time zone that will be active in the view, asked before any other middleware has run."""
    return Locale(
        _negotiated(request) if conf.uses_i18n() else None,
        timezone.get_default_timezone_name() if conf.uses_tz() else None,
    )


def _negotiated(request: HttpRequest) -> str | None:
    """The language that LocaleMiddleware will choose; the site's own where there is no such middleware."""
    default = str(conf.setting("LANGUAGE_CODE"))
    if not _has_middleware(LocaleMiddleware, tuple(conf.setting("MIDDLEWARE", ()))):
        return default
    is_prefixed, prefixes_default = is_language_prefix_patterns_used(
        getattr(request, "urlconf", None) or conf.setting("ROOT_URLCONF")
    )
    if is_prefixed and not prefixes_default and not translation.get_language_from_path(request.path_info):
        return default
    return translation.get_language_from_request(request, check_path=is_prefixed)


def _codings() -> tuple[str, ...]:
    """What Django's middleware produces, or else what any middleware may."""
    is_djangos = _has_middleware(GZipMiddleware, tuple(conf.setting("MIDDLEWARE", ())))
    return ("gzip",) if is_djangos else _ANY_CODING


@lru_cache(maxsize=8)
def _has_middleware(wanted: type, paths: tuple[str, ...]) -> bool:
    return any(_is_middleware(wanted, path) for path in paths)


def _is_middleware(wanted: type, path: str) -> bool:
    # Whatever answers requests was imported by Django already.
    module, _, name = path.rpartition(".")
    middleware = getattr(sys.modules.get(module), name, None)
    return isinstance(middleware, type) and issubclass(middleware, wanted)
