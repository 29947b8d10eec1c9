"""What the client is told: how long it may keep its copy, what the page varies on, and what this cache did."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from http import HTTPStatus

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_response_headers, patch_vary_headers

from cacheplus.http.cache_control import CacheControl
from cacheplus.http.cache_status import NAME, CacheStatus
from cacheplus.http.facts import RequestFacts, ResponseFacts, Rules
from cacheplus.http.freshness import Lifetime, lifetime
from cacheplus.http.headers import Fields, Vary, list_members
from cacheplus.http.policy import may_store
from cacheplus.http.reasons import Reason
from cacheplus.http.targeted import governing
from cacheplus.pages.options import Site

_HEADER = "Cache-Status"

# Refusals of this cache which say nothing against the client's own copy.
_CLIENT_MAY_KEEP = frozenset({None, Reason.AUTHORIZATION, Reason.TIMEOUT})


def told_lifetime(request: RequestFacts, response: ResponseFacts, rules: Rules, now: float) -> Lifetime | None:
    """What to tell the client of a response's lifetime; None = leave its headers alone: the view has spoken in them.

    A 304 stands for the 200 that the client has, so it is judged as one.
    """
    if response.status not in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
        return None
    judged = replace(response, status=int(HTTPStatus.OK))
    control = CacheControl.parse(*judged.fields.get_all("Cache-Control"))
    if control.max_age is not None or control.no_cache or "Expires" in judged.fields:
        return None
    if may_store(request, judged, rules, now).reason not in _CLIENT_MAY_KEEP:
        return None
    given = lifetime(judged, governing(judged.fields, rules.targeted_fields), rules, now)
    return None if given is None or given.source.is_explicit else given


def tell_lifetime(response: HttpResponseBase, given: Lifetime, client_timeout: float | None) -> None:
    """Set `Expires` and `max-age`. A page that is kept until it is expired cannot be taken back from a client: 0."""
    seconds = given.seconds if client_timeout is None else client_timeout
    # Django takes a comma within quotes for the end of a directive, and raises for a number that it cannot read.
    with suppress(ValueError):
        patch_response_headers(response, max(0, int(seconds or 0)))


def tell_validator(response: HttpResponse) -> None:
    """Give a page that is about to be stored an `ETag` of its body, so that who has it need not be sent it again."""
    if response.status_code == HTTPStatus.OK and not response.has_header("ETag"):
        response.headers["ETag"] = f'"{blake2b(response.content, digest_size=16).hexdigest()}"'


def tell_authorization(response: HttpResponseBase, rules: Rules) -> None:
    """Make a page that was asked for with `Authorization` vary on it unless it is public, as Django does.

    A `public` with an argument counts here, though it does not permit to store: that is Django's reading.
    """
    members = list_members(response.headers.get("Cache-Control", ""))
    if not (rules.public or any(member.partition("=")[0].strip().lower() == "public" for member in members)):
        patch_vary_headers(response, ("Authorization",))


def tell_status(response: HttpResponseBase, status: CacheStatus, site: Site) -> None:
    """Add what this cache did to `Cache-Status`."""
    if site.sends_status:
        response.headers[_HEADER] = status.appended_to(response.headers.get(_HEADER), detail=site.sends_detail)


def restore(response: HttpResponseBase, hit: HttpResponseBase) -> None:
    """Give a response that was made from `hit` what tells that it comes from the cache, and how old it is."""
    for name in ("Age", _HEADER):
        if name in hit.headers:
            response.headers.setdefault(name, hit.headers[name])


def stored_fields(response: HttpResponseBase) -> Fields:
    """The header fields to store: not what another layer of this cache said of this one request."""
    pairs = []
    for name, value in response.headers.items():
        if name.lower() == _HEADER.lower():
            value = ", ".join(member for member in value.split(", ") if not member.startswith(NAME))  # noqa: PLW2901
        if value or name.lower() != _HEADER.lower():
            pairs.append((name, value))
    return Fields.of(pairs)


def vary_of(response: HttpResponseBase, *, language_in_key: bool) -> Vary:
    """What selects among variants. The negotiated language is in the key, so that its raw header need not be."""
    vary = Vary.parse(response.headers.get("Vary", ""))
    if language_in_key:
        return replace(vary, names=tuple(name for name in vary.names if name != "accept-language"))
    return vary
