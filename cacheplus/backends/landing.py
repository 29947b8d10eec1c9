"""What a computation does to the store: how it looks, takes a lease, and puts its result in the place of that.

What stands at the key's name when a computation begins must still stand when its result is stored: a lease, of one's
own or of another, whose root no `set` and no `delete` has taken away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cacheplus.backends.operations import Found, Operations, Place
from cacheplus.codecs.record import TOO_LARGE, Record
from cacheplus.exceptions import BadRecord
from cacheplus.flights import Lease
from cacheplus.recorder import Recorder, meet_stamps, meet_tags
from cacheplus.store import Store, Stored
from cacheplus.tags import Beginning

_TRIES = 8
# For how long nobody waits for a result that nobody may share.
_OPEN = 10.0


class Unshared(NamedTuple):
    """What a computation returns whose value may be neither stored nor given to anybody else."""

    value: Any


class Times(NamedTuple):
    """How long a value is kept, the seconds included for which it may be stale, and the two bounds of a flight."""

    ttl: float | None
    stale: float
    lease: float
    wait: float

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be stored."""
        return self.ttl is not None and self.ttl <= 0

    @property
    def soft(self) -> float | None:
        """When what is stored now becomes stale."""
        return time.time() + self.ttl - self.stale if self.ttl is not None and self.stale else None


class Wanted(NamedTuple):
    """A value that somebody asks for, and how it is computed."""

    place: Place
    default: Callable[[], Any]
    tags: tuple[str, ...]
    times: Times


class Seen(NamedTuple):
    """What a look found: a live record or a lease, whatever `occupant` stands there, and a beginning."""

    found: Found | None
    lease: Lease | None
    occupant: Stored | None
    beginning: Beginning

    @property
    def stands(self) -> tuple[Any, ...]:
        """What has to stand alike for two computations to be one."""
        stamps = ((tag, stamp.token) for tag, stamp in self.beginning.stamps.items())
        return frozenset(self.beginning.tags), frozenset(stamps), self.beginning.fence


class Landed(NamedTuple):
    """A result as stored, from which each follower takes a copy; `stamps` are None where it was not kept."""

    stored: Stored
    stamps: Any
    recorder: Recorder | None = None


class Computed(NamedTuple):
    """A value, and what others may have of it."""

    value: Any
    landed: Landed | None


