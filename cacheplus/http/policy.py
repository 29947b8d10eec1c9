"""The decisions of the page cache: may it look up, store, serve, forward. Each says why not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from cacheplus.http.cache_control import CacheControl
from cacheplus.http.conditional import has_validator
from cacheplus.http.facts import RequestFacts, ResponseFacts, Rules
from cacheplus.http.freshness import Lifetime, Source, initial_age, lifetime
from cacheplus.http.headers import Vary
from cacheplus.http.reasons import Reason
from cacheplus.http.refusals import Exchange, refuses_request, refuses_response, request_control
from cacheplus.http.targeted import governing
from cacheplus.http.terms import Terms

# RFC 5861 §4: the errors in whose place a stale page may be served.
_ERRORS = frozenset({500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed, or the reason why not. `lifetime` and `terms` come with the permission to store."""

    reason: Reason | None = None
    lifetime: Lifetime | None = None
    terms: Terms | None = None

    @property
    def allowed(self) -> bool:
        return self.reason is None


class Use(StrEnum):
    """What to do with a stored page."""

    FRESH = "fresh"
    """Serve it."""
    STALE = "stale"
    """Serve it, and have it refreshed."""
    REVALIDATE = "revalidate"
    """Ask the view; with the validators of the page, if it has any."""
    REFUSED = "refused"
    """It is not for this visitor."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How a stored page may be used for a request, and why not simply served. `age` and `ttl` are those of `Terms`."""

    use: Use
    reason: Reason | None
    age: float
    ttl: float | None


def may_lookup(request: RequestFacts, rules: Rules) -> Decision:
    """Whether a stored page may answer this request at all."""
    return Decision(refuses_request(request, rules))


def may_forward(request: RequestFacts, rules: Rules) -> Decision:
    """Whether the view may be asked when no stored page answers. If not, the answer is a 504 (RFC 9111 §5.2.1.7)."""
    only_stored = rules.honor_request and request_control(request).only_if_cached
    return Decision(Reason.ONLY_IF_CACHED if only_stored else None)


def may_store(request: RequestFacts, response: ResponseFacts, rules: Rules, now: float, delay: float = 0.0) -> Decision:
    """Whether a response may be stored for other requests, for how long and on which terms (RFC 9111 §3).

    `now` is when the response came, `delay` how many seconds before that the view was asked.
    """
    directives = governing(response.fields, rules.targeted_fields)
    vary = Vary.parse(*response.fields.get_all("Vary"))
    exchange = Exchange(request, response, rules, directives, vary)
    reason = refuses_request(request, rules) or refuses_response(exchange)
    return Decision(reason) if reason else _timed(exchange, now, delay)


def may_serve(request: RequestFacts, terms: Terms, rules: Rules, now: float) -> Serving:
    """How a stored page that matches the request may be used for it (RFC 9111 §4)."""
    age, ttl = terms.age(now), terms.ttl(now)
    if reason := _not_for(request, terms, rules):
        return Serving(Use.REFUSED, reason, age, ttl)
    if terms.always_revalidate:
        return Serving(Use.REVALIDATE, Reason.NO_CACHE, age, ttl)
    wanted = request_control(request) if rules.honor_request else CacheControl()
    if reason := _refused_by(wanted, age, ttl):
        return Serving(Use.REVALIDATE, reason, age, ttl)
    if ttl is None or ttl > 0:
        return Serving(Use.FRESH, None, age, ttl)
    accepted = 0 if terms.must_revalidate else wanted.max_stale or 0
    use = Use.STALE if -ttl < max(terms.stale_while_revalidate, accepted) else Use.REVALIDATE
    return Serving(use, Reason.EXPIRED, age, ttl)


def may_replace_error(terms: Terms, status: int, now: float) -> bool:
    """Whether a page that `may_serve` did not refuse may stand in for an error (RFC 5861 §4).

    An exception of the view counts as status 500.
    """
    ttl = terms.ttl(now)
    return status in _ERRORS and (ttl is None or -ttl < terms.stale_if_error)


def _timed(exchange: Exchange, now: float, delay: float) -> Decision:
    response, rules = exchange.response, exchange.rules
    kept = rules.revalidate_for if response.status == HTTPStatus.OK and has_validator(response.fields) else 0.0
    age = initial_age(response.fields, now, delay)
    given = lifetime(response, exchange.directives, rules, now)
    if exchange.control.no_cache:
        return Decision(None, given, _terms(exchange, now, age, 0.0, kept)) if kept else Decision(Reason.NO_CACHE)
    if given is None:
        return Decision(Reason.NO_LIFETIME if response.status == HTTPStatus.OK else Reason.STATUS)
    left = _left(given, age)
    if left is None or left > 0:
        return Decision(None, given, _terms(exchange, now, age, left, kept))
    if kept and given.source.is_explicit:
        return Decision(None, given, _terms(exchange, now, age, 0.0, kept))
    return Decision(Reason.TIMEOUT if given.source is Source.TIMEOUT else Reason.EXPIRED)


def _left(given: Lifetime, age: float) -> float | None:
    """What is left of a lifetime. A timeout of the view counts from now: it is about this cache, not about the data."""
    if given.seconds is None or given.source is Source.TIMEOUT:
        return given.seconds
    return given.seconds - age


def _terms(exchange: Exchange, now: float, age: float, left: float | None, kept: float) -> Terms:
    control, rules = exchange.control, exchange.rules
    stale, on_error = control.stale_while_revalidate, control.stale_if_error
    may_be_stale = not control.forbids_stale
    return Terms(
        stored_at=now,
        initial_age=age,
        fresh_until=None if left is None else now + left,
        stale_while_revalidate=(rules.stale if stale is None else stale) if may_be_stale else 0.0,
        stale_if_error=(rules.stale_if_error if on_error is None else on_error) if may_be_stale else 0.0,
        revalidate_for=kept,
        must_revalidate=control.forbids_stale,
        always_revalidate=control.no_cache,
        shares_authorization=exchange.shares_authorization,
        shares_credentials=exchange.shares_credentials,
        looked_at_visitor=exchange.looked_at_visitor,
        cookies_tell_apart=exchange.cookies_tell_apart,
    )


def _not_for(request: RequestFacts, terms: Terms, rules: Rules) -> Reason | None:
    if request.has_authorization and not terms.shares_authorization:
        return Reason.AUTHORIZATION
    if request.credentials and not terms.shares_credentials:
        return Reason.CREDENTIALS
    # They did when the page was stored, and must do so now: the site may have changed its mind since.
    told_apart = terms.cookies_tell_apart and (rules.per_user or rules.share_authenticated)
    is_somebody = request.has_any_credential or (request.has_visitor_cookie and not told_apart)
    return Reason.SESSION if terms.looked_at_visitor and is_somebody else None


def _refused_by(wanted: CacheControl, age: float, ttl: float | None) -> Reason | None:
    if wanted.no_cache:
        return Reason.REQUEST_NO_CACHE
    too_old = wanted.max_age is not None and age > wanted.max_age
    too_short = wanted.min_fresh is not None and ttl is not None and ttl < wanted.min_fresh
    return Reason.REQUEST_MAX_AGE if too_old or too_short else None
