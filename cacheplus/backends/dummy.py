"""The store that keeps nothing, for development and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from cacheplus.backends.base import BaseCache
from cacheplus.backends.operations import Codec
from cacheplus.codecs.record import Record
from cacheplus.store import Stored


class _NoCodec:
    """Passes records through: what is not kept need not be written, so that any value will do."""

    def encode(self, _name: str, record: Record, _seal: bytes = b"") -> Record:
        return record

    def decode(self, _name: str, stored: Record, _seal: bytes = b"") -> Record:
        return stored


class DummyCache(BaseCache):
    """Takes every call, checks its key and stores nothing: a read misses, an `add` succeeds."""

    is_shared: ClassVar[bool] = False
    is_blocking: ClassVar[bool] = False
    keeps_nothing: ClassVar[bool] = True

    def __init__(self, host: Any, params: dict[str, Any]) -> None:
        super().__init__(host, params)

    @cached_property
    def codec(self) -> Codec:
        """Writes nothing."""
        return _NoCodec()

    def _read(self, names: Sequence[str]) -> dict[str, Stored]:
        return {}

    def _write(self, items: Mapping[str, Stored], ttl: float | None) -> list[str]:
        return []

    def _add(self, name: str, stored: Stored, ttl: float | None) -> bool:
        return True

    def _swap(self, name: str, expected: Stored, stored: Stored | None, ttl: float | None) -> bool:
        return False

    def _touch(self, name: str, ttl: float | None) -> bool:
        return False

    def _remove(self, names: Sequence[str]) -> int:
        return 0

    def _increment(self, name: str, delta: int) -> int | None:
        return None

    def _ttl(self, name: str) -> float | None:
        return 0.0

    def _clear(self, prefix: str | None) -> None:
        return None
