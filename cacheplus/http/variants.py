"""Which variant of a page a request selects: the request fields that `Vary` names, normalised (RFC 9111 §4.1).

Two requests get the same page only where their fields differ in a way that no view can tell apart, or that the site
said makes no difference. What is unusual keeps its spelling, and so a variant of its own.
"""

from __future__ import annotations

import re

from cacheplus.http.headers import Fields, Vary, list_members

# A weight above 0 (RFC 9110 §12.4.2): how much above is the producer's concern, and none of Django's asks.
_WANTED = re.compile(r"q=(?:1(?:\.0{0,3})?|0\.(?=0{0,2}[1-9])[0-9]{1,3})")


def selecting_values(vary: Vary, request: Fields) -> tuple[str | None, ...]:
    """One value for each name of `vary`, in its order; None where the request lacks the field, which is not empty."""
    return tuple(_normalised(name, request.get(name)) for name in vary.names)


def _normalised(name: str, value: str | None) -> str | None:
    if value is None:
        return None
    # A quoted string may hold a comma, and language tags are the same in any case (RFC 5646 §2.1.1).
    plain = value.strip(" \t") if '"' in value else ",".join(part.strip(" \t") for part in value.split(","))
    return plain.lower() if name == "accept-language" else plain


def accepted_codings(value: str, codings: tuple[str, ...]) -> str:
    """What an `Accept-Encoding` means to a site that can produce `codings`, in lower case: those it names, sorted.

    A member that merely mentions one, such as `gzip;q=0`, stays as it is: some middleware takes it for consent, and
    its page must not reach a client that gave none.
    """
    members = {_coding(member.lower()) for member in list_members(value)}
    return ",".join(sorted(member for member in members if _concerns(member, codings)))


def _coding(member: str) -> str:
    coding, _, weight = (part.strip(" \t") for part in member.partition(";"))
    return coding if not weight or _WANTED.fullmatch(weight) else f"{coding};{weight}"


def _concerns(member: str, codings: tuple[str, ...]) -> bool:
    return "*" in member or "identity" in member or any(coding in member for coding in codings)
