"""Visitors of the site: test clients that go through its real middleware, and read what the cache says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import reverse


@dataclass(frozen=True, slots=True)
class Page:
    """A page to visit. One path in two languages is two pages."""

    path: str
    language: str = "en"

    def __str__(self) -> str:
        return self.path if self.language == "en" else f"{self.path} ({self.language})"


@dataclass(frozen=True, slots=True)
class Answer:
    """How the site answered, and in how many milliseconds."""

    response: HttpResponseBase
    milliseconds: float

    @property
    def outcome(self) -> str:
        """What the outermost cache says of itself in `Cache-Status`."""
        return self.response.headers.get("Cache-Status", "").rpartition("cacheplus; ")[2]

    @property
    def is_hit(self) -> bool:
        return self.outcome.startswith("hit")

    @property
    def is_stored(self) -> bool:
        return "stored" in self.outcome.split("; ")

    @property
    def text(self) -> str:
        return getattr(self.response, "content", b"").decode()


class Visitor:
    """A browser with cookies of its own; `host` is the address of the site."""

    def __init__(self, host: str) -> None:
        self.client = Client(enforce_csrf_checks=True, headers={"host": host})

    def get(self, page: Page) -> Answer:
        return _timed(lambda: self.client.get(page.path, headers={"accept-language": page.language}))

    def send(self, path: str, **data: Any) -> Answer:
        """Fill in the form at `path` and send it, with the CSRF token that came with it."""
        self.client.get(path)
        token = self.client.cookies["csrftoken"].value
        return _timed(lambda: self.client.post(path, {**data, "csrfmiddlewaretoken": token}))

    def log_in(self, name: str) -> Answer:
        """As a user whose password is the name."""
        return self.send(reverse("login"), username=name, password=name)


def _timed(ask: Callable[[], Any]) -> Answer:
    start = perf_counter()
    response = ask()
    return Answer(response, (perf_counter() - start) * 1000)
