"""The fragment: a cached part of a template, under Django's key and with tags for its name and its variant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from django.core.cache.backends.base import BaseCache as DjangoBaseCache
from django.core.cache.utils import make_template_fragment_key
from django.utils.safestring import mark_safe

from cacheplus.arguments import UnkeyedError, name_of, said
from cacheplus.backends.base import BaseCache
from cacheplus.backends.landing import Unshared

# Returns the text of a fragment, and whether other visitors may be given it.
Render = Callable[[], tuple[str, bool]]


def variant_key(name: str, vary_on: Iterable[Any], *, exact: bool = False) -> str:
    """Django's key of a variant, which compares arguments as text; an exact one tells their types apart, too."""
    return make_template_fragment_key(name, map(_told_apart, vary_on) if exact else vary_on)


def fragment_tag(name: str, vary_on: Iterable[Any] | None = None, *, exact: bool = False) -> str:
    """The tag of one variant of the fragment `name`, or of all of them."""
    return f"fragment:{name}" if vary_on is None else f"fragment:{variant_key(name, vary_on, exact=exact)}"


def _told_apart(value: Any) -> str:
    if isinstance(value, str):
        # Whether a text was marked as safe makes no difference to what is shown of it.
        value = str.__str__(value)
    try:
        return said(value)
    except UnkeyedError:
        return said((name_of(type(value)), str(value)))


class Fragment:
    """A fragment by its name and what it varies on; it expires with `tags`, beside the tags of its own.

    `exact` keeps variants apart that only the types of their arguments tell apart.
    """

    def __init__(self, name: str, vary_on: list[Any], tags: Collection[str] = (), *, exact: bool = False) -> None:
        self.key = variant_key(name, vary_on, exact=exact)
        self._tags = (fragment_tag(name), fragment_tag(name, vary_on, exact=exact), *tags)

    def render(self, cache: DjangoBaseCache, timeout: int | None, render: Render, stale: float = 0) -> str:
        """The fragment from `cache`, or rendered and stored for `timeout` seconds. A fault of the cache is a miss.

        For `stale` seconds more the old one is given, while `render` is called for the next in the background.
        """
        if isinstance(cache, BaseCache):
            return self._render_tagged(cache, timeout, render, stale)
        text = cache.get(self.key)
        if text is None:
            text, may_be_stored = render()
            if may_be_stored:
                cache.set(self.key, text, timeout)
        return text

    def _render_tagged(self, cache: BaseCache, timeout: int | None, render: Render, stale: float) -> str:
        def compute() -> Any:
            text, may_be_stored = render()
            # A plain string needs no pickle.
            plain = str.__str__(text)
            return plain if may_be_stored else Unshared(plain)

        wanted = cache.computing.wanted(self.key, compute, timeout, None, self._tags, stale=stale)
        text = cache.compute(wanted, tolerant=True)
        return mark_safe(text) if isinstance(text, str) else render()[0]  # noqa: S308 - a template rendered it
