"""What the policy is told: about a request, about a response, and which rules the site set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from types import MappingProxyType

from cacheplus.http.headers import NO_FIELDS, Fields


class Unset(Enum):
    """The type of `UNSET`: no timeout was given, which is not None, the timeout without an end."""

    UNSET = "unset"


UNSET = Unset.UNSET


class Personal(StrEnum):
    """What a view may use that makes its page one visitor's own."""

    SESSION = "session"
    SESSION_WRITE = "session-write"
    USER = "user"
    CSRF = "csrf"
    MESSAGES = "messages"
    CSP_NONCE = "csp-nonce"


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """One request, as far as the cache cares."""

    method: str = "GET"
    fields: Fields = NO_FIELDS
    has_body: bool = False
    credentials: tuple[str, ...] = ()
    """Names of what else than `Authorization` marks the request as personal: headers, keys of META."""
    has_visitor_cookie: bool = False
    """Whether it carries a cookie of the session, of CSRF protection or of messages."""
    is_authenticated: bool = False
    """Whether the visitor is logged in; leave it False where nobody asks, since to find out may cost a query."""
    is_excluded: bool = False
    """Whether the view's own condition says that this request is not for the cache."""

    @property
    def has_authorization(self) -> bool:
        """An empty field counts as none, as it does in Django."""
        return bool(self.fields.get("Authorization"))

    @property
    def has_any_credential(self) -> bool:
        """Whether it says who the visitor is by other means than a cookie, known or not."""
        unknown = self.is_authenticated and not self.has_visitor_cookie
        return self.has_authorization or bool(self.credentials) or unknown


@dataclass(frozen=True, slots=True)
class ResponseFacts:
    """One response of a view, and what was seen while it was made."""

    status: int = 200
    fields: Fields = NO_FIELDS
    is_streaming: bool = False
    sets_cookies: bool = False
    """Whether it sets cookies that are not among `fields`."""
    used: frozenset[Personal] = frozenset()
    language_changed: bool = False
    time_zone_changed: bool = False
    session_is_known: bool = True
    """Whether the session that is part of the cache key exists, and was looked at; True where none is."""
    saw_ignored_input: bool = False
    """Whether the view could read parts of the request that the cache key leaves out."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the site and the view allow. The defaults are the careful ones. All times are seconds."""

    page_timeout: float | Unset | None = UNSET
    """The timeout of `cache_page` or `CacheMixin`. None = until expired; 0 or less = not stored."""
    default_timeout: float | None = None
    """`CACHE_MIDDLEWARE_SECONDS`. None or 0 = only what carries a lifetime of its own."""
    statuses: Mapping[int, float | None] = field(default_factory=lambda: MappingProxyType({}))
    """Lifetimes of responses that carry none, by status; None = until expired."""
    public: bool = False
    """The page is for everybody, whatever the view looked at and whatever credentials the request carries."""
    per_user: bool = False
    """The cache key names the visitor's session."""
    share_authenticated: bool = False
    """Pages that looked at the session or the user may be shared; the cookies they vary on tell visitors apart."""
    store_set_cookie: bool = False
    anonymous_only: bool = False
    heuristic: bool = False
    """Guess a lifetime from `Last-Modified` where nothing gives one (RFC 9111 §4.2.2)."""
    honor_request: bool = False
    """Obey `Cache-Control` and `Pragma` of requests, by which any visitor can bypass the cache."""
    codings: tuple[str, ...] | None = None
    """The content codings that the cache key tells apart, in lower case. None = all of them."""
    targeted_fields: tuple[str, ...] = ()
    """Fields that replace `Cache-Control` for this cache, the first one first (RFC 9213)."""
    stale: float = 0
    """How long past its lifetime a page may be served while it is being refreshed."""
    stale_if_error: float = 0
    """How long past its lifetime a page may be served in place of an error."""
    revalidate_for: float = 0
    """How long past its lifetime a page with validators is kept, to be revalidated."""
