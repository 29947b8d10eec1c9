"""The page cache in MIDDLEWARE: one of it, whole, and round the middleware whose headers it has to see.

A response passes MIDDLEWARE from the end to the beginning. The update half stores what it sees, so it comes before all
that writes headers; the fetch half needs the session and the language, so it comes after.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from django.core import checks

from cacheplus.checks.aliases import all_aliases
from cacheplus.checks.paths import ancestry
from cacheplus.conf import setting


class Half(StrEnum):
    """What an entry of MIDDLEWARE does for the page cache."""

    WHOLE = "CacheMiddleware"
    UPDATE = "UpdateCacheMiddleware"
    FETCH = "FetchFromCacheMiddleware"


_OURS, _DJANGOS = "cacheplus.middleware", "django.middleware.cache"
# Whole before half: Django's CacheMiddleware derives from both halves.
_PAGE_CACHES = {f"{home}.{half}": (home, half) for home in (_OURS, _DJANGOS) for half in Half}

_PAIR = {Half.UPDATE, Half.FETCH}

# Their headers and cookies belong to the response that is stored, and on a hit they still have to run.
_INSIDE = {
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
}


class Entry(NamedTuple):
    """One entry of MIDDLEWARE. `half` is None for what is no page cache."""

    position: int
    path: str
    home: str
    half: Half | None
    is_inside: bool


def entries() -> list[Entry]:
    """MIDDLEWARE as the page cache sees it. Subclasses count as what they are derived from."""
    return [_entry(position, str(path)) for position, path in enumerate(setting("MIDDLEWARE") or ())]


def page_caches() -> list[Entry]:
    """The entries that are a page cache or half of one."""
    return [entry for entry in entries() if entry.half]


def check_pairing(**_kwargs: Any) -> list[checks.Error]:
    """E010: one half is missing. E011: there are several page caches, or halves that do not belong together."""
    found = page_caches()
    halves = {entry.half for entry in found}
    if len(found) == 1:
        return [] if Half.WHOLE in halves else [_half_missing(found[0])]
    is_one_pair = len(found) == len(_PAIR) and halves == _PAIR and len({entry.home for entry in found}) == 1
    return [] if is_one_pair or not found else [_several(found)]


def check_order(**_kwargs: Any) -> list[checks.CheckMessage]:
    """E012, E013: a half is on the wrong side of what writes headers. W001, W002: of something else."""
    found = entries()
    return [message for entry in found for message in _out_of_order(entry, found)]


def check_alias(**_kwargs: Any) -> list[checks.Error]:
    """E014: the pages of our middleware have no alias of ours to go to."""
    name = setting("CACHE_MIDDLEWARE_ALIAS")
    known = {alias.name: alias for alias in all_aliases()}
    alias = known.get(name)
    if not any(entry.home == _OURS for entry in page_caches()) or (alias and (alias.is_ours or alias.error)):
        return []
    fault = "whose backend is not one of cacheplus" if alias else "which is no alias of CACHES"
    return [
        checks.Error(
            f"The middleware stores its pages in CACHE_MIDDLEWARE_ALIAS, {name!r}, {fault}.",
            hint=f"Name one of CACHES with a backend of cacheplus; there are {', '.join(map(repr, known))}.",
            id="cacheplus.E014",
        )
    ]


def _entry(position: int, path: str) -> Entry:
    names = ancestry(path)
    home, half = next((what for name, what in _PAGE_CACHES.items() if name in names), ("", None))
    return Entry(position, path, home, half, not _INSIDE.isdisjoint(names))


def _half_missing(entry: Entry) -> checks.Error:
    [missing] = _PAIR - {entry.half}
    return checks.Error(
        f"MIDDLEWARE has {entry.path!r} without its other half, so no page is ever served from the cache.",
        hint=f"Add '{entry.home}.{missing}', or use the one-line '{_OURS}.{Half.WHOLE}' instead.",
        id="cacheplus.E010",
    )


def _several(found: list[Entry]) -> checks.Error:
    return checks.Error(
        f"MIDDLEWARE has more than one page cache, or halves of two: {', '.join(entry.path for entry in found)}.",
        hint=f"Keep '{_OURS}.{Half.WHOLE}' alone, or one pair of '{_OURS}.{Half.UPDATE}' and '{_OURS}.{Half.FETCH}'.",
        id="cacheplus.E011",
    )


def _out_of_order(entry: Entry, found: list[Entry]) -> Iterator[checks.CheckMessage]:
    before, after = found[: entry.position], found[entry.position + 1 :]
    if entry.half in {Half.UPDATE, Half.WHOLE} and (wrong := _paths(before, is_inside=True)):
        yield checks.Error(
            f"{entry.path!r} comes after {wrong} in MIDDLEWARE, so it stores pages without what they add: "
            "one visitor's page may be shown to another.",
            hint=f"Move {entry.path!r} to the beginning of MIDDLEWARE.",
            id="cacheplus.E012",
        )
    elif entry.half is Half.WHOLE and entry.home == _OURS and before:
        yield checks.Warning(
            f"{entry.path!r} is not first in MIDDLEWARE: {_paths(before)} run on every hit.",
            hint="Move it to the beginning, or silence this where they have to run.",
            id="cacheplus.W001",
        )
    if entry.half is Half.FETCH and (wrong := _paths(after, is_inside=True)):
        yield checks.Error(
            f"{entry.path!r} comes before {wrong} in MIDDLEWARE, so it looks pages up without what they find out.",
            hint=f"Move {entry.path!r} to the end of MIDDLEWARE.",
            id="cacheplus.E013",
        )
    elif entry.half is Half.FETCH and (inside := _paths([each for each in after if not each.half])):
        yield checks.Warning(
            f"{entry.path!r} is not last in MIDDLEWARE: a hit never reaches {inside}.",
            hint="Move it to the end, or silence this where a hit may pass them by; a check of permissions may not.",
            id="cacheplus.W002",
        )


def _paths(found: list[Entry], *, is_inside: bool = False) -> str:
    return ", ".join(repr(entry.path) for entry in found if entry.is_inside or not is_inside)
