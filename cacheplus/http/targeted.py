"""Targeted cache control (RFC 9213): fields that speak to this cache alone, read as structured fields (RFC 8941)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cacheplus.http.cache_control import CacheControl, Directive
from cacheplus.http.headers import Fields

_KEY = r"[a-z*][a-z0-9_\-.*]*"
_INTEGER = r"-?[0-9]{1,15}(?![0-9.])"
_STRING = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
_TRUE = r"\?1"
_FALSE = r"\?0"
_OTHER = r"-?[0-9]{1,12}\.[0-9]{1,3}(?![0-9])|:[A-Za-z0-9+/=]*:|[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*"
_BARE = rf"(?:{_INTEGER}|{_OTHER}|{_STRING}|{_TRUE}|{_FALSE})"
_PARAMETERS = rf"(?:; *{_KEY}(?:={_BARE})?)*"
_INNER_LIST = rf"\( *(?:{_BARE}{_PARAMETERS}(?: +(?=[^ )])| *(?=\))))*\)"

_MEMBER = re.compile(
    rf"(?P<key>{_KEY})"
    rf"(?:=(?:(?P<integer>{_INTEGER})|(?P<true>{_TRUE})|(?P<false>{_FALSE})|(?P<other>{_INNER_LIST}|{_BARE})))?"
    rf"{_PARAMETERS}"
)
_COMMA = re.compile(r"[ \t]*,[ \t]*(?=.)")


@dataclass(frozen=True, slots=True)
class Governing:
    """The directives that govern a response in this cache."""

    control: CacheControl
    is_targeted: bool = False
    """Whether they come from a targeted field: `Cache-Control` and `Expires` do not count then (RFC 9213 §2.2)."""


def governing(fields: Fields, targeted_fields: tuple[str, ...]) -> Governing:
    """The first of `targeted_fields` that is well formed and not empty, else `Cache-Control`."""
    for name in targeted_fields:
        directives = parse_directives(*fields.get_all(name))
        if directives is not None:
            return Governing(CacheControl.of(directives), is_targeted=True)
    return Governing(CacheControl.parse(*fields.get_all("Cache-Control")))


def parse_directives(*values: str) -> tuple[Directive, ...] | None:
    """The members of a dictionary as directives. None if it is absent, empty or not well formed: it is ignored then.

    A value of the wrong type reads as a number that cannot be read, or as the bare directive: the careful meaning.
    """
    text = ", ".join(values).strip(" ")
    if not text:
        return None
    members: dict[str, Directive | None] = {}
    for match in _members(text):
        if match is None:
            return None
        # The last one of a repeated key counts (RFC 8941 §4.2.2), and an explicit "false" unsets it.
        members[match["key"]] = None if match["false"] else (match["key"], _argument(match))
    return tuple(member for member in members.values() if member is not None)


def _members(text: str) -> Iterator[re.Match[str] | None]:
    """The members of a dictionary that is not empty, and then None if something else follows."""
    position = 0
    while match := _MEMBER.match(text, position):
        yield match
        if match.end() == len(text):
            return
        comma = _COMMA.match(text, match.end())
        if comma is None:
            break
        position = comma.end()
    yield None


def _argument(match: re.Match[str]) -> str | None:
    if match["integer"]:
        return match["integer"]
    # What is no integer must not pass for one: a string "60" is no number of seconds here.
    return "" if match["other"] else None
