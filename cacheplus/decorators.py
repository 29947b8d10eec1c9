"""Decorators for views: cache a page, and say in its headers what may be cached. All take sync and async views."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.utils.cache import add_never_cache_headers, patch_cache_control, patch_vary_headers

from cacheplus.functions import CachedCoroutineFunction, CachedFunction, FunctionOptions
from cacheplus.pages.cache import PageCache
from cacheplus.pages.options import PageOptions, TagSource, rules_given
from cacheplus.pages.views import cached_view, check_request
from cacheplus.recorder import Recorder, current
from cacheplus.site import site

View = TypeVar("View", bound=Callable[..., Any])


def cache_page(
    timeout: float | None,
    *misplaced: object,
    cache: str | None = None,
    key_prefix: str | None = None,
    client_timeout: float | None = None,
    stale: float | None = None,
    stale_if_error: float | None = None,
    tags: TagSource = (),
    public: bool = False,
    per_user: bool = False,
    anonymous_only: bool = False,
    statuses: Mapping[int, float | None] | None = None,
    ignore_query: Collection[str] | None = None,
    condition: Callable[[HttpRequest], bool] | None = None,
    fill_csrf: bool = False,
) -> Callable[[View], View]:
    """Cache the pages of a view for `timeout` seconds; None = until they are expired.

    - `cache` is an alias, "default" if None; `key_prefix` sets these pages apart.
    - `client_timeout`: seconds that a client may keep its copy, as long as the page is fresh here if None.
    - `stale`: seconds past its lifetime for which a page is served while it is being refreshed, STALE if None.
    - `stale_if_error`: likewise in place of an error of the view, STALE_IF_ERROR if None.
    - `tags`: names, or a function of request and response that gives them.
    - `public`: for everybody, whatever the view looks at and whatever credentials the request carries.
    - `per_user`: one page for each session, and one for all visitors without a session.
    - `anonymous_only`: neither serve nor store for a visitor who is logged in.
    - `statuses`: seconds by status, for responses that are no success, such as `{404: 30}`; STATUSES if None.
    - `ignore_query`: query parameters that make no difference, in place of those of IGNORE_QUERY.
    - `condition`: a function of the request; where it says no, the cache stands aside.
    - `fill_csrf`: store a page with a form, and put a CSRF token of his own into it for each visitor.
    """
    given: object = timeout
    if callable(given) or misplaced:
        # The form of Django 1.2.
        raise TypeError(
            "cache_page takes one positional argument, the timeout, and is then applied to the view: use "
            "@cache_page(60), or cache_page(60)(view) in a URLconf, instead of cache_page(view, 60)."
        )
    pages = PageCache(
        PageOptions(
            alias=cache or DEFAULT_CACHE_ALIAS,
            key_prefix=key_prefix or "",
            layer="view",
            given={
                "page_timeout": timeout,
                "public": public,
                "per_user": per_user,
                "anonymous_only": anonymous_only,
                **rules_given(stale=stale, stale_if_error=stale_if_error, statuses=statuses),
            },
            client_timeout=client_timeout,
            tags=tags,
            condition=condition,
            fill_csrf=fill_csrf,
            ignore_query=ignore_query,
        )
    )

    def decorate(view: View) -> View:
        if not callable(view):
            raise TypeError(f"cache_page decorates a view, a function that takes a request, which {view!r} is not.")
        return cached_view(view, pages, site, name="cache_page")

    return decorate


def cached(
    timeout: Any = 300,
    *,
    key: str | Callable[..., str] | None = None,
    tags: Collection[str] | Callable[..., Collection[str]] = (),
    stale: float = 0,
    cache: str = DEFAULT_CACHE_ALIAS,
    unless: Callable[..., object] | None = None,
    version: Any = None,
) -> Any:
    """Keep the results of a function, a method or an async function, once for each set of arguments.

    - `timeout`: seconds; None = until they are expired.
    - `key`: a name in the place of the function's own, or a function of the arguments that gives the key.
    - `tags`: names, or a function of the arguments that gives them.
    - `stale`: for how many seconds after the timeout the old result is given while a new one is made.
    - `cache`: an alias. `version`: that of the keys.
    - `unless`: a function of the arguments; where it says yes, the function is called and nothing is kept.
    """
    options = FunctionOptions(timeout, key, tags, stale, cache, unless, version)
    if callable(timeout) or isinstance(timeout, staticmethod | classmethod):
        # Without parentheses.
        return cached()(timeout)

    def decorate(function: Callable[..., Any]) -> CachedFunction:
        if not callable(function):
            raise TypeError(
                f"cached decorates a function, which {function!r} is not: put @classmethod or the like above."
            )
        kind = CachedCoroutineFunction if iscoroutinefunction(function) else CachedFunction
        return kind(function, options)

    return decorate


def cache_control(**directives: Any) -> Callable[[View], View]:
    """Add directives to `Cache-Control`; underscores become hyphens, True writes the bare name."""
    return _after("cache_control", lambda response: patch_cache_control(response, **directives))


def never_cache(view: View) -> View:
    """Tell every cache to keep nothing of the view, and to ask again each time."""
    return _after("never_cache", add_never_cache_headers)(view)


def vary_on_headers(*headers: str) -> Callable[[View], View]:
    """Say in `Vary` that the page depends on these request headers."""
    return _after(None, lambda response: patch_vary_headers(response, headers))


def vary_on_cookie(view: View) -> View:
    """`vary_on_headers("Cookie")`."""
    return vary_on_headers("Cookie")(view)


def untracked(view: View) -> View:
    """Let the tables that a view or a function reads not count: under TRACK_TABLES they do not expire it.

    It has to stand below `cache_page` or `cached`.
    """

    @wraps(view)
    def inner(*args: Any, **kwargs: Any) -> Any:
        with _not_tracking() as leave_off:
            return leave_off(view(*args, **kwargs))

    @wraps(view)
    async def ainner(*args: Any, **kwargs: Any) -> Any:
        with _not_tracking() as leave_off:
            return leave_off(await view(*args, **kwargs))

    return ainner if iscoroutinefunction(view) else inner  # type: ignore[return-value]


@contextmanager
def _not_tracking() -> Iterator[Callable[[Any], Any]]:
    """Gives what to pass the result through: one that is rendered later is not tracked then, either."""
    recorder, goes_on = current() or Recorder(), []

    def leave_off(result: Any) -> Any:
        goes_on.append(isinstance(result, SimpleTemplateResponse) and not result.is_rendered)
        return result

    before, recorder.tracks_tables = recorder.tracks_tables, False
    try:
        yield leave_off
    finally:
        recorder.tracks_tables = before and goes_on != [True]


def _after(name: str | None, patch: Callable[[HttpResponseBase], object]) -> Callable[[View], View]:
    """A decorator that patches the response. With a `name` it insists on being given a request."""

    def decorate(view: View) -> View:
        @wraps(view)
        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if name is not None:
                check_request(request, name)
            response: HttpResponseBase = view(request, *args, **kwargs)
            patch(response)
            return response

        @wraps(view)
        async def ainner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if name is not None:
                check_request(request, name)
            response: HttpResponseBase = await view(request, *args, **kwargs)
            patch(response)
            return response

        return ainner if iscoroutinefunction(view) else inner  # type: ignore[return-value]

    return decorate
