"""One computation per key: found, awaited from whoever computes it already, or computed and stored."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from math import inf
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from cacheplus.backends.landing import Computed, Landed, Landing, Seen, Times, Unshared, Wanted, is_stale
from cacheplus.backends.operations import Found, Operations
from cacheplus.backends.ways import Way
from cacheplus.conf import conf
from cacheplus.flights import Flight, Lease, Patience, airborne, flight_of, leading, leads, on_ones_own
from cacheplus.recall import current_memo
from cacheplus.recorder import apart, meet_recorded, meet_stamps, meet_tags, recording
from cacheplus.store import Stored
from cacheplus.tags import Beginning, tag_names

# How often a lease may be lost before the store is taken for one that takes nothing.
_TRIES = 8
# How long to wait while somebody else in this process asks the store for the lease.
_LONGEST_TAKE = 1.0


class Computing:
    """The computations of one alias."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self.landing = Landing(operations)

    def wanted(
        self,
        key: Any,
        default: Callable[[], Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        tags: Collection[str] = (),
        *,
        stale: float = 0,
        lock: bool = True,
    ) -> Wanted:
        """What a public call asks for. Raises TypeError or ValueError for arguments that cannot be meant."""
        place, ttl, flights = self._operations.place(key, version), self._operations.ttl_of(timeout), conf()
        if not 0 <= stale < inf:
            raise ValueError(f"stale must be a number of seconds, 0 or more, not {stale!r}.")
        kept = ttl + stale if ttl is not None and ttl > 0 else ttl
        times = Times(kept, stale, flights.flight_lease, flights.flight_wait if lock else 0)
        return Wanted(place, default, tag_names(tags), times)

    async def value(self, way: Way, wanted: Wanted, patience: Patience | None = None) -> Any:
        """The value of `wanted`, stale only where its times permit."""
        patience = patience or Patience(wanted.times.wait)
        if current_memo() is not None:
            found = await way.operate(partial(self.landing.recalled, wanted))
            if found is not None:
                return found.record.value
        lost = 0
        while lost < _TRIES:
            seen = await way.operate(partial(self.landing.see, wanted))
            if seen is None:
                break
            if seen.found is not None:
                if is_stale(seen.found.record):
                    await self._refresh_later(way, wanted, seen.found)
                return seen.found.record.value
            answer = await self._follow_or_lead(way, wanted, seen, patience)
            if answer is not None:
                return answer.value
            # A lease that cannot be had and that nobody else has: the store takes nothing.
            lost += seen.lease is None
        return await self._without_store(way, wanted, patience)

    async def renewed(self, way: Way, wanted: Wanted) -> Any:
        """The value of `wanted`, computed now; what stood there, or is computed by another meanwhile, gives way."""
        beginning = await way.operate(partial(self._operations.tags.begin, tags=wanted.tags))
        with recording() as recorder:
            value = await way.compute(wanted.default)
        if isinstance(value, Unshared) or beginning is None:
            meet_tags(wanted.tags)
            return value.value if isinstance(value, Unshared) else value
        await way.operate(partial(self.landing.put, wanted, value, beginning, recorder))
        return value

    # With the store

    def subject(self, wanted: Wanted) -> tuple[Any, ...]:
        """What is computed, to tell one's own computation again."""
        return self._operations.space, wanted.place

    async def _follow_or_lead(self, way: Way, wanted: Wanted, seen: Seen, patience: Patience) -> Computed | None:
        """An answer, or None where it is to be looked for again."""
        if wanted.times.is_over:
            return await self._compute(way, wanted, seen, None)
        lease = seen.lease
        if lease is None or lease.is_over:
            return await self._lead(way, wanted, seen)
        if lease.is_open or leads(self.subject(wanted)):
            return await self._compute(way, wanted, seen, lease)
        flight = flight_of(lease.owner)
        if way.may_wait(flight) and patience.left > 0:
            if flight is None:
                return await self._watch(way, wanted, seen, lease, patience)
            if await way.wait(flight, patience.left):
                return self._taken_over(wanted, seen, flight)
        return await self._compute(way, wanted, seen, lease)

    def _taken_over(self, wanted: Wanted, seen: Seen, flight: Flight) -> Computed | None:
        """The follower's copy of what landed; None where there is none, or it may be older than an expiry seen here."""
        landed = flight.landed.result()
        if landed is None or flight.stands != seen.stands:
            return None
        if landed.stamps is not None:
            meet_stamps(self._operations.space, landed.stamps)
        elif landed.recorder is not None:
            meet_tags(wanted.tags)
            meet_recorded(landed.recorder)
        return Computed(self.landing.decode(wanted.place, landed.stored).value, landed)

    async def _watch(self, way: Way, wanted: Wanted, seen: Seen, lease: Lease, patience: Patience) -> Computed | None:
        """Look until the lease of another process is gone; one of the callers here does, the others wait for it."""
        flight = Flight(self.subject(wanted), seen.stands, is_task=way.is_task)
        with airborne(flight, lease.owner) as is_first:
            while is_first and patience.left > 0:
                await way.pause(patience.pause())
                now = await way.operate(partial(self.landing.see, wanted))
                if now is None or now.found is not None:
                    return self._seen_landing(flight, now)
                if now.lease != lease or lease.is_over:
                    return None
        return None if not is_first else await self._compute(way, wanted, seen, lease)

    def _seen_landing(self, flight: Flight, now: Seen | None) -> Computed | None:
        if now is None or now.found is None:
            return None
        landed = Landed(now.found.stored, now.found.record.stamps)
        flight.land(landed)
        return Computed(now.found.record.value, landed)

    async def _lead(self, way: Way, wanted: Wanted, seen: Seen) -> Computed | None:
        """Compute with a lease; None where another was faster."""
        lease = Lease.new(wanted.times.lease, seen.lease.root if seen.lease else None)
        flight = Flight(self.subject(wanted), seen.stands, is_task=way.is_task)
        stored = self.landing.encode(wanted.place, lease.record())
        with airborne(flight, lease.owner), leading(flight):
            if not await self._take(way, wanted, seen, stored, lease.ttl):
                return None
            try:
                computed = await self._compute(way, wanted, seen, lease, stored)
            except BaseException:
                await way.attempt(partial(self.landing.give_up, wanted, stored))
                raise
            flight.land(computed.landed)
        return computed

    async def _take(self, way: Way, wanted: Wanted, seen: Seen, stored: Stored, ttl: float) -> bool:
        """Take the lease. Of those in this process who would at the same time, one asks the store."""
        owner = ("take", *self.subject(wanted))
        other = flight_of(owner)
        if other is not None and way.may_wait(other) and await way.wait(other, _LONGEST_TAKE):
            return False
        with airborne(Flight(owner, seen.stands, is_task=way.is_task), owner):
            return bool(await way.operate(partial(self.landing.take, wanted, seen, stored, ttl)))

    # In the background

    async def _refresh_later(self, way: Way, wanted: Wanted, found: Found) -> None:
        """Begin the refresh of a stale value, unless somebody else has."""
        claimed = await way.operate(partial(self.landing.claim, wanted, found))
        if claimed is not None:
            way.later(partial(self._refresh, way, wanted, found, claimed))

    async def _refresh(self, way: Way, wanted: Wanted, found: Found, claimed: Stored) -> None:
        """Put a new value in the place of the claimed one; where that fails, the next caller refreshes."""
        with apart(), on_ones_own():
            try:
                begin = partial(self._operations.tags.begin, tags=wanted.tags)
                beginning = await way.operate(begin) or Beginning()
                # Nothing succeeds what was claimed, as one lease may another.
                alone = Lease.new(0)
                await self._compute(way, wanted, Seen(None, None, claimed, beginning), alone, claimed)
            except Exception as error:  # noqa: BLE001 - nobody is there to be told but the log
                way.cache.report_fault("refresh", error)
                await way.attempt(partial(self.landing.unclaim, wanted, found, claimed))

    # Without

    async def _without_store(self, way: Way, wanted: Wanted, patience: Patience) -> Any:
        """One computation at a time in this process, where a lease could not be had."""
        subject = self.subject(wanted)
        owner = ("no lease", *subject, wanted.tags)
        seen = Seen(None, None, None, Beginning(wanted.tags))
        flight = flight_of(owner)
        if flight is not None and not leads(subject) and way.may_wait(flight) and patience.left > 0:
            answer = self._taken_over(wanted, seen, flight) if await way.wait(flight, patience.left) else None
            if answer is not None:
                return answer.value
        flight = Flight(subject, seen.stands, is_task=way.is_task)
        with airborne(flight, owner), leading(flight):
            computed = await self._compute(way, wanted, seen, None)
            flight.land(computed.landed)
        return computed.value

    # What is computed

    async def _compute(
        self, way: Way, wanted: Wanted, seen: Seen, lease: Lease | None, own: Stored | None = None
    ) -> Computed:
        """Compute, and store where `lease`, or another of its root, still stands. `own` is one's own as stored."""
        with recording() as recorder:
            value = await way.compute(wanted.default)
        if isinstance(value, Unshared) or recorder.is_private:
            meet_tags(wanted.tags)
            if own is not None and lease is not None:
                await way.operate(partial(self.landing.leave_open, wanted, lease, own))
            return Computed(value.value if isinstance(value, Unshared) else value, None)
        expected = own if own is not None else seen.occupant
        keep = partial(self.landing.keep, wanted, value, seen.beginning, recorder, lease, expected)
        computed = await way.operate(keep)
        if computed is None:
            meet_tags(wanted.tags)
            return Computed(value, None)
        if own is not None and (computed.landed is None or computed.landed.stamps is None):
            await way.attempt(partial(self.landing.give_up, wanted, own))
        return computed
