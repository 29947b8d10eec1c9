"""Django's cache framework, rewritten: the names a site needs day to day.

Each name is imported when it is first asked for, so that `from cacheplus import cache_url` is safe in a settings file:
nothing of Django is configured or opened by importing the package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cacheplus.decorators import cache_page, cached
    from cacheplus.invalidation import (
        aexpire_tags,
        aexpire_view_cache,
        expire_changed,
        expire_fragment,
        expire_on_change,
        expire_tags,
        expire_view_cache,
    )
    from cacheplus.mixins import CacheMixin
    from cacheplus.recall import memo
    from cacheplus.url import cache_url
    from cacheplus.utils import add_cache_tags

__version__ = "0.1.0"

__all__ = [
    "CacheMixin",
    "add_cache_tags",
    "aexpire_tags",
    "aexpire_view_cache",
    "cache_page",
    "cache_url",
    "cached",
    "expire_changed",
    "expire_fragment",
    "expire_on_change",
    "expire_tags",
    "expire_view_cache",
    "memo",
]

_HOMES = {
    "CacheMixin": "cacheplus.mixins",
    "add_cache_tags": "cacheplus.utils",
    "aexpire_tags": "cacheplus.invalidation",
    "aexpire_view_cache": "cacheplus.invalidation",
    "cache_page": "cacheplus.decorators",
    "cache_url": "cacheplus.url",
    "cached": "cacheplus.decorators",
    "expire_changed": "cacheplus.invalidation",
    "expire_fragment": "cacheplus.invalidation",
    "expire_on_change": "cacheplus.invalidation",
    "expire_tags": "cacheplus.invalidation",
    "expire_view_cache": "cacheplus.invalidation",
    "memo": "cacheplus.recall",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that holds it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    """All public names, imported or not."""
    return sorted({*globals(), *__all__})
