"""A stored page about which the view is asked again: what its 304 makes of it."""

from __future__ import annotations

import re
from dataclasses import replace
from http import HTTPStatus

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from cacheplus.http.conditional import conditions, confirmed, confirms
from cacheplus.http.headers import Fields, Vary
from cacheplus.pages.page import StoredPage

# `patch_cache_control` writes it last.
_TOLD_MAX_AGE = re.compile(r"(?:,[ ]*|\A)max-age=[0-9]+\Z")


# What ConditionalGetMiddleware gives to whatever has none, also where GZipMiddleware has weakened it.
_DIGEST_OF_BODY = re.compile(r'(?:W/)?"[0-9a-f]{32}"')


def has_own_validator(response: HttpResponseBase, *, is_innermost: bool) -> bool:
    """Whether the view itself gave `response` a validator, so that it can be asked with it.

    Where middleware ran in between, a digest of the body may be that middleware's. Asked with that, it would answer for
    the view with a 304 that lacks the view's fields.
    """
    tag = response.headers.get("ETag", "")
    is_own = bool(tag) and (is_innermost or not _DIGEST_OF_BODY.fullmatch(tag))
    return is_own or response.has_header("Last-Modified")


def questions(page: StoredPage | None) -> Fields | None:
    """The request fields that ask the view whether `page` still stands; None where it cannot be asked."""
    if page is None or page.status != HTTPStatus.OK or not page.terms.revalidate_for:
        return None
    is_digest = _DIGEST_OF_BODY.fullmatch(page.fields.get("ETag") or "") is not None
    # Beside a date, a digest that middleware or this cache may have made says nothing to the view.
    return conditions(page.fields.without({"etag"} if is_digest and "Last-Modified" in page.fields else ()))


def is_confirmation(page: StoredPage, response: HttpResponseBase) -> bool:
    """Whether a 304 speaks of `page`."""
    return confirms(Fields.of(response.headers.items()), page.fields)


def confirmed_response(page: StoredPage, not_modified: HttpResponseBase) -> HttpResponse:
    """The whole response that a 304 of the view stands for, as if the view had sent it (RFC 9111 §3.2, §4.3.4).

    What the page was said to vary on stays: layers further out may have added to it.
    """
    fields = confirmed(_untold(page), Fields.of(not_modified.headers.items()))
    response = replace(page, fields=fields).whole()
    if names := Vary.parse(*page.fields.get_all("Vary")).names:
        patch_vary_headers(response, names)
    response.cookies.update(not_modified.cookies)
    return response


def _untold(page: StoredPage) -> Fields:
    """The fields without the lifetime that this cache wrote into them."""
    if not page.is_told:
        return page.fields
    control = _TOLD_MAX_AGE.sub("", page.fields.get("Cache-Control") or "")
    rest = page.fields.without({"expires", "cache-control"})
    return Fields((*rest.pairs, ("Cache-Control", control))) if control else rest
