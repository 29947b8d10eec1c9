"""How the bytes of a record are laid out, all numbers big-endian.

    magic 2 | version 1 | flags 1 | serializer 1 | compressor 1 | length of the whole 8
    soft 8 | cost 8 | expires 8 | stamps: count 4, then of each: two lengths 4 + 4, tag, token (what the flags name)
    payload | keyed digest 16 if the flags say so, else CRC-32 4

The magic is no start of a decimal number, of a pickle, of a zlib stream or of any UTF-8 text, so that a record is never
taken for something else.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from cacheplus.exceptions import BadRecord, Flaw

MAGIC = b"\xca\x50"
VERSION = 1

SIGNED = 1
_STAMPED = 2
# Flags of the numbers, in the order in which these are written: soft, cost, expires.
_NUMBERS = (4, 8, 16)
_KNOWN = SIGNED | _STAMPED | sum(_NUMBERS)

_HEADER = struct.Struct(">2sBBBBQ")
_COUNT = struct.Struct(">I")
_LENGTHS = struct.Struct(">II")
_NUMBER = struct.Struct(">d")


class Header(NamedTuple):
    """What has to be known before the rest is believed."""

    flags: int
    serializer: int
    compressor: int


class Fields(NamedTuple):
    """What a record says of its value, in the order of `Record`."""

    stamps: Mapping[str, bytes]
    soft: float | None
    cost: float | None
    expires: float | None


_NO_FIELDS = Fields(MappingProxyType({}), None, None, None)


def pack(header: Header, fields: Fields, payload: bytes, tail: int) -> bytes:
    """A record but for its checksum; `tail` is the size of that."""
    flags, parts = header.flags, []
    for flag, number in zip(_NUMBERS, fields[1:], strict=True):
        if number is not None:
            flags |= flag
            parts.append(_NUMBER.pack(number))
    if fields.stamps:
        flags |= _STAMPED
        parts.append(_pack_stamps(fields.stamps))
    packed = b"".join(parts)
    length = _HEADER.size + len(packed) + len(payload) + tail
    return _HEADER.pack(MAGIC, VERSION, flags, header.serializer, header.compressor, length) + packed + payload


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


def read_body(body: bytes, flags: int) -> tuple[Fields, bytes]:
    """(fields, payload) of a record without its checksum, which has been verified."""
    offset = _HEADER.size
    if flags & ~SIGNED == 0:
        return _NO_FIELDS, body[offset:]
    numbers: list[float | None] = []
    for flag in _NUMBERS:
        if flags & flag:
            numbers += _NUMBER.unpack_from(body, offset)
            offset += _NUMBER.size
        else:
            numbers.append(None)
    stamps, offset = _read_stamps(body, offset) if flags & _STAMPED else ({}, offset)
    return Fields(stamps, *numbers), body[offset:]


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
