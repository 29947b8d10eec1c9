"""The form of one entry of the file store: its name, when it was written, how long it lives, what is stored."""

from __future__ import annotations

import struct
import zlib
from math import inf
from typing import NamedTuple

from cacheplus.backends.moment import Moment
from cacheplus.codecs.record import from_wire, to_wire
from cacheplus.store import Stored

_MAGIC = b"\xcbfile1"
# The moment it was written, how long it lives, the length of its name.
_HEAD = struct.Struct("!d16sddI")
_NAME = len(_MAGIC) + _HEAD.size
_CHECKSUM = 4


class Entry(NamedTuple):
    """`lifetime` is in seconds, inf for ever."""

    name: str
    written: Moment
    lifetime: float
    stored: Stored

    @classmethod
    def new(cls, name: str, stored: Stored, ttl: float | None, now: Moment) -> Entry:
        """An entry that is written `now` and lives `ttl` seconds."""
        return cls(name, now, inf if ttl is None else ttl, stored)

    @property
    def ends_at(self) -> float:
        """Unix time; inf for ever."""
        return self.written.wall + self.lifetime

    def left(self, now: Moment) -> float:
        """Seconds that it still lives; inf for ever, 0 or less once it is over."""
        return inf if self.lifetime == inf else self.lifetime - now.since(self.written)

    def pack(self) -> bytes:
        """The content of its file."""
        name = self.name.encode(errors="surrogatepass")
        head = _HEAD.pack(*self.written, self.lifetime, len(name))
        body = b"".join((_MAGIC, head, name, to_wire(self.stored)))
        return body + zlib.crc32(body).to_bytes(_CHECKSUM, "big")

    @classmethod
    def unpack(cls, content: bytes) -> Entry | None:
        """What `pack` made, or None: anything else, or a part of it, is no entry."""
        body, checksum = content[:-_CHECKSUM], content[-_CHECKSUM:]
        if not body.startswith(_MAGIC) or zlib.crc32(body).to_bytes(_CHECKSUM, "big") != checksum:
            return None
        try:
            *written, lifetime, length = _HEAD.unpack_from(body, len(_MAGIC))
            name = body[_NAME : _NAME + length].decode(errors="surrogatepass")
        except (struct.error, UnicodeDecodeError):
            return None
        return cls(name, Moment(*written), lifetime, from_wire(body[_NAME + length :]))


def head_size(prefix: str) -> int:
    """How much of a file `may_begin` needs to see."""
    return _NAME + len(prefix.encode(errors="surrogatepass"))


def may_begin(head: bytes, prefix: str) -> bool:
    """Whether a file that begins like `head` holds an entry whose name begins with `prefix`, or no entry at all."""
    return not head.startswith(_MAGIC) or head[_NAME:].startswith(prefix.encode(errors="surrogatepass"))
