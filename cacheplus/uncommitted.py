"""Uncommitted changes: tags of what an open transaction has changed.

Until it ends, whoever is part of it must see the change and others must not: so what carries such a tag is absent here.
They belong to the context, as the recorder does.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextvars import ContextVar

# Gives the tags that are uncommitted now.
Source = Callable[[], AbstractSet[str]]

_NONE: frozenset[str] = frozenset()
_sources: ContextVar[tuple[Source, ...]] = ContextVar("cacheplus_uncommitted", default=())


def uncommitted_tags() -> frozenset[str]:
    """The tags that are uncommitted here."""
    sources = _sources.get()
    return _NONE.union(*(source() for source in sources)) if sources else _NONE


def add_source(source: Source) -> None:
    """Let `source` be asked, here and in what begins here."""
    if source not in _sources.get():
        _sources.set((*_sources.get(), source))


def remove_source(source: Source) -> None:
    """Take back what `add_source` did."""
    _sources.set(tuple(each for each in _sources.get() if each != source))
