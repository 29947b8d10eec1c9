"""The query of a request as the cache key has it: without what is ignored, and in one order.

Pieces are parted by `&` alone, as Django does (CVE-2021-23336). Only such spellings are taken for one another as
no page can show: escapes of characters that need none, and the case of hex digits. Whoever stores a page under
`%3C` must not have been able to send a bare `<`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_plus

from cacheplus.http.patterns import is_listed

_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
# RFC 3986 §2.3.
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True)
class QueryRules:
    """Which parameters count, and whether their order does."""

    ignored: tuple[str, ...] = ()
    is_sorted: bool = True

    def kept(self, query: str) -> str:
        """What counts of `query`, as it was written. This is what a view is shown."""
        return self._filtered(query, are_ignored=False)

    def hidden(self, query: str) -> str:
        """What `kept` leaves out."""
        return self._filtered(query, are_ignored=True)

    def key(self, query: str) -> str:
        """`query` in the spelling of the cache key."""
        return spelt(self.kept(query), is_sorted=self.is_sorted)

    def _filtered(self, query: str, *, are_ignored: bool) -> str:
        pieces = query.split("&")
        found = [piece for piece in pieces if is_listed(_name(piece), self.ignored) is are_ignored]
        return query if len(found) == len(pieces) else "&".join(found)


def spelt(query: str, *, is_sorted: bool = True) -> str:
    """`query` in one spelling; sorted by name, where those of one name keep their order."""
    pieces: Iterable[str] = (_ESCAPE.sub(_escape, piece) for piece in query.split("&") if piece)
    return "&".join(sorted(pieces, key=_name) if is_sorted else pieces)


def _name(piece: str) -> str:
    return unquote_plus(piece.partition("=")[0])


def _escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()
