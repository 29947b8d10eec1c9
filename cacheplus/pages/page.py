"""The stored page: status, header fields, body and terms. Not a pickle."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, replace
from http.cookies import Morsel, SimpleCookie
from typing import Any

from django.http import HttpResponse

from cacheplus.http.headers import Fields, storable
from cacheplus.http.terms import Terms
from cacheplus.pages.tokens import cut, fill

# A page of another make does not begin like this, and is a miss.
_MAGIC = b"page\x02"
_LENGTH = 4
_HEAD = len(_MAGIC) + _LENGTH

# A cookie as (name, value, coded value, attributes).
Cookie = tuple[str, str, str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Variant:
    """The request fields that chose a page, and the values that this one was made for."""

    names: tuple[str, ...] = ()
    values: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A response as it is kept."""

    status: int
    reason: str
    fields: Fields
    body: bytes
    terms: Terms
    variant: Variant = Variant()
    cookies: tuple[Cookie, ...] = ()
    holes: tuple[int, ...] = ()
    """Where CSRF tokens have to be filled in."""
    is_told: bool = False
    """Whether `Expires` and `max-age` are what this cache tells clients, and not the view's."""

    @classmethod
    def of(
        cls, response: HttpResponse, fields: Fields, terms: Terms, variant: Variant, *, is_told: bool = False
    ) -> StoredPage:
        """The page that a rendered `response` with these header fields is."""
        cookies = tuple((m.key, m.value, m.coded_value, dict(m)) for m in response.cookies.values())
        status, reason = response.status_code, response.reason_phrase
        return cls(status, reason, storable(fields), response.content, terms, variant, cookies, (), is_told)

    def without_tokens(self, places: tuple[int, ...]) -> StoredPage:
        """The same page with holes for the tokens at these places; every visitor has another one, so no validators."""
        body, holes = cut(self.body, places)
        return replace(self, body=body, holes=holes, fields=self.fields.without(("ETag", "Last-Modified")))

    def filled(self, token: str) -> StoredPage:
        """The page with `token` in its holes."""
        return replace(self, body=fill(self.body, self.holes, token), holes=())

    def pack(self) -> bytes:
        """As the value of a record."""
        head = [
            self.status,
            self.reason,
            self.fields.pairs,
            astuple(self.terms),
            [self.variant.names, self.variant.values],
            self.cookies,
            self.holes,
            self.is_told,
        ]
        text = json.dumps(head, separators=(",", ":")).encode()
        return _MAGIC + len(text).to_bytes(_LENGTH, "big") + text + self.body

    @classmethod
    def unpack(cls, value: Any) -> StoredPage | None:
        """What `pack` made, or None for anything else."""
        if not isinstance(value, bytes) or not value.startswith(_MAGIC):
            return None
        try:
            end = _HEAD + int.from_bytes(value[len(_MAGIC) : _HEAD], "big")
            status, reason, pairs, terms, (names, values), cookies, holes, is_told = json.loads(value[_HEAD:end])
            return cls(
                status,
                reason,
                Fields.of((name, text) for name, text in pairs),
                value[end:],
                Terms(*terms),
                Variant(tuple(names), tuple(values)),
                tuple((name, text, coded, attributes) for name, text, coded, attributes in cookies),
                tuple(int(hole) for hole in holes),
                is_told,
            )
        except (TypeError, ValueError, AttributeError, RecursionError):
            return None

    def response(self, now: float) -> HttpResponse:
        """The response for a hit."""
        response = self.whole()
        response.headers["Age"] = str(int(self.terms.age(now)))
        return response

    def whole(self) -> HttpResponse:
        """The response that was stored."""
        response = HttpResponse(self.body, status=self.status, reason=self.reason)
        del response.headers["Content-Type"]
        for name, value in self.fields:
            response.headers[name] = value
        response.cookies = _cookies(self.cookies)
        return response


def _cookies(cookies: tuple[Cookie, ...]) -> SimpleCookie:
    jar: SimpleCookie = SimpleCookie()
    for name, value, coded, attributes in cookies:
        morsel: Morsel[str] = Morsel()
        morsel.set(name, value, coded)
        dict.update(morsel, attributes)
        dict.__setitem__(jar, name, morsel)
    return jar
