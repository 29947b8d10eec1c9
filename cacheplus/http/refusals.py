"""What keeps a page out of the cache: tables of a reason and the test for it.

The order is the one in which a developer would want to hear the reasons. No test depends on another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cacheplus.http.cache_control import CacheControl
from cacheplus.http.facts import Personal, RequestFacts, ResponseFacts, Rules
from cacheplus.http.freshness import HEURISTIC_STATUSES
from cacheplus.http.headers import Vary, list_members
from cacheplus.http.reasons import Reason
from cacheplus.http.targeted import Governing

_CACHED_METHODS = frozenset({"GET", "HEAD"})
_FINAL_STATUSES = range(200, 600)

# Their meaning depends on request fields that are no part of a cache key: Range, Expect and the conditional ones.
_NEVER_STORED = frozenset({206, 304, 412, 416, 417})

# What this cache knows how to treat, for must-understand (RFC 9111 §5.2.2.3).
_UNDERSTOOD = HEURISTIC_STATUSES | {302, 303, 307}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response, parsed, and the rules: what the tests look at."""

    request: RequestFacts
    response: ResponseFacts
    rules: Rules
    directives: Governing
    vary: Vary

    @property
    def control(self) -> CacheControl:
        return self.directives.control

    def used(self, personal: Personal) -> bool:
        return personal in self.response.used

    @property
    def looked_at_visitor(self) -> bool:
        """Whether the page may differ from visitor to visitor."""
        looked = self.used(Personal.SESSION) or self.used(Personal.USER)
        return looked and not self.rules.public

    @property
    def cookies_tell_apart(self) -> bool:
        """Whether visitors with different cookies have different cache keys."""
        return self.rules.per_user or (self.rules.share_authenticated and "cookie" in self.vary.names)

    @property
    def is_for_visitor(self) -> bool:
        """Whether the page may differ, this visitor is somebody, and the cache key does not say who."""
        told_apart = self.cookies_tell_apart or not self.request.has_visitor_cookie
        return self.looked_at_visitor and (self.request.has_any_credential or not told_apart)

    @property
    def shares_authorization(self) -> bool:
        """RFC 9111 §3.5."""
        control = self.control
        return self.shares_credentials or control.must_revalidate or control.s_maxage is not None

    @property
    def shares_credentials(self) -> bool:
        return self.rules.public or self.control.public

    @property
    def is_storable_status(self) -> bool:
        known = _UNDERSTOOD if self.control.must_understand else _FINAL_STATUSES
        return self.response.status in known and self.response.status not in _NEVER_STORED

    @property
    def has_unknown_coding(self) -> bool:
        """Whether the body is coded for this client in a way that the cache key does not know."""
        known, coding = self.rules.codings, self.response.fields.get("Content-Encoding")
        if known is None or coding is None or "accept-encoding" not in self.vary.names:
            return False
        return not {member.lower() for member in list_members(coding)} <= {*known, "identity"}

    @property
    def has_cookie_to_refuse(self) -> bool:
        """Where the site has cookies stored, those that answer to the visitor's own still are not (CVE-2026-48588)."""
        sets_cookies = self.response.sets_cookies or "Set-Cookie" in self.response.fields
        return sets_cookies and (not self.rules.store_set_cookie or "cookie" in self.vary.names)


_OF_REQUEST: tuple[tuple[Reason, Callable[[RequestFacts, Rules], bool]], ...] = (
    (Reason.METHOD, lambda request, _: request.method not in _CACHED_METHODS),
    (Reason.BODY, lambda request, _: request.has_body),
    (Reason.CONDITION, lambda request, _: request.is_excluded),
    (Reason.AUTHENTICATED, lambda request, rules: rules.anonymous_only and request.is_authenticated),
)

_OF_RESPONSE: tuple[tuple[Reason, Callable[[Exchange], bool]], ...] = (
    (Reason.REQUEST_NO_STORE, lambda x: x.rules.honor_request and request_control(x.request).no_store),
    (Reason.STREAMING, lambda x: x.response.is_streaming),
    (Reason.STATUS, lambda x: not x.is_storable_status),
    (Reason.MALFORMED, lambda x: x.control.broken or x.vary.broken),
    (Reason.NO_STORE, lambda x: x.control.no_store and not x.control.must_understand),
    (Reason.PRIVATE, lambda x: x.control.private),
    (Reason.VARY_STAR, lambda x: x.vary.any),
    (Reason.CSP_NONCE, lambda x: x.used(Personal.CSP_NONCE)),
    (Reason.CSRF, lambda x: x.used(Personal.CSRF)),
    (Reason.MESSAGES, lambda x: x.used(Personal.MESSAGES)),
    (Reason.SESSION, lambda x: x.used(Personal.SESSION_WRITE)),
    (Reason.SESSION, lambda x: not x.response.session_is_known),
    (Reason.USER, lambda x: x.used(Personal.USER) and x.is_for_visitor),
    (Reason.SESSION, lambda x: x.used(Personal.SESSION) and x.is_for_visitor),
    (Reason.CODING, lambda x: x.has_unknown_coding),
    (Reason.SET_COOKIE, lambda x: x.has_cookie_to_refuse),
    (Reason.AUTHORIZATION, lambda x: x.request.has_authorization and not x.shares_authorization),
    (Reason.CREDENTIALS, lambda x: bool(x.request.credentials) and not x.shares_credentials),
    (Reason.LANGUAGE, lambda x: x.response.language_changed),
    (Reason.TIME_ZONE, lambda x: x.response.time_zone_changed),
    (Reason.IGNORED_INPUT, lambda x: x.response.saw_ignored_input),
)


def refuses_request(request: RequestFacts, rules: Rules) -> Reason | None:
    """Why the cache has nothing to do with a request; None if it has."""
    return next((reason for reason, applies in _OF_REQUEST if applies(request, rules)), None)


def refuses_response(exchange: Exchange) -> Reason | None:
    """Why a response must not be stored, however long it may be fresh; None if nothing is against it."""
    return next((reason for reason, applies in _OF_RESPONSE if applies(exchange)), None)


def request_control(request: RequestFacts) -> CacheControl:
    """The directives of a request; `Pragma: no-cache` speaks where `Cache-Control` is silent (RFC 9111 §5.4)."""
    source = "Cache-Control" if "Cache-Control" in request.fields else "Pragma"
    return CacheControl.parse(*request.fields.get_all(source))
