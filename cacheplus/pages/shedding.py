"""Load shedding: while their cache fails, only so many pages are made at the same time."""

from __future__ import annotations

import time
from itertools import count

from django.http import HttpRequest, HttpResponse

# Set on a request that may make its page, so that an inner page cache does not ask again.
_ADMITTED = "_cacheplus_admitted"

# Nothing takes that long. So a place that nobody gave back, whatever went wrong, is not lost for ever.
_LONGEST = 60.0


class Places:
    """The pages that a process is making for want of its cache, each with the time when that began."""

    def __init__(self) -> None:
        self._numbers = count()
        self._begun: dict[int, float] = {}

    def take(self, request: HttpRequest, most: int | None) -> int | None:
        """The number of a place to give back; None where none is needed. Raises `Refused` if `most` are taken."""
        if most is None or hasattr(request, _ADMITTED):
            return None
        now = time.monotonic()
        for number, begun in list(self._begun.items()):
            if now - begun > _LONGEST:
                self.give_back(number)
        if len(self._begun) >= most:
            raise Refused
        number = next(self._numbers)
        self._begun[number] = now
        setattr(request, _ADMITTED, True)
        return number

    def give_back(self, number: int | None) -> None:
        """The page is made."""
        if number is not None:
            self._begun.pop(number, None)


class Refused(Exception):  # noqa: N818 - named for what happened
    """No page is made for this request."""


def refusal() -> HttpResponse:
    """What a visitor is told who gets no place."""
    response = HttpResponse(
        "This page is in great demand. Try again in a second.", status=503, content_type="text/plain"
    )
    response.headers["Retry-After"] = "1"
    response.headers["Cache-Control"] = "no-store"
    return response


places = Places()
