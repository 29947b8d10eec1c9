"""A stale page is refreshed after its last copy has been sent, by a copy of the request that found it stale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone, translation

from cacheplus.backends.base import BaseCache
from cacheplus.exceptions import LockNotAcquired
from cacheplus.faults import report
from cacheplus.http.facts import RequestFacts

# Set on the copy, which is not to be answered with the stale page.
_MARK = "_cacheplus_refreshes"

# How long nobody else begins, should this process end while it renders.
_LEASE = 30.0

Render = Callable[[HttpRequest], Any]
Beginning = Mapping[str, Any]


def is_refresh(request: HttpRequest) -> bool:
    """Whether nobody waits for the response."""
    return hasattr(request, _MARK)


def may_refresh(request: RequestFacts) -> bool:
    """Whether a page may be refreshed in the name of this visitor: only where that is nobody."""
    return not (request.has_any_credential or request.has_visitor_cookie)


def beginning_of(request: HttpRequest) -> dict[str, Any]:
    """What `request` consists of now: a copy will know nothing that is added later."""
    return dict(vars(request))


def refresh_after(
    response: HttpResponseBase,
    request: HttpRequest,
    beginning: Beginning,
    key: str,
    cache: Callable[[], BaseCache],
    render: Render,
) -> None:
    """Have `render` called with a copy of `request`, once `response` has been sent and closed.

    Of several processes and threads that want to refresh `key` one does, and nobody waits for it. What it raises is
    reported. The language and time zone are those of now.
    """
    response.headers.setdefault("Content-Length", str(len(getattr(response, "content", b""))))
    locale = translation.get_language(), timezone.get_current_timezone()
    copy = partial(_copy, request, dict(beginning))
    # Django calls these after the last byte, in the thread of the request, and before its connections are closed.
    response._resource_closers.append(partial(_refresh, key, cache, copy, render, locale))  # type: ignore[attr-defined]  # noqa: SLF001


def _refresh(
    key: str,
    cache: Callable[[], BaseCache],
    copy: Callable[[], HttpRequest],
    render: Render,
    locale: tuple[str | None, Any],
) -> None:
    alias = cache()
    try:
        with (
            alias.lock(f"cacheplus.refresh.{key}", timeout=_LEASE, wait=0),
            translation.override(locale[0]),
            timezone.override(locale[1]),
        ):
            response = render(copy())
            if getattr(response, "streaming", False):
                response.close()
    except LockNotAcquired:
        return
    except Exception as error:  # noqa: BLE001 - the response has been sent; nobody is there to be told
        report(type(alias), alias.alias, "refresh", error)


def _copy(request: HttpRequest, beginning: dict[str, Any]) -> HttpRequest:
    copy = type(request).__new__(type(request))
    vars(copy).update(beginning)
    copy.META = {name: value for name, value in request.META.items() if not name.startswith("CSRF_COOKIE")}
    if "environ" in beginning:
        copy.environ = copy.META  # type: ignore[attr-defined]
    vars(copy).pop("headers", None)
    setattr(copy, _MARK, True)
    return copy
