"""How much an lmdb store holds, and what makes room for more: expired entries first, then those soonest to expire."""

from __future__ import annotations

from dataclasses import dataclass

from cacheplus.backends.lmdb_entries import Entries

# The most entries that one write waits for while others go.
BATCH = 1000

# A change copies pages before it frees them, and a reader may hold on to them: that much of the map stays free.
_FULL = 0.8
# How often the pages are counted: after that part of the map was written, as far as this process knows.
_INTERVAL = 1 / 1024
# Bytes of the map for each stamp, fence or lock: beyond that the oldest go.
_PER_SERVICE = 2048
# What an entry costs beside its value: its key, twice, and what LMDB notes.
OVERHEAD = 150


@dataclass(slots=True)
class Room:
    """The bounds of one store of `map_size` bytes, and what this process knows of how full it is."""

    map_size: int
    page_size: int
    _is_full: bool = False
    _has_many_services: bool = False
    _until_count: int = 0

    def make(self, entries: Entries, size: int, *, is_service: bool, most: int, frequency: int) -> None:
        """Before `size` bytes are stored: delete what has to go.

        At `most` ordinary entries one in `frequency` goes (all for 0, as in Django), but no more than BATCH at a time.
        In a full map twice the bytes go that come, so that it does not stay full.
        """
        self._look(entries, size)
        if self._has_many_services and is_service:
            entries.cull(2, services=True)
        if self._is_full:
            self._shrink(entries, 2 * (size + OVERHEAD))
        if not is_service and most < self.map_size:
            _keep_below(entries, most, frequency)

    def rescue(self, entries: Entries, size: int) -> None:
        """After the map was found full: free what `size` bytes take twice over.

        Not so for what needs no more than a page where few are in use: readers held on to the rest, and are gone.
        """
        self._until_count = 0
        if size > self.page_size // 4 or self._is_over(entries):
            self._shrink(entries, max(2 * size, self.map_size // 128))

    def _look(self, entries: Entries, size: int) -> None:
        self._until_count -= size + OVERHEAD
        if self._until_count > 0:
            return
        self._until_count = int(self.map_size * _INTERVAL)
        self._is_full = self._is_over(entries)
        self._has_many_services = entries.count(services=True) > self.map_size / _PER_SERVICE

    def _is_over(self, entries: Entries) -> bool:
        return entries.pages() * self.page_size > self.map_size * _FULL

    @staticmethod
    def _shrink(entries: Entries, size: int) -> None:
        gone = entries.cull(BATCH, services=True, expired_only=True, size=size)
        gone += entries.cull(BATCH, size=size)
        if not gone:
            entries.cull(BATCH, services=True, size=size)


def _keep_below(entries: Entries, most: int, frequency: int) -> None:
    count = entries.count()
    if count < most:
        return
    count -= entries.cull(BATCH, expired_only=True)
    if count < most:
        return
    if frequency == 0:
        while entries.cull(BATCH):
            pass
    else:
        entries.cull(max(1, min(count // frequency, BATCH)))
