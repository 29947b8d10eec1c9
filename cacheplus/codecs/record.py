"""The record: one stored value with all that is needed to judge it, and the codec that turns it into bytes.

Reading never guesses. Whatever is not exactly what this site wrote under this name raises `BadRecord`, which is a miss.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from cacheplus.codecs import layout, native
from cacheplus.codecs.compressors import COMPRESSORS_BY_ID, Compressor, make_compressor
from cacheplus.codecs.serializers import SAFE_SERIALIZERS, Serializer, make_serializer
from cacheplus.codecs.signing import DIGEST_SIZE, Signer
from cacheplus.exceptions import BadRecord, Flaw


class Unstorable(Enum):
    """What a value becomes that must not be stored."""

    TOO_LARGE = "too-large"


TOO_LARGE = Unstorable.TOO_LARGE
"""More bytes than could be read again. Stores answer as for a name that could not be stored."""

Stored = int | bytes
"""What a record becomes: an int where servers can count on it, else bytes."""

_CRC_SIZE = 4
# The ints that are stored bare, because every server can count within them.
COUNTABLE = range(-(2**63), 2**63)
# "007", "+1", "1_000" and "-0" are no numbers that a server wrote.
_LONGEST_NUMBER = 20
_DIGITS = re.compile(rb"0|-?[1-9][0-9]{0,18}|[1-9][0-9]{19}")
_NO_STAMPS: Mapping[str, bytes] = MappingProxyType({})


# A named tuple: a frozen dataclass takes three times as long to make, and every hit makes one.
class Record(NamedTuple):
    """A value and what is known of it. Times are unix times, in seconds; None where there is nothing to say."""

    value: Any
    stamps: Mapping[str, bytes] = _NO_STAMPS
    """From tag to the token that has to stand for the record to be valid. Not changed once it is here."""
    soft: float | None = None
    """When the value becomes stale, though still usable."""
    cost: float | None = None
    """How many seconds its computation took."""
    expires: float | None = None
    """When it is gone; only where the store cannot tell."""

    @property
    def is_bare(self) -> bool:
        """Whether there is nothing but the value."""
        return not self.stamps and self.soft is None and self.cost is None and self.expires is None


class RecordCodec:
    """Records to ints and bytes, and back.

    - `serializer`: a name of `SERIALIZERS`, or an object with `dumps` and `loads`, for values of no native kind.
    - `compressor`: a name of `COMPRESSORS`, or None; used for payloads of at least `compress_min_bytes`, and only if it
      makes them smaller.
    - `signer`: if given, whatever could run code is signed when written and refused when it bears no good signature.
    - `max_bytes_decoded`: the most that a payload may take, before it is compressed and after it was decompressed.
    - `foreign`: reads bytes that are no record of ours, or raises; without it they are refused.

    Records of native kinds, JSON and MessagePack, and of every compressor that is installed, can be read whatever the
    codec itself writes. A pickle is loaded only if `serializer` is "pickle".
    """

    def __init__(
        self,
        serializer: str | Serializer = "pickle",
        *,
        compressor: str | None = None,
        compress_min_bytes: int = 1024,
        signer: Signer | None = None,
        max_bytes_decoded: int = 16 * 2**20,
        foreign: Callable[[bytes], Any] | None = None,
    ) -> None:
        self._serializer = make_serializer(serializer)
        self._compressor = None if compressor is None else make_compressor(compressor)
        self._compress_min_bytes = compress_min_bytes
        self._signer = signer
        self._max_bytes_decoded = max_bytes_decoded
        self._foreign = foreign

    def encode(self, name: str, record: Record, seal: bytes = b"") -> Stored | Literal[Unstorable.TOO_LARGE]:
        """What to store under `name`; `seal` tells apart the aliases that could make the same name.

        A bare int of 64 bits stays an int; more than `max_bytes_decoded` bytes become `TOO_LARGE`. What the serializer
        raises for a value it cannot write is let out.
        """
        value = record.value
        if type(value) is int and record.is_bare and value in COUNTABLE:
            return value
        # A look before the copy. In UTF-8 no text is shorter than its characters are many.
        if type(value) in (str, bytes) and len(value) > self._max_bytes_decoded:
            return TOO_LARGE
        serializer, payload = native.dump(value) or (self._serializer.id, self._serializer.dumps(value))
        if len(payload) > self._max_bytes_decoded:
            return TOO_LARGE
        compressor, payload = self._compress(payload)
        signer = self._signer if _needs_trust(serializer) else None
        header = layout.Header(layout.SIGNED if signer else 0, serializer, compressor)
        fields = layout.Fields(record.stamps, record.soft, record.cost, record.expires)
        body = layout.pack(header, fields, payload, DIGEST_SIZE if signer else _CRC_SIZE)
        scope = layout.scope(name, seal)
        return body + (signer.sign(scope, body) if signer else _crc(scope, body))

    def decode(self, name: str, stored: Stored, seal: bytes = b"") -> Record:
        """The record that was stored under `name` and `seal`. Raises `BadRecord`, and nothing else."""
        if isinstance(stored, int):
            return Record(stored)
        if not stored.startswith(layout.MAGIC):
            return Record(self._read_foreign(stored))
        header = layout.read_header(stored)
        load = self._loader(header.serializer)
        body = self._verified(header, stored, layout.scope(name, seal))
        try:
            fields, payload = layout.read_body(body, header.flags)
            value = load(self._decompress(header.compressor, payload))
        except BadRecord:
            raise
        except Exception as error:
            raise BadRecord(Flaw.PAYLOAD, f"serializer {header.serializer}: {type(error).__name__}") from error
        return Record(value, *fields)

    def _read_foreign(self, stored: bytes) -> Any:
        if self._foreign is None:
            raise BadRecord(Flaw.FOREIGN, f"{len(stored)} bytes that cacheplus did not write")
        try:
            return self._foreign(stored)
        except BadRecord:
            raise
        except Exception as error:
            raise BadRecord(Flaw.FOREIGN, f"{len(stored)} bytes: {type(error).__name__}") from error

    def _loader(self, serializer: int) -> Callable[[bytes], Any]:
        """What rebuilds a value, if this codec permits it."""
        if serializer in native.LOADERS:
            return native.LOADERS[serializer]
        if serializer == self._serializer.id:
            return self._serializer.loads
        if serializer not in SAFE_SERIALIZERS:
            raise BadRecord(Flaw.SERIALIZER, f"serializer {serializer} is unknown or not the alias's SERIALIZER")
        try:
            return SAFE_SERIALIZERS[serializer]().loads
        except ImportError as error:
            raise BadRecord(Flaw.SERIALIZER, str(error)) from error

    def _verified(self, header: layout.Header, stored: bytes, scope: bytes) -> bytes:
        """`stored` without its checksum, which is good and of the kind that the payload needs."""
        if not header.flags & layout.SIGNED:
            if self._signer and _needs_trust(header.serializer):
                raise BadRecord(Flaw.SIGNATURE, "not signed")
            body = stored[:-_CRC_SIZE]
            if stored[-_CRC_SIZE:] != _crc(scope, body):
                raise BadRecord(Flaw.CHECKSUM, "damaged, or of another key")
            return body
        body, digest = stored[:-DIGEST_SIZE], stored[-DIGEST_SIZE:]
        if not self._signer or not self._signer.verify(digest, scope, body):
            raise BadRecord(Flaw.SIGNATURE, "signed by a key that is not the site's" if self._signer else "no key here")
        return body

    def _compress(self, payload: bytes) -> tuple[int, bytes]:
        """(compressor id, payload), left alone unless that makes it smaller."""
        if self._compressor is None or len(payload) < self._compress_min_bytes:
            return 0, payload
        smaller = self._compressor.compress(payload)
        return (self._compressor.id, smaller) if len(smaller) < len(payload) else (0, payload)

    def _decompress(self, compressor: int, payload: bytes) -> bytes:
        if compressor == 0:
            return payload
        return self._decompressor(compressor).decompress(payload, self._max_bytes_decoded)

    def _decompressor(self, compressor: int) -> Compressor:
        if self._compressor is not None and compressor == self._compressor.id:
            return self._compressor
        if compressor not in COMPRESSORS_BY_ID:
            raise BadRecord(Flaw.COMPRESSOR, f"compressor {compressor} is unknown")
        try:
            return COMPRESSORS_BY_ID[compressor]()
        except ImportError as error:
            raise BadRecord(Flaw.COMPRESSOR, str(error)) from error


def to_wire(stored: Stored) -> bytes:
    """What a store that keeps only bytes is given: ints as decimal digits, on which its servers can count."""
    return b"%d" % stored if isinstance(stored, int) else stored


def from_wire(data: bytes) -> Stored:
    """The inverse of `to_wire`: an int of canonical digits, else the bytes as they are."""
    return int(data) if len(data) <= _LONGEST_NUMBER and _DIGITS.fullmatch(data) else data


def _needs_trust(serializer: int) -> bool:
    """Whether hostile bytes for this serializer could run code; an unknown one counts as such."""
    return serializer not in native.LOADERS and serializer not in SAFE_SERIALIZERS


def _crc(scope: bytes, body: bytes) -> bytes:
    return zlib.crc32(body, zlib.crc32(scope)).to_bytes(_CRC_SIZE, "big")
