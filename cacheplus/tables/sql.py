"""Reads SQL for its tables. What it is not sure of it calls not understood, so that nothing is missed.

`mentions` is more than what a statement reads: every name in it that could be a table's. To depend on too much costs a
miss, to depend on too little an old page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cacheplus.tables.relations import relations
from cacheplus.tables.targets import targets
from cacheplus.tables.tokens import VENDORS, Token, at, tokens

_READS = frozenset({"SELECT", "VALUES", "TABLE", "WITH", "("})
_WRITES = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE", "MERGE"})
_REMOVE = frozenset({"DELETE", "MERGE", "REPLACE"})
# They touch no row. What is written by hand between BEGIN and COMMIT is not among them: nobody is told of that end.
_IDLE = frozenset(
    {
        "SAVEPOINT",
        "RELEASE",
        "ROLLBACK",
        "ABORT",
        "BEGIN",
        "START",
        "SET",
        "RESET",
        "SHOW",
        "PRAGMA",
        "ANALYZE",
        "VACUUM",
        "LISTEN",
        "UNLISTEN",
        "NOTIFY",
        "LOCK",
        "UNLOCK",
        "DEALLOCATE",
        "DISCARD",
        "CHECKPOINT",
        "USE",
        "DESCRIBE",
        "DESC",
        "OPTIMIZE",
        "REINDEX",
        "CLOSE",
        "DETACH",
    }
)
# They give rows that another statement selected.
_CURSORS = frozenset({"DECLARE", "FETCH", "MOVE"})

_LISTS = {"%s": re.compile(r"%s(?:\s*,\s*%s)+"), "(%s)": re.compile(r"\(%s\)(?:\s*,\s*\(%s\))+")}


@dataclass(frozen=True, slots=True)
class Statement:
    """What a text of SQL does. All names are in lower case, without their schema."""

    mentions: frozenset[str] = frozenset()
    relations: frozenset[str] = frozenset()
    """What stands where a table has to; a function with "()"."""
    targets: frozenset[str] = frozenset()
    """The tables that it writes."""
    deletes: bool = False
    """Whether rows of the targets may go, and others with them."""
    columns: frozenset[str] = frozenset()
    """The columns that an UPDATE of one table sets, where it sets one only."""
    is_understood: bool = True
    """Whether the names are all there are. If not, what it returns may come from anywhere."""
    writes_anything: bool = False
    """Whether any table may have been written."""


NOT_UNDERSTOOD = Statement(is_understood=False, writes_anything=True)
_SOME_ROWS = Statement(is_understood=False)
_BEGINS_AS_QUERY = re.compile(r"[\s(]*SELECT\b", re.IGNORECASE)


def shorten(sql: str) -> str:
    """The same without the length of its lists of parameters, of which there may be very many."""
    for one, several in _LISTS.items():
        sql = several.sub(one, sql)
    return sql


def read(vendor: str, sql: str) -> Statement:
    """What `sql` does on a database of this vendor; several statements are taken together."""
    found = tokens(vendor, sql) if vendor in VENDORS else None
    if found is None:
        return _SOME_ROWS if _BEGINS_AS_QUERY.match(sql) else NOT_UNDERSTOOD
    parts = [_one(part) for part in _statements(found)]
    return parts[0] if len(parts) == 1 else _joined(parts)  # no statement at all reads nothing


def _statements(found: Sequence[Token]) -> Iterator[list[Token]]:
    part: list[Token] = []
    for token in found:
        if token.value == ";" and token.kind == "mark":
            if part:
                yield part
            part = []
        else:
            part.append(token)
    if part:
        yield part


def _joined(parts: Sequence[Statement]) -> Statement:
    def union(names: Iterable[frozenset[str]]) -> frozenset[str]:
        return frozenset().union(*names)

    return Statement(
        mentions=union(part.mentions for part in parts),
        relations=union(part.relations for part in parts),
        targets=union(part.targets for part in parts),
        deletes=any(part.deletes for part in parts),
        is_understood=all(part.is_understood for part in parts),
        writes_anything=any(part.writes_anything for part in parts),
    )


def _one(found: list[Token]) -> Statement:
    head = found[0].value
    if head == "EXPLAIN":
        return _explained(found)
    if head in _IDLE:
        return Statement()
    if head in _CURSORS:
        return _SOME_ROWS
    if head in _READS:
        return _reading(found)
    return _writing(found) if head in _WRITES else NOT_UNDERSTOOD


def _explained(found: list[Token]) -> Statement:
    """EXPLAIN ANALYZE carries out what it explains."""
    for place, token in enumerate(found):
        if token.kind == "word" and token.value in _READS | _WRITES:
            return _one(found[place:])
    return NOT_UNDERSTOOD


def _reading(found: list[Token]) -> Statement:
    words = [token.value for token in found if token.kind == "word"]
    if words[:1] == ["WITH"] and _has_writing_part(words):
        return _writing(found)
    # SELECT INTO makes a table that nobody has read yet, or a file.
    return Statement(_mentions(found), relations(found), is_understood="INTO" not in words)


def _has_writing_part(words: Sequence[str]) -> bool:
    """Whether there is a verb that writes; UPDATE is none in FOR UPDATE, nor REPLACE, a function, behind WITH."""
    verbs = _WRITES - {"REPLACE"}
    return any(
        word in verbs and not (word == "UPDATE" and previous in {"FOR", "KEY"})
        for previous, word in pairwise(["", *words])
    )


def _writing(found: list[Token]) -> Statement:
    written = targets(found)
    return Statement(
        _mentions(found),
        relations(found),
        targets=written or frozenset(),
        deletes=any(token.value in _REMOVE for token in found),
        columns=_only_column(found) if found[0].value == "UPDATE" else frozenset(),
        writes_anything=written is None,
    )


def _only_column(found: Sequence[Token]) -> frozenset[str]:
    """The column of `UPDATE table SET column = parameter WHERE ...`; nothing for any other form."""
    place = next((at for at, token in enumerate(found) if token.value == "SET" and token.kind == "word"), len(found))
    column = at(found, place + 1).name
    is_alone = at(found, place + 2).value == "=" and at(found, place + 4).value == "WHERE"
    return frozenset({column}) if column is not None and is_alone else frozenset()


def _mentions(found: Sequence[Token]) -> frozenset[str]:
    return frozenset(name for name in (token.name for token in found) if name is not None)