class Landing:
    """The computations of one alias, as its store sees them."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def see(self, wanted: Wanted, store: Store) -> Seen:
        """What stands now; after it a computation may begin."""
        return (await self.see_many({None: wanted}, store))[None]

    async def recalled(self, wanted: Wanted, store: Store) -> Found | None:
        """The fresh record that is known from the memo, or found for it."""
        operations, place = self._operations, wanted.place
        found = await operations.recall(store, [place], operations.tags.names(wanted.tags))
        record = found.get(place.name)
        return None if record is None or is_stale(record.record) else record

    async def see_many(self, wanted: Mapping[Any, Wanted], store: Store) -> dict[Any, Seen]:
        """`see` for several that have the same tags, in one batch."""
        operations, tags = self._operations, next(iter(wanted.values())).tags
        found, read = await operations.find(store, [one.place for one in wanted.values()], operations.tags.names(tags))
        here = {key: self._usable(one, found) for key, one in wanted.items()}
        beginning = Beginning()
        if None in here.values():
            beginning = await operations.tags.begin(store, tags, read)
        return {key: self._seen(one, here[key], read, beginning) for key, one in wanted.items()}

    @staticmethod
    def _usable(wanted: Wanted, found: Mapping[str, Found]) -> Found | None:
        one = found.get(wanted.place.name)
        return None if one is None or (is_stale(one.record) and not wanted.times.stale) else one

    def _seen(self, wanted: Wanted, found: Found | None, read: Mapping[str, Stored], beginning: Beginning) -> Seen:
        place = wanted.place
        occupant = read.get(place.name)
        if found is not None:
            return Seen(found, None, occupant, Beginning())
        try:
            lease = None if occupant is None else Lease.of(self.decode(place, occupant))
        except BadRecord:
            # It was deleted as such.
            return Seen(None, None, None, beginning)
        return Seen(None, lease, occupant, beginning)

    def decode(self, place: Place, stored: Stored) -> Record:
        """The record in `stored`, with a value of the caller's own. Raises BadRecord."""
        return self._operations.codec.decode(place.name, stored, place.seal)

    def encode(self, place: Place, record: Record) -> Stored:
        """What to store. What the serializer raises is let out."""
        return self._operations.codec.encode(place.name, record, place.seal)

    async def take(self, wanted: Wanted, seen: Seen, stored: Stored, ttl: float, store: Store) -> bool:
        """Put the lease `stored` where `seen` was; False where something else is there now."""
        name = wanted.place.name
        if seen.occupant is None:
            return await store.add(name, stored, ttl)
        return await store.swap(name, seen.occupant, stored, ttl)

    async def give_up(self, wanted: Wanted, stored: Stored, store: Store) -> bool:
        """Take away what still stands there of one's own."""
        return await store.swap(wanted.place.name, stored, None, None)

    async def claim(self, wanted: Wanted, found: Found, store: Store) -> Stored | None:
        """The record as it stands for the time of a lease, during which nobody else finds it stale."""
        place = wanted.place
        ttl = await store.ttl(place.name)
        if ttl is not None and ttl <= 0:
            return None
        claimed = self.encode(place, found.record._replace(soft=time.time() + wanted.times.lease))
        return claimed if await store.swap(place.name, found.stored, claimed, ttl) else None

    async def unclaim(self, wanted: Wanted, found: Found, claimed: Stored, store: Store) -> None:
        """Let the next caller refresh what could not be refreshed."""
        ttl = await store.ttl(wanted.place.name)
        if ttl is None or ttl > 0:
            await store.swap(wanted.place.name, claimed, found.stored, ttl)

    async def leave_open(self, wanted: Wanted, lease: Lease, own: Stored, store: Store) -> bool:
        """Leave word that nobody need wait for what nobody may share."""
        opened = lease.opened(_OPEN)
        return await store.swap(wanted.place.name, own, self.encode(wanted.place, opened.record()), opened.ttl)

    async def keep(
        self,
        wanted: Wanted,
        value: Any,
        beginning: Beginning,
        recorder: Recorder,
        lease: Lease | None,
        expected: Stored | None,
        store: Store,
    ) -> Computed:
        """Store `value` in the place of `expected`, unless it was expired, or its key set or deleted, meanwhile."""
        operations, place, times = self._operations, wanted.place, wanted.times
        record = await operations.record_of(store, value, times.ttl, wanted.tags, beginning, recorder)
        if record is None or times.is_over or lease is None:
            meet_tags(wanted.tags)
            return Computed(value, self._unkept(place, value, recorder))
        stored = self.encode(place, record._replace(soft=times.soft))
        meet_stamps(operations.space, record.stamps)
        if await self._replace(store, place, lease, expected, stored, times.ttl):
            return Computed(value, Landed(stored, record.stamps))
        found = await operations.find_one(store, place)
        if found is None:
            return Computed(value, self._unkept(place, value, recorder))
        return Computed(found.record.value, Landed(found.stored, found.record.stamps))

    async def put(self, wanted: Wanted, value: Any, beginning: Beginning, recorder: Recorder, store: Store) -> None:
        """Store `value` whatever stands there, unless it was expired meanwhile."""
        operations, place, times = self._operations, wanted.place, wanted.times
        record = await operations.record_of(store, value, times.ttl, wanted.tags, beginning, recorder)
        meet_tags(wanted.tags)
        failed = [place.name]
        if record is not None and not times.is_over:
            stored = self.encode(place, record._replace(soft=times.soft))
            failed = await store.write({place.name: stored}, times.ttl)
        if failed:
            await store.remove(failed)

    def _unkept(self, place: Place, value: Any, recorder: Recorder) -> Landed | None:
        """What those who wait here may have of a value that is not kept; None where it cannot be copied."""
        try:
            stored = self.encode(place, Record(value))
        except Exception:  # noqa: BLE001 - whatever a serializer raises; the caller has its value
            return None
        return None if stored is TOO_LARGE else Landed(stored, None, recorder)

    async def _replace(
        self, store: Store, place: Place, lease: Lease, expected: Stored | None, stored: Stored, ttl: float | None
    ) -> bool:
        """Put the value in the place of the lease, or of one that succeeded it."""
        for _ in range(_TRIES):
            if await store.swap(place.name, expected, stored, ttl):
                return True
            if stored is TOO_LARGE:
                return False
            expected = (await store.read([place.name])).get(place.name)
            try:
                now = None if expected is None else Lease.of(self.decode(place, expected))
            except BadRecord:
                now = None
            if now is None or now.root != lease.root:
                return False
        return False


def is_stale(record: Record) -> bool:
    """Whether a live record has outlived its timeout."""
    return record.soft is not None and record.soft <= time.time()
