"""`Cache-Status`: what the cache did with a request, in one field (RFC 9211)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil
from typing import Self

from cacheplus.http.reasons import Reason

NAME = "cacheplus"


class Forward(StrEnum):
    """Why the view was asked (RFC 9211 §2.2)."""

    BYPASS = "bypass"
    METHOD = "method"
    URI_MISS = "uri-miss"
    VARY_MISS = "vary-miss"
    MISS = "miss"
    REQUEST = "request"
    STALE = "stale"


# What a refusal to look up or to serve is called; every other one is a bypass.
_FORWARDS = {
    Reason.METHOD: Forward.METHOD,
    Reason.REQUEST_NO_CACHE: Forward.REQUEST,
    Reason.REQUEST_MAX_AGE: Forward.REQUEST,
    Reason.ONLY_IF_CACHED: Forward.REQUEST,
    Reason.EXPIRED: Forward.STALE,
    Reason.NO_CACHE: Forward.STALE,
    Reason.FAULT: Forward.MISS,
}


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """One member of the field: a hit, or a request that was forwarded to the view, and what became of its response."""

    forward: Forward | None = None
    """None = a hit."""
    ttl: float | None = None
    """Seconds of freshness left; None = not said."""
    stored: bool = False
    collapsed: bool = False
    """The response of another request for the same page was used."""
    status: int | None = None
    """The status that the view answered with, where it is not the one that is sent."""
    detail: Reason | None = None

    @classmethod
    def hit(cls, ttl: float | None) -> Self:
        return cls(ttl=ttl)

    @classmethod
    def bypass(cls, reason: Reason) -> Self:
        """The view was asked because a stored page could not, or was not to, be served."""
        return cls(forward=_FORWARDS.get(reason, Forward.BYPASS), detail=reason)

    @classmethod
    def stale(cls, reason: Reason) -> Self:
        """The view was asked to confirm or replace a stored page; that it was simply too old needs no reason."""
        return cls(_FORWARDS.get(reason, Forward.STALE), detail=None if reason is Reason.EXPIRED else reason)

    def not_stored(self, reason: Reason) -> Self:
        """This status, of a response that was not stored. The first reason stays: it led to the second."""
        return replace(self, stored=False, detail=self.detail or reason)

    def render(self, *, detail: bool = True) -> str:
        """The member as text; without `detail` nothing tells why."""
        parameters = (
            "hit" if self.forward is None else f"fwd={self.forward}",
            None if self.status is None else f"fwd-status={self.status}",
            None if self.ttl is None else f"ttl={_whole(self.ttl)}",
            "stored" if self.stored else None,
            "collapsed" if self.collapsed else None,
            f"detail={self.detail}" if detail and self.detail else None,
        )
        return "; ".join((NAME, *(parameter for parameter in parameters if parameter)))

    def appended_to(self, field: str | None, *, detail: bool = True) -> str:
        """The whole field: each cache adds its member behind those of the caches nearer to the view (RFC 9211 §2)."""
        member = self.render(detail=detail)
        return f"{field}, {member}" if field else member


def _whole(seconds: float) -> int:
    """Rounded up, so that the last second of freshness is not called stale, and within what the field may hold."""
    limit = 10**15 - 1
    return ceil(max(-limit, min(seconds, limit)))
