"""Many values at once: the missing ones are computed by one call, except for those that another computes already."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

from cacheplus.backends.computing import Computing
from cacheplus.backends.landing import Seen, Unshared, Wanted
from cacheplus.backends.ways import Way
from cacheplus.flights import TRACE, Flight, Lease, Patience, airborne, leading
from cacheplus.recorder import Recorder, recording
from cacheplus.store import Store, Stored

# Computes the values of those keys that it is given.
ManyDefault = Callable[[list[Any]], Any]

_ABSENT = object()


class Taken(NamedTuple):
    """A key that this call computes, with its lease as stored."""

    seen: Seen
    lease: Lease
    stored: Stored
    flight: Flight


class ComputingMany:
    """The values of several keys, each computed by one caller for all."""

    def __init__(self, computing: Computing, default: ManyDefault, wanted: Mapping[Any, Wanted]) -> None:
        self._computing = computing
        self._landing = computing.landing
        self._default = default
        self._wanted = wanted
        self._given: dict[Any, Any] = {}

    async def values(self, way: Way) -> dict[Any, Any]:
        """The values by key; without those that `default` did not give."""
        if not self._wanted:
            return {}
        seen = await way.operate(self._see)
        if seen is None:
            return await self._ask(way, list(self._wanted))
        found = {key: one.found.record.value for key, one in seen.items() if one.found is not None}
        free = {key: one for key, one in seen.items() if one.found is None and self._is_free(one)}
        led = await self._lead(way, free) if free else set()
        found |= self._given
        times = next(iter(self._wanted.values())).times
        patience = Patience(times.wait)
        for key in [key for key in self._wanted if key not in found and key not in led]:
            value = await self._computing.value(way, self._alone(key), patience)
            if value is not _ABSENT:
                found[key] = value
        return {key: found[key] for key in self._wanted if key in found}

    @staticmethod
    def _is_free(seen: Seen) -> bool:
        return seen.lease is None or seen.lease.is_over

    async def _see(self, store: Store) -> dict[Any, Seen]:
        return await self._landing.see_many(self._wanted, store)

    def _alone(self, key: Any) -> Wanted:
        """One key as a computation of its own, for when whoever computes it gives nothing."""

        def compute() -> Any:
            given = self._default([key])
            return _aone(given, key) if inspect.isawaitable(given) else _one(given, key)

        return self._wanted[key]._replace(default=compute)

    async def _ask(self, way: Way, keys: list[Any]) -> dict[Any, Any]:
        given = _mapping(await way.compute(partial(self._default, keys)))
        return {key: given[key] for key in keys if key in given}

    async def _lead(self, way: Way, free: Mapping[Any, Seen]) -> set[Any]:
        """Compute what this call got a lease for, and tell what that was; the rest is asked for again."""
        with ExitStack() as flights:
            offered = {key: self._offer(way, self._wanted[key], seen, flights) for key, seen in free.items()}
            taken = await way.operate(partial(self._take, offered)) or {}
            mine = [key for key in free if key in taken]
            if not taken and await self._is_left_alone(way, free):
                # The store takes nothing.
                mine = list(free)
            if not mine:
                return set()
            try:
                with recording() as recorder:
                    given = await self._ask(way, mine)
                kept = await way.operate(partial(self._keep, taken, given, recorder))
            finally:
                rest = {key: one.stored for key, one in taken.items()}
                await way.attempt(partial(self._give_up, rest))
        self._given = given if kept is None else {**given, **kept}
        return set(mine)

    async def _is_left_alone(self, way: Way, free: Mapping[Any, Seen]) -> bool:
        """Whether nobody else has a lease or a value for what this call got none for."""
        now = await way.operate(self._see) or {}
        return all(now[key].found is None and self._is_free(now[key]) for key in free if key in now)

    def _offer(self, way: Way, wanted: Wanted, seen: Seen, flights: ExitStack) -> Taken:
        lease = Lease.new(wanted.times.lease, seen.lease.root if seen.lease else None)
        flight = Flight(self._computing.subject(wanted), seen.stands, is_task=way.is_task)
        flights.enter_context(airborne(flight, lease.owner))
        flights.enter_context(leading(flight))
        return Taken(seen, lease, self._landing.encode(wanted.place, lease.record()), flight)

    async def _take(self, offered: Mapping[Any, Taken], store: Store) -> dict[Any, Taken]:
        if all(self._wanted[key].times.is_over for key in offered):
            return {}
        names = {self._wanted[key].place.name: key for key, one in offered.items() if one.seen.occupant is None}
        added = await store.add_many({name: offered[key].stored for name, key in names.items()}, TRACE)
        taken = {key: offered[key] for name, key in names.items() if name in added}
        for key in offered.keys() - set(names.values()):
            one = offered[key]
            if await self._landing.take(self._wanted[key], one.seen, one.stored, TRACE, store):
                taken[key] = one
        return taken

    async def _keep(
        self, taken: dict[Any, Taken], given: Mapping[Any, Any], recorder: Recorder, store: Store
    ) -> dict[Any, Any]:
        """Store what was given; the values that stand now."""
        kept = {}
        for key in [key for key in taken if key in given]:
            one, wanted = taken[key], self._wanted[key]
            computed = await self._landing.keep(
                wanted, given[key], one.seen.beginning, recorder, one.lease, one.stored, store
            )
            kept[key] = computed.value
            one.flight.land(computed.landed)
            if computed.landed is not None and computed.landed.stamps is not None:
                del taken[key]
        return kept

    async def _give_up(self, rest: Mapping[Any, Stored], store: Store) -> None:
        for key, stored in rest.items():
            await self._landing.give_up(self._wanted[key], stored, store)


def _mapping(given: Any) -> Mapping[Any, Any]:
    if not isinstance(given, Mapping):
        raise TypeError(f"The default of get_or_set_many has to return a dict of the keys it was given, not {given!r}.")
    return given


def _one(given: Any, key: Any) -> Any:
    return _mapping(given).get(key, Unshared(_ABSENT))


async def _aone(given: Any, key: Any) -> Any:
    return _one(await given, key)
