"""One probe for each known problem. A probe is given a shell and tells whether the problem is there."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections.abc import Callable
from typing import Any

from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.cache import caches
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.utils import timezone

from tests.leaks.shells import Shell
from tests.sites import CSRF, SESSION, visitor

Probe = Callable[[Shell], bool]

serial = itertools.count()


def fresh(**headers: str) -> HttpResponse:
    """A response that no other is equal to."""
    return HttpResponse(f"page {next(serial)}", headers=headers)


def same(shell: Shell, view: Any, first: dict[str, Any], second: dict[str, Any], **site: Any) -> bool:
    """Whether two requests are given the same body; each is cookies, and what else the test client takes."""
    with shell.serve(view, **site):
        bodies = [_get(dict(request)).content for request in (first, second)]
    return bodies[0] == bodies[1]


def fails(shell: Shell, view: Any, request: dict[str, Any] | None = None, **site: Any) -> bool:
    """Whether a request ends in an error."""
    with shell.serve(view, **site):
        client_request = dict(request or {})
        return bool(_get(client_request).status_code >= 500)


def _get(request: dict[str, Any]) -> Any:
    client = visitor(**request.pop("cookies", {}))
    client.raise_request_exception = False
    data = request.pop("body", None)
    query = request.pop("query", "")
    if data is not None:
        return client.generic("GET", f"/{query}", data, **request)
    return client.get(f"/{query}", **request)


# Django's advisories.


def vary_star(spelling: str) -> Probe:
    def probe(shell: Shell) -> bool:
        return same(shell, lambda _: fresh(Vary=spelling), {}, {})

    return probe


def private(spelling: str) -> Probe:
    def probe(shell: Shell) -> bool:
        return same(shell, lambda _: fresh(**{"Cache-Control": spelling}), {}, {})

    return probe


def session_fixation(shell: Shell) -> bool:
    """A session that is saved on every request, on a page that nobody looks at: does its cookie reach another?"""
    with shell.serve(lambda _: fresh(**{"Cache-Control": "public"}), SESSION_SAVE_EVERY_REQUEST=True):
        session = SessionStore()
        session["name"] = "ann"
        session.save()
        visitor(sessionid=session.session_key).get("/")
        cookie = visitor().get("/").cookies.get("sessionid")
        return cookie is not None and bool(cookie.value)


def authorization(shell: Shell) -> bool:
    return same(shell, lambda _: fresh(), {"headers": {"authorization": "Bearer ann"}}, {})


def own_cookie(shell: Shell) -> bool:
    """A page that varies on cookies and sets one, for two visitors with the same other cookie."""

    def view(_: Any) -> HttpResponse:
        response = fresh(Vary="Cookie")
        response.set_cookie("visitor", str(next(serial)))
        return response

    return same(shell, view, {"cookies": {"theme": "dark"}}, {"cookies": {"theme": "dark"}})


def absent_header(shell: Shell) -> bool:
    return same(shell, lambda _: fresh(Vary="X-Tenant"), {"headers": {"x-tenant": ""}}, {})


def foreign_host(shell: Shell) -> bool:
    def view(request: Any) -> HttpResponse:
        return HttpResponse(f"https://{request.META.get('HTTP_HOST', 'testserver')}/reset/")

    return same(shell, view, {"headers": {"host": "evil.test"}}, {}, ALLOWED_HOSTS=["testserver"]) or same(
        shell, view, {"headers": {"host": "evil.test"}}, {}
    )


def query_separator(shell: Shell) -> bool:
    """`;` parts nothing: what follows one belongs to the value."""
    one, other = {"query": "?a=1;utm_source=x"}, {"query": "?a=1"}
    return same(shell, lambda request: HttpResponse(request.GET["a"]), one, other)


def unsafe_key(shell: Shell) -> bool:
    """A path and a prefix with spaces and line breaks, on a store as strict as memcached."""
    return fails(shell, lambda _: fresh(), {"query": "?a=%0d%0a%20\r\n b"}, strict=True)


def session_per_site(shell: Shell) -> bool:
    return shell.shape == "pair" and session(shell)


# What was found beyond.


def session(shell: Shell) -> bool:
    def view(request: Any) -> HttpResponse:
        request.session.get("cart")
        return fresh()

    return same(shell, view, {"cookies": {"sessionid": "ann"}}, {"cookies": {"sessionid": "bob"}})


def csrf_token(shell: Shell) -> bool:
    return same(shell, lambda request: HttpResponse(get_token(request)), {}, {}, between=(SESSION, CSRF))


def set_cookie(shell: Shell) -> bool:
    def view(_: Any) -> HttpResponse:
        response = fresh()
        response.set_cookie("visitor", str(next(serial)))
        return response

    return same(shell, view, {}, {})


def api_key(shell: Shell) -> bool:
    return same(shell, lambda _: fresh(), {"headers": {"x-api-key": "ann"}}, {})


def remote_user(shell: Shell) -> bool:
    return same(shell, lambda _: fresh(), {"REMOTE_USER": "ann"}, {"REMOTE_USER": "bob"})


def forwarded_host(shell: Shell) -> bool:
    def view(request: Any) -> HttpResponse:
        host = request.headers.get("X-Forwarded-Host", "testserver")
        return HttpResponse(f"<script src=//{host}/a.js></script>")

    return same(shell, view, {"headers": {"x-forwarded-host": "evil.test"}}, {})


def body(shell: Shell) -> bool:
    return same(shell, lambda request: HttpResponse(request.body + b"."), {"body": b"ann"}, {"body": b"bob"})


def content_type(shell: Shell) -> bool:
    def view(request: Any) -> HttpResponse:
        return HttpResponse(request.META.get("CONTENT_TYPE", "none"), headers={"Vary": "Content-Type"})

    return same(shell, view, {"CONTENT_TYPE": "text/a"}, {"CONTENT_TYPE": "text/b"})


def language(shell: Shell) -> bool:
    """A view that reads `Accept-Language` itself, on a site without LocaleMiddleware."""

    def view(request: Any) -> HttpResponse:
        return HttpResponse(request.headers["Accept-Language"], headers={"Vary": "Accept-Language"})

    return same(shell, view, {"headers": {"accept-language": "de"}}, {"headers": {"accept-language": "fr"}})


def expired(shell: Shell) -> bool:
    """Per site alone: the timeout of a decorator wins over what the view says to clients, by design."""
    return not shell.is_per_view and lifetime(Expires="Thu, 01 Jan 1970 00:00:00 GMT")(shell)


def lifetime(**headers: str) -> Probe:
    def probe(shell: Shell) -> bool:
        return same(shell, lambda _: fresh(**{name.replace("_", "-"): text for name, text in headers.items()}), {}, {})

    return probe


def odd_cache_control(text: str) -> Probe:
    def probe(shell: Shell) -> bool:
        return fails(shell, lambda _: fresh(**{"Cache-Control": text}))

    return probe


def unpicklable(shell: Shell) -> bool:
    def view(_: Any) -> HttpResponse:
        response = fresh()
        response.lock = threading.Lock()  # type: ignore[attr-defined]
        return response

    return fails(shell, view)


def zone_with_space(shell: Shell) -> bool:
    with timezone.override(dt.timezone(dt.timedelta(hours=1), "Central European Time")):
        return fails(shell, lambda _: fresh(), strict=True)


def flood(shell: Shell) -> bool:
    """Whether 400 junk queries make more than 280 entries, or cost the page that everybody reads its place."""
    runs = itertools.count(1)

    def view(request: Any) -> HttpResponse:
        return HttpResponse("junk" if request.GET else f"run {next(runs)}")

    with shell.serve(view, CACHES={"default": shell.backend() | _ROOMY}):
        visitor().get("/")
        for number in range(400):
            visitor().get(f"/?x={number}")
            if number % 40 == 0:
                visitor().get("/")
        return next(runs) > 2 or _entries() > 280


def header_flood(shell: Shell) -> bool:
    """Whether 200 values of a header that the page varies on make more than 100 entries."""
    with shell.serve(lambda _: fresh(Vary="X-Device"), CACHES={"default": shell.backend() | _ROOMY}):
        for number in range(200):
            visitor().get("/", headers={"x-device": str(number)})
        return _entries() > 100


_ROOMY = {"OPTIONS": {"MAX_ENTRIES": 5000}}


def _entries() -> int:
    # Both keep their entries under this name.
    names = caches["default"]._cache
    return sum("cacheplus.page" in name or "decorators.cache" in name for name in names)
