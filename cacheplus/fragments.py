"""The fragment: a cached part of a template, under Django's key and with tags for its name and its variant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

from django.core.cache.backends.base import BaseCache as DjangoBaseCache
from django.core.cache.utils import make_template_fragment_key
from django.utils.safestring import mark_safe

from cacheplus.backends.base import BaseCache
from cacheplus.recorder import meet_tags, recording

# Returns the text of a fragment, and whether other visitors may be given it.
Render = Callable[[], tuple[str, bool]]

_MISSING = object()


def fragment_tag(name: str, vary_on: Iterable[Any] | None = None) -> str:
    """The tag of one variant of the fragment `name`, or of all of them."""
    return f"fragment:{name}" if vary_on is None else f"fragment:{make_template_fragment_key(name, vary_on)}"


class Fragment:
    """A fragment by its name and what it varies on; it expires with `tags`, beside the tags of its own."""

    def __init__(self, name: str, vary_on: list[Any], tags: Collection[str] = ()) -> None:
        self.key = make_template_fragment_key(name, vary_on)
        self._tags = (fragment_tag(name), fragment_tag(name, vary_on), *tags)

    def render(self, cache: DjangoBaseCache, timeout: int | None, render: Render) -> str:
        """The fragment from `cache`, or rendered and stored for `timeout` seconds. A fault of the cache is a miss."""
        if isinstance(cache, BaseCache):
            return self._render_tagged(cache, timeout, render)
        text = cache.get(self.key)
        if text is None:
            text, may_be_stored = render()
            if may_be_stored:
                cache.set(self.key, text, timeout)
        return text

    def _render_tagged(self, cache: BaseCache, timeout: int | None, render: Render) -> str:
        operations = cache.operations
        look = partial(operations.look, key=self.key, version=None, tags=self._tags, missing=_MISSING)
        looked = cache.drive(look, None)
        if looked is None:
            # What encloses the fragment may be stored elsewhere, and ends with it all the same.
            meet_tags(self._tags)
            return render()[0]
        text, beginning = looked
        if isinstance(text, str):
            return mark_safe(text)  # noqa: S308 - what was stored is what a template rendered
        with recording() as recorder:
            text, may_be_stored = render()
        if not may_be_stored:
            meet_tags(self._tags)
            return text
        # A plain string needs no pickle.
        keep = partial(operations.keep, key=self.key, value=str.__str__(text), timeout=timeout, version=None)
        if cache.drive(partial(keep, tags=self._tags, beginning=beginning, recorder=recorder), None) is None:
            meet_tags(self._tags)
        return text
