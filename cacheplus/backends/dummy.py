"""The store that keeps nothing, for development and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from cacheplus.backends.base import BaseCache
from cacheplus.store import Stored


class DummyCache(BaseCache):
    """Takes every call, checks its key and stores nothing: a read misses, an `add` succeeds."""

    is_shared: ClassVar[bool] = False
    is_blocking: ClassVar[bool] = False
    is_dummy: ClassVar[bool] = True
    keeps_nothing: ClassVar[bool] = True

    def __init__(self, host: Any, params: dict[str, Any]) -> None:
        super().__init__(host, params)

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
