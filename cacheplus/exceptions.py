"""What cacheplus raises of its own.

CacheplusError
├── BadRecord           a stored record that cannot be used: a miss, never an error of the page
├── CacheFault          the store failed where no harmless answer exists (also a ValueError)
├── CacheUnavailable    the store is not asked, because it failed a moment ago (also a ConnectionError)
├── LockNotAcquired     a lock was not free in time
└── MissingExtra        an optional library that the settings ask for is not installed (also an ImportError)
"""

# ruff: noqa: N818 (each is named for what is the matter, which is seldom an error)

from __future__ import annotations

from enum import StrEnum


class CacheplusError(Exception):
    """Base of every exception that cacheplus defines."""


class Flaw(StrEnum):
    """Why a stored record cannot be used. The set is closed: counters and logs are labelled with it."""

    FOREIGN = "foreign"
    """Not written by cacheplus, and not readable as anything that the alias accepts."""
    VERSION = "version"
    """A format version, or a flag, that this release does not know."""
    TRUNCATED = "truncated"
    """Cut short, or with something behind its end."""
    CHECKSUM = "checksum"
    """Damaged, or written for another key, prefix or version."""
    SIGNATURE = "signature"
    """Needs a signature and has none, or one that no key of the site made."""
    SERIALIZER = "serializer"
    """Written by a serializer that is unknown here or that the alias does not permit."""
    COMPRESSOR = "compressor"
    """Compressed by a method that is unknown or not installed."""
    TOO_LARGE = "too-large"
    """Takes more memory than `MAX_BYTES_DECODED`, before it is stored or once it is decompressed."""
    PAYLOAD = "payload"
    """Intact, but the value cannot be rebuilt: a class that moved, say."""


class BadRecord(CacheplusError):
    """A stored record that cannot be used: `kind` says why, `detail` what was found (never the key or the value)."""

    def __init__(self, kind: Flaw | str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = Flaw(kind)
        self.detail = detail

    def __str__(self) -> str:
        return f"unusable record ({self.kind}): {self.detail}"


class CacheFault(CacheplusError, ValueError):
    """The store failed in a call that has no harmless answer.

    `incr` and its relatives raise it: a number made up would be wrong. It is a `ValueError` because that is what
    Django's callers of `incr` are ready to catch.
    """


class CacheUnavailable(CacheplusError, ConnectionError):
    """The store is left alone, because its last calls failed. It is tried again every second, at nobody's cost.

    `alias` is the entry of CACHES, `kind` the class of the last fault, and `since` the unix time from when on no call
    was made. It is among the faults of every store, so that whoever is ready for those is ready for it.
    """

    def __init__(self, message: str, alias: str = "", kind: str = "", since: float = 0.0) -> None:
        super().__init__(message)
        self.alias = alias
        self.kind = kind
        self.since = since


class LockNotAcquired(CacheplusError):
    """A lock was held elsewhere for longer than the caller was ready to wait."""


class MissingExtra(CacheplusError, ImportError):
    """An optional library is not installed; `extra` is the extra of cacheplus that brings `name`."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(module, extra)
        self.name = module
        self.extra = extra

    def __str__(self) -> str:
        return f"the Python module {self.name!r} is not installed; install it with: pip install cacheplus[{self.extra}]"


_LONGEST_SHOWN = 512
_SHOWN = 32


def shown(key: object) -> str:
    """`key` as a message may hold it: on one line, and of one that is very long the beginning alone."""
    text = str(key)
    return repr(key) if len(text) <= _LONGEST_SHOWN else f"{text[:_SHOWN]!r}… ({len(text)} characters)"
