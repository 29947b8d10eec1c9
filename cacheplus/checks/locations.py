"""The directories of caches: Django's checks of them under Django's ids, and who may write there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core import checks
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.core.checks.caches import E001

from cacheplus.backends.directories import flaws
from cacheplus.checks.aliases import our_aliases
from cacheplus.checks.paths import ancestry
from cacheplus.conf import setting

_IN_DIRECTORIES = {"cacheplus.backends.filebased.FileBasedCache", "cacheplus.backends.lmdb.LMDBCache"}
_WEB_SETTINGS = ("MEDIA_ROOT", "STATIC_ROOT", "STATICFILES_DIRS")


def check_default_cache_is_configured(*_args: Any, **_kwargs: Any) -> list[checks.Error]:
    """caches.E001: CACHES has no default alias."""
    return [] if DEFAULT_CACHE_ALIAS in setting("CACHES") else [E001]


def check_cache_location_not_exposed(*_args: Any, **_kwargs: Any) -> list[checks.Warning]:
    """caches.W002: the web server gives the cache away, or uploads are mixed into it."""
    return [
        checks.Warning(
            f"Your '{alias}' cache configuration might expose your cache or lead to corruption of your data "
            f"because its LOCATION {relation} {name}.",
            id="caches.W002",
        )
        for name in _WEB_SETTINGS
        for alias, location in _in_directories()
        if (relation := _relation(location.resolve(), set(_web_directories(name))))
    ]


def check_file_based_cache_is_absolute(*_args: Any, **_kwargs: Any) -> list[checks.Warning]:
    """caches.W003: where the cache lies depends on where the process was started."""
    return [
        checks.Warning(
            f"Your '{alias}' cache LOCATION path is relative. Use an absolute path instead.",
            id="caches.W003",
        )
        for alias, location in _in_directories()
        if not location.is_absolute()
    ]


def check_ownership(**_kwargs: Any) -> list[checks.Error]:
    """E008: somebody else can write to the directory of a cache, or we cannot."""
    return [
        checks.Error(
            f"The LOCATION of your {alias!r} cache, {str(location)!r}, {flaw}.",
            hint="Give it a directory of its own that the user who serves the site has made, with mode 0700. "
            "Run this check as that user.",
            id="cacheplus.E008",
        )
        for alias, location in _in_directories()
        if (flaw := _flaw(location))
    ]


def _in_directories() -> Iterator[tuple[str, Path]]:
    """(alias, LOCATION) of the caches that are kept in a directory."""
    for alias in our_aliases():
        location = alias.entry.get("LOCATION", "")
        if isinstance(location, str | os.PathLike) and not _IN_DIRECTORIES.isdisjoint(ancestry(type(alias.backend))):
            yield alias.name, Path(location)


def _web_directories(name: str) -> Iterator[Path]:
    paths = setting(name) or ()
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        # An entry of STATICFILES_DIRS may be a pair of a prefix and a directory.
        yield Path(path[1] if isinstance(path, list | tuple) else path).resolve()


def _relation(cache: Path, roots: set[Path]) -> str:
    if cache in roots:
        return "matches"
    if roots.intersection(cache.parents):
        return "is inside"
    return "contains" if any(cache in root.parents for root in roots) else ""


def _flaw(directory: Path) -> str:
    """What is the matter with the directory of a cache, in words that follow its name; empty if nothing is."""
    try:
        flaw = next(flaws(directory), "")
    except FileNotFoundError:
        parent = next(path for path in directory.absolute().parents if path.exists())
        return "" if _is_writable(parent) else f"does not exist and cannot be made in {str(parent)!r}"
    except (OSError, ValueError) as error:
        return f"cannot be looked at ({error})"
    return flaw or ("" if _is_writable(directory) else "cannot be written to")


def _is_writable(directory: Path) -> bool:
    return os.access(directory, os.W_OK | os.X_OK)
