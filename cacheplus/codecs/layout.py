"""How the bytes of a record are laid out, all numbers big-endian; see `docs/reference/stored-format.md`.

    magic 2 | version 1 | flags 1 | serializer 1 | compressor 1 | length of the whole 8
    soft 8 | cost 8 | expires 8 | stamps: count 4, then of each: two lengths 4 + 4, tag, token (what the flags name)
    payload | keyed digest 16 if the flags say so, else CRC-32 4

The magic is no start of a decimal number, of a pickle, of a zlib stream or of any UTF-8 text, so that a record is never
taken for something else.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cacheplus.exceptions import BadRecord, Flaw

MAGIC = b"\xca\x50"
VERSION = 1

SIGNED = 1
_STAMPED = 2
# In the order in which they are written: soft, cost, expires.
_NUMBERS = (4, 8, 16)
_KNOWN = SIGNED | _STAMPED | sum(_NUMBERS)

_HEADER = struct.Struct(">2sBBBBQ")
_COUNT = struct.Struct(">I")
_LENGTHS = struct.Struct(">II")

Numbers = tuple[float | None, float | None, float | None]


class Header(NamedTuple):
    """The fixed part: what has to be known before the rest is believed."""

    flags: int
    serializer: int
    compressor: int


class Content(NamedTuple):
    """The part that a checksum vouches for."""

    numbers: Sequence[float | None]
    stamps: Mapping[str, bytes]
    payload: bytes


def pack(header: Header, content: Content, tail: int) -> bytes:
    """Header and content; `tail` is the size of the checksum that the caller will append."""
    flags, parts = header.flags, []
    for flag, number in zip(_NUMBERS, content.numbers, strict=True):
        if number is not None:
            flags |= flag
            parts.append(struct.pack(">d", number))
    if content.stamps:
        flags |= _STAMPED
        parts.append(_pack_stamps(content.stamps))
    fields = b"".join(parts)
    length = _HEADER.size + len(fields) + len(content.payload) + tail
    head = _HEADER.pack(MAGIC, VERSION, flags, header.serializer, header.compressor, length)
    return b"".join((head, fields, content.payload))


def read_header(stored: bytes) -> Header:
    """The header of what begins with the magic. Raises `BadRecord` if it is cut or of an unknown version."""
    if len(stored) < _HEADER.size:
        raise BadRecord(Flaw.TRUNCATED, f"{len(stored)} bytes")
    _, version, flags, serializer, compressor, length = _HEADER.unpack_from(stored)
    if version != VERSION or flags & ~_KNOWN:
        raise BadRecord(Flaw.VERSION, f"format version {version}, flags {flags:#04x}")
    if length != len(stored):
        raise BadRecord(Flaw.TRUNCATED, f"{len(stored)} of {length} bytes")
    return Header(flags, serializer, compressor)


def read_content(body: bytes, flags: int) -> Content:
    """What follows the header in `body`, a record without its checksum, which has been verified."""
    if flags & ~SIGNED == 0:
        return Content((None, None, None), {}, body[_HEADER.size :])
    offset, numbers = _HEADER.size, []
    for flag in _NUMBERS:
        if flags & flag:
            numbers.append(struct.unpack_from(">d", body, offset)[0])
            offset += 8
        else:
            numbers.append(None)
    stamps, offset = _read_stamps(body, offset) if flags & _STAMPED else ({}, offset)
    return Content(numbers, stamps, body[offset:])


def scope(name: str, seal: bytes) -> bytes:
    """Where a record belongs, as bytes that say where they end; part of what its checksum covers."""
    text = name.encode("utf-8", "surrogatepass")
    return _LENGTHS.pack(len(seal), len(text)) + seal + text


def _pack_stamps(stamps: Mapping[str, bytes]) -> bytes:
    parts = [_COUNT.pack(len(stamps))]
    for tag, token in stamps.items():
        text = tag.encode("utf-8", "surrogatepass")
        parts += (_LENGTHS.pack(len(text), len(token)), text, token)
    return b"".join(parts)


def _read_stamps(body: bytes, offset: int) -> tuple[dict[str, bytes], int]:
    """(stamps, the offset behind them)."""
    (count,) = _COUNT.unpack_from(body, offset)
    offset += _COUNT.size
    stamps = {}
    for _ in range(count):
        of_tag, of_token = _LENGTHS.unpack_from(body, offset)
        offset += _LENGTHS.size
        tag = body[offset : offset + of_tag].decode("utf-8", "surrogatepass")
        offset += of_tag
        stamps[tag] = body[offset : offset + of_token]
        offset += of_token
    return stamps, offset
