"""A stored entry as a row of Django's cache table: what its key and its value are as text."""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import a2b_base64
from hashlib import blake2b

from cacheplus.codecs.record import Stored, from_wire, to_wire
from cacheplus.store import SERVICE_MARK

LONGEST_KEY = 255
_DIGEST_BYTES = 32
_MARK = "~"
_LONGEST_HEAD = LONGEST_KEY - len(_MARK) - 2 * _DIGEST_BYTES
LONGEST_PREFIX = _LONGEST_HEAD - len(SERVICE_MARK) - len(":99:")

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_DIGESTED = re.compile(rf"{_MARK}[0-9a-f]{{{2 * _DIGEST_BYTES}}}\Z")

# Which names are told apart by a column, and so may stand in it as they are.
EXACT = re.compile(r"[^\x00\ud800-\udfff]*")
_PADDED = re.compile(r"[^\x00\ud800-\udfff]*[^\x00\ud800-\udfff ]")
_LOWER_ASCII = re.compile(r"[ -@\[-~]*[!-@\[-~]")
_NEVER = re.compile(r"(?!)")

# Collations of MySQL and MariaDB, the first that fits; a national one may hold two letters of the alphabet for equal.
_COLLATIONS = (
    (re.compile(r".*(nopad|0900)_bin|binary"), EXACT),
    (re.compile(r".*_bin"), _PADDED),
    (re.compile(r"(utf8(mb[34])?_)?(general|unicode(_520)?|0900|uca1400)(_nopad)?(_a[is])?_c[is]"), _LOWER_ASCII),
)


def readable_under(collation: str) -> re.Pattern[str]:
    """The names that a column of this MySQL or MariaDB collation keeps apart from all others."""
    return next((names for pattern, names in _COLLATIONS if pattern.fullmatch(collation)), _NEVER)


def column_key(name: str, prefix: str, readable: re.Pattern[str]) -> str:
    """What stands in the key column for `name`: the name itself, or "prefix:version:" and a digest of it.

    No two names share a column key, and that of a name begins with "prefix:" if the name does, so that all of a prefix
    can be cleared. What marks a service entry stays readable too.
    """
    if len(name) <= LONGEST_KEY and readable.fullmatch(name) and not _DIGESTED.search(name):
        return name
    digest = blake2b(name.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{_head(name, prefix)}{_MARK}{digest}"


def _head(name: str, prefix: str) -> str:
    start = len(prefix) + 1 if name.startswith(f"{prefix}:") else 0
    head = name[: name.find(":", start) + 1] or name[:start]
    mark = SERVICE_MARK if SERVICE_MARK in name else ""
    return _UNSTORABLE.sub("?", head)[: _LONGEST_HEAD - len(mark)] + mark


def to_text(stored: Stored) -> str:
    """The value column, base64 as Django writes it."""
    return b64encode(to_wire(stored)).decode("ascii")


def from_text(text: str | bytes) -> Stored:
    """The inverse of `to_text`. What is no base64 is handed on as it is, for the codec to refuse."""
    if isinstance(text, bytes):
        return text
    try:
        return from_wire(a2b_base64(text, strict_mode=True))
    except ValueError:
        return text.encode(errors="surrogatepass")
