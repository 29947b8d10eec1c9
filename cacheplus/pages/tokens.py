"""CSRF tokens in a page: found by the secret that they hide, cut out, and filled in for each visitor.

Django masks the secret anew each time, so that no two tokens look alike. A token is a mask and the secret shifted by
it, character by character; so the secret is what the second half is ahead of the first.
"""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CSRF_ALLOWED_CHARS, CSRF_SECRET_LENGTH, get_token

_LENGTH = 2 * CSRF_SECRET_LENGTH
_CHARACTERS = CSRF_ALLOWED_CHARS.encode()
_NUMBERS = bytes.maketrans(_CHARACTERS, bytes(range(len(_CHARACTERS))))
_RUNS = re.compile(b"[%s]{%d,}" % (_CHARACTERS, _LENGTH))


def find_tokens(body: bytes, secret: str) -> tuple[int, ...]:
    """Where the tokens of `secret` begin in `body`."""
    wanted = secret.encode().translate(_NUMBERS)
    found = []
    for run in _RUNS.finditer(body):
        numbers = run[0].translate(_NUMBERS)
        ahead = bytes(
            (second - first) % len(_CHARACTERS)
            for first, second in zip(numbers, numbers[CSRF_SECRET_LENGTH:], strict=False)
        )
        at = ahead.find(wanted)
        while at >= 0:
            found.append(run.start() + at)
            at = ahead.find(wanted, at + _LENGTH)
    return tuple(found)


def cut(body: bytes, places: tuple[int, ...]) -> tuple[bytes, tuple[int, ...]]:
    """`body` without the tokens at these places, and where in it the holes are."""
    starts = (0, *(place + _LENGTH for place in places))
    ends = (*places, len(body))
    pieces = [body[start:end] for start, end in zip(starts, ends, strict=True)]
    return b"".join(pieces), tuple(place - number * _LENGTH for number, place in enumerate(places))


def fill(body: bytes, holes: tuple[int, ...], token: str) -> bytes:
    """What `cut` made, with `token` in its holes."""
    pieces = [body[start:end] for start, end in zip((0, *holes), (*holes, len(body)), strict=True)]
    return token.encode().join(pieces)


def places_in(request: HttpRequest, response: HttpResponse) -> tuple[int, ...]:
    """Where the visitor's tokens are in a page that can be filled for another one; empty where it cannot be.

    It can be if nothing else in it holds the secret, as far as can be seen, and if middleware will set the cookie.
    """
    secret = request.META.get("CSRF_COOKIE")
    if not secret or not sets_cookie(request) or "Content-Encoding" in response.headers:
        return ()
    body = response.content
    told = "\n".join(response.headers.values()).encode(errors="replace")
    if secret.encode() in body or secret.encode() in told or find_tokens(told, secret):
        return ()
    return find_tokens(body, secret)


def sets_cookie(request: HttpRequest) -> bool:
    """Whether the middleware of CSRF protection has seen the request, and will see the response."""
    return bool(getattr(request, "csrf_processing_done", False))


def token_for(request: HttpRequest) -> str:
    """A token for the visitor, whose cookie the middleware then sets."""
    return get_token(request)
