"""A view behind a page cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from cacheplus.pages.cache import PageCache
from cacheplus.pages.options import Site
from cacheplus.pages.refresh import beginning_of

View = TypeVar("View", bound=Callable[..., Any])


def cached_view(view: View, pages: PageCache, site: Callable[[], Site], *, name: str) -> View:
    """`view`, sync or async, answered from `pages` where it can be. `name` is what an error calls the decorator."""

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        check_request(request, name)
        beginning = beginning_of(request)
        visit = pages.look(request, site())
        if visit.hit is not None:
            pages.refresh_after(visit, visit.hit, beginning, lambda copy: inner(copy, *args, **kwargs))
            return visit.hit
        return pages.finish(visit, pages.ask(visit, partial(view, request, *args, **kwargs)))

    @wraps(view)
    async def ainner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        check_request(request, name)
        beginning = beginning_of(request)
        visit = await pages.alook(request, site())
        if visit.hit is not None:
            again = async_to_sync(ainner)
            pages.refresh_after(visit, visit.hit, beginning, lambda copy: again(copy, *args, **kwargs))
            return visit.hit
        return await pages.afinish(visit, await pages.aask(visit, partial(view, request, *args, **kwargs)))

    return ainner if iscoroutinefunction(view) else inner  # type: ignore[return-value]


def check_request(request: object, name: str) -> None:
    """Raise TypeError where `name` decorates a method and so was given the instance, not the request."""
    if not hasattr(request, "META"):
        raise TypeError(
            f"{name} didn't receive an HttpRequest. If you are decorating a classmethod, be sure to use "
            "@method_decorator."
        )
