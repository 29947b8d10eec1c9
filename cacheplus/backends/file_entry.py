"""The form of one entry of the file store: what it is called, when it ends, what is stored."""

from __future__ import annotations

import struct
import zlib
from math import inf
from typing import NamedTuple

from cacheplus.codecs.record import from_wire, to_wire
from cacheplus.store import Stored

_MAGIC = b"\xcbfile1"
# When it was written, when it ends, the length of its name.
_HEAD = struct.Struct("!ddI")
_CHECKSUM = 4


class Entry(NamedTuple):
    """`written_at` and `expires_at` are unix times; the latter is inf for ever."""

    name: str
    written_at: float
    expires_at: float
    stored: Stored

    @classmethod
    def new(cls, name: str, stored: Stored, ttl: float | None, now: float) -> Entry:
        """An entry that is written `now` and lives `ttl` seconds."""
        return cls(name, now, inf if ttl is None else now + ttl, stored)

    def is_live(self, now: float) -> bool:
        """Whether it still counts. One from the future was written before the clock was set back, and is over."""
        return now < self.expires_at and (self.expires_at == inf or self.written_at <= now + 1)

    def ttl(self, now: float) -> float | None:
        """Seconds left, None for ever."""
        return None if self.expires_at == inf else self.expires_at - now

    def pack(self) -> bytes:
        """The content of its file."""
        name = self.name.encode(errors="surrogatepass")
        body = b"".join((_MAGIC, _HEAD.pack(self.written_at, self.expires_at, len(name)), name, to_wire(self.stored)))
        return body + zlib.crc32(body).to_bytes(_CHECKSUM, "big")

    @classmethod
    def unpack(cls, content: bytes) -> Entry | None:
        """What `pack` made, or None: anything else, or a part of it, is no entry."""
        body, checksum = content[:-_CHECKSUM], content[-_CHECKSUM:]
        if not body.startswith(_MAGIC) or zlib.crc32(body).to_bytes(_CHECKSUM, "big") != checksum:
            return None
        written_at, expires_at, length = _HEAD.unpack_from(body, len(_MAGIC))
        start = len(_MAGIC) + _HEAD.size
        name = body[start : start + length].decode(errors="surrogatepass")
        return cls(name, written_at, expires_at, from_wire(body[start + length :]))
