"""Header fields, and the pieces of syntax that several of them share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

# RFC 9111 §1.2.2: what a number of seconds too large to represent is taken for.
MAX_SECONDS = 2**31

# RFC 9110 §5.6.2, for use inside other patterns.
TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - a syntax, not a secret

_TOKEN_ONLY = re.compile(TOKEN)
_DIGITS = re.compile("[0-9]+")
_MAX_DIGITS = len(str(MAX_SECONDS))

# RFC 9110 §7.6.1 and RFC 9111 §3.1: they concern one connection, or one client and its proxy, never a stored page.
_CONNECTION_FIELDS = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Fields:
    """Header fields in their order; names are compared in any case, and a field may have several lines."""

    pairs: tuple[tuple[str, str], ...] = ()
    _lines: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lines: dict[str, tuple[str, ...]] = {}
        for name, value in self.pairs:
            folded = name.lower()
            lines[folded] = (*lines.get(folded, ()), value)
        object.__setattr__(self, "_lines", lines)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Self:
        return cls(tuple(pairs))

    def get(self, name: str) -> str | None:
        """The lines of the field as one value (RFC 9110 §5.3); None where it is absent, which is not empty."""
        lines = self._lines.get(name.lower())
        return None if lines is None else ", ".join(lines)

    def get_all(self, name: str) -> tuple[str, ...]:
        """Every line of the field; empty where it is absent."""
        return self._lines.get(name.lower(), ())

    def without(self, names: Iterable[str]) -> Fields:
        dropped = {name.lower() for name in names}
        return Fields(tuple(pair for pair in self.pairs if pair[0].lower() not in dropped))

    def replaced_by(self, other: Fields) -> Fields:
        """These fields, where a field that `other` has too is taken from there, with all its lines."""
        return Fields(self.without(other.names()).pairs + other.pairs)

    def names(self) -> frozenset[str]:
        """The names, in lower case."""
        return frozenset(self._lines)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._lines

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)


NO_FIELDS = Fields()


@dataclass(frozen=True, slots=True)
class Vary:
    """Which request fields chose this response (RFC 9110 §12.5.5)."""

    names: tuple[str, ...] = ()
    """Lower case, sorted, each once."""
    any: bool = False
    """`*` among the names: no other request ever matches."""
    broken: bool = False
    """A member that is no field name. What the response depends on is unknown then."""

    @classmethod
    def parse(cls, *values: str) -> Self:
        """Read every line of a `Vary` field. Never raises."""
        members = list_members(*values)
        names = {member.lower() for member in members} - {"*"}
        broken = any(not is_token(name) for name in names)
        return cls(tuple(sorted(names)), any="*" in members, broken=broken)


def list_members(*values: str) -> tuple[str, ...]:
    """The members of a comma-separated list without quoted strings (RFC 9110 §5.6.1). Empty ones count for nothing."""
    members = (member.strip(" \t") for value in values for member in value.split(","))
    return tuple(member for member in members if member)


def is_token(text: str) -> bool:
    return _TOKEN_ONLY.fullmatch(text) is not None


def delta_seconds(text: str) -> int | None:
    """A whole number of seconds, at most `MAX_SECONDS` (RFC 9111 §1.2.2). None if `text` is anything else."""
    if _DIGITS.fullmatch(text) is None:
        return None
    digits = text.lstrip("0")
    # Python refuses to read thousands of digits.
    return MAX_SECONDS if len(digits) > _MAX_DIGITS else min(int(digits or "0"), MAX_SECONDS)


def age_value(fields: Fields) -> int:
    """The `Age` that came with a response: the first member, 0 where that is no number of seconds (RFC 9111 §5.1)."""
    members = list_members(*fields.get_all("Age"))
    return (delta_seconds(members[0]) if members else None) or 0


def storable(fields: Fields) -> Fields:
    """The fields without those that concern one connection or one client only (RFC 9111 §3.1).

    `Set-Cookie` stays: whether a response with cookies may be stored at all is for the policy to say.
    """
    listed = list_members(*fields.get_all("Connection"))
    return fields.without(_CONNECTION_FIELDS.union(listed))
