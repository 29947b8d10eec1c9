"""Readers of the blog: what they are shown, beside what they would be shown if there were no cache."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.cache import caches
from django.test import Client
from django.urls import reverse

from cacheplus.backends.dummy import DummyCache
from testproject.blog.models import Post, Tag

_CLOCK = re.compile(r"\d\d:\d\d:\d\d (Uhr )?UTC")


class StalePageError(AssertionError):
    """A page was older than what had been committed before it was asked for."""


class Reader:
    """An anonymous visitor who reads everything."""

    def __init__(self) -> None:
        self.asked = 0
        self.hits = 0
        self._client = Client()

    def read(self) -> dict[str, str]:
        """Every page, through the cache."""
        return {page: self._get(*page) for page in self._pages()}

    def read_and_compare(self, when: str) -> None:
        """Raise StalePageError where a page is not what it would be without a cache."""
        shown = self.read()
        with no_cache():
            for (path, language), text in shown.items():
                asked, hits = self.asked, self.hits
                fresh = self._get(path, language)
                self.asked, self.hits = asked, hits
                if fresh != text:
                    raise StalePageError(f"{path} ({language}) is too old {when}:\n{_difference(text, fresh)}")

    def _get(self, path: str, language: str) -> str:
        response = self._client.get(path, headers={"accept-language": language})
        assert response.status_code == 200, (path, response.status_code)
        self.asked += 1
        self.hits += "cacheplus; hit" in response.headers.get("Cache-Status", "")
        return _CLOCK.sub("", response.content.decode())

    @staticmethod
    def _pages() -> Iterator[tuple[str, str]]:
        home = reverse("blog:home")
        for post in Post.objects.order_by("slug")[:4]:
            yield post.get_absolute_url(), "en"
        for tag in Tag.objects.order_by("pk")[:3]:
            yield tag.get_absolute_url(), "en"
        for path in (home, f"{home}?page=2", reverse("blog:search") + "?q=edit", reverse("blog:api-posts")):
            yield path, "en"
        for path in (home, reverse("blog:archive"), reverse("blog:feed"), reverse("sitemap")):
            yield path, "de"


@contextmanager
def no_cache() -> Iterator[None]:
    """Let nothing be found in the caches of this thread."""
    before = {alias: caches[alias] for alias in caches}
    for alias in before:
        caches[alias] = DummyCache("", {})
    try:
        yield
    finally:
        for alias, cache in before.items():
            caches[alias] = cache


def _difference(shown: str, fresh: str) -> str:
    lines, wanted = shown.splitlines(), fresh.splitlines()
    differing = [f"- {old}\n+ {new}" for old, new in zip(lines, wanted, strict=False) if old != new]
    return "\n".join(differing[:6]) or f"{len(lines)} lines instead of {len(wanted)}"
