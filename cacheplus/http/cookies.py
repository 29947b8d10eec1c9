"""The `Cookie` field of a request as the cache key has it: the cookies that count, in one order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cacheplus.http.patterns import is_listed

NO_NAMES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CookieRules:
    """Which cookies count. Names are exact, those of `ignored` and `allowed` may hold `*`."""

    ignored: tuple[str, ...] = ()
    allowed: tuple[str, ...] | None = None
    """If given, no others count."""
    visitor: frozenset[str] = NO_NAMES
    """Those of sessions, CSRF protection and messages. Views see them; that a page used them is noticed otherwise."""
    seen: frozenset[str] = NO_NAMES
    """Those that are never hidden, whatever the lists say."""
    visitor_in_key: bool = False

    def hides(self, name: str) -> bool:
        """Whether a view does not see the cookie `name`, because the cache key leaves it out."""
        if name in self.visitor or name in self.seen:
            return False
        return is_listed(name, self.ignored) or not (self.allowed is None or is_listed(name, self.allowed))

    def kept(self, field: str) -> str:
        """The cookies of a field that count, as they were written. This is what a view is shown."""
        pieces = field.split(";")
        found = [piece for piece in pieces if not self.hides(_name(piece))]
        return field if len(found) == len(pieces) else ";".join(found).strip()

    def key(self, field: str) -> str:
        """The field in the spelling of the cache key; empty where nothing counts. Of one name, the last one counts."""
        pieces = [piece.strip() for piece in self.kept(field).split(";")]
        if not self.visitor_in_key:
            pieces = [piece for piece in pieces if _name(piece) not in self.visitor]
        return ";".join(sorted(filter(None, pieces), key=_name))

    def with_visitor_in_key(self) -> CookieRules:
        """The same, for pages that the cookies of a visitor tell apart."""
        return replace(self, visitor_in_key=True)


def _name(piece: str) -> str:
    # As Django reads it: a piece without "=" is the value of a cookie without a name.
    name, separator, _ = piece.partition("=")
    return name.strip() if separator else ""
