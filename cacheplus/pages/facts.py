"""What the policy is told, read from Django's request and response without leaving a trace in them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone, translation
from django.utils.encoding import escape_uri_path
from django.utils.functional import LazyObject, SimpleLazyObject

from cacheplus.http.cookies import CookieRules
from cacheplus.http.facts import Personal, RequestFacts, ResponseFacts
from cacheplus.http.headers import Fields
from cacheplus.http.query import QueryRules
from cacheplus.http.variants import accepted_codings
from cacheplus.pages.keys import PageAddress
from cacheplus.pages.watched_cookies import WatchedCookies

_UNPREFIXED = {"CONTENT_TYPE": "Content-Type", "CONTENT_LENGTH": "Content-Length"}


@dataclass(frozen=True, slots=True)
class Locale:
    """The language and time zone that were active, None where the site does not use them."""

    language: str | None
    time_zone: str | None

    @classmethod
    def active(cls, *, i18n: bool, tz: bool) -> Locale:
        """Those active now."""
        return cls(translation.get_language() if i18n else None, timezone.get_current_timezone_name() if tz else None)


def address_of(
    request: HttpRequest,
    locale: Locale,
    query: QueryRules,
    *,
    key_headers: tuple[str, ...] = (),
    session_cookies: frozenset[str] = frozenset(),
    key_prefix: str = "",
    layer: str = "site",
) -> PageAddress | None:
    """The address that `request` asks for; None where its host is not one of ours."""
    try:
        host = request.get_host()
    except DisallowedHost:
        return None
    return PageAddress(
        scheme=request.scheme or "http",
        host=host.lower(),
        path=escape_uri_path(request.path),
        query=query.key(request.META.get("QUERY_STRING", "")),
        key_prefix=key_prefix,
        layer=layer,
        language=locale.language,
        time_zone=locale.time_zone,
        session=_own_cookies(request, session_cookies),
        headers="\n".join(f"{name}:{request.META[name]}" for name in key_headers if name in request.META),
    )


def _own_cookies(request: HttpRequest, names: frozenset[str]) -> str | None:
    cookies: dict[str, Any] = request.COOKIES
    own = [f"{name}={dict.__getitem__(cookies, name)}" for name in sorted(names) if carries(request, frozenset({name}))]
    return "; ".join(own) or None


def request_fields(request: HttpRequest, cookies: CookieRules, codings: tuple[str, ...]) -> Fields:
    """The header fields of `request`. Those that WSGI keeps under names of their own are among them.

    `Cookie` and `Accept-Encoding` are there as the cache key has them: without cookies that do not count, and without
    codings that the site does not produce.
    """
    return Fields.of(_request_pairs(request.META, cookies, codings))


def _request_pairs(meta: dict[str, Any], cookies: CookieRules, codings: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name, value in meta.items():
        if name == "HTTP_COOKIE":
            if counting := cookies.key(str(value)):
                yield "Cookie", counting
        elif name == "HTTP_ACCEPT_ENCODING":
            yield "Accept-Encoding", accepted_codings(str(value), codings)
        elif name.startswith("HTTP_"):
            yield name[5:].replace("_", "-"), str(value)
        elif name in _UNPREFIXED and value not in ("", None):
            yield _UNPREFIXED[name], str(value)


def request_facts(
    request: HttpRequest,
    *,
    credentials: tuple[str, ...],
    cookies: CookieRules,
    codings: tuple[str, ...],
    visitor_cookies: frozenset[str],
    session_cookies: frozenset[str],
    asks_user: bool,
    is_excluded: bool,
) -> RequestFacts:
    """What the policy needs of `request`. Whether the visitor is logged in is found out only if `asks_user`.

    Where no middleware has told yet who it is, somebody with a session counts as logged in.
    """
    has_visitor_cookie = carries(request, visitor_cookies)
    return RequestFacts(
        method=request.method or "",
        fields=request_fields(request, cookies, codings),
        has_body=_has_body(request.META),
        credentials=tuple(name for name in credentials if name != "HTTP_AUTHORIZATION" and request.META.get(name)),
        has_visitor_cookie=has_visitor_cookie,
        is_authenticated=asks_user and carries(request, session_cookies) and is_authenticated(request, default=True),
        is_excluded=is_excluded,
    )


def carries(request: HttpRequest, names: frozenset[str]) -> bool:
    """Whether `request` has one of these cookies. That we look does not count as a look of the view."""
    cookies: dict[Any, str] = request.COOKIES
    return not names.isdisjoint(dict.keys(cookies))


def _has_body(meta: dict[str, Any]) -> bool:
    return meta.get("CONTENT_LENGTH") not in (None, "", "0", 0) or "HTTP_TRANSFER_ENCODING" in meta


def is_authenticated(request: HttpRequest, *, default: bool = False) -> bool:
    """Whether the visitor is logged in; `default` where nobody knows. Our look is none of the view's."""
    user = getattr(request, "user", None)
    if user is None:
        return default
    session = getattr(request, "session", None)
    accessed = getattr(session, "accessed", False)
    try:
        return bool(user.is_authenticated)
    finally:
        if session is not None:
            session.accessed = accessed


