"""Compressors. Each refuses to produce more than it is allowed to, before the memory is taken."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import ClassVar, Protocol

from cacheplus.codecs.extras import import_extra
from cacheplus.exceptions import BadRecord, Flaw


class Compressor(Protocol):
    """A method of compression, as records know it."""

    @property
    def id(self) -> int:
        """Its number in stored records: part of the format, never reused, and never 0 (not compressed)."""

    def compress(self, data: bytes) -> bytes:
        """`data`, smaller if all goes well."""

    def decompress(self, data: bytes, limit: int) -> bytes:
        """The original of `data`.

        Raises `BadRecord` ("too-large") if that has more than `limit` bytes, having allocated hardly more than
        `limit`; any other `Exception` where `data` is damaged.
        """


class ZlibCompressor:
    """Of the standard library: smaller but slower than the others."""

    id: ClassVar[int] = 1
    # The fastest level: a cache is read and written far more often than it is short of the last tenth.
    _LEVEL = 1

    def compress(self, data: bytes) -> bytes:
        """As one zlib stream."""
        return zlib.compress(data, self._LEVEL)

    def decompress(self, data: bytes, limit: int) -> bytes:
        """The content of exactly one zlib stream."""
        stream = zlib.decompressobj()
        original = stream.decompress(data, limit + 1)
        _check_size(len(original), limit)
        if not stream.eof or stream.unused_data:
            raise ValueError("not one whole zlib stream")
        return original


class ZstdCompressor:
    """Zstandard: the best ratio for its speed."""

    id: ClassVar[int] = 2

    def __init__(self) -> None:
        self._zstd = import_extra("zstandard", "zstd")

    # Contexts of zstandard are not safe to share between threads, hence one for each call.

    def compress(self, data: bytes) -> bytes:
        """As one frame that says how large its content is."""
        frame: bytes = self._zstd.ZstdCompressor().compress(data)
        return frame

    def decompress(self, data: bytes, limit: int) -> bytes:
        """The content of one frame, which has to say its size: zstandard allocates what the frame announces."""
        size = self._zstd.get_frame_parameters(data).content_size
        if size == self._zstd.CONTENTSIZE_UNKNOWN:
            raise ValueError("a zstd frame without its size")
        _check_size(size, limit)
        original: bytes = self._zstd.ZstdDecompressor().decompress(data, max_output_size=limit)
        return original


class LZ4Compressor:
    """LZ4: the fastest."""

    id: ClassVar[int] = 3

    def __init__(self) -> None:
        self._lz4 = import_extra("lz4.block", "lz4")

    def compress(self, data: bytes) -> bytes:
        """As one block behind its original size (four bytes, little-endian)."""
        block: bytes = self._lz4.compress(data, store_size=True)
        return block

    def decompress(self, data: bytes, limit: int) -> bytes:
        """The content of one block, of exactly the size it announces: that much is allocated."""
        _check_size(int.from_bytes(data[:4], "little"), limit)
        original: bytes = self._lz4.decompress(data)
        return original


COMPRESSORS: dict[str, Callable[[], Compressor]] = {
    "zlib": ZlibCompressor,
    "zstd": ZstdCompressor,
    "lz4": LZ4Compressor,
}

COMPRESSORS_BY_ID: dict[int, Callable[[], Compressor]] = {
    ZlibCompressor.id: ZlibCompressor,
    ZstdCompressor.id: ZstdCompressor,
    LZ4Compressor.id: LZ4Compressor,
}


def make_compressor(name: str) -> Compressor:
    """The compressor of that name. Raises `ValueError` if there is none, `MissingExtra` if it is not installed."""
    if name not in COMPRESSORS:
        known = ", ".join(f'"{known}"' for known in COMPRESSORS)
        raise ValueError(f"COMPRESSOR {name!r} is unknown; choose one of {known}, or None.")
    return COMPRESSORS[name]()


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise BadRecord(Flaw.TOO_LARGE, f"more than the {limit} bytes of MAX_BYTES_DECODED")
