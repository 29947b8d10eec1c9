"""`Cache-Control`, in responses and requests (RFC 9111 §5.2, RFC 5861)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from cacheplus.http.headers import MAX_SECONDS, TOKEN, delta_seconds

# A directive that this cache acts on is one line of these tables and one field of CacheControl.
_FLAGS = {
    "no-store": "no_store",
    "no-cache": "no_cache",
    "private": "private",
    "must-revalidate": "must_revalidate",
    "proxy-revalidate": "proxy_revalidate",
}
# They permit something, so that with an argument, which they do not have, they are not believed.
_PERMISSIONS = {"public": "public", "must-understand": "must_understand", "only-if-cached": "only_if_cached"}
_SECONDS = {
    "max-age": "max_age",
    "s-maxage": "s_maxage",
    "stale-while-revalidate": "stale_while_revalidate",
    "stale-if-error": "stale_if_error",
    "min-fresh": "min_fresh",
    "max-stale": "max_stale",
}

_QUOTED = r'"(?:[\t !#-\[\]-~]|\\[\t -~])*"'
# The possessive quantifiers keep a long run of blanks from costing more than its length.
_DIRECTIVE = re.compile(rf"[ \t]*+(?:(?P<name>{TOKEN})(?P<argument>=(?:{TOKEN}|{_QUOTED})?)?)?[ \t]*+(?:,|\Z)")
_ESCAPED = re.compile(r"\\(.)")

Directive = tuple[str, str | None]
"""A name in lower case, and its argument without quotes; None where there is none."""


@dataclass(frozen=True, slots=True)
class CacheControl:
    """The directives that matter to this cache, typed.

    `no-cache="field"` and its like count as the bare directive. Of a repeated number the least is taken. A number that
    cannot be read is 0: such a response is stale. A value that is not well formed, anywhere, makes the whole `broken`,
    because the directive that was mangled may be the one that forbids to store; treat it as `no-store`.
    """

    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    min_fresh: int | None = None
    max_stale: int | None = None
    no_store: bool = False
    no_cache: bool = False
    private: bool = False
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    only_if_cached: bool = False
    broken: bool = False

    @classmethod
    def parse(cls, *values: str) -> Self:
        """Read every line of a `Cache-Control` field. Never raises."""
        directives: list[Directive] = []
        broken = False
        for value in values:
            broken = not _read(value, directives) or broken
        return cls.of(directives, broken=broken)

    @classmethod
    def of(cls, directives: Iterable[Directive], *, broken: bool = False) -> Self:
        """From directives that were parsed already."""
        found: dict[str, Any] = {}
        for name, argument in directives:
            if name in _FLAGS:
                found[_FLAGS[name]] = True
            elif name in _PERMISSIONS and argument is None:
                found[_PERMISSIONS[name]] = True
            elif name in _SECONDS:
                seconds = _seconds(name, argument)
                found[_SECONDS[name]] = min(seconds, found.get(_SECONDS[name], seconds))
        return cls(**found, broken=broken)

    @property
    def forbids_stale(self) -> bool:
        """Whether a stale response may never be served (RFC 9111 §4.2.4); `s-maxage` implies it for a shared cache."""
        return self.must_revalidate or self.proxy_revalidate or self.no_cache or self.s_maxage is not None


def _read(value: str, directives: list[Directive]) -> bool:
    """Append the directives of one line. False if it is not well formed; what came before the flaw is kept."""
    position = 0
    while position < len(value):
        match = _DIRECTIVE.match(value, position)
        if match is None:
            return False
        if match["name"]:
            directives.append((match["name"].lower(), _argument(match["argument"])))
        position = match.end()
    return True


def _argument(text: str | None) -> str | None:
    if text is None:
        return None
    argument = text[1:]
    return _ESCAPED.sub(r"\1", argument[1:-1]) if argument.startswith('"') else argument


def _seconds(name: str, argument: str | None) -> int:
    if argument is None:
        # RFC 9111 §5.2.1.2: without a number, any staleness will do. The others need one.
        return MAX_SECONDS if name == "max-stale" else 0
    return delta_seconds(argument) or 0
