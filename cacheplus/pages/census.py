"""The census: how many pages one path has, so that nobody can fill a store by making up queries or headers."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import Any

from cacheplus.backends.operations import Operations, Place
from cacheplus.codecs.record import Record
from cacheplus.pages.keys import PageAddress
from cacheplus.store import SERVICE_MARK, Store

# Several processes may store pages of one path at a time.
_ATTEMPTS = 4
# A page that is kept for ever holds its place no longer than this: its tag may have expired long ago.
_LONGEST = 24 * 60 * 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How many pages are kept. None of them counts against the first page of a plain path."""

    variants: int = 64
    """Of one path without a query, for other values of the headers that its `Vary` names."""
    queries: int = 256
    """Of one path for all of its queries, and all of their variants."""


UNLIMITED = Limits()
"""For whoever does not count."""


class Census:
    """Counts the pages of a path: one list for those with a query, one for the variants of that without."""

    def __init__(self, operations: Operations, limits: Limits) -> None:
        self._operations = operations
        self._limits = limits

    async def admits(self, store: Store, address: PageAddress, key: str, ttl: float | None) -> bool:
        """Whether there is room for the page `key`, for so many seconds. One that is known already has its place."""
        has_query = not address.is_plain
        limit = self._limits.queries if has_query else self._limits.variants
        name, seal = self._operations.place(f"{SERVICE_MARK}census.{_list_of(address, has_query=has_query)}", None)
        for _ in range(_ATTEMPTS):
            now = time.time()
            read = await store.read([name])
            found = (await self._operations.records(store, [Place(name, seal)], read)).get(name)
            places = _places(found.record.value if found else None, now)
            if key not in places and len(places) >= limit:
                return False
            places[key] = now + min(_LONGEST if ttl is None else ttl, _LONGEST)
            value = json.dumps(places, separators=(",", ":"))
            stored = self._operations.codec.encode(name, Record(value), seal)
            longest = max(places.values()) - now
            if found is None and await store.add(name, stored, longest):
                return True
            if found is not None and await store.swap(name, read[name], stored, longest):
                return True
        return False


def _list_of(address: PageAddress, *, has_query: bool) -> str:
    plain = replace(address, query="?" if has_query else "", headers="", method="GET")
    return plain.key()


def _places(value: Any, now: float) -> dict[str, float]:
    """Until when each page holds its place; those that are over are left out."""
    try:
        return {key: until for key, until in json.loads(value).items() if until > now} if value else {}
    except (TypeError, ValueError, AttributeError):
        return {}
