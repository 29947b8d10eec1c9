"""What works, but will surprise: a store that other processes do not see, lost sessions, a clear() without limits."""

from __future__ import annotations

from typing import Any

from django.core import checks
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache

from cacheplus.backends.base import BaseCache
from cacheplus.checks.aliases import Alias, all_aliases, our_aliases
from cacheplus.checks.middleware import page_caches
from cacheplus.conf import setting

_CACHE_SESSIONS = "django.contrib.sessions.backends.cache"
_CACHED_SESSIONS = "django.contrib.sessions.backends.cached_db"


def check_pages_are_shared(**_kwargs: Any) -> list[checks.Warning]:
    """W006, on deployment: pages are kept where other processes neither see nor expire them."""
    name = setting("CACHE_MIDDLEWARE_ALIAS") if page_caches() else DEFAULT_CACHE_ALIAS
    return [
        checks.Warning(
            f"Pages are kept in your {alias.name!r} cache, and {type(alias.backend).__name__} is not shared: "
            "what one process expires the others go on serving.",
            hint="Use a store that all processes share, such as lmdb on one machine, or silence this if there is one.",
            id="cacheplus.W006",
        )
        for alias in all_aliases()
        if alias.name == name and alias.backend is not None and not _is_shared(alias.backend)
    ]


def check_clear(**_kwargs: Any) -> list[checks.Warning]:
    """W007: clear() goes beyond the KEY_PREFIX of its alias."""
    return [
        checks.Warning(
            f"clear() on your {alias.name!r} cache empties the whole store, not only what has its KEY_PREFIX.",
            hint="The store cannot list keys by prefix. Expire by tags, or give what must survive a store of its own.",
            id="cacheplus.W007",
        )
        for alias in our_aliases()
        if alias.backend.key_prefix and alias.backend.is_shared and not alias.backend.supports_scoped_clear
    ]


def check_session_faults(**_kwargs: Any) -> list[checks.Warning]:
    """W008: a fault is taken for a miss by sessions, which then try ten thousand times to make a new one."""
    return [
        checks.Warning(
            f"Sessions live in your {alias.name!r} cache alone, whose ON_FAULT is 'miss': while it is down, a request "
            "that begins a session tries ten thousand keys.",
            hint="Keep sessions in an alias with ON_FAULT 'raise', or use the cached_db session engine.",
            id="cacheplus.W008",
        )
        for alias in _session_aliases()
        if alias.backend.options.on_fault == "miss"
    ]


def check_cached_session_faults(**_kwargs: Any) -> list[checks.Warning]:
    """W010: sessions are in the database too, and yet a fault of the cache fails every request that has one."""
    return [
        checks.Warning(
            f"Sessions live in the database and in your {alias.name!r} cache, whose ON_FAULT is 'raise': while it is "
            "down, every request with a session fails, although the database has it.",
            hint="Set ON_FAULT to 'miss' in the OPTIONS of that alias, or give sessions an alias of their own "
            "(SESSION_CACHE_ALIAS).",
            id="cacheplus.W010",
        )
        for alias in _session_aliases(_CACHED_SESSIONS)
        if alias.backend.is_shared and alias.backend.options.on_fault == "raise"
    ]


def check_sessions_can_move(**_kwargs: Any) -> list[checks.Info]:
    """I001, on deployment: sessions that Django's backend wrote cannot be read."""
    return [
        checks.Info(
            f"Sessions live in your {alias.name!r} cache alone, and what a backend of Django wrote there cannot be "
            "read: whoever is logged in when you switch is logged out.",
            hint="Switch in two steps: first with ACCEPT_DJANGO True in OPTIONS, then without it, once the sessions "
            "of before have ended (SESSION_COOKIE_AGE). Silence this once you have moved.",
            id="cacheplus.I001",
        )
        for alias in _session_aliases()
        if alias.backend.is_shared and not alias.backend.options.accept_django
    ]


def check_move_is_over(**_kwargs: Any) -> list[checks.Warning]:
    """W009, on deployment: unsigned pickles are read, which run code for whoever can write to the store."""
    return [
        checks.Warning(
            f"Your {alias.name!r} cache reads what Django's backend wrote: pickles without a signature, which run the "
            "code of whoever can write to the store.",
            hint="Take ACCEPT_DJANGO out of OPTIONS once the site has moved.",
            id="cacheplus.W009",
        )
        for alias in our_aliases()
        if alias.backend.is_shared and alias.backend.options.accept_django
    ]


def _is_shared(backend: Any) -> bool:
    if isinstance(backend, BaseCache):
        return backend.is_shared
    return not isinstance(backend, LocMemCache | DummyCache)


def _session_aliases(engine: str = _CACHE_SESSIONS) -> list[Alias]:
    """The alias of the sessions, where that engine keeps them and its backend is ours."""
    if setting("SESSION_ENGINE") != engine:
        return []
    return [alias for alias in our_aliases() if alias.name == setting("SESSION_CACHE_ALIAS")]
