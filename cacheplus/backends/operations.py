"""What every call of a cache means, written once over the primitives of a store.

These coroutines are driven by the blocking public methods and awaited by their twins. A record that cannot be read, or
whose tag was expired, is absent to all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from cacheplus.codecs.record import TOO_LARGE, Record
from cacheplus.exceptions import BadRecord, shown
from cacheplus.recall import read_once
from cacheplus.recorder import Recorder, meet_stamps, meet_tags
from cacheplus.store import Store, Stored
from cacheplus.tags import Beginning, Tags, tag_names
from cacheplus.uncommitted import uncommitted_tags

_INCREMENT_TRIES = 64


class Codec(Protocol):
    """Turns records into what a store keeps."""

    def encode(self, name: str, record: Record, seal: bytes = b"") -> Stored: ...
    def decode(self, name: str, stored: Stored, seal: bytes = b"") -> Record: ...


class Found(NamedTuple):
    """A live record, and the stored form that a swap has to expect."""

    record: Record
    stored: Stored


class Place(NamedTuple):
    """Where a key is kept: its final name, and the seal of its prefix and version."""

    name: str
    seal: bytes


class Operations:
    """The operations of one alias: its codec, its tags, and how it reports a record that cannot be read."""

    def __init__(
        self,
        place: Callable[[Any, Any], Place],
        ttl_of: Callable[[Any], float | None],
        codec: Codec,
        tags: Tags,
        space: tuple[Any, ...],
        on_bad_record: Callable[[BadRecord], None],
        on_expired: Callable[[tuple[str, ...]], None],
        increment_errors: tuple[type[Exception], ...],
        prefix: Callable[[], str | None],
    ) -> None:
        self.place = place
        self.prefix = prefix
        self.ttl_of = ttl_of
        self.increment_errors = increment_errors
        self.codec = codec
        self.tags = tags
        self.space = space
        self.on_bad_record = on_bad_record
        self.on_expired = on_expired

    # Reading

    async def recall(self, store: Store, places: Sequence[Place], also: Sequence[str] = ()) -> dict[str, Found]:
        """The live records by name, from the memo where there is one."""
        read = await read_once(store.leaf, store.read, [*(place.name for place in places), *also])
        records = await self.records(store, places, read)
        tags = [self.tags.name(tag) for record, _ in records.values() for tag in record.stamps]
        unread = [name for name in tags if name not in read]
        # None of them is left to be asked for; one that is not there is not asked for again.
        if unread:
            read = {**dict.fromkeys(unread), **read, **await read_once(store.leaf, store.read, unread)}
        return await self.living(store, records, read)

    async def find(
        self, store: Store, places: Sequence[Place], also: Sequence[str] = ()
    ) -> tuple[dict[str, Found], dict[str, Stored]]:
        """(live records by name, everything that was read); `also` are names read in the same batch."""
        read = await store.read([*(place.name for place in places), *also])
        return await self.judge(store, places, read), read

    async def judge(self, store: Store, places: Sequence[Place], read: Mapping[str, Stored]) -> dict[str, Found]:
        """The live ones among the records that were `read`; damaged ones are deleted."""
        return await self.living(store, await self.records(store, places, read), read)

    async def records(self, store: Store, places: Sequence[Place], read: Mapping[str, Stored]) -> dict[str, Found]:
        """The records that were `read`, whether their tags stand or not; damaged ones are deleted."""
        found, damaged = {}, []
        for name, seal in places:
            if name not in read:
                continue
            try:
                record = self.codec.decode(name, read[name], seal)
            except BadRecord as error:
                self.on_bad_record(error)
                damaged.append(name)
            else:
                # One that is over stands there while its successor is computed.
                if record.expires is None or record.expires > 0:
                    found[name] = Found(record, read[name])
        if damaged:
            await store.remove(damaged)
        return found

    async def living(self, store: Store, found: dict[str, Found], read: Mapping[str, Stored]) -> dict[str, Found]:
        """Those whose tags stand. What is not among the `read` is asked for."""
        tagged = {tag for record, _ in found.values() for tag in record.stamps}
        if not tagged:
            return found
        return self._alive(found, await self._standing(store, tagged, read))

    async def _standing(self, store: Store, tags: set[str], read: Mapping[str, Stored]) -> dict[str, bytes]:
        """The tokens that stand, from what was read already where that is enough."""
        names = {tag: self.tags.name(tag) for tag in tags}
        unread = [name for name in names.values() if name not in read]
        known = {**read, **(await store.read(unread))} if unread else read
        return {tag: stamp.token for tag, stamp in self.tags.standing(tags, known).items()}

    def _alive(self, found: Mapping[str, Found], standing: Mapping[str, bytes]) -> dict[str, Found]:
        live, uncommitted = {}, uncommitted_tags()
        for name, (record, stored) in found.items():
            is_current = all(standing.get(tag) == token for tag, token in record.stamps.items())
            if is_current and uncommitted.isdisjoint(record.stamps):
                meet_stamps(self.space, record.stamps)
                live[name] = Found(record, stored)
        return live

    async def find_one(self, store: Store, place: Place) -> Found | None:
        """The live record at `place`."""
        found, _ = await self.find(store, [place])
        return found.get(place.name)

    async def get(self, store: Store, key: Any, default: Any, version: Any) -> Any:
        """The value of `key`, or `default`."""
        place = self.place(key, version)
        found = (await self.recall(store, [place])).get(place.name)
        return default if found is None else found.record.value

    async def get_many(self, store: Store, keys: Iterable[Any], version: Any) -> dict[Any, Any]:
        """The values by user key, those found only."""
        places = {key: self.place(key, version) for key in keys}
        if not places:
            return {}
        found = await self.recall(store, list(places.values()))
        return {key: found[name].record.value for key, (name, _) in places.items() if name in found}

    async def has_key(self, store: Store, key: Any, version: Any) -> bool:
        """Whether `key` has a value."""
        place = self.place(key, version)
        return place.name in await self.recall(store, [place])

    async def ttl(self, store: Store, key: Any, version: Any) -> float | None:
        """Seconds left, None for ever, 0 where `key` has no value."""
        place = self.place(key, version)
        return 0.0 if await self.find_one(store, place) is None else await store.ttl(place.name)

    # Writing

    async def set(
        self, store: Store, key: Any, value: Any, timeout: Any, version: Any, *, tags: Collection[str] = ()
    ) -> None:
        """Store `value`; what stood there before is gone, also where storing failed."""
        await self.set_many(store, {key: value}, timeout, version, tags=tags)

    async def set_many(
        self, store: Store, data: Mapping[Any, Any], timeout: Any, version: Any, *, tags: Collection[str] = ()
    ) -> list[Any]:
        """Store each item of `data`; return the keys that could not be stored."""
        ttl, tags = self.ttl_of(timeout), tag_names(tags)
        keys: dict[str, Any] = {}
        blank = await self.record_of(store, None, ttl, tags, None, None)
        meet_tags(tags)
        items = {}
        for key, value in data.items():
            name, seal = self.place(key, version)
            keys[name] = key
            if blank is not None:
                items[name] = self.codec.encode(name, blank._replace(value=value), seal)
        if not keys:
            return []
        if blank is None or _is_over(ttl):
            await store.remove(list(keys))
            return [] if blank is not None else list(data)
        failed = await store.write(items, ttl)
        if failed:
            await store.remove(failed)
        return [keys[name] for name in failed]

    async def add(
        self, store: Store, key: Any, value: Any, timeout: Any, version: Any, *, tags: Collection[str] = ()
    ) -> bool:
        """Store `value` where `key` has none."""
        place, ttl, tags = self.place(key, version), self.ttl_of(timeout), tag_names(tags)
        record = await self.record_of(store, value, ttl, tags, None, None)
        meet_tags(tags)
        return await self._add(store, place, record, ttl)

    async def get_or_add(
        self, store: Store, key: Any, value: Any, timeout: Any, version: Any, tags: Collection[str]
    ) -> Any:
        """The value of `key`, or else `value`, stored unless another was meanwhile."""
        place, ttl, tags = self.place(key, version), self.ttl_of(timeout), tag_names(tags)
        found, read = await self.find(store, [place], self.tags.names(tags) if tags else ())
        if place.name in found:
            return found[place.name].record.value
        beginning = await self.tags.begin(store, tags, read) if tags else None
        record = await self.record_of(store, value, ttl, tags, beginning, None)
        meet_tags(tags)
        if record is None or await self._add(store, place, record, ttl):
            return value
        there = await self.find_one(store, place)
        return value if there is None else there.record.value

    async def record_of(
        self,
        store: Store,
        value: Any,
        ttl: float | None,
        tags: Collection[str],
        beginning: Beginning | None,
        recorder: Recorder | None,
    ) -> Record | None:
        """A record of `value` with its stamps, or None where a tag was expired since the beginning.

        Also None where the recorder met what must not be stored.
        """
        inner, late = recorder.split(self.space) if recorder else ({}, set())
        if recorder and recorder.refusal:
            return None
        if not (tags or inner or late):
            return Record(value)
        begun = beginning or await self.tags.begin(store, tags)
        stamps = await self.tags.settle(store, begun, ttl, {*tags, *late}, inner)
        return None if stamps is None else Record(value, stamps)

    async def _add(self, store: Store, place: Place, record: Record | None, ttl: float | None) -> bool:
        """Store where nothing lives. True also where nothing is to be stored: it counts as gone at once."""
        if record is not None:
            stored = self.codec.encode(place.name, record, place.seal)
        if record is None or _is_over(ttl):
            return await self.find_one(store, place) is None
        return await store.add(place.name, stored, ttl) or await self._add_over_dead(store, place, stored, ttl)

    async def _add_over_dead(self, store: Store, place: Place, stored: Stored, ttl: float | None) -> bool:
        """Replace a record whose tag was expired; False where something lives."""
        if stored is TOO_LARGE:
            return False
        found, read = await self.find(store, [place])
        if found:
            return False
        if place.name in read and await store.swap(place.name, read[place.name], stored, ttl):
            return True
        return await store.add(place.name, stored, ttl)

    async def touch(self, store: Store, key: Any, timeout: Any, version: Any) -> bool:
        """Give a live record a new ttl, and its stamps with it."""
        place, ttl = self.place(key, version), self.ttl_of(timeout)
        found = await self.find_one(store, place)
        if found is None:
            return False
        if _is_over(ttl):
            return await store.remove([place.name]) > 0
        stamps = found.record.stamps
        if stamps and await self.tags.settle(store, Beginning(), ttl, inner=stamps) is None:
            return False
        return await store.touch(place.name, ttl)

    async def delete(self, store: Store, key: Any, version: Any) -> bool:
        """Delete; whether anything was there."""
        return await store.remove([self.place(key, version).name]) > 0

    async def delete_many(self, store: Store, keys: Iterable[Any], version: Any) -> None:
        """Delete each of `keys`."""
        names = [self.place(key, version).name for key in keys]
        if names:
            await store.remove(names)

    async def incr(self, store: Store, key: Any, delta: Any, version: Any) -> Any:
        """Add `delta` to a number; the ttl stays."""
        place = self.place(key, version)
        refused: Exception | None = None
        if type(delta) is int:
            try:
                value = await store.increment(place.name, delta)
            except self.increment_errors as error:
                refused, value = error, None
            if value is not None:
                return value
        for _ in range(_INCREMENT_TRIES):
            found = await self.find_one(store, place)
            if found is None:
                raise ValueError(f"Key {shown(key)} not found")
            if refused is not None and not isinstance(found.record.value, int | float):
                raise refused
            value = await self._increment_record(store, place, found, delta)
            if value is not None:
                return value
        raise refused or RuntimeError(f"{shown(key)} changed {_INCREMENT_TRIES} times while it was incremented.")

    async def _increment_record(self, store: Store, place: Place, found: Found, delta: Any) -> Any:
        """The new value of what is no plain int in the store, or None where it changed meanwhile."""
        value = found.record.value + delta
        ttl = await store.ttl(place.name)
        if ttl is not None and ttl <= 0:
            return None
        stored = self.codec.encode(place.name, Record(value, found.record.stamps), place.seal)
        return value if await store.swap(place.name, found.stored, stored, ttl) else None

    async def incr_version(self, store: Store, key: Any, delta: int, version: Any) -> Any:
        """Move what lives under `key` to another version, with its ttl."""
        source, target = self.place(key, version), self.place(key, version + delta)
        found = await self.find_one(store, source)
        ttl = await store.ttl(source.name) if found else 0.0
        if found is None or _is_over(ttl):
            raise ValueError(f"Key {shown(key)} not found")
        if target == source:
            return version
        failed = await store.write({target.name: self.codec.encode(target.name, found.record, target.seal)}, ttl)
        await store.remove([source.name, *failed])
        return version + delta

    async def expire_tags(self, store: Store, *tags: str) -> int:
        """Make all that carries one of `tags` absent."""
        names = tag_names(tags)
        expired = await self.tags.expire(store, names)
        self.on_expired(names)
        return expired

    async def clear(self, store: Store, everything: bool) -> None:
        """Delete what belongs to the alias, or the whole store."""
        await store.clear(None if everything else self.prefix())


def _is_over(ttl: float | None) -> bool:
    return ttl is not None and ttl <= 0
