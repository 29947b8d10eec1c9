"""The terms on which a page is stored: what must be known to serve it again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """Numbers and flags only, so that a stored page can carry them. Moments are Unix seconds, windows are seconds."""

    stored_at: float
    initial_age: float = 0.0
    """How old the response was when it came (RFC 9111 §4.2.3)."""
    fresh_until: float | None = None
    """None = until expired."""
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    revalidate_for: float = 0.0
    """How long past its lifetime it is kept to be revalidated."""
    must_revalidate: bool = False
    """Never served stale, whatever the client accepts."""
    always_revalidate: bool = False
    """Never served without asking the view: `no-cache`."""
    shares_authorization: bool = False
    """Requests with `Authorization` may be answered with it (RFC 9111 §3.5)."""
    shares_credentials: bool = False
    """Requests with any other credential may be answered with it."""
    looked_at_visitor: bool = False
    """The view asked who the visitor is: another one might get another page."""
    cookies_tell_apart: bool = False
    """The cache key tells visitors apart by their cookies."""

    def age(self, now: float) -> float:
        """Seconds since the response was made, for the `Age` field (RFC 9111 §4.2.3)."""
        return self.initial_age + max(0.0, now - self.stored_at)

    def ttl(self, now: float) -> float | None:
        """Seconds of freshness left, 0 or less when stale; None = until expired."""
        # A clock that was set back must not make a page fresher than it was when it was stored.
        return None if self.fresh_until is None else self.fresh_until - max(now, self.stored_at)

    @property
    def fresh_for(self) -> float | None:
        """How long it is fresh, in seconds from `stored_at`; None = until expired."""
        return None if self.fresh_until is None else self.fresh_until - self.stored_at

    @property
    def kept_for(self) -> float | None:
        """How long the store has to keep the page, in seconds from `stored_at`; None = until expired."""
        if self.fresh_for is None:
            return None
        return self.fresh_for + max(self.stale_while_revalidate, self.stale_if_error, self.revalidate_for)
