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


def questions(page: StoredPage | None) -> Fields | None:
    """The request fields that ask the view whether `page` still stands; None where it cannot be asked."""
    if page is None or page.status != HTTPStatus.OK or not page.terms.revalidate_for:
        return None
    return conditions(page.fields)


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
