"""Validators: a client's condition answered from a stored page, and a stored page confirmed by the view's 304."""

from __future__ import annotations

import re

from cacheplus.http.dates import date_field
from cacheplus.http.headers import Fields

_OPAQUE = r'"[!#-~\x80-\xff]*"'
_ENTITY_TAG = re.compile(rf"(?P<weak>W/)?(?P<opaque>{_OPAQUE})")
_LIST_OF_TAGS = re.compile(rf"[ \t,]*+(?:W/)?{_OPAQUE}(?:[ \t]*,[ \t,]*+(?:W/)?{_OPAQUE})*[ \t,]*+")

# RFC 9110 §15.4.5: what a 304 repeats, because it may have changed since the client stored it.
_SENT_WITH_304 = frozenset(
    {"age", "cache-control", "cache-status", "content-location", "date", "etag", "expires", "last-modified", "vary"}
)

# RFC 9111 §3.2: they describe the stored body, which a 304 does not bring.
_OF_THE_BODY = frozenset({"content-encoding", "content-length", "content-range", "content-type"})


def has_validator(fields: Fields) -> bool:
    """Whether a stored page with these fields can be revalidated."""
    return entity_tag(fields) is not None or "Last-Modified" in fields


def entity_tag(fields: Fields) -> str | None:
    """The `ETag`, `W/` included; None if there is none that is well formed (RFC 9110 §8.8.3)."""
    value = (fields.get("ETag") or "").strip(" \t")
    return value if _ENTITY_TAG.fullmatch(value) else None


def is_not_modified(request: Fields, page: Fields, stored_at: float, now: float) -> bool:
    """Whether a client's GET or HEAD is answered with 304, for a stored page of status 200 (RFC 9111 §4.3.2).

    A condition that cannot be read asks for the whole page.
    """
    tags = request.get("If-None-Match")
    if tags is not None:
        return _lists(tags, entity_tag(page))
    since = date_field(request, "If-Modified-Since", now)
    if since is None:
        return False
    if "Last-Modified" in page:
        modified = date_field(page, "Last-Modified", now)
        return modified is not None and modified <= since
    made = date_field(page, "Date", now)
    return (stored_at if made is None else made) <= since


def not_modified_fields(page: Fields) -> Fields:
    """The fields of a stored page that a 304 made from it carries (RFC 9110 §15.4.5)."""
    return page.without(page.names() - _SENT_WITH_304)


def conditions(page: Fields) -> Fields:
    """The request fields that ask the view whether a stored page still stands (RFC 9111 §4.3.1)."""
    tag, modified = entity_tag(page), page.get("Last-Modified")
    pairs = (("If-None-Match", tag), ("If-Modified-Since", modified))
    return Fields(tuple((name, value) for name, value in pairs if value is not None))


def confirms(not_modified: Fields, page: Fields) -> bool:
    """Whether a 304 of the view speaks of this stored page (RFC 9111 §4.3.4).

    A 304 that names another validator than the page's does not: serve and keep nothing on its account.
    """
    if "ETag" in not_modified:
        tag, stored = entity_tag(not_modified), entity_tag(page)
        return tag is not None and stored is not None and _opaque(tag) == _opaque(stored)
    return not_modified.get("Last-Modified") in {None, page.get("Last-Modified")}


def confirmed(page: Fields, not_modified: Fields) -> Fields:
    """The fields of a stored page after a 304 that confirms it (RFC 9111 §3.2).

    `Age` and `Date` of the old exchange are gone: where the 304 has no `Date`, give the page one.
    """
    # It names the same page, and middleware may have weakened the stored one.
    kept = {"etag"} if "ETag" in page else frozenset[str]()
    news = not_modified.without(_OF_THE_BODY | kept)
    return page.without({"age", "date"}).replaced_by(news)


def _lists(tags: str, tag: str | None) -> bool:
    """Whether an `If-None-Match` names `tag`; weak comparison (RFC 9110 §13.1.2)."""
    if tags.strip(" \t") == "*":
        return True
    if tag is None or _LIST_OF_TAGS.fullmatch(tags) is None:
        return False
    return any(match["opaque"] == _opaque(tag) for match in _ENTITY_TAG.finditer(tags))


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")
