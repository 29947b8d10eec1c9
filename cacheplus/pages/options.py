"""How pages are cached: what the site says about all of them, and what one shell says about its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from cacheplus.http.cookies import CookieRules
from cacheplus.http.facts import Rules, Unset
from cacheplus.http.query import QueryRules
from cacheplus.http.rules import lifetimes, seconds
from cacheplus.pages.census import Limits
from cacheplus.tags import tag_names

# The layer of the middleware. Nothing of ours stands further out, so that what it stores is what is sent.
OUTERMOST = "site"

TagSource = Collection[str] | Callable[[HttpRequest, HttpResponseBase], Collection[str]]


@dataclass(frozen=True, slots=True)
class Site:
    """What the settings say about every page."""

    rules: Rules
    uses_i18n: bool
    uses_tz: bool
    credentials: tuple[str, ...]
    """Keys of `request.META` that mark a request as personal."""
    key_headers: tuple[str, ...]
    """Keys of `request.META` that belong to the key of every page."""
    query: QueryRules
    cookies: CookieRules
    codings: tuple[str, ...]
    """The content codings that the site produces, in lower case."""
    csrf_cookie: str
    prefix_depth: int
    limits: Limits
    sends_status: bool
    sends_detail: bool
    most_without_cache: int | None = None
    """How many pages are made at the same time while their cache fails; None = any number."""
    expire: Callable[[str], object] | None = None
    """Expires every copy of the page at a URL, after an unsafe request; None = leave them alone."""
    failed: Callable[[HttpRequest, Exception], None] = lambda _request, _error: None
    """Told of an exception of a view in whose place a stored page is sent."""
    flight_lease: float = 30.0
    flight_wait: float = 5.0

    @property
    def session_cookies(self) -> frozenset[str]:
        """The cookies that say who the visitor is. That of CSRF protection says so of a form alone."""
        return self.cookies.visitor - {self.csrf_cookie}


_RULES: Mapping[str, Callable[[Any], Any]] = {"stale": seconds, "stale_if_error": seconds, "statuses": lifetimes}


def rules_given(**arguments: Any) -> dict[str, Any]:
    """The rules that arguments of a shell give; one that is None leaves the rule to the site.

    Raises TypeError for what is none, with the name of the argument.
    """
    given: dict[str, Any] = {}
    for name, value in arguments.items():
        try:
            given |= {} if value is None else {name: _RULES[name](value)}
        except ValueError as expected:
            raise TypeError(f"{name} must be {expected}, not {value!r}.") from None
    return given


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What one shell says about the pages that pass it."""

    alias: str
    given: Mapping[str, Any] = field(default_factory=dict)
    """The rules of these pages that differ from those of the site, by name."""
    key_prefix: str = ""
    layer: str = OUTERMOST
    """Per-site and per-view pages of one address are kept apart: middleware between them adds to the outer one."""
    client_timeout: float | None = None
    """Seconds that a client may keep its copy; None = as long as the page is fresh here."""
    tags: TagSource = ()
    condition: Callable[[HttpRequest], bool] | None = None
    fill_csrf: bool = False
    """Whether pages with CSRF tokens are stored with holes, which are filled for each visitor."""
    ignore_query: Collection[str] | None = None
    """Query parameters that make no difference to these pages; None = those of the site."""

    def __post_init__(self) -> None:
        """Raise TypeError where an argument is nothing that could be one."""
        if not callable(self.tags):
            tag_names(self.tags)
        names = self.ignore_query
        if names is not None and (isinstance(names, str) or not all(isinstance(name, str) for name in names)):
            raise TypeError(f"ignore_query takes a list of names of parameters, not {names!r}.")
        for timeout in (self.given.get("page_timeout"), self.client_timeout):
            if not isinstance(timeout, int | float | Unset | None) or timeout != timeout:  # noqa: PLR0124 - nan alone
                raise TypeError(f"The timeout of a page must be a number of seconds or None, not {timeout!r}.")

    def rules(self, site: Site) -> Rules:
        """The rules of these pages."""
        return replace(site.rules, **self.given)

    def query(self, site: Site) -> QueryRules:
        """What counts of the query of these pages."""
        return site.query if self.ignore_query is None else replace(site.query, ignored=tuple(self.ignore_query))

    @property
    def asks_about_visitor(self) -> bool:
        """Whether a request may have to be asked for its user."""
        return self.condition is not None or bool(self.given.get("anonymous_only"))

    @property
    def early_tags(self) -> tuple[str, ...]:
        """The tags that are known before the view runs."""
        return () if callable(self.tags) else tuple(self.tags)

    def late_tags(self, request: HttpRequest, response: HttpResponseBase) -> tuple[str, ...]:
        """The tags that the view's response brought. Raises TypeError for what is no name."""
        added: Collection[str] = getattr(response, TAGS_ATTRIBUTE, ())
        return (*(tag_names(self.tags(request, response)) if callable(self.tags) else ()), *added)


# Where `add_cache_tags` leaves names on a response.
TAGS_ATTRIBUTE = "_cacheplus_tags"
