"""A part of a stored page: `Range` and `If-Range` (RFC 9110 §14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus

from cacheplus.http.conditional import entity_tag
from cacheplus.http.dates import date_field, parse_date
from cacheplus.http.headers import Fields

# One range of at most 18 digits: nothing that a page could be longer than.
_ONE_RANGE = re.compile(r"bytes=[ \t]*+(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})[ \t]*+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes from `start` to before `stop` of a body of `size` bytes; none where the range lies outside the body."""

    start: int
    stop: int
    size: int

    @property
    def is_satisfiable(self) -> bool:
        return self.start < self.stop

    @property
    def status(self) -> HTTPStatus:
        return HTTPStatus.PARTIAL_CONTENT if self.is_satisfiable else HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.stop - 1}/{self.size}" if self.is_satisfiable else f"bytes */{self.size}"


def requested_part(request: Fields, page: Fields, size: int, now: float) -> Part | None:
    """What a GET asks of a stored page of status 200; None = the whole page.

    That is also the answer to several ranges at once, to other units and to what cannot be read (RFC 9110 §14.2). The
    client's `If-None-Match` and `If-Modified-Since` come first: a page that is not modified has no parts.
    """
    match = _ONE_RANGE.fullmatch(request.get("Range") or "")
    if match is None or not _if_range_holds(request, page, now):
        return None
    first, last = match["first"], match["last"]
    if not first:
        return Part(max(0, size - int(last)), size, size) if last else None
    if last and int(last) < int(first):
        return None
    stop = min(int(last) + 1, size) if last else size
    return Part(min(int(first), size), stop, size)


def part_fields(page: Fields, part: Part) -> Fields:
    """The fields of a 206 or 416 made from a stored page."""
    news = (("Content-Range", part.content_range), ("Content-Length", str(part.stop - part.start)))
    return page.replaced_by(Fields(news))


def _if_range_holds(request: Fields, page: Fields, now: float) -> bool:
    """Strong comparison (RFC 9110 §13.1.5): the client may join this part with one it has, so it must match exactly."""
    wanted = request.get("If-Range")
    if wanted is None:
        return True
    if wanted.startswith('"'):
        return wanted == entity_tag(page)
    modified, made = date_field(page, "Last-Modified", now), date_field(page, "Date", now)
    if modified is None or made is None:
        return False
    # RFC 9110 §8.8.2.2: within the second of its change, a page may have changed twice.
    return parse_date(wanted, now) == modified and modified < made
