"""Why a page was not stored, or not served from the cache: one closed list."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """The values are the `detail` tokens of `Cache-Status`; `explanation` is a sentence for a developer."""

    explanation: str

    def __new__(cls, token: str, explanation: str) -> Self:
        reason = str.__new__(cls, token)
        reason._value_ = token
        reason.explanation = explanation
        return reason

    # The request.
    METHOD = "method", "Only GET and HEAD are answered from the cache."
    HOST = "host", "The Host of the request is not one that the site answers to."
    BODY = "body", "The request has a body, which is no part of the cache key."
    CONDITION = "condition", "The view's own condition excludes this request."
    AUTHENTICATED = "authenticated", "The visitor is logged in, and only anonymous visitors are cached here."
    AUTHORIZATION = (
        "authorization",
        "The request carries Authorization, and no public, s-maxage or must-revalidate permits to share the page.",
    )
    CREDENTIALS = "credentials", "The request carries another credential, and the page is not declared public."
    REQUEST_NO_STORE = "request-no-store", "The client asked that nothing be stored, and such requests are honoured."
    REQUEST_NO_CACHE = "request-no-cache", "The client asked for a fresh page, and such requests are honoured."
    REQUEST_MAX_AGE = "request-max-age", "The stored page is older, or closer to its end, than the client accepts."
    ONLY_IF_CACHED = "only-if-cached", "The client accepts a stored page only, and there is none that may be served."

    # What the view used.
    SESSION = "session", "The view used the session of a visitor who has one, or changed it."
    USER = "user", "The view looked at the user of a visitor who carries a session."
    CSRF = "csrf", "The page holds a CSRF token, which is one visitor's own."
    MESSAGES = "messages", "The page shows messages, which are meant for one visitor and one time."
    CSP_NONCE = "csp-nonce", "The page holds a CSP nonce, which must not be used twice."
    LANGUAGE = "language", "The view changed the active language, so the page is not in the one of its key."
    TIME_ZONE = "time-zone", "The view changed the active time zone, so the page is not in the one of its key."
    IGNORED_INPUT = (
        "ignored-input",
        "The view could see query parameters or cookies that the cache key leaves out, and may have reflected them.",
    )

    # The tables that the view read.
    UNCOMMITTED = "uncommitted", "The page shows a table that the transaction it is rendered in has changed."
    SNAPSHOT = "snapshot", "The page was read in a transaction that is older than its rendering."
    UNTRACKED = (
        "untracked",
        "A query of the view reads what is not tracked: a database view, a function, an unmanaged table.",
    )

    # The response.
    STREAMING = "streaming", "The response is a stream, which passes through unread."
    STATUS = "status", "Responses of this status are not stored, unless an explicit lifetime or STATUSES permits it."
    SET_COOKIE = "set-cookie", "The response sets a cookie, which would reach other visitors."
    CODING = "coding", "The body is coded in a way that is not among CODINGS, so the key does not tell who can read it."
    PRIVATE = "private", "The view said private: the page is for one visitor only."
    NO_STORE = "no-store", "The view said no-store."
    NO_CACHE = "no-cache", "The view said no-cache: the page may not be served without asking the view."
    VARY_STAR = "vary-star", "The response varies on *: no other request matches it."
    MALFORMED = "malformed", "Cache-Control or Vary of the response is not well formed, so it may forbid to store."
    TIMEOUT = "timeout", "The timeout of the view is 0 or less."
    EXPIRED = "expired", "The page is at the end of its lifetime, or its headers say that it was from the start."
    NO_LIFETIME = "no-lifetime", "Neither the view nor a setting says how long the page may be kept."

    # The store.
    VARIANTS = "variants", "So many pages of this path are kept already that there is no room for another one."
    SUPERSEDED = "superseded", "The page was expired while it was being rendered."
    FAULT = "fault", "The cache could not be read or written."
