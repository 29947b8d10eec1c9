"""What a client is answered where the whole response is known: that it has it already, or the part it asked for."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpResponse

from cacheplus.http.conditional import is_not_modified, not_modified_fields
from cacheplus.http.facts import RequestFacts
from cacheplus.http.headers import Fields
from cacheplus.http.ranges import part_fields, requested_part


def answered(request: RequestFacts, whole: HttpResponse, stored_at: float, now: float) -> HttpResponse:
    """`whole`, a 304, 206 or 416 made from it, as the request's conditions and `Range` ask (RFC 9110 §13.2.2, §14.2).

    `whole` was stored at `stored_at`. Only a 200 can be answered in another way.
    """
    if whole.status_code != HTTPStatus.OK or not _ASKING & request.fields.names():
        return whole
    fields = Fields.of(whole.headers.items())
    if is_not_modified(request.fields, fields, stored_at, now):
        return _response(HTTPStatus.NOT_MODIFIED, not_modified_fields(fields), b"", whole)
    part = requested_part(request.fields, fields, len(whole.content), now) if request.method == "GET" else None
    if part is None:
        return whole
    return _response(part.status, part_fields(fields, part), whole.content[part.start : part.stop], whole)


_ASKING = frozenset({"if-none-match", "if-modified-since", "range"})


def _response(status: HTTPStatus, fields: Fields, body: bytes, whole: HttpResponse) -> HttpResponse:
    response = HttpResponse(body, status=status)
    del response.headers["Content-Type"]
    for name, value in fields:
        response.headers[name] = value
    response.cookies = whole.cookies
    return response