@dataclass(slots=True)
class Watch:
    """What a view used of the visitor, from `start` to `stop`."""

    request: HttpRequest
    visitor_cookies: frozenset[str] = frozenset()
    is_innermost: bool = True
    """Whether no middleware runs between here and the view. What middleware reads of the cookies is its own affair."""
    used: set[Personal] = field(default_factory=set)
    started_at: float = 0.0
    _accessed_before: bool = False
    _user_before: bool = False
    _watched: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """By attribute of the request: what the view sees, and what stood there before."""
    _user: Any = None
    """Whom the view was given when it asked."""

    def start(self) -> None:
        """Remember what middleware used before the view, and notice who asks for the user from now on."""
        session = getattr(self.request, "session", None)
        self._accessed_before = getattr(session, "accessed", False)
        if session is not None:
            session.accessed = False
        if self.is_innermost:
            self.watch_cookies()
        self._user_before = "user" in vars(self.request)
        for name, watching in (("user", self._lazily), ("auser", self._awaited)):
            if name in vars(self.request):
                before = getattr(self.request, name)
                self._watched[name] = (watching(before), before)
                setattr(self.request, name, self._watched[name][0])

    def watch_cookies(self) -> None:
        """Notice who reads the visitor's cookies from now on, past the session and the token that they stand for."""
        before = self.request.COOKIES

        def noticed() -> None:
            self.used.add(Personal.SESSION)

        # On the way back, the middleware of sessions asks whether there is one.
        watched = WatchedCookies(before, self.visitor_cookies, noticed, sees_presence=self.is_innermost)
        self._watched["COOKIES"] = (watched, before)
        self.request.COOKIES = watched

    def stop(self) -> None:
        """Note what the view used; what was used before it, and the user, are restored."""
        session = getattr(self.request, "session", None)
        self.used.update(personal for personal, was_used in _USES if was_used(self.request))
        for name, (seen, before) in self._watched.items():
            # A view that logs somebody in puts another user there.
            if vars(self.request).get(name) is seen:
                setattr(self.request, name, before)
        if not self._user_before and (user := _known_user(self.request)) is not None:
            self._give(user)
        if session is not None:
            session.accessed = session.accessed or self._accessed_before

    @property
    def saw_authenticated(self) -> bool:
        """Whether the view asked for the user and was given one who is logged in, by whatever means."""
        return bool(getattr(self._user, "is_authenticated", False))

    def _give(self, user: Any) -> Any:
        self.used.add(Personal.USER)
        self._user = user
        return user

    def _lazily(self, user: Any) -> SimpleLazyObject[Any]:
        return SimpleLazyObject(lambda: self._give(user))

    def _awaited(self, get_user: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        async def asked() -> Any:
            return self._give(await get_user())

        return asked


def _known_user(request: HttpRequest) -> Any:
    """The user, where to tell who it is costs nothing; else None."""
    for name in ("_cached_user", "_acached_user"):
        if hasattr(request, name):
            return getattr(request, name)
    user = vars(request).get("user")
    return None if isinstance(user, LazyObject) else user


# Set on a request that was answered with a page for which the view had looked at the visitor.
_LOOKED = "_cacheplus_looked_at_visitor"


def look_again(request: HttpRequest) -> None:
    """Count as a look at the visitor what the view of a stored page had looked at: for outer caches, and for `Vary`."""
    setattr(request, _LOOKED, True)
    session = getattr(request, "session", None)
    if session is not None:
        session.accessed = True


# Set by Django on the request or its session, whoever used them.
_USES: tuple[tuple[Personal, Callable[[HttpRequest], bool]], ...] = (
    (Personal.SESSION, lambda request: getattr(getattr(request, "session", None), "accessed", False)),
    (Personal.SESSION, lambda request: hasattr(request, _LOOKED)),
    (Personal.SESSION, lambda request: _looked_for(getattr(request, "_messages", None))),
    (Personal.SESSION_WRITE, lambda request: getattr(getattr(request, "session", None), "modified", False)),
    # True as soon as the token is used, and False once its middleware has set the cookie.
    (Personal.CSRF, lambda request: "CSRF_COOKIE_NEEDS_UPDATE" in request.META),
    (Personal.MESSAGES, lambda request: _shown(getattr(request, "_messages", None))),
    (Personal.CSP_NONCE, lambda request: bool(getattr(request, "_csp_nonce", None))),
)


def _looked_for(messages: Any) -> bool:
    """Whether somebody asked if there are messages: another visitor may have some."""
    return hasattr(messages, "_loaded_data") or getattr(messages, "used", False)


def _shown(messages: Any) -> bool:
    """Whether there were messages, and the view showed or added them."""
    was_shown = getattr(messages, "used", False) and bool(getattr(messages, "_loaded_data", True))
    return was_shown or bool(getattr(messages, "added_new", False))


def response_facts(
    response: HttpResponseBase,
    used: frozenset[Personal],
    before: Locale,
    after: Locale,
    *,
    session_is_known: bool = True,
    saw_ignored_input: bool = False,
) -> ResponseFacts:
    """What the policy needs of `response` and of how it was made."""
    return ResponseFacts(
        status=response.status_code,
        fields=Fields.of(response.headers.items()),
        is_streaming=response.streaming,
        sets_cookies=bool(response.cookies),
        used=used,
        language_changed=before.language != after.language,
        time_zone_changed=before.time_zone != after.time_zone,
        session_is_known=session_is_known,
        saw_ignored_input=saw_ignored_input,
    )
