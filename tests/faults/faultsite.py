"""A small site over one alias, asked as visitors ask it: what they got, whether it was right, and how long it took."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.core.cache import cache
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template
from django.test import Client
from django.urls import path

from cacheplus.decorators import cache_page
from cacheplus.signals import cache_error
from tests.sites import ONE_LINE, site

SHAPES = ("per site", "per view", "fragment", "plain")

_ran = threading.local()
_FRAGMENT = "{% load cacheplus %}{% cache 300 part number %}{{ body }}{% endcache %}"


class Answer(NamedTuple):
    """What a visitor got."""

    status: int
    is_right: bool
    is_hit: bool
    seconds: float


class FaultySite:
    """Asked for page `number`, the body is `body_of(number)`."""

    def __init__(self, shape: str) -> None:
        self.shape = shape
        self.lines: list[float] = []
        self.faults: list[tuple[str, BaseException]] = []

    def get(self, number: int = 0) -> Answer:
        """One request, by a visitor of its own."""
        _ran.computed = False
        client = Client(raise_request_exception=False)
        since = time.perf_counter()
        response = client.get(f"/{number}/")
        seconds = time.perf_counter() - since
        is_right = response.status_code == 200 and response.content.decode() == body_of(number)
        return Answer(response.status_code, is_right, not _ran.computed, seconds)

    def hit_within(self, seconds: float, number: int = 0) -> float:
        """The seconds until a request is answered from the cache; infinite where none is."""
        since = time.monotonic()
        while time.monotonic() - since < seconds:
            if self.get(number).is_hit:
                return time.monotonic() - since
            time.sleep(0.02)
        return float("inf")

    def view(self, request: HttpRequest, number: int) -> HttpResponse:
        if self.shape == "plain":
            return HttpResponse(self._plainly(number))
        if self.shape == "fragment":
            return HttpResponse(Template(_FRAGMENT).render(Context({"number": number, "body": _Body(number)})))
        return HttpResponse(_computed(number))

    def _plainly(self, number: int) -> str:
        """As a site does that knows nothing of faults."""
        found = cache.get_many([f"page{number}", "absent"]).get(f"page{number}")
        if found is None:
            found = _computed(number)
            cache.set(f"page{number}", found, 300)
            cache.add("added", 1)
            cache.touch(f"page{number}", 300)
            cache.delete("deleted")
        return found


class _Body:
    """Computed where the fragment is rendered."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __str__(self) -> str:
        return _computed(self.number)


def body_of(number: int) -> str:
    """The page, long enough to be cut."""
    return f"page {number}, " * 40


def _computed(number: int) -> str:
    _ran.computed = True
    return body_of(number)


@contextmanager
def faulty_site(shape: str, entry: dict[str, Any], **settings: Any) -> Iterator[FaultySite]:
    """The site in one shape, with the lines that the log gets and the faults that are signalled."""
    asked = FaultySite(shape)
    view = cache_page(300)(asked.view) if shape == "per view" else asked.view
    given = {"MIDDLEWARE": [ONE_LINE] if shape == "per site" else [], "CACHES": {"default": entry}, **settings}

    def listen(operation: str, error: BaseException, **_: Any) -> None:
        asked.faults.append((operation, error))

    handler = _Lines(asked.lines)
    logger = logging.getLogger("cacheplus")
    logger.addHandler(handler)
    cache_error.connect(listen)
    try:
        with site(path("<int:number>/", view), **given), _quiet("django.request"):
            yield asked
    finally:
        cache_error.disconnect(listen)
        logger.removeHandler(handler)
        request_finished.send(FaultySite)


class _Lines(logging.Handler):
    def __init__(self, lines: list[float]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(time.monotonic())


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """No line per request that failed."""
    logger = logging.getLogger(name)
    was, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was
