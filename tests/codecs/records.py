"""Shorthands to write records, to read them, and to tamper with them."""

import pickle
import zlib

import pytest

from cacheplus.codecs import layout
from cacheplus.codecs.record import Record, RecordCodec
from cacheplus.codecs.signing import Signer
from cacheplus.exceptions import BadRecord

NAME, SEAL = "prefix:1:key", b"6:prefix1:1"
STAMPS = {"/blog/1/": b"token of 13 b", "tàg\ud800": b""}

VERSION_AT, FLAGS_AT, SERIALIZER_AT, COMPRESSOR_AT, LENGTH_AT = 2, 3, 4, 5, 6
PICKLE = 32


class Plain:
    def dumps(self, value):
        return pickle.dumps(value)

    def loads(self, data):
        return pickle.loads(data)


def signer(*keys):
    return Signer(keys or ["secret"], "tests")


def codec(**options):
    return RecordCodec(options.pop("serializer", "pickle"), **options)


def encode(value, **options):
    return codec(**options).encode(NAME, Record(value), SEAL)


def decode(stored, **options):
    return codec(**options).decode(NAME, stored, SEAL)


def flaw(stored, name=NAME, seal=SEAL, **options):
    with pytest.raises(BadRecord) as caught:
        codec(**options).decode(name, stored, seal)
    return caught.value.kind


def forge(stored, changes):
    """`stored` with bytes replaced and a checksum that fits again: whoever can write to the store can make it."""
    body = bytearray(stored[:-4])
    for position, byte in changes.items():
        body[position] = byte
    return bytes(body) + zlib.crc32(body, zlib.crc32(layout.scope(NAME, SEAL))).to_bytes(4, "big")
