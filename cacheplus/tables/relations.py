"""The relations of a query: what stands where SQL wants a table, so that a database view or a function is noticed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cacheplus.tables.tokens import Token, at, path

_BEGINS = frozenset({"SELECT", "VALUES", "WITH", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"})
_ENDS = frozenset(
    {
        "WHERE",
        "GROUP",
        "ORDER",
        "HAVING",
        "LIMIT",
        "OFFSET",
        "FETCH",
        "WINDOW",
        "UNION",
        "INTERSECT",
        "EXCEPT",
        "MINUS",
        "FOR",
        "RETURNING",
        "SET",
        "QUALIFY",
    }
)
_JOINS = frozenset({"JOIN", "STRAIGHT_JOIN"})
_BEFORE_A_NAME = frozenset({"ONLY", "LATERAL"})


@dataclass(slots=True)
class _Frame:
    """One pair of parentheses."""

    is_query: bool = False
    is_list: bool = False
    """Whether commas part relations here."""


def relations(found: Sequence[Token]) -> frozenset[str]:
    """Names in lower case, of functions with "()"; the names that WITH gives are left out."""
    reader = _Reader(found)
    return reader.read() - reader.given


class _Reader:
    """Goes through a statement once."""

    def __init__(self, found: Sequence[Token]) -> None:
        self._found = found
        self._frames = [_Frame()]
        self._wants = False
        self._names: set[str] = set()
        self.given = _given(found)

    def read(self) -> frozenset[str]:
        """The relations, with those that WITH names."""
        place = 0
        while place < len(self._found):
            place = self._step(place)
        return frozenset(self._names)

    def _step(self, place: int) -> int:
        token = self._found[place]
        frame = self._frames[-1]
        if token.kind == "mark":
            self._take_mark(token.value)
        elif token.kind == "word" and token.value in _BEGINS:
            frame.is_query, frame.is_list, self._wants = True, False, False
        elif token.kind == "word" and token.value in _ENDS:
            frame.is_list = self._wants = False
        elif token.kind == "word" and (token.value in _JOINS or self._is_from(place)):
            frame.is_list = self._wants = True
        elif self._wants and token.name is not None and token.value not in _BEFORE_A_NAME:
            return self._take_name(place)
        return place + 1

    def _take_mark(self, mark: str) -> None:
        if mark == "(":
            # A join in parentheses, or a query, which then says SELECT.
            self._frames.append(_Frame(is_list=self._wants))
        elif mark == ")":
            self._wants = False
            if len(self._frames) > 1:
                self._frames.pop()
        elif mark == "," and self._frames[-1].is_list:
            self._wants = True

    def _is_from(self, place: int) -> bool:
        """Not so in EXTRACT(YEAR FROM ...), nor in IS DISTINCT FROM."""
        if self._found[place].value != "FROM" or not self._frames[-1].is_query:
            return False
        before = [token.value for token in self._found[max(place - 2, 0) : place]]
        return before[-1:] != ["DISTINCT"] or before[0] not in {"IS", "NOT"}

    def _take_name(self, place: int) -> int:
        name, end = path(self._found, place)
        self._names.add(f"{name}()" if at(self._found, end).value == "(" else str(name))
        self._wants = False
        return end


def _given(found: Sequence[Token]) -> frozenset[str]:
    """The names that WITH gives to queries: `name AS (` or `name (columns) AS (`."""
    if not any(token.value == "WITH" for token in found):
        return frozenset()
    names = set()
    for place, token in enumerate(found):
        if token.value == "AS" and _opens(found[place + 1 : place + 4]):
            names.add(str(found[_before_columns(found, place - 1)].name))
    return frozenset(names)


def _opens(following: Sequence[Token]) -> bool:
    words = [token.value for token in following if token.value not in {"NOT", "MATERIALIZED"}]
    return words[:1] == ["("]


def _before_columns(found: Sequence[Token], place: int) -> int:
    if found[place].value != ")":
        return place
    while place > 0 and found[place].value != "(":
        place -= 1
    return place - 1
