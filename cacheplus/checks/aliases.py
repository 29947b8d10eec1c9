"""The entries of CACHES: whether each can be used, and whether all that it says is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from typing import Any, NamedTuple

from django.core import checks
from django.core.cache import caches

from cacheplus.backends.base import BaseCache
from cacheplus.exceptions import MissingExtra

_KEYS = ("BACKEND", "LOCATION", "TIMEOUT", "KEY_PREFIX", "VERSION", "KEY_FUNCTION", "OPTIONS")
# Django still reads these spellings of its first releases.
_OLD_KEYS = ("timeout", "max_entries", "cull_frequency")

_EXTRAS = {
    "django_redis": "redis",
    "redis": "redis",
    "pymemcache": "memcached",
    "pylibmc": "pylibmc",
    "lmdb": "lmdb",
    "msgpack": "msgpack",
    "zstandard": "zstd",
    "lz4": "lz4",
}


@dataclass(frozen=True, slots=True)
class Alias:
    """An entry of CACHES and the backend made from it, or the error that stopped it."""

    name: str
    entry: Mapping[str, Any]
    backend: Any = None
    error: Exception | None = None

    @property
    def is_ours(self) -> bool:
        """Whether its backend is one of cacheplus, or derived from one."""
        return isinstance(self.backend, BaseCache)

    @property
    def options(self) -> Mapping[str, Any]:
        """OPTIONS, empty where it is missing or no dict."""
        options = self.entry.get("OPTIONS")
        return options if isinstance(options, Mapping) else {}


def all_aliases() -> Iterator[Alias]:
    """Every entry of CACHES, with its backend where it can be made. Making one connects to nothing."""
    for name, entry in caches.settings.items():
        readable = entry if isinstance(entry, Mapping) else {}
        try:
            backend = caches[name]
        except Exception as error:  # noqa: BLE001 (a backend's constructor may raise anything, a check nothing)
            yield Alias(name, readable, error=error)
        else:
            yield Alias(name, readable, backend)


def our_aliases() -> Iterator[Alias]:
    """Those with a backend of cacheplus."""
    return (alias for alias in all_aliases() if alias.is_ours)


def check_backends(**_kwargs: Any) -> list[checks.Error]:
    """E005: a backend cannot be imported or made, or lacks a library."""
    broken = [(alias, alias.error) for alias in all_aliases() if alias.error]
    broken += [(alias, error) for alias in our_aliases() if (error := _codec_error(alias.backend))]
    return [
        checks.Error(
            f"CACHES[{alias.name!r}] cannot be used: {_redacted(error)}",
            hint=_way_out(error),
            id="cacheplus.E005",
        )
        for alias, error in broken
    ]


def check_keys(**_kwargs: Any) -> list[checks.Error]:
    """E006: an entry has a key that nothing reads."""
    return [
        checks.Error(
            f"CACHES[{alias.name!r}] has a key {key!r} that nothing reads.",
            hint=_home_of(str(key)),
            id="cacheplus.E006",
        )
        for alias in our_aliases()
        for key in alias.entry
        if key not in _KEYS and key not in _OLD_KEYS
    ]


def check_numbers(**_kwargs: Any) -> list[checks.Error]:
    """E007: a number is none. The site runs with the default of Django, as it would with Django's backends."""
    return [
        checks.Error(
            f"CACHES[{alias.name!r}]{number.shown} is {number.place(alias)[number.key]!r}.",
            hint=f"Make it {number.accepts}; until then it counts as {number.fallback}.",
            id="cacheplus.E007",
        )
        for alias in our_aliases()
        for number in _NUMBERS
        if number.key in number.place(alias) and not number.fits(number.place(alias)[number.key])
    ]


def check_own(**kwargs: Any) -> list[checks.CheckMessage]:
    """What each backend has to say of its own options."""
    return list(chain.from_iterable(alias.backend.check(**kwargs) for alias in our_aliases()))


class _Number(NamedTuple):
    key: str
    is_option: bool
    fallback: str
    accepts: str
    least: float
    may_be_none: bool = False

    @property
    def shown(self) -> str:
        return f"['OPTIONS'][{self.key!r}]" if self.is_option else f"[{self.key!r}]"

    def place(self, alias: Alias) -> Mapping[str, Any]:
        return alias.options if self.is_option else alias.entry

    def fits(self, value: Any) -> bool:
        if value is None:
            return self.may_be_none
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            return False
        try:
            return int(value) >= self.least
        except (TypeError, ValueError):
            return False


_ANY = float("-inf")
_SECONDS = "a whole number of seconds, or None for ever"
_COUNT = "a whole number, 0 or more"
_NUMBERS = (
    _Number("TIMEOUT", False, "300", _SECONDS, _ANY, may_be_none=True),
    _Number("timeout", False, "300", _SECONDS, _ANY, may_be_none=True),
    _Number("max_entries", False, "300", _COUNT, 0),
    _Number("MAX_ENTRIES", True, "300", _COUNT, 0),
    _Number("cull_frequency", False, "3", _COUNT, 0),
    _Number("CULL_FREQUENCY", True, "3", _COUNT, 0),
    _Number("VERSION", False, "a text, which incr_version() cannot raise", "a whole number", _ANY),
)


def _home_of(key: str) -> str:
    near = get_close_matches(key.upper(), _KEYS, n=1)
    return f"Did you mean {near[0]!r}?" if near else "What a backend takes goes into OPTIONS: move it there."


def _codec_error(backend: Any) -> Exception | None:
    try:
        backend.codec  # noqa: B018 (made when first asked for, and that is what may fail)
    except Exception as error:  # noqa: BLE001 (a serializer of the site may raise anything)
        return error
    return None


def _way_out(error: BaseException) -> str:
    chain_of_causes = [error]
    while cause := chain_of_causes[-1].__cause__ or chain_of_causes[-1].__context__:
        chain_of_causes.append(cause)
    for each in chain_of_causes:
        extra = (
            each.extra
            if isinstance(each, MissingExtra)
            else _EXTRAS.get(str(getattr(each, "name", "")).partition(".")[0])
        )
        if extra:
            return f"Install the library: pip install 'cacheplus[{extra}]'"
    return "Correct the entry: BACKEND is the dotted path of a class, OPTIONS what that class takes."


def _redacted(error: BaseException) -> str:
    """The text of `error` without the credentials of a URL that it may quote."""
    text = re.sub(r"://\S*@", "://***@", str(error) or type(error).__name__)
    return text if text.endswith(".") else f"{text}."
