"""Words of SQL: splits a statement so that no text of a string or comment is taken for a name, nor a name for text.

Not by sqlparse, which takes a backslash for a quote: the `LIKE ... ESCAPE` of Django would hide what follows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

# The databases whose SQL is read. That of others counts as not understood.
VENDORS = frozenset({"postgresql", "sqlite", "mysql", "oracle"})

_COMMENT = r"/\*(?![!+]).*?\*/"
_PLAIN_TEXT = r"'(?:[^']|'')*'"
_QUOTED = r'"(?:[^"]|"")*"'

_SKIPPED = {"mysql": rf"\s+|--(?=\s|$)[^\n]*|\#[^\n]*|{_COMMENT}"}
_SKIPPED_ELSEWHERE = rf"\s+|--[^\n]*|{_COMMENT}"
_TEXT = {
    # A backslash may quote or not, as the server is set up: then no string is recognized, and nothing understood.
    "mysql": r"'(?:[^'\\]|'')*'",
    "postgresql": rf"[eE]'(?:[^'\\]|''|\\.)*'|(?:[uU]&)?{_PLAIN_TEXT}|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$",
    "oracle": rf"(?<![qQ]){_PLAIN_TEXT}",
}
_NAME = {
    "mysql": r'`(?:[^`]|``)*`|"(?:[^"\\]|"")*"',
    "sqlite": rf"{_QUOTED}|`(?:[^`]|``)*`|\[[^\]]*\]",
}


class Token(NamedTuple):
    """A piece of a statement. `kind` is "name" (quoted), "word" (not quoted), "text" or "mark"."""

    kind: str
    value: str
    """A name without its quotes in lower case, a word in upper case."""

    @property
    def name(self) -> str | None:
        """What it names, if it can name anything; in lower case."""
        return self.value.lower() if self.kind in {"name", "word"} else None


def tokens(vendor: str, sql: str) -> list[Token] | None:
    """The tokens of `sql`, without blanks and comments; None where a quote is open or may be."""
    found = list(_tokens(vendor, sql))
    return None if any(kind == "mark" and value in "'\"`\\" for kind, value in found) else found


def at(found: Sequence[Token], place: int) -> Token:
    """The token at `place`; outside of the statement a mark that is nothing."""
    return found[place] if 0 <= place < len(found) else _NOTHING


def path(found: Sequence[Token], place: int) -> tuple[str | None, int]:
    """(the last part of the dotted name at `place`, the place behind it); None where no name is."""
    name = at(found, place).name
    while name is not None and at(found, place + 1).value == "." and at(found, place + 2).name is not None:
        place += 2
        name = found[place].name
    return name, place + 1


_NOTHING = Token("mark", "")


def _tokens(vendor: str, sql: str) -> Iterator[Token]:
    for match in _scanner(vendor).finditer(sql):
        kind = str(match.lastgroup)
        value = match[0]
        if kind == "name":
            yield Token(kind, value[1:-1].replace(value[-1] * 2, value[-1]).lower())
        elif kind != "skipped":
            yield Token(kind, value.upper() if kind == "word" else value)


@cache
def _scanner(vendor: str) -> re.Pattern[str]:
    parts = {
        "skipped": _SKIPPED.get(vendor, _SKIPPED_ELSEWHERE),
        "text": _TEXT.get(vendor, _PLAIN_TEXT),
        "name": _NAME.get(vendor, _QUOTED),
        "number": r"\d[\w.]*|%s|%\(\w+\)s|%%|:\w+",
        "word": r"[^\W\d][\w$]*",
        "mark": r"!=|<=|>=|\|\||::|.",
    }
    return re.compile("|".join(f"(?P<{kind}>{part})" for kind, part in parts.items()), re.DOTALL)
