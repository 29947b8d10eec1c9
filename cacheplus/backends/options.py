"""The options of an alias: one table, read by the backends and by the system checks, so that their words agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, NamedTuple

from django.core import checks

from cacheplus.codecs.serializers import Serializer


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_bytes(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_seconds(value: object) -> bool:
    return type(value) in (int, float) and value > 0  # type: ignore[operator]


def _is_share(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1  # type: ignore[operator]


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


class Option(NamedTuple):
    """One key of OPTIONS: its default, what it accepts in words, and the test of it."""

    default: Any
    accepts: str
    test: Callable[[object], bool]


# Every alias takes these; a backend adds its own in `extra_options`.
TABLE: Mapping[str, Option] = {
    "SERIALIZER": Option("pickle", "'pickle', 'json', 'msgpack' or a dotted path", _is_name),
    "SIGNED": Option(None, "True, False, or None for the default of the store", lambda v: v is None or _is_bool(v)),
    "ACCEPT_DJANGO": Option(False, "True or False", _is_bool),
    "COMPRESSOR": Option(None, "None, 'zlib', 'zstd' or 'lz4'", lambda v: v is None or _is_name(v)),
    "COMPRESS_MIN_BYTES": Option(1024, "a whole number of bytes", _is_bytes),
    "MAX_BYTES_DECODED": Option(16 * 1024 * 1024, "a whole number of bytes", _is_bytes),
    "ON_FAULT": Option("raise", "'raise' or 'miss'", lambda v: v in ("raise", "miss")),
    "JITTER": Option(0.0, "a number from 0 to 1", _is_share),
    "KEY_POLICY": Option("django", "'django' or 'hash'", lambda v: v in ("django", "hash")),
}

# Read by Django's BaseCache, which falls back in silence.
_NUMBERS = ("MAX_ENTRIES", "CULL_FREQUENCY")

SECONDS = _is_seconds
SHARE = _is_share


@dataclass(frozen=True, slots=True)
class Options:
    """The options that every alias has, with a default for whatever is missing or unusable."""

    serializer: str | Serializer
    signed: bool | None
    accept_django: bool
    compressor: str | None
    compress_min_bytes: int
    max_bytes_decoded: int
    on_fault: str
    key_policy: str
    jitter: float

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Options:
        """From OPTIONS. A value that the check refuses counts as missing, so that the site starts."""
        return cls(**{field.name: value_of(options, field.name.upper(), TABLE) for field in fields(cls)})


def value_of(options: Mapping[str, Any], name: str, table: Mapping[str, Option]) -> Any:
    """The value of one option, or its default where it is missing or unusable."""
    option = table[name]
    value = options.get(name, option.default)
    return value if option.test(value) else option.default


def client_options(options: Mapping[str, Any], table: Mapping[str, Option]) -> dict[str, Any]:
    """What is left of OPTIONS for the client library of a store."""
    return {name: value for name, value in options.items() if name not in table and name not in _NUMBERS}


def check_options(
    alias: str, options: Mapping[str, Any], table: Mapping[str, Option], *, open_ended: bool
) -> Iterator[checks.CheckMessage]:
    """E101 for a value that cannot be used; W102 for a name that nothing reads.

    Where a client takes any, `open_ended`, that can only be said of names in capitals, for its own have none.
    """
    for name, value in options.items():
        if name in table and not table[name].test(value):
            yield checks.Error(
                f"CACHES[{alias!r}]['OPTIONS'][{name!r}] is {value!r}, which cannot be used.",
                hint=f"It takes {table[name].accepts}; the default is {table[name].default!r}.",
                id="cacheplus.E101",
            )
        elif name not in table and name not in _NUMBERS and not (open_ended and str(name).islower()):
            near = get_close_matches(str(name).upper(), [*table, *_NUMBERS], n=1)
            yield checks.Warning(
                f"CACHES[{alias!r}]['OPTIONS'] has {name!r}, which nothing reads.",
                hint=f"Did you mean {near[0]!r}?" if near else f"It takes {', '.join(sorted([*table, *_NUMBERS]))}.",
                id="cacheplus.W102",
            )
