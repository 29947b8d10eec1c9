"""The targets of a statement: the tables that it writes, where that is as plain as in what Django sends."""

from __future__ import annotations

from collections.abc import Sequence

from cacheplus.tables.tokens import Token, at, path

# SELECT ... FOR UPDATE locks, ON CONFLICT DO UPDATE and ON DUPLICATE KEY UPDATE belong to an INSERT.
_NO_UPDATE_AFTER = frozenset({"FOR", "KEY", "DO"})
_BEHIND_A_DELETE = frozenset({"", "WHERE", "RETURNING", "FROM", ")"})


def targets(found: Sequence[Token]) -> frozenset[str] | None:
    """Names in lower case; None where there may be others."""
    names: set[str] = set()
    for place, token in enumerate(found):
        if token.kind != "word":
            continue
        if token.value == "INTO":
            name = path(found, place + 1)[0]
        elif token.value == "UPDATE" and at(found, place - 1).value not in _NO_UPDATE_AFTER:
            name = _before(found, place + 1, frozenset({"SET"}))
        elif token.value == "DELETE":
            start = place + 2 if at(found, place + 1).value == "FROM" else place + 1
            name = _before(found, start, _BEHIND_A_DELETE)
        else:
            continue
        if name is None:
            return None
        names.add(name)
    return frozenset(names) or None


def _before(found: Sequence[Token], place: int, followers: frozenset[str]) -> str | None:
    """The name at `place` if one of `followers` comes behind it, or behind its alias."""
    name, end = path(found, place)
    if at(found, end).value not in followers:
        end += 2 if at(found, end).value == "AS" else 1
    return name if at(found, end).value in followers else None
