"""What the cache key ignores, the view does not see: otherwise a page could show it to the next visitor."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from cacheplus.http.cookies import CookieRules
from cacheplus.http.query import QueryRules

# Where the query is found as the client sent it.
ORIGINAL_QUERY = "CACHEPLUS_QUERY_STRING"

# Where servers repeat the whole URL.
_WHOLE_URLS = ("REQUEST_URI", "RAW_URI")


def hide_ignored(request: HttpRequest, query: QueryRules, cookies: CookieRules) -> bool:
    """Take ignored parameters and cookies out of `request`.

    False where the parameters had been read before, so that somebody may have kept them; they are left in place then.
    """
    _hide_cookies(request, cookies)
    return _hide_parameters(request, query)


def _hide_parameters(request: HttpRequest, rules: QueryRules) -> bool:
    meta: dict[str, Any] = request.META
    original = meta.get("QUERY_STRING", "")
    kept = rules.kept(original)
    if kept == original:
        return True
    if "GET" in vars(request):
        return False
    meta.setdefault(ORIGINAL_QUERY, original)
    meta["QUERY_STRING"] = kept
    for name in _WHOLE_URLS:
        path, mark, asked = str(meta.get(name, "")).partition("?")
        if mark and asked == original:
            meta[name] = f"{path}?{kept}" if kept else path
    return True


def _hide_cookies(request: HttpRequest, rules: CookieRules) -> None:
    meta: dict[str, Any] = request.META
    field = meta.get("HTTP_COOKIE", "")
    kept = rules.kept(field)
    if kept == field:
        return
    meta["HTTP_COOKIE"] = kept
    # Middleware had looked for cookies of its own. An outer cache may watch them, and is not told that we look.
    for name in [name for name in dict.keys(request.COOKIES) if rules.hides(name)]:
        dict.pop(request.COOKIES, name)
    vars(request).pop("headers", None)


_REDIRECTS = range(300, 400)


def pass_on(hidden: str, request: HttpRequest, response: HttpResponseBase) -> None:
    """Add the parameters that were `hidden` from a view to its redirect within the site.

    They are meant for scripts in the page that is shown in the end. Call this once the response is stored.
    """
    location = response.headers.get("Location", "")
    if not hidden or not location or response.status_code not in _REDIRECTS:
        return
    target = urlsplit(location)
    if target.netloc in ("", request.get_host()):
        query = f"{target.query}&{hidden}" if target.query else hidden
        response.headers["Location"] = target._replace(query=query).geturl()
